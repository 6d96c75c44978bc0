"""What this machine has to compute with."""

import platform
import sys
from importlib.util import find_spec

from cruijff_kit.schema.backend import Machine

__all__ = ["this_machine"]


def this_machine() -> Machine:
    """Return which libraries and devices are here; torch is loaded to see its own, where it is installed."""
    cuda = mps = False
    if find_spec("torch") is not None:
        import torch

        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    mlx = find_spec("mlx") is not None and find_spec("mlx_lm") is not None
    return Machine(apple=apple, mlx=mlx, cuda=cuda, mps=mps)
