"""Machine: what this one computes with, told without a network and without loading a heavy library."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cruijff_kit.errors import SiteError
from cruijff_kit.planning.backends import choose_backend
from cruijff_kit.planning.fits import memory_bytes
from cruijff_kit.planning.job_configs import Gpu
from cruijff_kit.planning.local_site import is_here
from cruijff_kit.ports import World
from cruijff_kit.runtime.backends import this_machine
from cruijff_kit.runtime.machine_memory import machine_memory, usable_cpus
from cruijff_kit.runtime.user_folders import cache_dir, own_folder
from cruijff_kit.schema.backend import BackendChoice, Machine
from cruijff_kit.schema.machine import MachineReport
from cruijff_kit.schema.site import GpuKind, Site

__all__ = ["describe_machine", "gpu_of", "gpus_here", "machine_here", "training_memory_here"]

_PACKAGES = (
    *("cruijff-kit", "torch", "transformers", "tokenizers", "peft", "safetensors", "torchtune", "torchao"),
    *("mlx", "mlx-lm", "inspect-ai", "numpy", "pyarrow", "matplotlib", "mcp"),
)


def describe_machine(*, world: World) -> MachineReport:
    """Return device, memory, backend, versions and places of this machine; nothing is written or asked of a network."""
    gpus = gpus_here(world)
    chosen: BackendChoice | None = None
    try:
        chosen = choose_backend("auto", this_machine(cuda=bool(gpus)), train=True)
        backend, why = chosen.engine, chosen.why
    except SiteError as err:
        backend, why = "none", f"{str(err).partition(chr(10))[0]} ({err.hint})"
    found = {name: _version(name) for name in _PACKAGES}
    return MachineReport(
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        device=_device(gpus, chosen),
        backend=backend,
        backend_why=why,
        cpus=usable_cpus(),
        memory=machine_memory(),
        gpus=gpus,
        disk_free=world.store.disk().free,
        versions={name: each for name, each in found.items() if each is not None},
        missing=tuple(name for name, each in found.items() if each is None),
        models_dir=world.site.models_dir or "",
        models=len(world.hub.present()) if world.site.models_dir else 0,
        cache=str(cache_dir()),
        state=str(own_folder("CRUIJFF_STATE_DIR", "XDG_STATE_HOME", fallback=".local/state")),
        scheduler=world.site.scheduler,
    )


def machine_here(world: World) -> Machine:
    """Return what decides which library computes on this machine; nothing heavy is loaded."""
    return this_machine(cuda=bool(gpus_here(world)))


def gpus_here(world: World) -> tuple[GpuKind, ...]:
    """Return the GPUs that this machine's driver tells of; nobody else is asked."""
    return world.probe.gpus() if world.probe is not None else ()


def gpu_of(site: Site) -> Gpu:
    """Return whose GPUs a site's jobs may be given: Apple's where they run on such a Mac, else CUDA's."""
    return "mps" if is_here(site) and this_machine(cuda=False).mps else "cuda"


def training_memory_here(gpus: Sequence[GpuKind], *, wanted: int, shared: bool = False) -> int:
    """Return the bytes that a training may have: the smallest GPU's where it takes one, else this machine's.

    Args:
        gpus: those that the driver tells of.
        wanted: how many the training takes; where it takes one and nobody says how large it is, 0 is returned.
        shared: whether the GPU that it takes lives in this machine's memory.
    """
    if not wanted or shared:
        return machine_memory()
    return min((memory_bytes(each.memory) for each in gpus if each.memory is not None), default=0)


def _device(gpus: tuple[GpuKind, ...], chosen: BackendChoice | None) -> str:
    if chosen is not None and (chosen.library, chosen.device) == ("mlx", "gpu"):
        return "the GPU of Apple silicon, through MLX"
    if gpus:
        names = ", ".join(f"{each.count} {each.type or 'GPU'} of {each.memory or 'unknown memory'}" for each in gpus)
        return f"CUDA: {names}"
    if chosen is not None and chosen.device == "mps":
        return "the GPU of Apple silicon, through torch (MPS)"
    return f"CPU: {platform.processor() or platform.machine()}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
