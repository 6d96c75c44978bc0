"""Fine-tune and evaluate language models on Slurm clusters, with every step on record."""

__version__ = "0.1.0"
