"""What accounting says that jobs took, read into this package's words."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cruijff_kit.adapters.slurm_states import elements, state_of, tag_of
from cruijff_kit.schema.job import JobUsage

__all__ = ["USAGE_FIELDS", "usage_rows"]

USAGE_FIELDS = "JobID,State,ElapsedRaw,TotalCPU,MaxRSS,ConsumedEnergyRaw,AllocTRES,JobName"
"""What `sacct --format` is asked for: the name last, for it may hold any separator."""

_CPU = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)", re.ASCII)
_POWER = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)", re.ASCII)
# What Slurm stores for "not known" starts here; no job ever took as many joules.
_NO_VALUE = 2**62


class _Line(NamedTuple):
    """One run of a job, or one step of it."""

    job_id: str
    step: str
    state: str
    name: str
    usage: JobUsage


def usage_rows(text: str, *, tags: Mapping[str, str]) -> dict[str, JobUsage]:
    """Return, by job id, what jobs of ours that have ended took.

    Every run of a job that was queued again counts; memory is the most that a step held.
    Where a number was given anew, the job of the tag it is asked for by is told of, else the one that had it last.
    """
    found: dict[str, tuple[_Line, JobUsage]] = {}
    strange: set[str] = set()
    for line in _lines(text):
        before = found.get(line.job_id)
        if line.step:
            # A step has the name of what it ran, and follows the line of its job.
            if before is not None and line.job_id not in strange:
                found[line.job_id] = (before[0], _with_step(before[1], line.usage))
            continue
        tag = tag_of(line.name, line.job_id)
        if not tag or tag != tags.get(line.job_id, tag):
            strange.add(line.job_id)
            continue
        strange.discard(line.job_id)
        same = before is not None and before[0].name == line.name
        found[line.job_id] = (line, _after(before[1], line.usage) if same and before is not None else line.usage)
    return {job_id: usage for job_id, (last, usage) in found.items() if state_of(last.state).ended}


def _lines(text: str) -> Iterator[_Line]:
    for line in text.splitlines():
        cells = line.split("|", 7)
        if len(cells) < 8:
            continue
        number, state, elapsed, cpu, memory, energy, tres, name = cells
        job_id, _, step = number.partition(".")
        if elements(job_id) != (job_id,):
            continue
        gpus = _GPUS.search(tres)
        usage = JobUsage(
            elapsed_seconds=float(elapsed) if elapsed.isdigit() else None,
            cpu_seconds=_seconds(cpu),
            max_memory_bytes=_bytes(memory),
            energy_joules=_joules(energy),
            gpus=int(gpus[1]) if gpus else None,
        )
        yield _Line(job_id, step, state, name, usage)


def _with_step(job: JobUsage, step: JobUsage) -> JobUsage:
    """Return what a job took, once one of its steps is known; its own line has no memory."""
    return job.model_copy(update={"max_memory_bytes": _most(job.max_memory_bytes, step.max_memory_bytes)})


def _after(earlier: JobUsage, later: JobUsage) -> JobUsage:
    """Return what two runs of one job took."""
    return JobUsage(
        elapsed_seconds=_sum(earlier.elapsed_seconds, later.elapsed_seconds),
        cpu_seconds=_sum(earlier.cpu_seconds, later.cpu_seconds),
        max_memory_bytes=_most(earlier.max_memory_bytes, later.max_memory_bytes),
        energy_joules=_sum(earlier.energy_joules, later.energy_joules),
        gpus=earlier.gpus if later.gpus is None else later.gpus,
    )


def _most(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _sum(one: float | None, other: float | None) -> float | None:
    known = [value for value in (one, other) if value is not None]
    return sum(known) if known else None


def _seconds(text: str) -> float | None:
    """Return the seconds of `[[days-]hours:]minutes:seconds`; None for 0, which clusters that count nothing say."""
    match = _CPU.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes = (int(each or 0) for each in match.groups()[:3])
    return ((days * 24 + hours) * 60 + minutes) * 60 + float(match[4]) or None


def _bytes(text: str) -> int | None:
    match = _SIZE.fullmatch(text)
    return (int(float(match[1]) * 1024 ** _POWER[match[2]]) or None) if match else None


def _joules(text: str) -> float | None:
    """Return joules; None for 0, which clusters without meters say."""
    value = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
    return value if 0 < value < _NO_VALUE else None
