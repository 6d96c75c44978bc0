"""The start of a process that computes in MLX alone: its libraries without torch."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import sys

__all__ = ["load_mlx_lm"]


def load_mlx_lm() -> None:
    """Load mlx-lm, and with it transformers as where torch is not installed.

    mlx-lm needs the tokenizers of transformers, and these load torch wherever it is there,
    for models that are never made: two thirds of the time in which a small training
    starts. From then on transformers makes no model of torch in this process, so only the
    program of a job may call this; torch itself can be loaded as ever, as by metrics of a
    user's file. Where either is loaded already, nothing is left out.
    """
    if {"torch", "transformers"} & sys.modules.keys():
        return
    # What stands for None in there cannot be imported, and is found not to be installed.
    sys.modules["torch"] = None  # type: ignore[assignment]  # what Python's reference says of `sys.modules`
    try:
        import mlx_lm.utils  # noqa: F401  # loaded for those who import parts of it later
    finally:
        del sys.modules["torch"]
