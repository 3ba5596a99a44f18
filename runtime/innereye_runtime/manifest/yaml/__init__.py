"""YAML text to a document in which every node knows its place in the text."""
