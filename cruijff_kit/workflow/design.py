"""Design: check a design, write it, amend it; nothing else writes `experiment_summary.md`."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import (
    SummaryText,
    body_diff,
    front_matter,
    is_current,
    join_summary,
    parse_summary,
)
from cruijff_kit.rendering.summary_body import Checked, render_body, source_of
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.receipt import DesignReceipt, DesignReview
from cruijff_kit.schema.spec import ExperimentSpec, Level, RunSpec
from cruijff_kit.workflow.design_consent import record_consent
from cruijff_kit.workflow.design_record import is_recorded, record_findings, record_written
from cruijff_kit.workflow.examine import DRAFT, examine
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import refuse_imported
from cruijff_kit.workflow.search import earlier_experiments

__all__ = ["amend_design", "append_runs", "check_design", "spec_json_schema", "write_design"]

_PATH = ExperimentLayout.summary
_NO_LEVELS: Mapping[str, Sequence[Level]] = MappingProxyType({})


def check_design(text: str, *, name: str = DRAFT, world: World) -> DesignReview:
    """Check and cost a design; writes nothing.

    Args:
        text: YAML, or a whole summary whose front matter is taken.
        name: what its file is called in problems.
        world: the experiment and its surroundings; only read.

    Raises:
        SpecError: lists every problem at once, each with line, path and remedy.
    """
    checked = examine(text, name=name, world=world)
    estimates = (*checked.plan.estimates, *checked.power)
    earlier = earlier_experiments(checked.plan, checked.spec.factors, world=world)
    return DesignReview(
        spec=checked.spec, plan=checked.plan, estimates=estimates, warnings=checked.warnings, earlier=earlier
    )


def write_design(text: str, *, reason: str, name: str = DRAFT, world: World) -> DesignReceipt:
    """Check a design and write `experiment_summary.md` from it; safe to repeat.

    What people wrote below `## Notes` on disk is kept to the byte. A body that was edited
    is never overwritten: the error shows the difference.

    Args:
        text: YAML, or a whole summary whose front matter is taken.
        reason: why the design is so, in the words of whoever decided.
        name: what its file is called in problems.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment was imported from another system.
        SpecError: the design has problems, or the body on disk was edited.
    """
    refuse_imported(world)
    with world.store.lock("design"):
        checked = examine(text, name=name, world=world)
        return _write(checked, parse_summary(text), reason=reason, verb="design", world=world)


def amend_design(
    *,
    seeds: tuple[int, ...] = (),
    levels: Mapping[str, Sequence[Level]] = _NO_LEVELS,
    reason: str,
    world: World,
) -> DesignReceipt:
    """Add seeds or factor levels to the design on disk; runs that exist keep their ids.

    Args:
        seeds: further replicate seeds; those there already are left alone.
        levels: further levels by factor; those there already are left alone.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no design yet.
        SpecError: a factor is unknown, the amended design has problems, or the body was edited.
    """
    with world.store.lock("design"):
        amended = front_matter(_amended(read_design(world), seeds=seeds, levels=levels))
        checked = examine(amended, world=world)
        return _write(checked, parse_summary(amended), reason=reason, verb="amend", world=world)


def append_runs(runs: Sequence[RunSpec], *, reason: str, world: World) -> DesignReceipt:
    """Add named runs to the design on disk, those that stand there already left alone; runs that exist keep their ids.

    Args:
        runs: what is run besides.
        reason: why, in the words of whoever decided.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no design yet.
        SpecError: the amended design has problems, or the body was edited.
    """
    with world.store.lock("design"):
        spec = read_design(world)
        known = {run.name for run in spec.runs}
        added = (run for run in runs if run.name not in known)
        amended = front_matter(spec.model_copy(update={"runs": (*spec.runs, *added)}))
        checked = examine(amended, world=world)
        return _write(checked, parse_summary(amended), reason=reason, verb="amend", world=world)


def spec_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a design, for editors and assistants."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ExperimentSpec.model_json_schema()}


def _amended(spec: ExperimentSpec, *, seeds: Sequence[int], levels: Mapping[str, Sequence[Level]]) -> ExperimentSpec:
    unknown = [_unknown_factor(name, spec) for name in levels if name not in spec.factors]
    if unknown:
        raise SpecError("the design cannot be amended so", problems=unknown)
    factors = {name: _joined(have, levels.get(name, ())) for name, have in spec.factors.items()}
    changes: dict[str, Any] = {}
    if factors != spec.factors:
        changes["factors"] = factors
    every = _joined(spec.controls.seeds, seeds)
    if every != spec.controls.seeds:
        changes["controls"] = spec.controls.model_copy(update={"seeds": every})
    return spec.model_copy(update=changes)


def _joined(have: tuple[Any, ...], more: Sequence[Any]) -> tuple[Any, ...]:
    known = list(have)
    for value in more:
        if not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in known):
            known.append(value)
    return tuple(known)


def _unknown_factor(name: str, spec: ExperimentSpec) -> Problem:
    known = ", ".join(f"`{each}`" for each in spec.factors) or "none"
    near = get_close_matches(name, spec.factors, n=1)
    hint = f"write `{near[0]}`" if near else "a new factor changes what every run means: write a new design"
    return Problem(f"`{name}` is no factor of this design; factors are {known}", "factors", _PATH, hint)


def _write(checked: Checked, given: SummaryText, *, reason: str, verb: str, world: World) -> DesignReceipt:
    found = world.store.read_text(_PATH)
    current = parse_summary(found) if found is not None else None
    source = source_of(checked)
    if current is not None and is_current(current, checked.spec, source=source):
        if not is_recorded(checked, world=world):
            record_written(checked, verb=verb, reason=reason, world=world)
        record_consent(checked.spec, checked.plan, world=world)
        return _receipt(checked, changed=False, world=world)
    body = render_body(checked)
    if current is not None and current.edited:
        raise _edited(current, body)
    notes = current.notes if current is not None and current.notes.strip() else given.notes
    text = join_summary(checked.spec, body, source=source, notes=notes)
    record_findings(checked, verb=verb, reason=reason, world=world)
    world.store.write(_PATH, text)
    record_written(checked, verb=verb, reason=reason, world=world)
    record_consent(checked.spec, checked.plan, world=world)
    return _receipt(checked, changed=True, world=world)


def _edited(current: SummaryText, body: str) -> SpecError:
    diff = body_diff(current, body)
    hint = (
        "the body is rendered, so an edit there would be lost; change the front matter instead, or move your text "
        f"below `## Notes` and delete all between the front matter and `## Notes`, then write again\n{diff}"
    )
    return SpecError(f"the body of `{_PATH}` was edited", hint=hint)


def _receipt(checked: Checked, *, changed: bool, world: World) -> DesignReceipt:
    return DesignReceipt(
        path=_PATH,
        sha256=world.store.digest(_PATH) or "",
        runs=tuple(run.id for run in checked.plan.runs),
        changed=changed,
        warnings=checked.warnings,
    )
