"""Base models held in memory, by the library that is to compute."""

from typing import Literal

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.serving import ServedModel

__all__ = ["Resident", "load_resident", "load_served"]


def load_resident(
    path: str,
    *,
    dtype: Literal["fp32", "bf16"] = "fp32",
    device: str = "auto",
    backend: Library = "torch",
    longest: int | None = None,
) -> Resident:
    """Return a base model, loaded by torch or by MLX.

    Args:
        path: base model directory, without an adapter in it.
        dtype: arithmetic of weights and activations.
        device: where to compute; each library knows its own.
        backend: which library computes.
        longest: tokens of the longest prompt and answer, which MLX has to know; the model's positions where None.

    Raises:
        SiteError: the library is not installed, or it cannot load the directory or use the device.
    """
    if backend == "torch":
        return ResidentModel(path, dtype=dtype, device=device)
    try:
        from cruijff_kit.runtime.mlx_resident import MlxResident
    except ImportError as err:
        fact = f"answering in MLX needs `{err.name}`, which is not installed"
        raise SiteError(fact, hint="pip install 'cruijff-kit[mlx]' in an environment of its own") from err
    return MlxResident(path, dtype=dtype, device=device, longest=longest)


def load_served(served: ServedModel) -> Resident:
    """Return the base of a model that answers whoever asks.

    Raises:
        SiteError: as `load_resident` says.
    """
    return load_resident(
        served.base, dtype=served.dtype, device=served.device, backend=served.backend, longest=served.max_positions
    )
