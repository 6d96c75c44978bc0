"""How many rows a batch may have: what one takes, and what the device has to give."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch

__all__ = ["SHARE", "Footprint", "footprint", "free_bytes", "group_free"]

SHARE = 0.6
"""Part of the free memory that a batch may take; the rest is for what the estimate leaves out."""


class Footprint(NamedTuple):
    """What a batch takes beside the model."""

    token: int
    """Bytes of one token of a row: its keys and values, and what the widest layer makes of it."""
    logits: int
    """Bytes of the logits behind one token, as they are and as 32-bit numbers, and the work on them."""

    def of(self, rows: int, *, tokens: int, logits: int) -> int:
        """Return the bytes of so many rows of so many tokens each, and logits behind so many tokens."""
        return rows * tokens * self.token + logits * self.logits


def footprint(config: Any, dtype: torch.dtype) -> Footprint:
    """Return what a model of this configuration takes for a batch."""
    shape = config.get_text_config()
    width, heads = shape.hidden_size, getattr(shape, "num_attention_heads", None) or 1
    shared = getattr(shape, "num_key_value_heads", None) or heads
    head = getattr(shape, "head_dim", None) or width // heads
    inner = getattr(shape, "intermediate_size", None) or 4 * width
    numbers = 2 * shape.num_hidden_layers * shared * head + 6 * width + 3 * inner
    return Footprint(numbers * dtype.itemsize, shape.vocab_size * (dtype.itemsize + 3 * 4))


def free_bytes(device: torch.device) -> int:
    """Return the memory of a device that nothing holds; of a CPU what system and job leave to this process."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        # Memory that everything else lives in too; what the driver keeps for reuse counts as free.
        return max(0, min(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory(), _system_free()))
    limited = group_free()
    return _system_free() if limited is None else min(_system_free(), limited)


def _system_free() -> int:
    told = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", told.read_text(encoding="ascii")) if told.is_file() else None
    if found:
        return int(found[1]) * 1024
    # Elsewhere the kernel does not say what it could give back, so half of all there is.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def group_free(*, own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what the control groups of a job leave to it; None where nothing is limited.

    Args:
        own: file that names the group of this process.
        root: where groups lie, one in another; the tightest counts.
    """
    lines = own.read_text(encoding="utf-8").splitlines() if own.is_file() else []
    name = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    folder = root / name.lstrip("/")
    folders = [each for each in (folder, *folder.parents) if each.is_relative_to(root)]
    return min((free for each in folders if (free := _left(each)) is not None), default=None)


def _left(folder: Path) -> int | None:
    """Return what one group leaves; None where it limits nothing."""
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        kept = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    # Pages of files are given back when memory is needed.
    return max(0, int(limit) - used + (int(kept[1]) if kept else 0))
