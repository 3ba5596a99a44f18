"""What metrics are logged with, under its name in hi-ml."""

from innereye_runtime.compat.successor_logging import AzureMLLogger, AzureMLProgressBar, log_learning_rate, log_on_epoch

__all__ = ["AzureMLLogger", "AzureMLProgressBar", "log_learning_rate", "log_on_epoch"]
