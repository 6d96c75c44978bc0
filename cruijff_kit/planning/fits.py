"""What fits: splits of an effective batch, the memory each needs, and what to do where none does."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cruijff_kit.planning.estimates import Basis, run_memory
from cruijff_kit.schema.estimate import BatchSplit, Remedy
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import Resources

__all__ = ["Limit", "batch_splits", "gigabytes", "host_bytes", "memory_bytes", "memory_limit", "remedies"]

_UNITS = {"K": 1, "M": 2, "G": 3, "T": 4}
_MEMORY = re.compile(r"([1-9]\d*)([KMGT])B?", re.IGNORECASE)


class Limit(NamedTuple):
    """Memory that a training has."""

    bytes: int
    """How much."""
    source: str
    """Who says so."""


def memory_bytes(text: str) -> int:
    """Return the bytes of `80G` and the like, in powers of 1024 as Slurm counts.

    Raises:
        ValueError: the text has another form.
    """
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"memory `{text}` is not a number with K, M, G or T, such as `80G`")
    return int(match[1]) * 1024 ** _UNITS[match[2].upper()]


def gigabytes(size: float) -> str:
    """Return bytes as people say them."""
    return f"{size / 1024**3:.3g} GiB"


def memory_limit(resources: Resources, *, asked: str | None, site: str | None, registry: str | None) -> Limit | None:
    """Return the memory a training has, by whoever says so first; None where nobody does.

    Args:
        resources: what the job asks for; on the CPU its `mem` is the limit.
        asked: what the user asked about.
        site: memory of one of the site's GPUs.
        registry: memory of a GPU that the registry has for the model.
    """
    if asked is not None:
        return Limit(memory_bytes(asked), "asked for")
    if not resources.gpus:
        return Limit(memory_bytes(resources.mem), "`resources.mem`") if resources.mem else None
    if site is not None:
        return Limit(memory_bytes(site), "`gpu_memory` of the site")
    return Limit(memory_bytes(registry), "the registry's GPU for this model") if registry else None


def batch_splits(run: PlannedRun, basis: Basis, *, limit: int | None = None, **changes: Any) -> tuple[BatchSplit, ...]:
    """Return every way to take a run's effective batch, largest pass first, and what each needs.

    Args:
        run: the planned run.
        basis: models, resources and row lengths.
        limit: memory in bytes.
        changes: settings that differ, as `run_work` takes them.
    """
    window = _window(run)
    found = []
    for size in range(window, 0, -1):
        if window % size == 0:
            needed = run_memory(run, basis, batch_size=size, **changes).total
            fits = None if limit is None else needed <= limit
            found.append(
                BatchSplit(batch_size=size, gradient_accumulation_steps=window // size, bytes=needed, fits=fits)
            )
    return tuple(found)


def remedies(run: PlannedRun, basis: Basis, *, limit: int | None = None, host: bool = False) -> tuple[Remedy, ...]:
    """Return what would need less memory, in the order to try it; each keeps the effective batch.

    First smaller passes, never below one row: the largest that fits, half as large where
    no limit is known; then blocks computed again; then packing; then more memory. Each is
    on top of those before it.

    Args:
        run: the planned run.
        basis: models, resources and row lengths.
        limit: memory in bytes.
        host: whether a job on a GPU lacks memory of its node, where passes make no difference.
    """
    if host and basis.resources.gpus:
        return (_more(run, basis, needed=host_bytes(run, basis), what="of the node"),)
    found = list(_own(run, basis, limit=limit))
    needed = found[-1].bytes if found else run_memory(run, basis).total
    if limit is None or needed > limit:
        found.append(_more(run, basis, needed=needed, what="of one GPU" if basis.resources.gpus else "of the job"))
    return tuple(found)


def _own(run: PlannedRun, basis: Basis, *, limit: int | None) -> Iterator[Remedy]:
    """Yield changes of the run itself until it fits."""
    size = run.settings["batch_size"].value
    smaller = [each for each in batch_splits(run, basis, limit=limit) if each.batch_size < size]
    changes: dict[str, Any] = {}
    if smaller:
        half = next(each for each in smaller if each.batch_size <= max(1, size // 2))
        best = next((each for each in smaller if each.fits), smaller[-1] if limit is not None else half)
        changes["batch_size"] = best.batch_size
        yield _split(run, best)
        if best.fits:
            return
    for control, change in (("activation_checkpointing", "checkpointing"), ("packed", "packed")):
        if control in run.settings and run.settings[control].value:
            continue
        before = run_memory(run, basis, **changes).total
        after = run_memory(run, basis, **changes, **{change: True}).total
        if after >= before:
            continue
        changes[change] = True
        yield Remedy(
            kind="packed" if control == "packed" else "activation_checkpointing",
            settings={control: True},
            bytes=after,
            fact=_FACTS[control],
            command=f"ck estimate {run.id} --apply {control} --reason WHY",
        )
        if limit is not None and after <= limit:
            return


_FACTS = {
    "activation_checkpointing": "blocks are computed again for the backward pass: about a third more time",
    "packed": "rows lie end to end: nothing is kept for padding",
}


def _split(run: PlannedRun, split: BatchSplit) -> Remedy:
    size, steps = split.batch_size, split.gradient_accumulation_steps
    return Remedy(
        kind="split",
        settings={"batch_size": size, "gradient_accumulation_steps": steps},
        bytes=split.bytes,
        fact=f"{size} rows a pass, {steps} passes a step: the effective batch stays {size * steps}",
        command=f"ck estimate {run.id} --apply-split {size} --reason WHY",
    )


def _more(run: PlannedRun, basis: Basis, *, needed: int, what: str) -> Remedy:
    return Remedy(
        kind="more_memory",
        settings={},
        bytes=needed,
        fact=f"at least {gigabytes(needed)} {what}",
        command=(
            "set `resources.constraint` or `resources.partition` in the design to a GPU with as much, or "
            "`strategy: fsdp` with more of them"
            if basis.resources.gpus and "GPU" in what
            else f"set `mem` in runs/{run.id}/setup_finetune.yaml, then `ck adopt {run.id} --reason WHY`"
        ),
    )


def host_bytes(run: PlannedRun, basis: Basis) -> int:
    """Return the memory of the node that a job on GPUs needs: each process its libraries, and the weights once."""
    processes = max(basis.resources.gpus, 1)
    return processes * (basis.models[run.model.name].bytes + 2 * 1024**3)


def _window(run: PlannedRun) -> int:
    return run.settings["batch_size"].value * run.settings["gradient_accumulation_steps"].value
