"""The AzureML target. Nothing of Azure is imported before a job is submitted or asked for."""
