"""The storage account: Azurite, a proxy in front of it that injects faults, and folders synchronized with blobs."""
