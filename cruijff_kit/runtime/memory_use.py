"""How much memory this process has needed so far."""

import resource
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["peak_memory"]


def peak_memory(device: "torch.device") -> int:
    """Return the peak so far in bytes: allocated on a GPU, else resident in this process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        # Metal keeps no maximum. What its driver gave out stays for the next use: the peak, unless memory was short.
        return torch.mps.driver_allocated_memory()
    # The kernel counts in KiB on Linux and in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
