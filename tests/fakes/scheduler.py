"""A scheduler in memory whose jobs move only when the test says so."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.schema.job import ArrayRequest, JobReport, JobRequest, JobState, JobUsage, element_tag

__all__ = ["FakeScheduler"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FakeScheduler:
    """Keeps the promises of the port; `start`, `finish` and the like move jobs."""

    name = "fake"

    def __init__(self, *, keeps_orphans: bool = False) -> None:
        self.keeps_orphans = keeps_orphans
        """Whether a job whose dependency can never be met waits for ever, as Slurm's do unless told otherwise."""
        self.requests: dict[str, JobRequest] = {}
        """Every accepted request by job id, in order of submission; the test may look."""
        self.took: dict[str, JobUsage] = {}
        """What jobs took, by id; a test sets it."""
        self.arrays = 0
        """How many arrays were queued."""
        self.largest_array = 1000
        """How many jobs an array may have; a test sets it."""
        self.revived = 0
        """How often `revive` was called."""
        self._reports: dict[str, JobReport] = {}
        self._refusals: list[SchedulerError] = []
        self._ticks = 0

    # --- the port ---

    def submit(self, request: JobRequest) -> str:
        """Queue a request; scripts are not read."""
        held = self.find([request.tag])
        if held:
            return held[request.tag]
        if self._refusals:
            raise self._refusals.pop(0)
        unknown = [job_id for job_id in request.after_ok if job_id not in self._reports]
        if unknown:
            raise DependencyError(f"job `{request.name}` waits for unknown job `{unknown[0]}`")
        job_id = str(len(self.requests) + 1)
        self.requests[job_id] = request
        self._reports[job_id] = JobReport(job_id=job_id, state=JobState.PENDING, submitted=self._now())
        self._settle()
        return job_id

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue the elements that are not held, or none of them; each is a job `<array>_<index>`."""
        held = self.find([element_tag(request.tag, each.index) for each in request.elements])
        missing = [each for each in request.elements if element_tag(request.tag, each.index) not in held]
        if missing and self._refusals:
            raise self._refusals.pop(0)
        unknown = [job_id for each in missing for job_id in each.after_ok if job_id not in self._reports]
        if unknown:
            raise DependencyError(f"array `{request.name}` waits for unknown job `{unknown[0]}`")
        array = len(self.requests) + 1
        self.arrays += bool(missing)
        for each in missing:
            job_id = f"{array}_{each.index}"
            told = {"tag": element_tag(request.tag, each.index), "after_ok": each.after_ok}
            told |= {"after_tags": each.after_tags, "script": request.script, "mail": request.mail}
            rest = {"name": request.name, "chdir": request.chdir, "comment": request.comment}
            self.requests[job_id] = JobRequest.model_validate(told | rest)
            self._reports[job_id] = JobReport(job_id=job_id, state=JobState.PENDING, submitted=self._now())
        self._settle()
        return self.find([element_tag(request.tag, each.index) for each in request.elements])

    def most_elements(self) -> int:
        """Return what a test set."""
        return self.largest_array

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the ids of the tags not forgotten."""
        held = {self.requests[job_id].tag: job_id for job_id in self._reports}
        return {tag: held[tag] for tag in tags if tag in held}

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return each report; ids unknown, forgotten or of another tag are UNKNOWN."""
        return {
            job_id: self._reports[job_id]
            if self._is_meant(job_id, tags)
            else JobReport(job_id=job_id, state=JobState.UNKNOWN)
            for job_id in job_ids
        }

    def usage(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobUsage]:
        """Return how long ended jobs ran, and what a test said they took."""
        found = {}
        for job_id in job_ids:
            report = self._reports.get(job_id) if self._is_meant(job_id, tags) else None
            if report is not None and report.started and report.ended:
                elapsed = (report.ended - report.started).total_seconds()
                told = self.took.get(job_id, JobUsage())
                found[job_id] = told.model_copy(update={"elapsed_seconds": told.elapsed_seconds or elapsed})
        return found

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """End pending and running jobs as cancelled, at once."""
        for job_id in job_ids:
            if self._is_meant(job_id, tags) and not self._reports[job_id].state.ended:
                self._end(job_id, JobState.CANCELLED)

    def revive(self) -> None:
        """Count the call: nothing needs to run for this queue to move."""
        self.revived += 1

    # --- what a test does to its jobs ---

    def start(self, job_id: str) -> None:
        """Move a pending job, whose dependencies have succeeded, to running."""
        report = self._reports[job_id]
        assert report.state is JobState.PENDING, f"job {job_id} is {report.state}"
        assert not self._waits(job_id), f"job {job_id} waits for {self.requests[job_id].after_ok}"
        self._reports[job_id] = report.model_copy(
            update={"state": JobState.RUNNING, "reason": "", "started": self._now()}
        )

    def finish(self, job_id: str, code: int = 0, *, signal: int | None = None) -> None:
        """End a job by itself: with an exit code, or by a signal of its own."""
        if self._reports[job_id].state is JobState.PENDING:
            self.start(job_id)
        if signal is not None:
            self._end(job_id, JobState.FAILED, signal=signal)
        else:
            self._end(job_id, JobState.FAILED if code else JobState.SUCCEEDED, exit_code=code)

    def time_out(self, job_id: str) -> None:
        """Stop a job at its time limit."""
        self._end(job_id, JobState.TIMED_OUT, reason="TimeLimit", signal=15)

    def exhaust(self, job_id: str) -> None:
        """End a job that needs more memory of its node than it asked for."""
        self._end(job_id, JobState.OUT_OF_MEMORY, reason="OutOfMemory", signal=9)

    def lose(self, job_id: str, reason: str = "the node failed") -> None:
        """Let the node of a running job vanish."""
        self._end(job_id, JobState.LOST, reason=reason)

    def limit(self, job_id: str) -> int:
        """Return the seconds that a job may run: those of its request, else the hour of every script here."""
        return seconds_of(self.requests[job_id].time or "01:00:00")

    def fail_to_start(self, job_id: str) -> None:
        """End a job as Slurm ends one that it cannot start: with exit code 1, in the second in which it began."""
        self._end(job_id, JobState.FAILED, exit_code=1)
        report = self._reports[job_id]
        self._reports[job_id] = report.model_copy(update={"started": report.ended})

    def bring_back(self, job_id: str) -> None:
        """Let a job that ended wait again, as after the death of a controller that had not written its end down."""
        self._reports[job_id] = JobReport(job_id=job_id, state=JobState.PENDING, submitted=self._now())

    def lose_edge(self, job_id: str) -> None:
        """Let a job wait for nobody any more."""
        self.requests[job_id] = self.requests[job_id].model_copy(update={"after_ok": ()})
        self._settle()

    def forget(self, job_id: str) -> None:
        """Purge a job from the scheduler's memory, its tag too."""
        del self._reports[job_id]

    def run_away(self, job_id: str) -> None:
        """Purge a job from the queue, while the books, which its tag is found in, call it running for ever."""
        self._reports[job_id] = JobReport(job_id=job_id, state=JobState.UNKNOWN, absent=True)

    def hush(self, job_id: str) -> None:
        """Say nothing of a job for now, whose tag is found all the same: its books did not answer."""
        self._reports[job_id] = JobReport(job_id=job_id, state=JobState.UNKNOWN)

    def refuse(self, message: str = "the controller did not answer", *, transient: bool = True) -> None:
        """Refuse the next submission that would queue something."""
        self._refusals.append(SchedulerError(message, transient=transient, stderr=message))

    def run_all(self, code: int = 0) -> None:
        """Start and finish, in order, every job that can still move."""
        for job_id in self.requests:
            if job_id in self._reports and not self._reports[job_id].state.ended:
                self.finish(job_id, code)

    def _is_meant(self, job_id: str, tags: Mapping[str, str] | None) -> bool:
        known = job_id in self._reports
        return known and (not tags or tags.get(job_id, self.requests[job_id].tag) == self.requests[job_id].tag)

    def _end(self, job_id: str, state: JobState, **facts: object) -> None:
        report = self._reports[job_id]
        assert not report.state.ended, f"job {job_id} has ended: {report.state}"
        reason = facts.pop("reason", "")
        self._reports[job_id] = report.model_copy(
            update={"state": state, "reason": reason, "ended": self._now(), **facts}
        )
        self._settle()

    def _settle(self) -> None:
        """Tell why jobs wait, and cancel in order those whose dependency can never be met."""
        for job_id, report in self._reports.items():
            if report.state is not JobState.PENDING:
                continue
            parents = [self._reports.get(parent) for parent in self.requests[job_id].after_ok]
            if any(parent and parent.state.ended and parent.state is not JobState.SUCCEEDED for parent in parents):
                if self.keeps_orphans:
                    self._reports[job_id] = report.model_copy(update={"reason": "DependencyNeverSatisfied"})
                    continue
                self._end(job_id, JobState.CANCELLED, reason="DependencyNeverSatisfied")
                return
            reason = "Dependency" if self._waits(job_id) else "Resources"
            self._reports[job_id] = report.model_copy(update={"reason": reason})

    def _waits(self, job_id: str) -> bool:
        parents = (self._reports.get(parent) for parent in self.requests[job_id].after_ok)
        return any(parent is not None and parent.state is not JobState.SUCCEEDED for parent in parents)

    def _now(self) -> datetime:
        self._ticks += 1
        return _EPOCH + timedelta(seconds=self._ticks)
