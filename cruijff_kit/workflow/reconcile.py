"""Reconcile: settle submissions that a crash left between intent and record."""

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.job import Attempt, Step
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.receipt import Submission
from cruijff_kit.workflow.attempts import AttemptKey, read_attempts, write_attempt

__all__ = ["adopt_submitted", "record_submission"]

_ACTIONS = {Step.TRAIN: Action.SUBMIT_JOB, Step.EVAL: Action.SUBMIT_EVAL}


def adopt_submitted(plan: Plan, *, world: World) -> list[Submission]:
    """Record the jobs that the scheduler took before a crash could be survived.

    Call it with the lock `submit` held. Intents that the scheduler does not know
    stay open: submitting again with the same tag settles them.
    """
    planned = {run.id for run in plan.runs}
    open_ones = [
        each[-1]
        for (run_id, _), each in read_attempts(world.store).items()
        if run_id in planned and each[-1].job_id is None
    ]
    if not open_ones:
        return []
    known = world.scheduler.find([attempt.intent.tag for attempt in open_ones])
    adopted = [(attempt, known[attempt.intent.tag]) for attempt in open_ones if attempt.intent.tag in known]
    book = read_attempts(world.store)
    with_edge = [(attempt.model_copy(update=_edge(attempt, book)), job_id) for attempt, job_id in adopted]
    return [record_submission(attempt, job_id, adopted=True, world=world) for attempt, job_id in with_edge]


def _edge(attempt: Attempt, book: dict[AttemptKey, tuple[Attempt, ...]]) -> dict[str, tuple[str, ...]]:
    """Return id and tag of the job that an evaluation was handed over to wait for: nothing was tried again since."""
    training = book.get((attempt.intent.run_id, Step.TRAIN), ()) if attempt.intent.step is Step.EVAL else ()
    if not training or training[-1].job_id is None:
        return {}
    return {"after_ok": (training[-1].job_id,), "after_tags": (training[-1].intent.tag,)}


def record_submission(attempt: Attempt, job_id: str, *, adopted: bool, world: World) -> Submission:
    """Append the audit event, then keep the job id: a crash in between is adopted later."""
    intent = attempt.intent
    subject = intent.run_id if intent.step is Step.TRAIN else f"{intent.run_id}/eval"
    why = "adopted after an interrupted submission" if adopted else intent.why
    event = AuditEvent(
        actor=world.actor,
        verb="submit",
        action=_ACTIONS[intent.step],
        subject=subject,
        reason=why,
        inputs={"tag": intent.tag, "attempt": str(intent.number)},
        outputs={"job_id": job_id, "scheduler": world.scheduler.name},
    )
    world.audit.append(event)
    record = {"job_id": job_id, "scheduler": world.scheduler.name, "submitted": world.clock.now()}
    write_attempt(world.store, attempt.model_copy(update=record))
    return Submission(
        run_id=intent.run_id, step=intent.step, job_id=job_id, state="adopted" if adopted else "submitted"
    )
