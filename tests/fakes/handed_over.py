"""An experiment whose jobs have all ended: attempts, verdicts, the record of both, and the queue that took them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.adapters.local_queue import Ending, Limits, LocalQueue, NewJob
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.adapters.sbatch_lines import read_directives
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.schema.audit import Action, Actor, AuditEvent
from cruijff_kit.schema.job import Attempt, Intent, JobState, JobUsage, Step
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.policy import Wanted
from cruijff_kit.schema.run import JobStatus
from tests.fakes.experiment import write_training

__all__ = ["hand_over", "leave_attempt", "output_of"]

_WHY = "handed over by a test"
_HOUR = timedelta(hours=1)


def hand_over(root: Path, plan: Plan) -> None:
    """Leave a scaffolded experiment as its trainings would have left it, every run completed.

    Its jobs lie in this user's local queue, so that whoever asks the scheduler finds them there.
    """
    store = DiskRunStore(root)
    lock = DesignLock.model_validate_json(store.read(ExperimentLayout.lock) or b"")
    attempts = [_attempt(number, run.id) for number, run in enumerate(plan.runs, start=1)]
    numbers = _queued(root, attempts)
    for run, attempt, job_id in zip(plan.runs, attempts, numbers, strict=True):
        _leave(root, attempt.model_copy(update={"job_id": job_id}))
        write_training(root, run)
    wanted = Wanted(plan_id=lock.plan_id, runs=tuple(run.id for run in plan.runs), reason=_WHY)
    (root / ExperimentLayout.wanted).write_text(wanted.model_dump_json(indent=1), encoding="utf-8")
    DiskAuditLog(root, clock=SystemClock()).append(*_events(attempts, numbers))


def leave_attempt(root: Path, run_id: str, *, job_id: str) -> None:
    """Leave one run as if a job of this id had trained it; neither record nor queue knows of it."""
    _leave(root, _attempt(1, run_id).model_copy(update={"job_id": job_id}))


def output_of(root: Path, run_id: str) -> Path:
    """Return the file that the one job of a run printed to."""
    (path,) = (root / RunLayout(run_id).folder).glob("slurm-*.out")
    return path


def _attempt(number: int, run_id: str) -> Attempt:
    recorded = datetime(2026, 11, 20, 9, tzinfo=UTC) + timedelta(seconds=number)
    intent = Intent(
        run_id=run_id, step=Step.TRAIN, number=1, tag=f"ck-{run_id}-train-1", why="first attempt", recorded=recorded
    )
    return Attempt(
        intent=intent,
        scheduler="local",
        submitted=recorded,
        verdict=JobState.SUCCEEDED,
        started=recorded + _HOUR,
        ended=recorded + 2 * _HOUR,
        usage=JobUsage(elapsed_seconds=_HOUR.total_seconds(), gpus=0),
    )


def _queued(root: Path, attempts: list[Attempt]) -> list[str]:
    """Put a finished job for each attempt into the queue; return their ids."""
    queue = LocalQueue(state_dir() / "queue")
    numbers: list[int] = []
    for attempt in attempts:
        run = attempt.intent.run_id
        script = (root / RunLayout(run).train_script).read_bytes()
        wishes = read_directives(script, name="finetune.slurm")
        numbers.append(queue.add(NewJob(attempt.intent.tag, run, "", str(root), wishes, script, {}, ())))
    queue.set_limits(Limits(slots=len(numbers)))
    queue.advance([], boot="before")
    ended = datetime.now(UTC).timestamp()
    queue.advance([Ending(number, "succeeded", ended, code=0) for number in numbers], boot="before")
    return [str(number) for number in numbers]


def _leave(root: Path, attempt: Attempt) -> None:
    """Write what lies in a run's folder of its one job."""
    run, job_id = attempt.intent.run_id, attempt.job_id or ""
    layout, started = RunLayout(run), attempt.intent.recorded
    own = JobStatus(state="done", step=40, total=40, job_id=job_id, started=started, updated=started + _HOUR)
    lines = "".join(f"[2026-11-20 10:{n // 60:02d}:{n % 60:02d}] step {n} of 40 loss 1.25\n" for n in range(200))
    texts = {
        layout.intent("train", 1): attempt.intent.model_dump_json(indent=1) + "\n",
        layout.job("train", 1): attempt.model_dump_json(indent=1) + "\n",
        layout.status("train"): own.model_dump_json(),
        layout.job_output(job_id): lines,
    }
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _events(attempts: list[Attempt], numbers: list[str]) -> Iterator[AuditEvent]:
    """Yield what the record tells of each job: that it was taken, and how it ended."""
    actor = Actor(kind="assistant", name="job_submit", client=None)
    for attempt, job_id in zip(attempts, numbers, strict=True):
        for verb, action in (("submit", Action.SUBMIT_JOB), ("watch", Action.STATE_CHANGE)):
            yield AuditEvent(
                actor=actor,
                verb=verb,
                action=action,
                subject=attempt.intent.run_id,
                reason=attempt.intent.why,
                inputs={"tag": attempt.intent.tag, "attempt": "1"},
                outputs={"job_id": job_id, "scheduler": "local"},
            )
