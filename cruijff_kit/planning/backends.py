"""Which library computes, and on what: asked for by name, or the best that a machine has."""

from difflib import get_close_matches

from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.schema.backend import BackendChoice, Machine

__all__ = ["BACKENDS", "choose_backend"]

BACKENDS = ("auto", "mlx", "cuda", "mps", "cpu")
"""What may be asked for: the best there is, MLX, or torch on a device."""

_LACKS = {
    "mlx": (
        "MLX is not installed here",
        "pip install 'cruijff-kit[mlx]' in an environment of its own, or leave `--backend auto`",
    ),
    "cuda": ("torch sees no GPU of CUDA", "leave `--backend auto`, or ask the site for a GPU"),
    "mps": ("torch sees no GPU of Apple", "leave `--backend auto`"),
}


def choose_backend(asked: str, machine: Machine) -> BackendChoice:
    """Return what `--backend` means on a machine.

    `auto` is MLX on Apple silicon, then CUDA, then MPS, then the CPU by torch. MLX on a CPU
    is taken only where it is asked for.

    Args:
        asked: one of `BACKENDS`.
        machine: what it has.

    Raises:
        SiteError: what was asked for is not to be had there.
        SpecError: nothing of that name is known.
    """
    if asked not in BACKENDS:
        near = get_close_matches(asked, BACKENDS, n=1)
        known = ", ".join(f"`{name}`" for name in BACKENDS)
        raise SpecError(f"unknown backend `{asked}`; backends are {known}", hint=f"write `{(near or ['auto'])[0]}`")
    if asked == "auto":
        return _best(machine)
    there = {"mlx": machine.mlx, "cuda": machine.cuda, "mps": machine.mps, "cpu": True}
    if not there[asked]:
        raise SiteError(f"`--backend {asked}` was asked for, and {_LACKS[asked][0]}", hint=_LACKS[asked][1])
    if asked == "mlx":
        return BackendChoice(library="mlx", device="gpu" if machine.apple else "cpu", why="asked for")
    return BackendChoice.model_validate({"library": "torch", "device": asked, "why": "asked for"})


def _best(machine: Machine) -> BackendChoice:
    if machine.apple and machine.mlx:
        return BackendChoice(library="mlx", device="gpu", why="MLX on Apple silicon")
    if machine.cuda:
        return BackendChoice(library="torch", device="cuda", why="torch sees a GPU of CUDA")
    without = "; MLX is not installed" if machine.apple else ""
    if machine.mps:
        return BackendChoice(library="torch", device="mps", why=f"torch sees Apple's GPU{without}")
    return BackendChoice(library="torch", device="cpu", why=f"torch sees no GPU{without}")
