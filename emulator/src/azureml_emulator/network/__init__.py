"""How a client that knows only Azure's names gets to this machine: certificates, HTTPS servers, a proxy."""
