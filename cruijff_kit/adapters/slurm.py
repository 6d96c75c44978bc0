"""Slurm by its own commands: one query a question, however many jobs there are.

Nothing is kept here of what was submitted. A job's name ends in its tag, so that the
queue, accounting and whoever types `squeue` know it again, whoever crashed: Slurm
itself gives numbers anew when its controller dies within seconds of a submission.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from cruijff_kit.adapters.slurm_arrays import Part, most_elements, parts_of, ranges
from cruijff_kit.adapters.slurm_commands import NOWHERE, CommandsHere, SlurmCommands
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.adapters.slurm_facts import config_values
from cruijff_kit.adapters.slurm_look import Seen, SlurmLook, is_meant
from cruijff_kit.adapters.slurm_states import own_ids
from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.schema.job import ArrayElement, ArrayRequest, JobReport, JobRequest, JobState, JobUsage, element_tag

__all__ = ["SlurmScheduler"]

_PROMPT = 0.02
"""Seconds within which no controller is killed, started again and asked for a job."""
_STARTS = 5
"""Times that one process lets go of a job that Slurm holds since its start failed."""
_HANDFUL = 1_000
"""Jobs that one command cancels."""


class SlurmScheduler:
    """The cluster that this machine's Slurm commands talk to, as this user.

    Whoever submits holds the experiment's lock: Slurm itself does not know tags, so
    two processes that submit the same one at the same moment would queue it twice.
    """

    name = "slurm"

    def __init__(self, commands: SlurmCommands | None = None) -> None:
        """Ask nothing yet.

        Args:
            commands: Slurm's commands where they are; those of this machine where absent.
        """
        self._slurm = commands or CommandsHere()
        self._look = SlurmLook(self._slurm)
        self._held: dict[str, str] | None = None
        self._most: int | None = None
        self._stuck: set[str] = set()
        self._released: Counter[str] = Counter()

    # --- the port ---

    def submit(self, request: JobRequest) -> str:
        """Queue a script by `sbatch` and return its number; a tag already queued returns its own.

        What is queued is looked up once and then kept until `revive`, `find` or an error.
        The request's name, directory and time limit win over the script's own.

        Raises:
            SchedulerError: Slurm refused or did not answer, or the job waits for one that Slurm does not know.
            SiteError: there is no `sbatch` here.
        """
        if self._held is None:
            self._held = self._look.tagged(strict=False)
        if request.tag in self._held:
            return self._held[request.tag]
        began = time.monotonic()
        edges = self._edges((request,), request.name)[0]
        job_id = self._sbatch(request, *_waiting(f"afterok:{':'.join(edges)}" if edges else ""))
        self._held[request.tag] = job_id
        if edges and time.monotonic() - began > _PROMPT:
            self._cancel_in_vain({job_id: request}, tags={job_id: request.tag})
        return job_id

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue the elements that are not queued yet, by one `sbatch` where their edges allow it.

        Edges to the elements of one other array, each to the same index, are one `aftercorr`;
        elements without edges are one more array. What else waits is queued by itself.

        Raises:
            SchedulerError: Slurm refused or did not answer, or an element waits for a job that Slurm does not know.
            SiteError: there is no `sbatch` here.
        """
        if self._held is None:
            self._held = self._look.tagged(strict=False)
        held = self._held
        tags = {each.index: element_tag(request.tag, each.index) for each in request.elements}
        missing = [each for each in request.elements if tags[each.index] not in held]
        began = time.monotonic()
        parts = parts_of(missing, self._edges(missing, request.name))
        for part in parts:
            mail = request.mail if part is parts[-1] else None
            held.update(self._part(request.model_copy(update={"mail": mail}), part))
        waiting = {held[tags[each.index]]: each for each in missing if each.after_ok}
        if waiting and time.monotonic() - began > _PROMPT:
            self._cancel_in_vain(waiting, tags={held[tag]: tag for tag in tags.values()})
        return {tag: held[tag] for tag in tags.values()}

    def most_elements(self) -> int:
        """Return how many elements this cluster lets an array have, asked once."""
        if self._most is None:
            answer = self._slurm.ask("scontrol", "show", "config")
            if answer.code:
                raise refusal(answer, "the settings of the cluster could not be read, so nothing is submitted")
            self._most = most_elements(config_values(answer.out))
        return self._most

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the numbers of those tags that are queued, run or ran within a month.

        Raises:
            SchedulerError: the controller or accounting, where there is one, did not answer.
        """
        self._held = self._look.tagged(strict=True)
        return {tag: self._held[tag] for tag in tags if tag in self._held}

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return what is known of each id: from the queue, else from accounting, each asked once.

        A job found under an id but with another tag than it was submitted with is
        another job. Whatever gives no answer leaves UNKNOWN, with the reason.
        """
        seen = self._look.seen(job_ids, tags or {})
        self._stuck = {job_id for job_id, row in seen.queued.items() if row.stuck}
        return {job_id: _report(job_id, seen) for job_id in job_ids}

    def usage(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobUsage]:
        """Return what ended jobs took: from accounting, asked once; else how long, while the controller remembers."""
        expected = tags or {}
        wanted = own_ids(job_ids)
        found = self._look.usage(wanted, expected)
        rows, _ = self._look.queued(wanted - found.keys())
        for report in (row.report for row in rows if is_meant(row, wanted - found.keys(), tags=expected)):
            if report.state.ended and report.started and report.ended:
                found[report.job_id] = JobUsage(elapsed_seconds=(report.ended - report.started).total_seconds())
        return {job_id: found[job_id] for job_id in job_ids if job_id in found}

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """Have Slurm end those of these jobs that wait or run and carry their tag; all others are left alone.

        Raises:
            SchedulerError: Slurm refused or did not answer.
        """
        wanted = own_ids(job_ids)
        if not wanted:
            return
        listed = self._look.rows(wanted, lest="jobs could not be cancelled")
        rows = (row for row in listed if is_meant(row, wanted, tags=tags or {}))
        alive = [row.report for row in rows if not row.report.state.ended]
        # An element that was never looked at alone leaves no trace when it is cancelled; held ones are looked at alone.
        waiting = [each.job_id for each in alive if "_" in each.job_id and each.state is JobState.PENDING]
        for some in _handfuls(waiting):
            self._slurm.order("scontrol", "hold", ",".join(some))
        for some in _handfuls([each.job_id for each in alive]):
            # No `--user` beside the ids: with it Slurm cancels every element that waits, not the one that was named.
            done = self._slurm.order("scancel", *some)
            if done.code:
                raise refusal(done, "jobs could not be cancelled")

    def revive(self) -> None:
        """Forget what was looked up, and let go of jobs that Slurm put back and holds since their start failed.

        A controller that died may start a job on a node where it still runs; that start fails, and
        nothing moves the job again by itself. Each is let go of a few times only.
        """
        self._forget()
        stuck = sorted(job_id for job_id in self._stuck if self._released[job_id] < _STARTS)
        if stuck:
            self._released.update(stuck)
            # Whether it helped, the next look tells.
            self._slurm.order("scontrol", "release", ",".join(stuck))
        self._stuck = set()

    # --- the queue ---

    def _forget(self) -> None:
        self._held = None

    def _part(self, request: ArrayRequest, part: Part) -> dict[str, str]:
        """Queue some elements of an array by one `sbatch` and return their ids by tag."""
        tags = {index: element_tag(request.tag, index) for index in part.indices}
        if len(tags) > 1:
            number = self._sbatch(request, *_waiting(part.dependency), f"--array={ranges(part.indices)}")
            return {tag: f"{number}_{index}" for index, tag in tags.items()}
        # Slurm forgets that a lone element is one once it is cancelled: it is a job, told its index as an argument.
        ((index, tag),) = tags.items()
        alone = "--output=slurm-%j.out"
        return {tag: self._sbatch(request, *_waiting(part.dependency), alone, tag=tag, argument=str(index))}

    def _sbatch(self, request: JobRequest | ArrayRequest, *options: str, tag: str = "", argument: str = "") -> str:
        """Queue a job, or an array, and return its number."""
        words = [f"--job-name={request.name}:{tag or request.tag}", f"--chdir={request.chdir}"]
        if request.comment:
            words.append(f"--comment={request.comment}")
        if isinstance(request, JobRequest) and request.time:
            words.append(f"--time={request.time}")
        if request.mail:
            words += ["--mail-type=END,FAIL", f"--mail-user={request.mail}"]
        words += [*options, request.script, *filter(None, (argument,))]
        # Slurm takes a job whose directory is not there, and runs it elsewhere.
        answer = self._slurm.order("sbatch", "--parsable", *words, folder=request.chdir)
        if answer.code == NOWHERE:
            raise _nowhere(request, self._slurm.place)
        job_id = answer.out.strip().rpartition("\n")[2].partition(";")[0]
        if answer.code or not job_id.isdigit():
            # It may be queued all the same: look again before the next one.
            self._forget()
            raise refusal(answer, f"Slurm did not take job `{request.name}`")
        return job_id

    def _edges(self, jobs: Sequence[JobRequest | ArrayElement], name: str) -> list[list[str]]:
        """Return, for each of these jobs, those that Slurm itself must wait for; it takes an unknown one as met."""
        parents = self._parents(jobs)
        if parents.unmet:
            job_id, report = next(iter(parents.unmet.items()))
            raise _unmet(name, job_id, report=report, why=parents.why)
        return [[job_id for job_id in job.after_ok if job_id not in parents.met] for job in jobs]

    def _cancel_in_vain(self, queued: Mapping[str, JobRequest | ArrayElement], *, tags: Mapping[str, str]) -> None:
        """Cancel those jobs whose edges lead nowhere; none where that cannot be told at the moment.

        `sbatch` waits for a controller that is away, and the one that comes back may have lost the parent.
        """
        parents = self._parents(tuple(queued.values()))
        if not parents.why:
            lost = parents.unmet.keys()
            self.cancel([job_id for job_id, job in queued.items() if not lost.isdisjoint(job.after_ok)], tags=tags)

    def _parents(self, jobs: Sequence[JobRequest | ArrayElement]) -> "_Parents":
        """Return what is known of the jobs that these wait for, asked once for all of them."""
        pairs = [pair for job in jobs for pair in zip_longest(job.after_ok, job.after_tags[: len(job.after_ok)])]
        ids, tags = {job_id for job_id, _ in pairs}, {job_id: tag for job_id, tag in pairs if tag}
        seen = self._look.seen(ids, tags)
        known = seen.past | {job_id: row.report for job_id, row in seen.queued.items()}
        met = {job_id for job_id, report in known.items() if report.state is JobState.SUCCEEDED}
        return _Parents(met, {each: known.get(each) for each in sorted(ids - met - seen.queued.keys())}, seen.why)


class _Parents(NamedTuple):
    """What is known of the jobs that others wait for."""

    met: set[str]
    """Those that ended well."""
    unmet: dict[str, JobReport | None]
    """Those that nobody can wait for any more, and the last word on each."""
    why: str
    """Why the queue told nothing; empty where it answered."""


def _report(job_id: str, seen: Seen) -> JobReport:
    """Return what is known of a job."""
    row = seen.queued.get(job_id)
    return _unknown(job_id, seen.past.get(job_id), why=seen.why) if row is None else row.report


def _unknown(job_id: str, past: JobReport | None, *, why: str) -> JobReport:
    """Return what accounting says where the job has ended, else that nothing is known, and why.

    A job that lost its node may wait again: only a controller that answers can tell that it does not.
    """
    if past is not None and past.state.ended and not (why and past.state is JobState.LOST):
        return past
    last = f"accounting last called it {past.state.value}" if past is not None else ""
    nowhere = "" if why else "Slurm holds no such job any more"
    reason = "; ".join(part for part in (why or nowhere, last) if part)
    return JobReport(job_id=job_id, state=JobState.UNKNOWN, reason=reason, absent=past is not None and not why)


def _waiting(dependency: str) -> tuple[str, ...]:
    """Return the options of a job that waits, and ends where what it waits for does not end well."""
    return (f"--dependency={dependency}", "--kill-on-invalid-dep=yes") if dependency else ()


def _unmet(name: str, job_id: str, *, report: JobReport | None, why: str) -> SchedulerError:
    if why:
        fact = f"job `{name}` waits for job `{job_id}`, of which nothing is known now: {why}"
        return SchedulerError(fact, transient=True, stderr=why, hint="submit again in a minute")
    if report is not None and report.state.ended:
        fact = f"job `{name}` waits for job `{job_id}`, which ended as {report.state.value}"
        return DependencyError(fact, hint="retry the job it waits for first, with `ck retry`")
    fact = f"job `{name}` waits for job `{job_id}`, which Slurm does not know"
    return DependencyError(fact, hint="submit the job it waits for first")


def _nowhere(request: JobRequest | ArrayRequest, place: str) -> SchedulerError:
    fact = f"job `{request.name}` cannot start in `{request.chdir}`: no such directory"
    if not place:
        return SchedulerError(fact, transient=False, hint="scaffold the experiment again")
    hint = "name as `remote.dir` in site.yaml where experiments lie there, or mount the same directory here and there"
    return SchedulerError(f"{fact} on `{place}`", transient=False, hint=hint)


def _handfuls(job_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(job_ids), _HANDFUL):
        yield job_ids[start : start + _HANDFUL]
