"""Arrays to a safetensors file, torch's or NumPy's, so that a job of another library need not load torch to write."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["save_arrays"]


def save_arrays(arrays: Mapping[str, Any], path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays by name; the file is the same whichever library holds them.

    Args:
        arrays: all of torch, or all of NumPy.
        path: the file, in a folder that exists.
        metadata: words for its header.
    """
    told = dict(metadata) if metadata else None
    if all(hasattr(array, "contiguous") for array in arrays.values()):
        from safetensors.torch import save_file

        save_file({name: array.detach().cpu().contiguous() for name, array in arrays.items()}, path, metadata=told)
        return
    import numpy as np
    from safetensors.numpy import save_file as save_numpy

    save_numpy({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, metadata=told)
