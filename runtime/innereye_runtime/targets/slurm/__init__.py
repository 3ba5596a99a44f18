"""Jobs of a Slurm cluster, by its own commands; the run folder lies on a file system that all nodes share."""
