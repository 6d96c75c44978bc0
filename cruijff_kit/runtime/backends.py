"""What this machine has to compute with, told without loading any of it."""

import platform
import sys
from importlib.util import find_spec

from cruijff_kit.schema.backend import Machine

__all__ = ["is_apple", "is_installed", "macos_version", "this_machine"]


def this_machine(*, cuda: bool) -> Machine:
    """Return which libraries and devices are here.

    Args:
        cuda: whether the driver tells of a GPU of CUDA.
    """
    apple = is_apple()
    torch = is_installed("torch")
    return Machine(
        apple=apple,
        mlx=is_installed("mlx") and is_installed("mlx_lm"),
        cuda=cuda and torch,
        mps=apple and torch,
        mps_bf16=apple and torch and macos_version() >= (14,),
        peft=is_installed("peft"),
        torchtune=is_installed("torchtune"),
    )


def is_apple() -> bool:
    """Return whether this is a Mac of Apple's own processors."""
    return sys.platform == "darwin" and platform.machine() == "arm64"


def macos_version() -> tuple[int, ...]:
    """Return the version of macOS as numbers; none elsewhere."""
    return tuple(int(part) for part in platform.mac_ver()[0].split(".") if part.isdigit())


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be imported; nothing is loaded."""
    return find_spec(module) is not None
