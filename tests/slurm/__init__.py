"""A real Slurm of the tests' own."""
