"""Fine-tune and evaluate language models on Slurm clusters, with every step on record."""

from typing import Any

__all__ = ["load_results"]

__version__ = "0.1.0"

load_results: Any
"""What was collected of an experiment, as tables: `bootstrap.load_results`, loaded when it is asked for."""


def __getattr__(name: str) -> Any:
    if name != "load_results":
        raise AttributeError(f"`{__name__}` has no `{name}`")
    # By name: nothing that knows this package's version may come to know all of it.
    from importlib import import_module

    return import_module(f"{__name__}.bootstrap").load_results
