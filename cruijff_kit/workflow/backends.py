"""Backends of a training on this machine: which one `auto` is, and whether what is asked for can run."""

import platform
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from cruijff_kit.errors import SiteError

__all__ = ["BACKENDS", "choose_backend", "is_installed"]

BACKENDS = ("auto", "torch", "mlx", "peft", "torchtune")
"""Names that `--backend` takes."""

_ASKED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "peft": ("peft", "pip install 'cruijff-kit[train]'"),
        "torchtune": ("torchtune", "pip install 'cruijff-kit[torchtune]'"),
        "mlx": ("mlx_lm", "pip install 'cruijff-kit[mlx]' in an environment of its own"),
    }
)


def choose_backend(asked: str) -> str:
    """Return the backend that trains, by the name that a design has for it.

    `auto` is MLX on Apple silicon, where it is installed, else torch: a GPU that the driver tells of,
    else the CPU. MLX on another machine's CPU trains only where it is asked for by name.

    Raises:
        SiteError: it is none of `BACKENDS`, or what it needs is not installed.
    """
    if asked not in BACKENDS:
        known = ", ".join(f"`{each}`" for each in BACKENDS)
        raise SiteError(f"there is no backend `{asked}`", hint=f"one of {known}")
    apple = (platform.system(), platform.machine()) == ("Darwin", "arm64")
    named = "mlx" if asked == "auto" and apple and is_installed("mlx_lm") else asked
    # peft trains every architecture; torchtune's recipes are for Llamas.
    named = "peft" if named in {"auto", "torch"} else named
    module, install = _ASKED[named]
    if not is_installed(module):
        raise SiteError(f"backend `{asked}` needs `{module}`, which is not installed", hint=install)
    return named


def is_installed(module: str) -> bool:
    """Return whether a top-level module can be imported; nothing is loaded."""
    return find_spec(module) is not None
