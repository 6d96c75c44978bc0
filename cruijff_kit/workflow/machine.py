"""Machine: what this one computes with, told without a network and without loading a heavy library."""

import platform
from importlib.metadata import PackageNotFoundError, version

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import World
from cruijff_kit.runtime.machine_memory import machine_memory, usable_cpus
from cruijff_kit.runtime.user_folders import cache_dir, own_folder
from cruijff_kit.schema.machine import MachineReport
from cruijff_kit.schema.site import GpuKind
from cruijff_kit.workflow.backends import choose_backend

__all__ = ["describe_machine"]

_PACKAGES = (
    *("cruijff-kit", "torch", "transformers", "tokenizers", "peft", "safetensors", "torchtune", "torchao"),
    *("mlx", "mlx-lm", "inspect-ai", "numpy", "pyarrow", "matplotlib", "mcp"),
)


def describe_machine(*, world: World) -> MachineReport:
    """Return device, memory, backend, versions and places of this machine; nothing is written or asked of a network."""
    gpus = world.probe.machine().gpus if world.probe is not None else ()
    try:
        backend = choose_backend("auto")
    except SiteError as err:
        backend = f"none: {str(err).partition(chr(10))[0]} ({err.hint})"
    found = {name: _version(name) for name in _PACKAGES}
    return MachineReport(
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        device=_device(gpus, backend),
        backend=backend,
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


def _device(gpus: tuple[GpuKind, ...], backend: str) -> str:
    if backend == "mlx":
        return "the GPU of Apple silicon, through MLX"
    if gpus:
        names = ", ".join(f"{each.count} {each.type or 'GPU'} of {each.memory or 'unknown memory'}" for each in gpus)
        return f"CUDA: {names}"
    return f"CPU: {platform.processor() or platform.machine()}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
