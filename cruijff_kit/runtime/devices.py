"""Where a job computes and in which arithmetic."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cruijff_kit.errors import SiteError

if TYPE_CHECKING:
    import torch

__all__ = [
    "choose_device",
    "choose_dtype",
    "default_dtype",
    "describe_device",
    "falls_back",
    "give_back",
    "is_out_of_memory",
    "metal_in_words",
    "move_but_blocks",
]

_FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"


def choose_device(wanted: str) -> "torch.device":
    """Return the device for `auto`, `cpu`, `cuda` or `mps`; `auto` is a GPU of CUDA, else Apple's, else the CPU.

    `cuda` is the GPU that was asked for, whoever made it: on a Mac that is Apple's.

    Of several processes that `torchrun` started, each has the GPU of its own number.

    Raises:
        SiteError: a GPU was asked for and torch sees none, or fewer than there are processes.
    """
    import torch

    available = torch.cuda.is_available()
    if wanted == "mps" or (wanted != "cpu" and not available and torch.backends.mps.is_available()):
        return _metal()
    if wanted == "cuda" and not available:
        raise SiteError(
            "`device: cuda` was asked for, and torch sees no GPU",
            hint="ask for one with `resources.gpus: 1`, or set `device: cpu`",
        )
    if not available or wanted == "cpu":
        return torch.device("cpu")
    index, seen = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= seen:
        fact = f"process {index} of this node has no GPU: torch sees {seen}"
        raise SiteError(fact, hint="start as many processes as `resources.gpus` asks for")
    return torch.device("cuda", index)


def _metal() -> "torch.device":
    """Return Apple's GPU.

    Raises:
        SiteError: torch sees none.
    """
    import torch

    if torch.backends.mps.is_available():
        return torch.device("mps")
    why = "it has no Metal that torch can use, or its macOS is too old for this torch"
    if not torch.backends.mps.is_built():
        why = "this torch was built without it, as on everything but Macs"
    fact = f"`device: mps` is Apple's GPU, and torch sees none here: {why}"
    raise SiteError(fact, hint="set `resources.gpus: 0` and scaffold again, or `device: cpu`")


def choose_dtype(name: str, device: "torch.device") -> "torch.dtype":
    """Return the torch type of `fp32` or `bf16`.

    Raises:
        SiteError: the GPU does not compute in bf16.
    """
    import torch

    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise SiteError(
            f"`dtype: bf16` is not supported by `{describe_device(device)}`",
            hint="set `controls.dtype: fp32`, or ask for a newer GPU by `resources.constraint`",
        )
    if name == "bf16" and device.type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
        raise SiteError("`dtype: bf16` on Apple's GPU needs macOS 14", hint="set `controls.dtype: fp32`")
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[name]


@contextmanager
def default_dtype(dtype: "torch.dtype") -> Iterator[None]:
    """Let new tensors have this type, and put the usual one back."""
    import torch

    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def move_but_blocks(model: "torch.nn.Module", blocks: "Iterable[torch.nn.Module]", *, device: "torch.device") -> None:
    """Bring to the device what learns, and what every process needs whole: all but frozen weights of blocks."""
    stay = {weight for block in blocks for weight in block.parameters() if not weight.requires_grad}
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor not in stay:
            tensor.data = tensor.data.to(device)


def describe_device(device: "torch.device") -> str:
    """Return the device as recorded, such as `cpu` or `cuda:0 NVIDIA H200`."""
    import torch

    if device.type == "mps" and falls_back(os.environ):
        return "mps, the CPU for operations that it lacks"
    return f"{device} {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)


def falls_back(environment: Mapping[str, str]) -> bool:
    """Return whether torch was told to let the CPU do what it has no operation for on Apple's GPU."""
    return environment.get(_FALLBACK, "0") not in {"", "0"}


@contextmanager
def metal_in_words(device: "torch.device") -> Iterator[None]:
    """Tell in words that torch lacks an operation on Apple's GPU; elsewhere nothing is looked at.

    Raises:
        SiteError: it does.
    """
    try:
        yield
    except NotImplementedError as err:
        if device.type != "mps":
            raise
        hint = f"set `{_FALLBACK}=1` to let the CPU do what is missing, slowly; or train on the CPU by `gpus: 0`"
        said = str(err).strip().partition(". ")[0]
        raise SiteError(f"Apple's GPU cannot compute this model by this torch: {said}", hint=hint) from err


def is_out_of_memory(err: RuntimeError) -> bool:
    """Return whether an error of torch tells of too little memory of a GPU; Metal's is of no type of its own."""
    import torch

    return isinstance(err, torch.OutOfMemoryError) or str(err).startswith("MPS backend out of memory")


def give_back(device: "torch.device") -> None:
    """Let a GPU's memory that nothing holds be used by others, and for other sizes."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
