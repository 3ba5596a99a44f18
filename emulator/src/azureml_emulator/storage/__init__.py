"""The storage account: Azurite, a gate in front of it that can misbehave, and folders kept like blobs."""
