"""Routing of clients that use Azure's host names to this machine: certificates, HTTPS servers, a CONNECT proxy."""
