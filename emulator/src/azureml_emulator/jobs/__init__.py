"""Running jobs: images, attempts set up as AzureML does, and the local Docker engine."""
