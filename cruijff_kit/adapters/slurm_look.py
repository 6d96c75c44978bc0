"""Looking at Slurm: what its queue and its accounting list of this user's jobs, one query a question."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from cruijff_kit.adapters.slurm_commands import ABSENT, Answer, SlurmCommands, listed
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.adapters.slurm_states import (
    HISTORY_FIELDS,
    QUEUE_FIELDS,
    Row,
    history_rows,
    is_history,
    is_queue,
    own_ids,
    queue_rows,
)
from cruijff_kit.adapters.slurm_usage import USAGE_FIELDS, usage_rows
from cruijff_kit.schema.job import JobReport, JobState, JobUsage

__all__ = ["Seen", "SlurmLook", "is_meant"]

_SINCE = "now-30days"
"""How far back a tag is looked for in accounting; a job that ended before cannot run beside its repetition."""
_REST = 60.0
"""Seconds that accounting is left alone after it gave no answer."""
_FEW = 20
"""Job ids that the controller is asked for one by one rather than with all of this user's."""
_LINE = 100_000
"""Characters of one argument; the system takes some more."""
_NO_ACCOUNTING = "accounting storage is disabled"
_UNKNOWN_ID = "Invalid job id"


class Seen(NamedTuple):
    """What Slurm tells of some jobs."""

    queued: dict[str, Row]
    """What its queue holds, by id."""
    past: dict[str, JobReport]
    """The last word of accounting on the others, by id."""
    why: str
    """Why the queue told nothing; empty where it answered."""


class SlurmLook:
    """What the commands of a cluster tell of this user's jobs; it changes nothing."""

    def __init__(self, commands: SlurmCommands) -> None:
        """Ask nothing yet."""
        self._slurm = commands
        self._accounted = True
        self._rests_until = 0.0

    def rows(self, job_ids: Iterable[str], *, lest: str) -> Iterator[Row]:
        """Return the rows of the queue: of these jobs and perhaps others of this user; of all where none are named.

        Raises:
            SchedulerError: Slurm did not answer; `lest` tells what is not done for that.
        """
        answer = self._ask_queue(job_ids)
        if answer.code:
            raise refusal(answer, lest)
        return queue_rows(answer.out)

    def queued(self, wanted: set[str]) -> tuple[Iterator[Row], str]:
        """Return the rows of the queue, and why there are none where Slurm did not answer."""
        if not wanted:
            return iter(()), ""
        answer = self._ask_queue(wanted)
        if answer.code:
            return iter(()), str(refusal(answer, "Slurm does not answer").args[0])
        return queue_rows(answer.out), ""

    def seen(self, job_ids: Iterable[str], tags: Mapping[str, str]) -> Seen:
        """Return what is known of these jobs: from the queue, else from accounting, each asked once."""
        wanted = own_ids(job_ids)
        rows, why = self.queued(wanted)
        queued = {row.report.job_id: row for row in rows if is_meant(row, wanted, tags=tags)}
        return Seen(queued, self.past(wanted - queued.keys(), tags), why)

    def tagged(self, *, strict: bool) -> dict[str, str]:
        """Return the numbers of all tags, those that live before those that ended.

        Raises:
            SchedulerError: the controller did not answer, or accounting, where that is asked for.
        """
        rows = self.rows((), lest="the queue could not be read, so nothing is submitted")
        queued = [row for row in rows if row.tag and not row.refused]
        past = self._history("--starttime", _SINCE, strict=strict)
        # What accounting calls waiting and the queue does not hold, the controller has lost.
        begun = [row for row in past if row.tag and not row.refused and row.report.state is not JobState.PENDING]
        alive = [row for row in queued if not row.report.state.ended]
        ended = [row for row in queued if row.report.state.ended]
        return {row.tag: row.report.job_id for row in (*reversed(begun), *reversed(ended), *reversed(alive))}

    def past(self, job_ids: Iterable[str], tags: Mapping[str, str]) -> dict[str, JobReport]:
        """Return the last word of accounting on each of these ids."""
        wanted = own_ids(job_ids)
        found: dict[str, JobReport] = {}
        for line in _lines(wanted):
            rows = self._history("--jobs", line, strict=False)
            found.update({row.report.job_id: row.report for row in rows if is_meant(row, wanted, tags=tags)})
        return found

    def usage(self, wanted: set[str], tags: Mapping[str, str]) -> dict[str, JobUsage]:
        """Return what accounting knows that jobs took which have ended."""
        found: dict[str, JobUsage] = {}
        for line in _lines(wanted):
            told = usage_rows(self._accounting(USAGE_FIELDS, "--jobs", line, strict=False), tags=tags)
            found.update({job_id: usage for job_id, usage in told.items() if job_id in wanted})
        return found

    def _history(self, option: str, value: str, *, strict: bool) -> list[Row]:
        return list(history_rows(self._accounting(HISTORY_FIELDS, "-X", option, value, strict=strict)))

    def _accounting(self, fields: str, *options: str, strict: bool) -> str:
        """Return what accounting lists; nothing where there is none, or it does not answer and need not."""
        if not self._accounted or (not strict and time.monotonic() < self._rests_until):
            return ""
        answer = listed(self._ask_mine("sacct", "-P", "--duplicates", f"--format={fields}", *options), is_history)
        if not answer.code:
            return answer.out
        if answer.code == ABSENT or _NO_ACCOUNTING in answer.err:
            self._accounted = False
        elif strict:
            raise refusal(answer, "accounting does not answer, so it is not known what ran")
        else:
            self._rests_until = time.monotonic() + _REST
        return ""

    def _ask_queue(self, job_ids: Iterable[str]) -> Answer:
        """List jobs of this user, ended ones too as long as the controller remembers them."""
        # An element of an array that has not begun is found under the array's number only.
        few = sorted({job_id.partition("_")[0] for job_id in job_ids})
        # One question for all costs the controller less than a list of many numbers to look for.
        which = (f"--jobs={','.join(few)}",) if few and len(few) <= _FEW else ()
        answer = self._ask_mine("squeue", "--array", "--states=all", f"--Format={QUEUE_FIELDS}", *which)
        # A single number that is not known is an error to Slurm and an empty list to us.
        return Answer(0) if answer.code and _UNKNOWN_ID in answer.err else listed(answer, is_queue)

    def _ask_mine(self, command: str, *options: str) -> Answer:
        """Ask for this user's jobs alone, under the number that the user has where the commands are."""
        user = self._slurm.user()
        return self._slurm.ask(command, f"--user={user.out}", *options) if user.code == 0 else user


def is_meant(row: Row, wanted: set[str], *, tags: Mapping[str, str]) -> bool:
    """Return whether a row is of one of these jobs: by its number, and by the tag that all of ours carry."""
    job_id = row.report.job_id
    return job_id in wanted and bool(row.tag) and tags.get(job_id, row.tag) == row.tag


def _lines(job_ids: Iterable[str]) -> Iterator[str]:
    """Yield the ids, elements by their array, joined by commas in as few lines as an argument may be long."""
    line = ""
    # Accounting does not find an element that has not begun by its own id.
    for job_id in sorted({job_id.partition("_")[0] for job_id in job_ids}):
        if len(line) + len(job_id) >= _LINE:
            yield line
            line = ""
        line = f"{line},{job_id}" if line else job_id
    if line:
        yield line
