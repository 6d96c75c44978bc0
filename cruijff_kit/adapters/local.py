"""The embedded scheduler: runs the scripts that `sbatch` would take, on this machine.

No daemon and no root: jobs lie in a queue on local disk, and a runner that nobody
owns moves it and leaves when idle. Jobs outlive whoever submitted them and the
runner; the next `submit` or `revive` starts another, which adopts what runs.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cruijff_kit.adapters.doorbell import call_runner, ring
from cruijff_kit.adapters.job_env import clean_environment
from cruijff_kit.adapters.local_job import APPLE
from cruijff_kit.adapters.local_queue import Facts, Limits, LocalQueue, NewJob
from cruijff_kit.adapters.sbatch_lines import Directives, read_directives, seconds_of
from cruijff_kit.errors import DependencyError, SchedulerError
from cruijff_kit.runtime.backends import is_apple
from cruijff_kit.schema.job import ArrayRequest, JobReport, JobRequest, JobState, JobUsage, element_tag
from cruijff_kit.schema.site import Site

__all__ = ["LocalScheduler", "visible_gpus"]

_ELEMENTS = 1_000_000


class LocalScheduler:
    """A queue of this user on this machine; many processes may share it."""

    name = "local"

    def __init__(
        self,
        root: Path,
        *,
        site: Site,
        gpus: Sequence[str] | None = None,
        grace: float = 10.0,
        linger: float = 3.0,
    ) -> None:
        """Use the queue in a directory on local disk; nothing is made before the first job.

        Of several processes that share a queue, the last one to begin decides on the limits.

        Args:
            root: the queue's own directory, such as `<state directory>/queue`.
            site: whose `caps.max_concurrent` is the number of jobs that run at once.
            gpus: identifiers of the GPUs that jobs are given; by default all that are visible.
            grace: seconds between asking a job to stop and killing it.
            linger: seconds that an idle runner stays.
        """
        self._root = root.absolute()
        self._queue = LocalQueue(self._root)
        given = visible_gpus() if gpus is None else tuple(gpus)
        self._limits = Limits(site.caps.max_concurrent, given, grace, linger)
        self._limits_kept = False

    def submit(self, request: JobRequest) -> str:
        """Queue a copy of a script, durably, and see that a runner lives.

        The request's name, directory and time limit win over the script's own, as a
        command line wins over it in `sbatch`. The job inherits an allowlist of this
        process's environment.

        Raises:
            SchedulerError: the script is refused, or it waits for an unknown job.
        """
        held = self._queue.find([request.tag])
        if held:
            self.revive()
            return str(held[request.tag])
        job_id = self._queue.add(self._new(request))
        self._call()
        return str(job_id)

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue one job an element, all in one transaction; each has a number of its own, and is told its index.

        Raises:
            SchedulerError: the script is refused, or an element waits for an unknown job.
        """
        script, asked = self._accepted(request)
        environment = clean_environment(os.environ)
        jobs = [
            NewJob(
                tag=element_tag(request.tag, each.index),
                name=request.name,
                comment=request.comment,
                chdir=request.chdir,
                directives=asked._replace(output=asked.output.replace("%A_%a", "%j")),
                script=script,
                environment={**environment, "SLURM_ARRAY_TASK_ID": str(each.index)},
                after_ok=_known_form(request.name, each.after_ok),
            )
            for each in request.elements
        ]
        numbers = self._queue.add_all(jobs)
        self._call()
        return {job.tag: str(number) for job, number in zip(jobs, numbers, strict=True)}

    def most_elements(self) -> int:
        """Return a number that no grid has: here an array is nothing but its jobs."""
        return _ELEMENTS

    def find(self, tags: Sequence[str]) -> dict[str, str]:
        """Return the job ids of those tags that were ever queued here."""
        return {tag: str(job_id) for tag, job_id in self._queue.find(tags).items()}

    def reports(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobReport]:
        """Return what is known of each id; absent ids, or no queue, are UNKNOWN. An id is never given twice."""
        meant = self._meant(job_ids, tags or {})
        known = {str(facts.id): _report(facts) for facts in self._queue.facts(_numbers(meant))}
        return {job_id: known.get(job_id) or JobReport(job_id=job_id, state=JobState.UNKNOWN) for job_id in job_ids}

    def usage(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, JobUsage]:
        """Return how long ended jobs ran; what else they took they say themselves."""
        meant = _numbers(self._meant(job_ids, tags or {}))
        ended = [facts for facts in self._queue.facts(meant) if facts.started and facts.ended]
        return {str(facts.id): JobUsage(elapsed_seconds=(facts.ended or 0) - (facts.started or 0)) for facts in ended}

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """End waiting jobs at once, and have the runner stop running ones."""
        self._queue.cancel(_numbers(self._meant(job_ids, tags or {})))
        ring(self._root)

    def revive(self) -> None:
        """Start a runner where jobs are unfinished and none lives."""
        if self._queue.unfinished():
            self._call()

    def _meant(self, job_ids: Sequence[str], tags: Mapping[str, str]) -> list[str]:
        """Return the ids without those that belong to another tag: of a queue that was lost and begun anew."""
        held = self.find(sorted(set(tags.values()))) if tags else {}
        return [job_id for job_id in job_ids if job_id not in tags or held.get(tags[job_id]) == job_id]

    def _call(self) -> None:
        if not self._limits_kept:
            self._queue.set_limits(self._limits)
            self._limits_kept = True
        call_runner(self._root)

    def _new(self, request: JobRequest) -> NewJob:
        script, directives = self._accepted(request)
        return NewJob(
            tag=request.tag,
            name=request.name,
            comment=request.comment,
            chdir=request.chdir,
            directives=directives,
            script=script,
            environment=clean_environment(os.environ),
            after_ok=_known_form(request.name, request.after_ok),
        )

    def _accepted(self, request: JobRequest | ArrayRequest) -> tuple[bytes, Directives]:
        try:
            script = Path(request.script).read_bytes()
        except OSError as err:
            fact = f"unable to open script `{request.script}`: {err.strerror}"
            raise SchedulerError(fact, transient=False, hint="scaffold the experiment again") from err
        directives = read_directives(script, name=request.script)
        gpus = len(self._limits.gpus)
        if directives.gpus > gpus:
            fact = f"script `{request.script}` asks for {directives.gpus} GPUs; this machine gives {gpus}"
            raise SchedulerError(fact, transient=False, hint="lower `resources.gpus`, or submit where there are GPUs")
        if not Path(request.chdir).is_dir():
            fact = f"job `{request.name}` cannot start in `{request.chdir}`: no such directory"
            raise SchedulerError(fact, transient=False, hint="scaffold the experiment again")
        limit = request.time if isinstance(request, JobRequest) else None
        return script, directives._replace(seconds=seconds_of(limit)) if limit else directives


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs jobs may be given: `CUDA_VISIBLE_DEVICES`, else all of the machine; on a Mac Apple's."""
    if is_apple():
        return (APPLE,)
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return tuple(filter(None, (part.strip() for part in chosen.split(","))))
    numbers = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted((number for number in numbers if number.isdigit()), key=int))


def _known_form(name: str, after_ok: tuple[str, ...]) -> tuple[int, ...]:
    strange = [job_id for job_id in after_ok if not _is_number(job_id)]
    if strange:
        fact = f"job `{name}` waits for job `{strange[0]}`, which this queue does not know"
        raise DependencyError(fact, hint="submit the job it waits for first")
    return tuple(int(job_id) for job_id in after_ok)


def _numbers(job_ids: Sequence[str]) -> list[int]:
    return [int(job_id) for job_id in job_ids if _is_number(job_id)]


def _is_number(job_id: str) -> bool:
    return job_id.isascii() and job_id.isdigit() and len(job_id) < 19


def _report(facts: Facts) -> JobReport:
    return JobReport(
        job_id=str(facts.id),
        state=JobState(facts.state),
        reason=facts.reason,
        exit_code=facts.code,
        signal=facts.signal,
        submitted=_moment(facts.submitted),
        started=_moment(facts.started),
        ended=_moment(facts.ended),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
