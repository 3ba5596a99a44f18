"""The AzureML target. Nothing of Azure is imported before a job is submitted or asked for."""

from __future__ import annotations

from innereye_runtime.targets.azureml.target import AzureMLTarget

TARGET = AzureMLTarget()
