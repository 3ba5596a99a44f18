"""Whether requests and responses conform to Microsoft's published API description."""
