"""The state of the workspace: its assets, datastores and jobs."""
