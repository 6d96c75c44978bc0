"""Consent that a design holds: it counts once a person wrote it, for the content that the data had then."""

from collections.abc import Iterator, Sequence

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.consent import Closed, Way
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.consent import allow_data, closed_plan, preview_allow
from cruijff_kit.workflow.tiers import named_data

__all__ = ["consent_warnings", "record_consent", "refuse_sending", "unsent"]


def record_consent(spec: ExperimentSpec, plan: Plan, *, world: World) -> None:
    """Record the consent of a design that a person writes: that rows be shown, and sent to API models it names.

    What an assistant writes there is no consent. Saying the same again records nothing.
    """
    consent = spec.data.consent
    if consent is None or world.actor.kind != "human" or plan.tier != "yellow":
        return
    tables = tuple(path for place, path in named_data(spec) if place.startswith("data.training.arguments."))
    ways: list[Way] = ["show", *(["api"] if _asks_apis(spec) else [])]
    for way in ways:
        for paths in ((), tables) if tables else ((),):
            asked = preview_allow(paths, way=way, world=world)
            allow_data(asked, reason=consent.why, who=consent.who, world=world)


def consent_warnings(spec: ExperimentSpec, plan: Plan, *, world: World) -> Iterator[str]:
    """Yield that a consent counts for nothing, where an assistant wrote it."""
    if spec.data.consent is not None and world.actor.kind == "assistant" and plan.tier == "yellow":
        shut = closed_plan(plan, way="show", world=world)
        if shut is not None:
            yield f"`data.consent` that an assistant writes opens nothing: {shut.hint}"


def unsent(spec: ExperimentSpec, plan: Plan, *, world: World) -> Closed | None:
    """Return why the data of a design may not be sent to the API models it names; None where nothing is in the way."""
    if not _asks_apis(spec):
        return None
    shut = closed_plan(plan, way="api", world=world)
    agreed = spec.data.consent is not None and world.actor.kind == "human"
    # It is recorded when the design is written.
    return None if shut is not None and shut.tier == "yellow" and agreed else shut


def refuse_sending(runs: Sequence[PlannedRun], plan: Plan, *, world: World) -> None:
    """Refuse to queue what would send data to models behind an API without leave.

    Raises:
        PlanError: the data are red, or yellow and nobody consented to their content.
    """
    asked = next((run.model.name for run in runs if run.model.api is not None), None)
    shut = None if asked is None else closed_plan(plan, way="api", world=world)
    if shut is not None:
        raise PlanError(f"`{asked}` answers behind an API, and {shut.fact}", hint=shut.hint)


def _asks_apis(spec: ExperimentSpec) -> bool:
    return any(model.api is not None for model in spec.models)
