"""Many runs of one manifest: the trials of a sweep, the folds of a cross-validation."""
