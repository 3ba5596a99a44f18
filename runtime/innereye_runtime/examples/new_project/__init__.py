"""The files of a new project, as they are but for the name of its package."""
