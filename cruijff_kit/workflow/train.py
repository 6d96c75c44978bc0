"""Train: one run from a few words, on this machine: a design, a run's directory and jobs like any other's."""

from collections.abc import Sequence
from typing import Any

from cruijff_kit.errors import PlanError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.schema.training import TrainReview, TrainStart
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.read_design import parse_design, read_design
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run, submit_jobs

__all__ = ["begin_training", "is_taken", "trained_run"]

_STOPPED = (Phase.FAILED, Phase.CANCELLED)


def begin_training(review: TrainReview, *, resume: bool = False, reason: str, world: World) -> TrainStart:
    """Write the design of a training, scaffold it and hand its jobs over; safe to repeat and to kill at any point.

    A training that is there already, by the same values, goes on as it stands; it is never begun anew.

    Args:
        review: what was reviewed.
        resume: try jobs again that were stopped or failed; the training goes on from its last checkpoint.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the directory holds another training, or, to resume one, none.
        SpecError: rows, template or values do not fit; lists every problem.
        SiteError: this machine lacks what the training asks for.
    """
    there = world.store.read_text(ExperimentLayout.summary) is not None
    if there:
        _refuse_another(review, world=world)
    elif resume:
        hint = "leave `--resume` out to begin, or name the directory with `-o`"
        raise PlanError(f"there is no training to resume in `{world.store.root}`", hint=hint)
    if review.prepared and world.store.read_text(review.prepared_path) != review.prepared:
        _write_rows(review, world)
    warnings: tuple[str, ...] = ()
    if not there:
        warnings = write_design(review.design, reason=reason, world=world).warnings
    plan_id = scaffold_runs(reason=reason, world=world).plan_id
    submit_jobs(plan_id, reason=reason, world=world)
    plan, _ = recorded_plan(world=world)
    stopped = _stopped(read_status(world=world))
    if resume:
        for run in stopped:
            retry_run(run, reason=reason, world=world)
    run = trained_run(plan).id
    again, left = (stopped, False) if resume else ((), run in stopped)
    return TrainStart(run_id=run, plan_id=plan_id, warnings=_worth_saying(warnings), again=again, stopped=left)


def is_taken(review: TrainReview, *, world: World) -> bool:
    """Return whether an experiment directory holds something else than this training."""
    if world.store.read_text(ExperimentLayout.summary) is None:
        return False
    try:
        return bool(_unlike(review, world=world))
    except (PlanError, SpecError):
        return True


def trained_run(plan: Plan) -> PlannedRun:
    """Return the run of a plan that trains.

    Raises:
        RunError: none does.
    """
    run = next((each for each in plan.runs if each.type == "fine-tuned"), None)
    if run is None:
        raise RunError(f"nothing is trained in `{plan.experiment}`", run_id=plan.experiment, hint="see `ck status`")
    return run


def _spec(review: TrainReview) -> ExperimentSpec:
    """Return the design that a review came to.

    Raises:
        SiteError: the model or the data is not here, so there is none.
        SpecError: the values make none.
    """
    if not review.design:
        raise SiteError("the training has no design: its model or its data is not here", hint="name both")
    return parse_design(review.design)


def _refuse_another(review: TrainReview, *, world: World) -> None:
    differing = _unlike(review, world=world)
    if differing:
        told = "; ".join(differing[:6])
        hint = "name another directory with `-o`, or say the same values to go on with what is there"
        raise PlanError(f"`{world.store.root}` holds another training: {told}", hint=hint)


def _unlike(review: TrainReview, *, world: World) -> list[str]:
    """Return how the training in a directory differs: by its design, or by the rows that were written for it."""
    differing = _differing(read_design(world), _spec(review))
    rows = world.store.read_text(review.prepared_path) if review.prepared else None
    if rows not in {None, review.prepared}:
        differing.append(f"its rows are not those that `{review.data}` makes by now")
    return differing


def _differing(found: ExperimentSpec, wanted: ExperimentSpec) -> list[str]:
    """Return what two designs say differently, dates, hashes and the words they were asked for with aside."""
    first, second = (_flat(_compared(spec)) for spec in (found, wanted))
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return [f"`{name}` is `{first.get(name)}` there, `{second.get(name)}` here" for name in names]


def _compared(spec: ExperimentSpec) -> dict[str, Any]:
    told = spec.model_dump(mode="json", exclude={"name", "created", "question"})
    for model in told["models"]:
        model.pop("sha256")
    return told


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted paths."""
    if not isinstance(value, dict):
        return {prefix: value}
    parts = [_flat(inner, f"{prefix}.{key}".strip(".")) for key, inner in value.items()]
    return {name: each for part in parts for name, each in part.items()}


def _write_rows(review: TrainReview, world: World) -> None:
    """Write the rows, with those held out apart, and record where they came from."""
    world.store.write(review.prepared_path, review.prepared)
    event = AuditEvent(
        actor=world.actor,
        verb="train",
        action=Action.VERIFY_DATASET,
        subject=review.prepared_path,
        inputs={"data": review.data_path, "sha256": world.store.digest(review.data_path) or ""},
        outputs={
            "sha256": world.store.digest(review.prepared_path) or "",
            "held_out": review.held_out,
            **{f"rows_{split}": str(count) for split, count in review.splits.items()},
        },
    )
    world.audit.append(event)


def _stopped(status: ExperimentStatus) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.run_id for entry in status.steps if entry.phase in _STOPPED))


def _worth_saying(warnings: Sequence[str]) -> tuple[str, ...]:
    """Leave out what every single run would be told."""
    return tuple(each for each in warnings if not each.startswith(("one seed:", "no control run:")))
