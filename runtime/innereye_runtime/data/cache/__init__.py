"""The cache of downloaded datasets that the runs of this machine share."""
