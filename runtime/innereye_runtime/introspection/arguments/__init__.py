"""Values for parameters, from a manifest and from the command line, each checked at its place."""
