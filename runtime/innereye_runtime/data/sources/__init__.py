"""Where the files of a dataset come from: a folder, or a store of blobs."""
