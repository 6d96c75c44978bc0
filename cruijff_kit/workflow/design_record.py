"""The record of a design: what was verified, computed, decided and written."""

from collections.abc import Iterator

from cruijff_kit.ports import World
from cruijff_kit.rendering.summary_body import Checked
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Estimate
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.tiers import DECLARED, data_hash

__all__ = ["is_recorded", "record_findings", "record_written"]

_Finding = tuple[Action, str, dict[str, str], dict[str, str]]


def record_findings(checked: Checked, *, verb: str, reason: str, world: World) -> None:
    """Record what was verified and decided, in one append, before the summary is written."""
    world.audit.append(*_findings(checked, verb, reason=reason, world=world))


def record_written(checked: Checked, *, verb: str, reason: str, world: World) -> None:
    """Record that the summary stands on disk, and render the text views."""
    digest = world.store.digest(ExperimentLayout.summary) or ""
    written = AuditEvent(
        actor=world.actor,
        verb=verb,
        action=Action.CREATE_SUMMARY,
        subject=ExperimentLayout.summary,
        reason=reason,
        outputs={
            "sha256": digest,
            "design_sha256": checked.plan.spec_sha256,
            DECLARED: data_hash(checked.spec),
        },
    )
    runs = {"runs": str(len(checked.plan.runs))}
    complete = AuditEvent(actor=world.actor, verb=verb, action=Action.COMPLETE, subject=checked.spec.name, outputs=runs)
    world.audit.append(written, complete)
    render_views(world=world)


def is_recorded(checked: Checked, *, world: World) -> bool:
    """Return whether the record tells that this design was written, for a person: by a person.

    So a person who writes again what an assistant wrote stands for what it says of its data.
    """
    digest, needed = checked.plan.spec_sha256, world.actor.kind == "human"
    written = (record for record in world.audit.records() if record.action is Action.CREATE_SUMMARY)
    mine = (record for record in written if record.actor.kind == "human" or not needed)
    return any(record.outputs.get("design_sha256") == digest for record in mine)


def _findings(checked: Checked, verb: str, *, reason: str, world: World) -> Iterator[AuditEvent]:
    name = checked.spec.name
    whole = AuditEvent(actor=world.actor, verb=verb, action=Action.DECIDE_CONFIG, subject=name)
    for action, subject, inputs, outputs in (*_resources(checked), *_costs(checked)):
        changes = {"action": action, "subject": subject, "inputs": inputs, "outputs": outputs}
        yield whole.model_copy(update=changes)
    digest = {"design_sha256": checked.plan.spec_sha256, DECLARED: data_hash(checked.spec)}
    yield whole.model_copy(update={"reason": reason, "outputs": digest})
    for warning in checked.warnings:
        changes = {"action": Action.WARNING, "outputs": {"warning": warning}, "result": Outcome.WARNING}
        yield whole.model_copy(update=changes)


def _resources(checked: Checked) -> Iterator[_Finding]:
    for name, facts in checked.models.items():
        found = {"sha256": facts.sha256, "bytes": str(facts.bytes), "parameters": str(facts.parameters)}
        yield Action.VERIFY_MODEL, name, {"path": facts.path}, found
    for dataset in checked.plan.datasets:
        rows = {f"rows_{split}": str(count) for split, count in dataset.splits.items()}
        found = {"sha256": dataset.sha256, "bytes": str(dataset.bytes), **rows}
        yield Action.VERIFY_DATASET, dataset.key, {"path": dataset.path}, found
    for proof in checked.proofs:
        proven = {"mask": f"proven on {proof.words}"}
        yield Action.VERIFY_DATASET, proof.dataset, {"model": proof.model, "mask_key": proof.key}, proven
    for task in checked.spec.evaluation.tasks:
        yield Action.VERIFY_EVAL_TASK, task.name, {"task": task.task, "split": task.split}, {}


def _costs(checked: Checked) -> Iterator[_Finding]:
    name, plan = checked.spec.name, checked.plan
    hours = {each.name: _stated(each) for each in plan.estimates if each.unit == "h"}
    sizes = {each.name: _stated(each) for each in plan.estimates if each.unit != "h"}
    first = {"first_run": plan.runs[0].id} if plan.runs else {}
    yield Action.CHECK_DISK, name, {}, {"free_bytes": str(checked.disk.free), "total_bytes": str(checked.disk.total)}
    prior = checked.prior
    found = {"experiments": str(prior.experiments), "runs": str(len(prior.runs)), "first": ", ".join(prior.runs[:5])}
    yield Action.SEARCH_PRIOR_RUNS, name, {}, found
    yield Action.CALCULATE_TIME, name, {}, hours
    yield Action.CALCULATE_DISK, name, {}, sizes
    yield Action.DECIDE_NAMING, name, {}, {"runs": str(len(plan.runs)), **first}


def _stated(each: Estimate) -> str:
    return "not assessed" if each.value is None else f"{each.value:.3g} {each.unit} ({each.source})"
