"""The start of a process that computes in MLX alone: its libraries without those that it does not use."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import sys

from cruijff_kit.runtime.garbage import uncollected

__all__ = ["load_mlx_lm"]

_UNUSED = ("torch", "wandb")


def load_mlx_lm() -> None:
    """Load mlx-lm, and with it transformers, as where neither torch nor wandb is installed.

    mlx-lm needs the tokenizers of transformers, and these load torch wherever it is there,
    for models that are never made; its own trainer loads wandb. Both together take two
    thirds of the time in which a small training starts. From then on transformers makes no
    model of torch in this process, so only the program of a job may call this; torch and
    wandb themselves can be loaded as ever, as by metrics of a user's file and by tracking.
    Where torch or transformers is loaded already, nothing is left out.
    """
    if {"torch", "transformers"} & sys.modules.keys():
        return
    left_out = [name for name in _UNUSED if name not in sys.modules]
    # What stands for None in there cannot be imported, and is found not to be installed.
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # as Python's reference says of it
    try:
        with uncollected():
            import mlx_lm.tuner  # noqa: F401  # loaded for those who import parts of it later
    finally:
        for name in left_out:
            del sys.modules[name]
