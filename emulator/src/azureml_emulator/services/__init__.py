"""The services behind Azure's host names: tokens, control plane, run history, MLflow; one server for all of them."""
