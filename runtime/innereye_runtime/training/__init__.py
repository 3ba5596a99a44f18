"""The running side below the entrypoint: trainer, checkpoints and resumption, evaluation, report."""
