"""What answers under Azure's names: tokens, the control plane, run history, MLflow; one server for all of them."""
