"""GPU samples: a CSV that a job's script had taken, and what each GPU did; pure."""

import csv
import math
from collections.abc import Iterable
from statistics import fmean

from cruijff_kit.schema.compute import GpuUse

__all__ = ["gpu_use"]


def gpu_use(lines: Iterable[str]) -> tuple[GpuUse, ...]:
    """Return what each GPU did, by its number; lines and fields that are no figures are left out.

    Columns are timestamp, index, utilisation in percent and memory in MiB, as `nvidia-smi`
    writes them, with or without units and heading.
    """
    found: dict[int, list[tuple[float | None, float | None]]] = {}
    for row in csv.reader(lines):
        if len(row) < 4 or not row[1].strip().isdigit():
            continue
        found.setdefault(int(row[1]), []).append((_number(row[2]), _number(row[3])))
    return tuple(_summary(index, found[index]) for index in sorted(found))


def _summary(index: int, samples: list[tuple[float | None, float | None]]) -> GpuUse:
    busy = [value for value, _ in samples if value is not None]
    memory = [value for _, value in samples if value is not None]
    return GpuUse(
        index=index,
        samples=len(samples),
        utilisation=fmean(busy) if busy else None,
        utilisation_max=max(busy, default=None),
        memory_mib=max(memory, default=None),
    )


def _number(text: str) -> float | None:
    """Return the figure of a field such as `37 %`; None for `[N/A]` and the like."""
    try:
        value = float(text.strip().split(" ")[0])
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
