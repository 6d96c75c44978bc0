"""What Slurm says of jobs, read into this package's words."""

import re
import signal
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from cruijff_kit.schema.job import JobReport, JobState, element_tag

__all__ = [
    "HISTORY_FIELDS",
    "QUEUE_FIELDS",
    "Row",
    "elements",
    "history_rows",
    "is_history",
    "is_queue",
    "own_ids",
    "queue_rows",
    "state_of",
    "tag_of",
]

_COLUMNS = (
    ("JobArrayID", 24),
    ("State", 20),
    ("exit_code", 12),
    ("Reason", 60),
    ("SubmitTime", 20),
    ("StartTime", 20),
    ("EndTime", 20),
    ("Name", 140),
)
QUEUE_FIELDS = ",".join(f"{name}:{width}" for name, width in _COLUMNS)
"""What `squeue --Format` is asked for: columns of fixed width, for a name may hold any separator."""
HISTORY_FIELDS = "JobID,State,ExitCode,NodeList,Submit,Start,End,JobName"
"""What `sacct --format` is asked for: the name last, for it may hold any separator."""

_WORDS = {
    "PENDING": JobState.PENDING,
    # Nodes are its own but its script has not begun.
    "CONFIGURING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    # Queued again by its own wish after an exit code that the site keeps for that, and held.
    "SPECIAL_EXIT": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    # How it ended is only certain once its node is free.
    "COMPLETING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "EXPEDITING": JobState.PENDING,
    "COMPLETED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "LAUNCH_FAILED": JobState.FAILED,
    "RECONFIG_FAIL": JobState.FAILED,
    "CANCELLED": JobState.CANCELLED,
    "TIMEOUT": JobState.TIMED_OUT,
    "DEADLINE": JobState.TIMED_OUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "NODE_FAIL": JobState.LOST,
    "BOOT_FAIL": JobState.LOST,
    "PREEMPTED": JobState.LOST,
    # Another cluster of the federation runs it.
    "REVOKED": JobState.UNKNOWN,
}
_TOLD = {
    "BOOT_FAIL": "its node could not be started",
    "DEADLINE": "its deadline passed",
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "another job took its place",
    "REVOKED": "another cluster of the federation runs it",
    "SPECIAL_EXIT": "queued again and held after a special exit code",
    "STOPPED": "stopped by a signal",
    "SUSPENDED": "suspended",
}
_SILENT = {"", "None", "(null)", "N/A", "NonZeroExitCode"}
_LAUNCH = "JobLaunchFailure"
# Seen where a node was lost and took the job again before the last of it had gone: it would wait for ever, silently.
_HELD_LAUNCH = "launch failed requeued held"
_RELEASE = "Slurm holds it; `ck watch` releases it a few times, and then `scontrol release` and its number may"
_UNLAUNCHED = "could not be started on its node: see that its folder can be written from there"

_ID = re.compile(r"(\d+)(?:_(?:(\d+)|\[([\d,:-]+)(?:\.\.\.)?(?:%\d+)?\]))?", re.ASCII)
_BY = re.compile(r"CANCELLED by (\S+)")
# A shell that a child's signal ended says 128 and the signal's number; accounting drops the 128.
_SHELL = 128
_REAL = frozenset(int(each) for each in signal.Signals) & frozenset(range(1, 32))
_CONFUSED = {signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM}


class Row(NamedTuple):
    """One job, or one element of an array, as one listing shows it."""

    report: JobReport
    """What it says."""
    tag: str
    """Idempotency key that its name carries, in an array with its index; empty for jobs that are not ours."""
    refused: bool = False
    """Whether `sbatch` was told no: what it could not place anywhere stays in the listings, as failed."""

    @property
    def stuck(self) -> bool:
        """Return whether it waits for somebody to let it go, since Slurm failed to start it on its node."""
        return self.report.state is JobState.PENDING and self.report.reason.endswith(_RELEASE)


def is_queue(text: str) -> bool:
    """Return whether this is a listing by `squeue`: it has a head, even where it holds no job."""
    heads = (line.split() for line in text.splitlines())
    return any(len(head) == len(_COLUMNS) and head[0].endswith("ID") and head[-1] == "NAME" for head in heads)


def is_history(text: str) -> bool:
    """Return whether this is a listing by `sacct`: it has a head, even where it holds no job."""
    return any(line.startswith("JobID|") for line in text.splitlines())


def queue_rows(text: str) -> Iterator[Row]:
    """Yield the jobs of a listing by `squeue`; lines that are none are left out."""
    for line in text.splitlines():
        cells, start = [], 0
        for _, width in _COLUMNS:
            cells.append(line[start : start + width].strip())
            start += width
        number, word, raw, reason, *moments, name = cells
        ending = _from_wait(int(raw)) if raw.isdigit() else (None, None)
        refused = word == "FAILED" and reason == "BadConstraints"
        for row in _rows(number, word, ending=ending, reason=reason, moments=moments, name=name):
            yield row._replace(refused=refused)


def history_rows(text: str) -> Iterator[Row]:
    """Yield the jobs of a listing by `sacct`, oldest first; one queued again has several rows."""
    for line in text.splitlines():
        cells = line.split("|", 7)
        if len(cells) < 8:
            continue
        number, word, code, nodes, *moments, name = cells
        exit_code, _, killed = code.partition(":")
        ending = _ending(int(exit_code), int(killed)) if exit_code.isdigit() and killed.isdigit() else (None, None)
        by = _BY.match(word)
        # Which of the two it was, its file tells and accounting does not.
        told = f"exit code {ending[0]}, or a process killed by signal {ending[0]}" if ending[0] in _CONFUSED else ""
        reason = f"cancelled by user {by[1]}" if by else told
        refused = word == "FAILED" and nodes == "None assigned"
        for row in _rows(number, word, ending=ending, reason=reason, moments=moments, name=name):
            yield row._replace(refused=refused)


def state_of(word: str) -> JobState:
    """Return our word for Slurm's, which may be cut short or followed by who did it; unknown ones are UNKNOWN."""
    return _WORDS.get(_whole(word), JobState.UNKNOWN)


def tag_of(name: str, job_id: str) -> str:
    """Return the tag at the end of a job's name, an element's with its index; empty for jobs that are not ours."""
    if ":" not in name:
        return ""
    tag, index = name.rpartition(":")[2], job_id.partition("_")[2]
    return element_tag(tag, int(index)) if tag and index else tag


def elements(number: str) -> tuple[str, ...]:
    """Return the job ids that a listing's id stands for: `11_[2-4,7%2]` is four elements of an array."""
    match = _ID.fullmatch(number)
    if match is None:
        return ()
    if match[3] is None:
        return (number,)
    return tuple(f"{match[1]}_{index}" for part in match[3].split(",") if part for index in _indices(part))


def own_ids(job_ids: Iterable[str]) -> set[str]:
    """Return those ids that stand for one job each: nothing is asked, or ended, by any other."""
    return {job_id for job_id in job_ids if elements(job_id) == (job_id,)}


def _indices(part: str) -> range:
    span, _, step = part.partition(":")
    first, _, last = span.partition("-")
    return range(int(first or 0), int(last or first or 0) + 1, int(step or 1))


def _rows(
    number: str, word: str, *, ending: tuple[int | None, int | None], reason: str, moments: list[str], name: str
) -> Iterator[Row]:
    state, whole = state_of(word), _whole(word)
    code, killed = ending if state.ended else (None, None)
    submitted, started, ended = (_moment(each) for each in moments)
    begun = state is JobState.RUNNING or state.ended
    for job_id in elements(number):
        report = JobReport(
            job_id=job_id,
            state=state,
            reason=_reason(state, whole, said=reason, ending=ending),
            exit_code=code if code or state is JobState.SUCCEEDED else None,
            signal=killed,
            submitted=submitted,
            started=started if begun else None,
            ended=ended if state.ended else None,
        )
        yield Row(report, tag_of(name, job_id))


def _whole(word: str) -> str:
    """Return the state's whole name: `CANCELLED by 12` and `OUT_OF_ME+` are cut or followed by more."""
    first = word.split(maxsplit=1)[0].upper() if word.split() else ""
    if not first.endswith("+"):
        return first
    fitting = [each for each in _WORDS if each.startswith(first[:-1])]
    return fitting[0] if len(fitting) == 1 else first


def _reason(state: JobState, whole: str, *, said: str, ending: tuple[int | None, int | None]) -> str:
    # What kept it waiting is not what ended it.
    said = "" if said in _SILENT or (state is JobState.CANCELLED and said.startswith("JobHeld")) else said
    if state is JobState.UNKNOWN and whole not in _TOLD:
        return f"Slurm calls it `{whole}`"
    if said.replace("_", " ") == _HELD_LAUNCH:
        return f"{said}: {_RELEASE}"
    if state is JobState.FAILED and said == _LAUNCH:
        return said if ending[1] else f"{said}: {_UNLAUNCHED}"
    return said or _TOLD.get(whole, "")


def _from_wait(status: int) -> tuple[int | None, int | None]:
    """Return exit code and signal of a raw wait status, which is what `squeue` shows."""
    return _ending(status >> 8 & 0xFF, status & 0x7F)


def _ending(code: int, killed: int) -> tuple[int | None, int | None]:
    """Return exit code or signal; numbers that no system knows are Slurm's own, told by its state and reason."""
    if killed:
        return None, killed if killed in _REAL else None
    if code - _SHELL in _REAL:
        return None, code - _SHELL
    return code, None


def _moment(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() and int(seconds) else None
