"""How an array is put to Slurm: which of its elements one `sbatch` can take, and how they are named."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.schema.job import ArrayElement

__all__ = ["Part", "most_elements", "parts_of", "ranges"]


class Part(NamedTuple):
    """Elements that one `sbatch` queues."""

    indices: tuple[int, ...]
    """Their indices, rising."""
    dependency: str = ""
    """What `--dependency` says of all of them; empty where they wait for nothing."""


def parts_of(elements: Sequence[ArrayElement], edges: Sequence[Sequence[str]]) -> list[Part]:
    """Return the elements in as few parts as Slurm can express their edges with.

    Args:
        elements: what is to be queued, by rising index.
        edges: for each of them, the jobs that it still has to wait for.
    """
    parts: dict[str, tuple[str, list[int]]] = {}
    for element, needed in zip(elements, edges, strict=True):
        array = needed[0].removesuffix(f"_{element.index}") if len(needed) == 1 else ""
        if not needed:
            key, dependency = "", ""
        elif array != needed[0]:
            # Element by element: each waits for the one with its own index alone.
            key = dependency = f"aftercorr:{array}"
        else:
            key, dependency = f"only {element.index}", f"afterok:{':'.join(needed)}"
        parts.setdefault(key, (dependency, []))[1].append(element.index)
    return [Part(tuple(indices), words) for words, indices in parts.values()]


def ranges(indices: Sequence[int]) -> str:
    """Return rising indices as `--array` takes them: `0-3,7`."""
    spans: list[tuple[int, int]] = []
    for index in indices:
        if spans and index == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], index)
        else:
            spans.append((index, index))
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in spans)


def most_elements(config: Mapping[str, str]) -> int:
    """Return how many elements, counted from 0, an array of a cluster with these settings may have."""
    size = config.get("MaxArraySize", "")
    return int(size) if size.isdigit() and int(size) > 1 else 0
