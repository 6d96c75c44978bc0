"""Audit a model: every part against its limit, from what was collected, written to `audit.json` and recorded."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from cruijff_kit import __version__
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.audit_tables import audit_text
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.model_audit import AuditFile, AuditReceipt, AuditRequest, AuditRules, ComponentName, ModelAudit
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.audit_rules import Resolved, procedure_of, resolved_rules, terms_of
from cruijff_kit.workflow.calibrators import (
    Collected,
    chosen_records,
    fitted_calibrator,
    one_checkpoint,
    read_collected,
    refuse_mismatch,
    refuse_own_splits,
    uniforms_of,
)
from cruijff_kit.workflow.collect import write_changed
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier

if TYPE_CHECKING:
    from cruijff_kit.analysis.audit_parts import ControlledRisk, Promise
    from cruijff_kit.analysis.audit_whole import Audited
    from cruijff_kit.workflow.audit_pairs import Together

__all__ = ["audit_run", "read_audits"]

_VERB = "audit-model"
_FIRST = AuditRequest()


class _Subject(NamedTuple):
    """What is audited."""

    plan: Plan
    spec: ExperimentSpec
    run: PlannedRun
    source: Collected
    chosen: tuple[Prediction, ...]
    calibrator: Calibrator | None
    tier: Tier


class _Kept(NamedTuple):
    """What the run's calibrator promises and does, or why nothing is known of it."""

    promise: "Promise | None" = None
    risk: "ControlledRisk | None" = None
    reason: str = ""


def audit_run(run: str, *, asked: AuditRequest = _FIRST, world: World) -> AuditReceipt:
    """Audit a run's collected answers to one split, write `audit.json`, and return what was found.

    Nothing is recomputed from a model unless `ask` is set. Auditing again what has not
    changed writes the same bytes and records nothing new.

    Args:
        run: run id, or an unambiguous start of it.
        asked: evaluation, rules, and whether the model is asked.
        world: the experiment and its surroundings.

    Raises:
        SpecError: a rule is none, contradicts the evaluation, or its file cannot be read.
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown.
        ResultError: its predictions are missing or changed, or `audit.json` cannot be read.
        SiteError: an extra is not installed, or the model to be asked cannot be loaded.
    """
    from cruijff_kit.analysis.audit_whole import audit_all

    subject = _subject(run, asked, world=world)
    resolved = _resolved(subject, asked, world=world)
    before = read_audits(world=world)
    audited, notes = _audited(subject, resolved.rules, asked=asked, world=world)
    found = audit_all(audited, resolved.rules)
    first = subject.chosen[0]
    audit = ModelAudit(
        run=subject.run.id, task=first.task, epoch=first.epoch, split=first.split, tier=subject.tier,
        n=len(subject.chosen), verdict=found.verdict, failed=found.named("fail"),
        not_assessed=found.named("not_assessed"), left_out=found.left_out, components=found.components,
        figures=found.figures, rules=resolved.rules, sources=resolved.sources, temperature=audited.temperature,
        checkpoint_sha256=one_checkpoint(subject.chosen), inputs=_inputs(subject, world),
        notes=(*_late(resolved), *notes),
        version=__version__,
    )  # fmt: skip
    return _written(audit, before, world=world)


def read_audits(*, world: World) -> AuditFile:
    """Return the audits on disk; none where there is no file.

    Raises:
        ResultError: the file cannot be read.
    """
    content = world.store.read(ExperimentLayout.model_audit)
    if content is None:
        return AuditFile()
    try:
        return AuditFile.model_validate_json(content)
    except ValidationError as err:
        fact = f"`{ExperimentLayout.model_audit}` cannot be read: {first_fault(err)}"
        raise ResultError(fact, hint="move it away; `ck audit-model` writes it again") from err


def _subject(run: str, asked: AuditRequest, *, world: World) -> _Subject:
    plan, _ = recorded_plan(world=world)
    chosen_run = find_run(plan.runs, run)
    source = read_collected(chosen_run.id, world=world)
    calibrator = fitted_calibrator(chosen_run.id, world=world)
    epoch = calibrator.epoch if asked.epoch is None and calibrator is not None else asked.epoch
    chosen = chosen_records(source, split=asked.split, task=asked.task, epoch=epoch)
    one_checkpoint(chosen)
    return _Subject(plan, read_design(world), chosen_run, source, chosen, calibrator, plan_tier(plan, world))


def _resolved(subject: _Subject, asked: AuditRequest, *, world: World) -> Resolved:
    first = subject.chosen[0]
    task = next((cell.task for cell in subject.run.cells if cell.task.name == first.task), None)
    resolved = resolved_rules(asked, subject.spec.analysis, task=task, calibrator=subject.calibrator, world=world)
    known = {name for each in subject.chosen for name in each.groups}
    lacking = [name for name in resolved.rules.groups if name not in known]
    if lacking:
        there = ", ".join(f"`{name}`" for name in sorted(known)) or "none"
        fact = f"predictions of `{subject.run.id}` have no group column `{lacking[0]}`; they have {there}"
        raise SpecError(fact, hint="name the column under `analysis.groups` of the design before evaluating")
    return resolved


def _audited(
    subject: _Subject, rules: AuditRules, *, asked: AuditRequest, world: World
) -> tuple["Audited", tuple[str, ...]]:
    """Return everything that is known of the model, and what a reader must know of it."""
    import numpy as np

    from cruijff_kit.analysis.audit_whole import Audited
    from cruijff_kit.scoring.records import record_answers
    from cruijff_kit.workflow.audit_proofs import prove

    kept = _kept(subject)
    fits = kept.promise is not None or kept.risk is not None
    temperature = subject.calibrator.temperature if fits and subject.calibrator is not None else 1.0
    pairs, items = _together(subject, rules, asked=asked, world=world)
    answers = record_answers(subject.chosen, temperature=temperature, costs=rules.costs)
    reasons: dict[ComponentName, str] = {
        "coverage": kept.reason, "counterfactual": pairs.reason, "consistency": items.reason,
    }  # fmt: skip
    audited = Audited(
        answers=answers._replace(abstain_cost=rules.abstain_cost or 0.0),
        groups={name: [each.groups.get(name, "not recorded") for each in subject.chosen] for name in rules.groups},
        held=np.full(len(subject.chosen), -1) if kept.promise is None else kept.promise.held,
        tier=subject.tier,
        temperature=temperature,
        promise=kept.promise,
        risk=kept.risk,
        predictions=subject.chosen,
        procedure=procedure_of(rules, world),
        pairs=pairs.pairs,
        items=items.items,
        proofs=prove(subject.plan, subject.run, chosen=subject.chosen, world=world)
        if "provenance" in rules.components
        else (),
        reasons=reasons,
    )
    return audited, tuple(_notes(subject, temperature=temperature))


def _kept(subject: _Subject) -> _Kept:
    """Apply the run's calibrator to the split audited, if it may be."""
    from cruijff_kit.analysis.audit_parts import Promise
    from cruijff_kit.analysis.calibrated import answer_sets

    calibrator, chosen = subject.calibrator, subject.chosen
    if calibrator is None:
        return _Kept(reason=f"the run has no calibrator: `ck calibrate {subject.run.id}` fits one")
    if calibrator.epoch != chosen[0].epoch:
        return _Kept(reason=f"the calibrator is of epoch {calibrator.epoch}, not of this one")
    try:
        refuse_own_splits(calibrator, chosen[0].split)
        refuse_mismatch(calibrator, subject.source, chosen=chosen)
        if not calibrator.thresholds:
            told = f"the calibrator (`{calibrator.settings.method}`) makes decisions, and no sets to cover"
            return _Kept(risk=_risk(chosen, calibrator), reason=told)
        uniforms = uniforms_of(chosen, seed=calibrator.settings.seed)
        sets = answer_sets(chosen, calibrator=calibrator, uniforms=uniforms)
    except (ResultError, SpecError) as err:
        return _Kept(reason=str(err).partition("\n")[0])
    only = calibrator.thresholds[0]
    sole = len(calibrator.thresholds) == 1 and only.quantile is not None
    return _Kept(promise=Promise(calibrator.alpha, sets.held, (only.rank, only.n) if sole else None))


def _risk(chosen: Sequence[Prediction], calibrator: Calibrator) -> "ControlledRisk":
    """Return what the calibrator's decisions cost, at the costs that it knows."""
    from cruijff_kit.analysis.audit_parts import ControlledRisk
    from cruijff_kit.analysis.calibrated import controlled_costs
    from cruijff_kit.scoring.calibrators import risk_of
    from cruijff_kit.scoring.records import option_records

    made = controlled_costs(option_records(chosen, name="the predictions"), calibrator=calibrator)
    return ControlledRisk(made.costs, made.bound, calibrator.alpha, risk_of(calibrator.settings))


def _together(
    subject: _Subject, rules: AuditRules, *, asked: AuditRequest, world: World
) -> tuple["Together", "Together"]:
    """Return the answers to swapped terms, and several to each question: collected ones, or those of the model."""
    from cruijff_kit.workflow.audit_asked import ask_again, ask_swapped, opened
    from cruijff_kit.workflow.audit_pairs import Together, collected_pairs, repeated_answers

    run, chosen = subject.run, subject.chosen
    terms = terms_of(rules, world) if asked.ask else None
    audience = opened(run, chosen, most=asked.most, world=world) if asked.ask else None
    pairs = items = Together()
    if "counterfactual" in rules.components and audience is not None and terms is not None:
        pairs = ask_swapped(audience, terms)
    elif "counterfactual" in rules.components:
        pairs = collected_pairs(run, chosen, source=subject.source, world=world)
        if asked.ask and not pairs.pairs:
            pairs = Together(reason="no terms to swap were named: name lists as `terms`, such as `gender`")
    if "consistency" in rules.components and audience is not None:
        items = ask_again(audience, asked, seed=rules.seed)
    elif "consistency" in rules.components:
        items = repeated_answers(subject.plan, run, chosen=chosen, evaluation=subject.spec.evaluation, world=world)
    return pairs, items


def _late(resolved: Resolved) -> list[str]:
    named = ", ".join(f"`{name}` ({resolved.sources[name]})" for name in resolved.late)
    return [f"set beside the design, so that results may have been known: {named}"] if named else []


def _notes(subject: _Subject, *, temperature: float) -> list[str]:
    lost = sum(each.error is not None for each in subject.chosen)
    cluster, found = subject.spec.analysis.cluster, []
    if lost:
        found.append(f"{lost} of {len(subject.chosen)} samples errored; they count as wrong and keep no rule")
    if temperature != 1.0:
        found.append(f"probabilities are those at the calibrator's temperature, {temperature:.3f}")
    if cluster is not None:
        found.append(f"samples are taken as independent: `{cluster}` is not considered, so intervals may be too narrow")
    return found


def _inputs(subject: _Subject, world: World) -> dict[str, str]:
    inputs = {subject.source.path: subject.source.sha256}
    path = RunLayout(subject.run.id).calibrator
    if subject.calibrator is not None:
        inputs[path] = world.store.digest(path) or ""
    return inputs


def _written(audit: ModelAudit, before: AuditFile, *, world: World) -> AuditReceipt:
    def key(each: ModelAudit) -> tuple[str, str, str, int]:
        return each.run, each.task, each.split, -1 if each.epoch is None else each.epoch

    others = [each for each in before.audits if key(each) != key(audit)]
    file = AuditFile(audits=tuple(sorted([*others, audit], key=key)))
    path, content = ExperimentLayout.model_audit, (file.model_dump_json(indent=1) + "\n").encode()
    write_changed({path: content}, world=world)
    sha256 = hashlib.sha256(content).hexdigest()
    event = AuditEvent(
        actor=world.actor, verb=_VERB, action=Action.AUDIT_MODEL, subject=f"{audit.run}, {audit.task}",
        inputs=audit.inputs, outputs=_outputs(audit, {path: sha256}),
        result=Outcome.SUCCESS if audit.verdict == "pass" else Outcome.WARNING,
    )  # fmt: skip
    last = [each for each in world.audit.records() if (each.verb, each.subject) == (_VERB, event.subject)][-1:]
    if not last or (last[0].inputs, last[0].outputs) != (event.inputs, event.outputs):
        world.audit.append(event)
        render_views(world=world)
    return AuditReceipt(audit=audit, path=path, sha256=sha256, text=audit_text(audit))


def _outputs(audit: ModelAudit, written: dict[str, str]) -> dict[str, str]:
    told = {"verdict": audit.verdict, "failed": ", ".join(audit.failed), "not_assessed": ", ".join(audit.not_assessed)}
    return {**written, **{name: value for name, value in told.items() if value}}
