"""Reconcile: settle submissions that a crash left between intent and record."""

from collections.abc import Sequence

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.job import Attempt, Step, array_of
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.submission import Submission
from cruijff_kit.workflow.attempts import AttemptKey, read_attempts, write_attempts

__all__ = ["adopt_submitted", "record_submissions"]

_ACTIONS = {Step.TRAIN: Action.SUBMIT_JOB, Step.EVAL: Action.SUBMIT_EVAL}


def adopt_submitted(plan: Plan, *, world: World) -> list[Submission]:
    """Record the jobs that the scheduler took before a crash could be survived.

    Call it with the lock `submit` held. Intents that the scheduler does not know
    stay open: submitting again with the same tag settles them.
    """
    planned = {run.id for run in plan.runs}
    book = read_attempts(world.store)
    open_ones = [each[-1] for (run_id, _), each in book.items() if run_id in planned and each[-1].job_id is None]
    if not open_ones:
        return []
    known = world.scheduler.find([attempt.intent.tag for attempt in open_ones])
    adopted = [(attempt, known[attempt.intent.tag]) for attempt in open_ones if attempt.intent.tag in known]
    with_edge = [(attempt.model_copy(update=_edge(attempt, book)), job_id) for attempt, job_id in adopted]
    arrays: dict[str, list[tuple[Attempt, str]]] = {}
    for attempt, job_id in with_edge:
        place = array_of(attempt.intent.tag)
        arrays.setdefault(place[0] if place else attempt.intent.tag, []).append((attempt, job_id))
    found = (record_submissions(taken, adopted=True, world=world) for taken in arrays.values())
    return [submission for each in found for submission in each]


def _edge(attempt: Attempt, book: dict[AttemptKey, tuple[Attempt, ...]]) -> dict[str, tuple[str, ...]]:
    """Return id and tag of the job that an evaluation was handed over to wait for: nothing was tried again since."""
    training = book.get((attempt.intent.run_id, Step.TRAIN), ()) if attempt.intent.step is Step.EVAL else ()
    if not training or training[-1].job_id is None:
        return {}
    return {"after_ok": (training[-1].job_id,), "after_tags": (training[-1].intent.tag,)}


def record_submissions(taken: Sequence[tuple[Attempt, str]], *, adopted: bool, world: World) -> list[Submission]:
    """Append one audit event for what one request submitted, then keep the job ids: a crash in between is adopted.

    Args:
        taken: attempts and their job ids; several are elements of one array.
        adopted: whether an interrupted submission had queued them.
        world: the experiment and its surroundings.
    """
    intent = taken[0][0].intent
    place = array_of(intent.tag)
    subject = intent.run_id if intent.step is Step.TRAIN else f"{intent.run_id}/eval"
    why = "adopted after an interrupted submission" if adopted else intent.why
    told = {"job_id": taken[0][1]}
    if place is not None:
        # The event of an array tells which of its jobs is which run's.
        subject = f"array of {len(taken)} {intent.step.value} jobs"
        told = {job_id: attempt.intent.run_id for attempt, job_id in taken}
    event = AuditEvent(
        actor=world.actor,
        verb="submit",
        action=_ACTIONS[intent.step],
        subject=subject,
        reason=why,
        inputs={
            "tag": place[0] if place else intent.tag,
            "attempt": str(intent.number),
            **({"time": intent.time} if intent.time else {}),
        },
        outputs={**told, "scheduler": world.scheduler.name},
    )
    world.audit.append(event)
    record = {"scheduler": world.scheduler.name, "submitted": world.clock.now()}
    kept = [attempt.model_copy(update={"job_id": job_id, **record}) for attempt, job_id in taken]
    write_attempts(world.store, *kept)
    state = "adopted" if adopted else "submitted"
    return [
        Submission(run_id=each.intent.run_id, step=each.intent.step, job_id=each.job_id or "", state=state)
        for each in kept
    ]
