"""Jobs and what runs them: their states, their attempts as AzureML would set them up, the local engine."""
