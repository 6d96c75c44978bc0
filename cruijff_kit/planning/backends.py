"""Which library computes, and on what: asked for by name, or the best that a machine has."""

from difflib import get_close_matches

from cruijff_kit.data.mlx_limits import MLX_RECIPE, PROVEN
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.schema.backend import BackendChoice, Library, Machine
from cruijff_kit.schema.plan import PlannedRun

__all__ = ["BACKENDS", "choose_backend", "formula_of", "library_of"]

BACKENDS = ("auto", "torch", "mlx", "peft", "torchtune")
"""What may be asked for: the best there is, a library, or one of torch's two engines that train."""

_LACKS = {
    "mlx": ("`mlx_lm`", "pip install 'cruijff-kit[mlx]' in an environment of its own, or leave `--backend auto`"),
    "peft": ("`peft`", "pip install 'cruijff-kit[train]'"),
    "torchtune": ("`torchtune`", "pip install 'cruijff-kit[torchtune]', or leave `--backend auto`"),
}


def choose_backend(
    asked: str, machine: Machine, *, train: bool = False, architecture: str | None = None, needed: bool = True
) -> BackendChoice:
    """Return what `--backend` means on a machine.

    `auto` is MLX on Apple silicon where it is installed and known to compute the model, else torch: on CUDA,
    then MPS, then the CPU.
    MLX on a CPU is taken only where it is asked for. What torch trains by is peft, which knows every
    architecture, unless torchtune is asked for, whose recipes are for Llamas and not tried on Apple's GPU.

    Args:
        asked: one of `BACKENDS`.
        machine: what it has.
        train: whether something is to be trained, so that the engine has to be there too.
        architecture: the model's, as its `config.json` names it; where None any is meant.
        needed: whether the library has to be installed; not, where it is only counted with.

    Raises:
        SiteError: what was asked for is not to be had there.
        SpecError: nothing of that name is known.
    """
    if asked not in BACKENDS:
        near = get_close_matches(asked, BACKENDS, n=1)
        known = ", ".join(f"`{name}`" for name in BACKENDS)
        raise SpecError(f"unknown backend `{asked}`; backends are {known}", hint=f"write `{(near or ['auto'])[0]}`")
    if asked == "mlx" or (_best_is_mlx(asked, machine) and _computed(architecture)):
        found = _mlx(asked, machine)
    else:
        found = _torch(asked, machine, architecture=architecture)
    there = {"mlx": machine.mlx, "peft": machine.peft, "torchtune": machine.torchtune}
    if needed and not there[found.engine] and (train or found.engine == asked):
        lacks, hint = _LACKS[found.engine]
        raise SiteError(f"backend `{asked}` needs {lacks}, which is not installed", hint=hint)
    return found


def library_of(run: PlannedRun) -> Library:
    """Return what answers for a run that trains: the library that trained it."""
    return "mlx" if run.settings["recipe"].value == MLX_RECIPE else "torch"


def formula_of(chosen: BackendChoice) -> str:
    """Return which sum tells the memory of a training, and where that was held against measurements."""
    if chosen.library == "mlx":
        return "MLX's, held against measurements on CPUs" + ("" if chosen.device == "cpu" else ", not on Metal")
    return "torch's, held against measurements on CPUs" + ("" if chosen.device == "cpu" else ", not on GPUs")


def _best_is_mlx(asked: str, machine: Machine) -> bool:
    return asked == "auto" and machine.apple and machine.mlx


def _computed(architecture: str | None) -> bool:
    return architecture is None or architecture in PROVEN.values()


def _mlx(asked: str, machine: Machine) -> BackendChoice:
    why = "asked for" if asked == "mlx" else "MLX on Apple silicon"
    return BackendChoice(library="mlx", engine="mlx", device="gpu" if machine.apple else "cpu", why=why)


def _torch(asked: str, machine: Machine, *, architecture: str | None) -> BackendChoice:
    device = "cuda" if machine.cuda else "mps" if machine.mps and asked != "torchtune" else "cpu"
    without = ""
    if machine.apple:
        unknown = f"; MLX is not known to compute a `{architecture}`" if not _computed(architecture) else ""
        without = unknown if machine.mlx else "; MLX is not installed"
    best = {"cuda": "torch has a GPU of CUDA", "mps": "torch has Apple's GPU", "cpu": "torch has no GPU"}[device]
    return BackendChoice.model_validate(
        {
            "library": "torch",
            "engine": "torchtune" if asked == "torchtune" else "peft",
            "device": device,
            "why": f"{best}{without}" if asked == "auto" else "asked for",
        }
    )
