"""Slurm by its own commands: one query a question, however many jobs there are.

Nothing is kept here of what was submitted. A job's name ends in its tag, so that the
queue, accounting and whoever types `squeue` know it again, whoever crashed: Slurm
itself gives numbers anew when its controller dies within seconds of a submission.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cruijff_kit.adapters.slurm_commands import ABSENT, NOWHERE, Answer, CommandsHere, SlurmCommands
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.adapters.slurm_states import HISTORY_FIELDS, QUEUE_FIELDS, Row, elements, history_rows, queue_rows
from cruijff_kit.adapters.slurm_usage import USAGE_FIELDS, usage_rows
from cruijff_kit.errors import SchedulerError
from cruijff_kit.schema.job import JobReport, JobRequest, JobState, JobUsage

__all__ = ["SlurmScheduler"]

_SINCE = "now-30days"
"""How far back a tag is looked for in accounting; a job that ended before cannot run beside its repetition."""
_REST = 60.0
"""Seconds that accounting is left alone after it gave no answer."""
_FEW = 20
"""Job ids that the controller is asked for one by one rather than with all of this user's."""
_LINE = 100_000
"""Characters of one argument; the system takes some more."""
_HANDFUL = 1_000
"""Jobs that one command cancels."""
_NO_ACCOUNTING = "accounting storage is disabled"
_UNKNOWN_ID = "Invalid job id"


class SlurmScheduler:
    """The cluster that this machine's Slurm commands talk to, as this user.

    Whoever submits holds the experiment's lock: Slurm itself does not know tags, so
    two processes that submit the same one at the same moment would queue it twice.
    """

    name = "slurm"

    def __init__(self, commands: SlurmCommands | None = None) -> None:
        """Keep where the commands are, this machine where that is not said; ask nothing yet."""
        self._slurm = commands or CommandsHere()
        self._held: dict[str, str] | None = None
        self._accounted = True
        self._rests_until = 0.0

    # --- the port ---

    def submit(self, request: JobRequest) -> str:
        """Queue a script by `sbatch` and return its number; a tag already queued returns its own.

        What is queued is looked up once and then kept until `revive`, `find` or an error.
        The request's name and directory win over the script's own.

        Raises:
            SchedulerError: Slurm refused or did not answer, or the job waits for one that Slurm does not know.
            SiteError: there is no `sbatch` here.
        """
        if self._held is None:
            self._held = self._tagged(strict=False)
        if request.tag in self._held:
            return self._held[request.tag]
        options = [f"--job-name={request.name}:{request.tag}", f"--chdir={request.chdir}"]
        if request.comment:
            options.append(f"--comment={request.comment}")
        if request.mail:
            options += ["--mail-type=END,FAIL", f"--mail-user={request.mail}"]
        edges = self._edges(request)
        if edges:
            options += [f"--dependency=afterok:{':'.join(edges)}", "--kill-on-invalid-dep=yes"]
        # Slurm takes a job whose directory is not there, and runs it elsewhere.
        answer = self._slurm.order("sbatch", "--parsable", *options, request.script, folder=request.chdir)
        if answer.code == NOWHERE:
            raise _nowhere(request, self._slurm.place)
        job_id = answer.out.strip().rpartition("\n")[2].partition(";")[0]
        if answer.code or not job_id.isdigit():
            # It may be queued all the same: look again before the next one.
            self._forget()
            raise refusal(answer, f"Slurm did not take job `{request.name}`")
        self._held[request.tag] = job_id
        return job_id

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the numbers of those tags that are queued, run or ran within a month.

        Raises:
            SchedulerError: the controller or accounting, where there is one, did not answer.
        """
        self._held = self._tagged(strict=True)
        return {tag: self._held[tag] for tag in tags if tag in self._held}

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return what is known of each id: from the queue, else from accounting, each asked once.

        A job found under an id but with another tag than it was submitted with is
        another job. Whatever gives no answer leaves UNKNOWN, with the reason.
        """
        expected = tags or {}
        wanted = {job_id for job_id in job_ids if elements(job_id) == (job_id,)}
        queued, why = self._queued(wanted)
        found = {row.report.job_id: row.report for row in queued if _is_meant(row, wanted, tags=expected)}
        past = self._past(sorted(wanted - found.keys()), expected) if wanted - found.keys() else {}
        return {job_id: found.get(job_id) or _unknown(job_id, past.get(job_id), why=why) for job_id in job_ids}

    def usage(self, job_ids: Sequence[str]) -> dict[str, JobUsage]:
        """Return what ended jobs took: from accounting, asked once; else how long, while the controller remembers."""
        wanted = {job_id for job_id in job_ids if elements(job_id) == (job_id,)}
        found: dict[str, JobUsage] = {}
        for line in _lines(sorted(wanted)):
            told = usage_rows(self._accounting(USAGE_FIELDS, "--jobs", line, strict=False))
            found.update({job_id: usage for job_id, usage in told.items() if job_id in wanted})
        rows, _ = self._queued(wanted - found.keys())
        for report in (row.report for row in rows if _is_meant(row, wanted - found.keys(), tags={})):
            if report.state.ended and report.started and report.ended:
                found[report.job_id] = JobUsage(elapsed_seconds=(report.ended - report.started).total_seconds())
        return {job_id: found[job_id] for job_id in job_ids if job_id in found}

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """Have Slurm end those of these jobs that wait or run and carry their tag; all others are left alone.

        Raises:
            SchedulerError: Slurm refused or did not answer.
        """
        wanted = {job_id for job_id in job_ids if elements(job_id) == (job_id,)}
        if not wanted:
            return
        answer = self._ask_queue(wanted)
        if answer.code:
            raise refusal(answer, "jobs could not be cancelled")
        rows = (row for row in queue_rows(answer.out) if _is_meant(row, wanted, tags=tags or {}))
        alive = [row.report.job_id for row in rows if not row.report.state.ended]
        for some in _handfuls(alive):
            # No `--user` beside the ids: with it Slurm cancels every element that waits, not the one that was named.
            done = self._slurm.order("scancel", *some)
            if done.code:
                raise refusal(done, "jobs could not be cancelled")

    def revive(self) -> None:
        """Forget what was looked up: Slurm moves its queue by itself."""
        self._forget()

    # --- the queue ---

    def _forget(self) -> None:
        self._held = None

    def _queued(self, wanted: set[str]) -> tuple[Iterator[Row], str]:
        """Return the rows of the queue, and why there are none where Slurm did not answer."""
        if not wanted:
            return iter(()), ""
        answer = self._ask_queue(wanted)
        if answer.code:
            return iter(()), str(refusal(answer, "Slurm does not answer").args[0])
        return queue_rows(answer.out), ""

    def _tagged(self, *, strict: bool) -> dict[str, str]:
        """Return the numbers of all tags, those that live before those that ended."""
        answer = self._ask_queue(())
        if answer.code:
            raise refusal(answer, "the queue could not be read, so nothing is submitted")
        queued = [row for row in queue_rows(answer.out) if row.tag and not row.refused]
        past = self._history("--starttime", _SINCE, strict=strict)
        # What accounting calls waiting and the queue does not hold, the controller has lost.
        begun = [row for row in past if row.tag and not row.refused and row.report.state is not JobState.PENDING]
        alive = [row for row in queued if not row.report.state.ended]
        ended = [row for row in queued if row.report.state.ended]
        return {row.tag: row.report.job_id for row in (*reversed(begun), *reversed(ended), *reversed(alive))}

    def _edges(self, request: JobRequest) -> list[str]:
        """Return the jobs that Slurm itself must wait for; it takes an unknown one as one that succeeded."""
        ids, tags = set(request.after_ok), dict(zip(request.after_ok, request.after_tags, strict=False))
        if not ids:
            return []
        rows, why = self._queued({each for each in ids if elements(each) == (each,)})
        found = {row.report.job_id: row.report for row in rows if _is_meant(row, ids, tags=tags)}
        past = self._past(sorted(ids - found.keys()), tags) if ids - found.keys() else {}
        edges = []
        for job_id in request.after_ok:
            report = found.get(job_id) or past.get(job_id)
            if report is not None and report.state is JobState.SUCCEEDED:
                continue
            if job_id not in found:
                raise _unmet(request, job_id, report=report, why=why)
            edges.append(job_id)
        return edges

    def _ask_queue(self, job_ids: Iterable[str]) -> Answer:
        """List jobs of this user, ended ones too as long as the controller remembers them."""
        # An element of an array that has not begun is found under the array's number only.
        few = sorted({job_id.partition("_")[0] for job_id in job_ids})
        # One question for all costs the controller less than a list of many numbers to look for.
        which = (f"--jobs={','.join(few)}",) if few and len(few) <= _FEW else ()
        shape = ("--noheader", "--array", "--states=all", f"--Format={QUEUE_FIELDS}")
        answer = self._ask_mine("squeue", *shape, *which)
        # A single number that is not known is an error to Slurm and an empty list to us.
        return Answer(0) if answer.code and _UNKNOWN_ID in answer.err else answer

    def _ask_mine(self, command: str, *options: str) -> Answer:
        """Ask for this user's jobs alone, under the number that the user has where the commands are."""
        user = self._slurm.user()
        return self._slurm.ask(command, f"--user={user.out}", *options) if user.code == 0 else user

    # --- accounting ---

    def _past(self, job_ids: list[str], tags: Mapping[str, str]) -> dict[str, JobReport]:
        """Return the last word of accounting on each of these ids."""
        wanted = {job_id for job_id in job_ids if elements(job_id) == (job_id,)}
        found: dict[str, JobReport] = {}
        for line in _lines(sorted(wanted)):
            rows = self._history("--jobs", line, strict=False)
            found.update({row.report.job_id: row.report for row in rows if _is_meant(row, wanted, tags=tags)})
        return found

    def _history(self, option: str, value: str, *, strict: bool) -> list[Row]:
        return list(history_rows(self._accounting(HISTORY_FIELDS, "-X", option, value, strict=strict)))

    def _accounting(self, fields: str, *options: str, strict: bool) -> str:
        """Return what accounting lists; nothing where there is none, or it does not answer and need not."""
        if not self._accounted or (not strict and time.monotonic() < self._rests_until):
            return ""
        shape = ("-n", "-P", "--duplicates", f"--format={fields}")
        answer = self._ask_mine("sacct", *shape, *options)
        if not answer.code:
            return answer.out
        if answer.code == ABSENT or _NO_ACCOUNTING in answer.err:
            self._accounted = False
        elif strict:
            raise refusal(answer, "accounting does not answer, so it is not known what ran")
        else:
            self._rests_until = time.monotonic() + _REST
        return ""


def _is_meant(row: Row, wanted: set[str], *, tags: Mapping[str, str]) -> bool:
    """Return whether a row is of one of these jobs: by its number, and by the tag that all of ours carry."""
    job_id = row.report.job_id
    return job_id in wanted and bool(row.tag) and tags.get(job_id, row.tag) == row.tag


def _unknown(job_id: str, past: JobReport | None, *, why: str) -> JobReport:
    """Return what accounting says where the job has ended, else that nothing is known, and why.

    A job that lost its node may wait again: only a controller that answers can tell that it does not.
    """
    if past is not None and past.state.ended and not (why and past.state is JobState.LOST):
        return past
    last = f"accounting last called it {past.state.value}" if past is not None else ""
    nowhere = "" if why else "Slurm holds no such job any more"
    reason = "; ".join(part for part in (why or nowhere, last) if part)
    return JobReport(job_id=job_id, state=JobState.UNKNOWN, reason=reason)


def _unmet(request: JobRequest, job_id: str, *, report: JobReport | None, why: str) -> SchedulerError:
    if why:
        fact = f"job `{request.name}` waits for job `{job_id}`, of which nothing is known now: {why}"
        return SchedulerError(fact, transient=True, stderr=why, hint="submit again in a minute")
    if report is not None and report.state.ended:
        fact = f"job `{request.name}` waits for job `{job_id}`, which ended as {report.state.value}"
        return SchedulerError(fact, transient=False, hint="retry the job it waits for first, with `ck retry`")
    fact = f"job `{request.name}` waits for job `{job_id}`, which Slurm does not know"
    return SchedulerError(fact, transient=False, hint="submit the job it waits for first")


def _nowhere(request: JobRequest, place: str) -> SchedulerError:
    fact = f"job `{request.name}` cannot start in `{request.chdir}`: no such directory"
    if not place:
        return SchedulerError(fact, transient=False, hint="scaffold the experiment again")
    hint = "name as `remote.dir` in site.yaml where experiments lie there, or mount the same directory here and there"
    return SchedulerError(f"{fact} on `{place}`", transient=False, hint=hint)


def _lines(job_ids: list[str]) -> Iterator[str]:
    """Yield the ids, joined by commas, in as few lines as an argument may be long."""
    line = ""
    for job_id in job_ids:
        if len(line) + len(job_id) >= _LINE:
            yield line
            line = ""
        line = f"{line},{job_id}" if line else job_id
    if line:
        yield line


def _handfuls(job_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(job_ids), _HANDFUL):
        yield job_ids[start : start + _HANDFUL]
