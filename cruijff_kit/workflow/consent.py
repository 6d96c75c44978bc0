"""Consent: yellow data goes a way out once a person let it, for its content as it is; red data goes none."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.audit import Action, AuditEvent, AuditRecord
from cruijff_kit.schema.consent import Allowance, AllowReceipt, Closed, Way
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.plan import plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import design_tier, plan_tier, tier_of

__all__ = [
    "allow_data",
    "closed",
    "closed_plan",
    "content_of",
    "missing",
    "open_question",
    "preview_allow",
    "refuse_hidden",
]

# Verb of the records that count as consent; nothing else writes it.
_VERB = "allow"
_ALLOWED, _WITHDRAWN = "allowed", "withdrawn"
_QUESTIONS: Mapping[Way, str] = {
    "show": "May rows of this yellow data, answers and logs be shown by tools, to a model and its provider too?",
    "api": "May rows of this yellow data be sent to models that answer behind an API?",
    "host": "May this yellow data and what was made of it be copied to another machine?",
}
_HOLDS = "It holds for this content, in this experiment, until it is withdrawn; it is recorded."
_DOES: Mapping[Way, str] = {
    "show": "shown by a tool",
    "api": "sent to a model behind an API",
    "host": "copied to another machine",
}
_RED: Mapping[Way, str] = {
    "show": "look at it on this machine, outside these tools; `ck report` and `ck groups` tell figures, of groups from "
    "10 rows on",
    "api": "evaluate a model that lies in a directory here",
    "host": "work where it lies; figures and states are copied, texts are not",
}


def preview_allow(paths: Sequence[str] = (), *, way: Way, world: World) -> AllowReceipt:
    """Return what a person would be asked, and what would be recorded; never writes.

    Args:
        paths: data sets, files or folders, relative to the experiment; all of its design where empty.
        way: the way out.
        world: the experiment and its surroundings.

    Raises:
        PlanError: no data are named and there is no design.
        SpecError: data cannot be read, or are red.
    """
    found = _asked(paths, world)
    red = [name for name, _, tier in found if tier == "red"]
    if red:
        raise SpecError(f"`{red[0]}` is red, and no consent lets red data be {_DOES[way]}", hint=_RED[way])
    lacking = missing({name: sha256 for name, sha256, _ in found}, way=way, records=world.audit.records())
    data = tuple(
        Allowance(
            data=name, sha256=sha256, tier=tier,
            open=tier == "green" or name not in lacking, changed=tier == "yellow" and name in lacking,
        )
        for name, sha256, tier in found
    )  # fmt: skip
    news = [f"{each.data} (sha256 {each.sha256[:12]})" for each in data if each.changed]
    question = f"{_QUESTIONS[way]}\n{_HOLDS}\n" + "\n".join(f"  {each}" for each in news) if news else ""
    return AllowReceipt(way=way, data=data, whole=not paths, question=question)


def open_question(*, way: Way, sealed: bool = False, world: World) -> AllowReceipt | None:
    """Return what a person could be asked before data of the design go a way; None where there is nothing to ask.

    Nothing is asked of green and red data, nor where the verb itself will say what is wrong.

    Args:
        way: the way out.
        sealed: only what was made with the sealed plan is to go, so nothing is asked, and no data read, where that may.
        world: the experiment and its surroundings.
    """
    try:
        if sealed and closed_plan(recorded_plan(world=world)[0], way=way, world=world) is None:
            return None
        if design_tier(read_design(world), world) != "yellow":
            return None
        asked = preview_allow(way=way, world=world)
    except (PlanError, SpecError):
        return None
    return asked if asked.question else None


def allow_data(asked: AllowReceipt, *, reason: str, who: str, withdraw: bool = False, world: World) -> AllowReceipt:
    """Record that a person lets yellow data go a way out, or takes that back; saying the same again records nothing.

    It holds for the content that the data had when the person was asked: other content asks again. Faces
    call it only once a person has agreed; no argument of an assistant's does.

    Args:
        asked: what the person was asked.
        reason: why, in the words of whoever agreed.
        who: the person who agreed.
        withdraw: take back what was allowed.
        world: the experiment and its surroundings.

    Raises:
        PlanError: there is no design any more.
        SpecError: the reason is empty, or the data are other than those that were asked about.
    """
    if not reason.strip():
        raise SpecError("`reason` is empty", hint="say in words why this may be")
    names = () if asked.whole else tuple(each.data for each in asked.data)
    now = preview_allow(names, way=asked.way, world=world)
    if {each.data: each.sha256 for each in now.data} != {each.data: each.sha256 for each in asked.data}:
        raise SpecError("the data changed since the question was asked; nothing was recorded", hint="ask again")
    found = []
    for each in now.data:
        told = each.open and each.tier == "yellow" if withdraw else each.changed
        if told:
            world.audit.append(_event(each, asked.way, reason=reason, who=who, withdraw=withdraw, world=world))
        is_open = each.tier == "green" or not withdraw
        found.append(each.model_copy(update={"open": is_open, "changed": told}))
    if any(each.changed for each in found):
        render_views(world=world)
    return now.model_copy(update={"data": tuple(found), "question": ""})


def closed(tier: Tier, data: Mapping[str, str], *, way: Way, path: str = "", world: World) -> Closed | None:
    """Return why data of a tier may not go a way; None where they may.

    Args:
        tier: the strictest tier of the data.
        data: hash of each data set by its name.
        way: the way out.
        path: how consent names it, where it is not all data of the experiment.
        world: the experiment and its surroundings.
    """
    if tier == "green":
        return None
    if tier == "red":
        return Closed(tier=tier, fact=f"the data is red: it is never {_DOES[way]}", hint=_RED[way])
    lacking = missing(data, way=way, records=world.audit.records())
    if not lacking and data:
        return None
    named = ", ".join(f"`{name}`" for name in list(lacking)[:3]) or "it"
    fact = f"the data is yellow, and no consent is on record that {named}, as it is now, be {_DOES[way]}"
    command = f"ck{_place_of(world.store.root)} data allow{f' {quote(path)}' if path else ''} --way {way} --reason …"
    return Closed(tier=tier, fact=fact, hint=f"whoever may decide agrees by `{command}` in a terminal")


def _place_of(root: Path) -> str:
    """Return how a command names the experiment from here; from outside of its project, as typed in that."""
    here = Path.cwd()
    if root == here:
        return ""
    return f" -C {quote(str(root.relative_to(here)) if root.is_relative_to(here) else root.name)}"


def closed_plan(plan: Plan, *, way: Way, world: World) -> Closed | None:
    """Return why the data of a plan, and what was made of them, may not go a way; None where they may."""
    tier = plan_tier(plan, world)
    return None if tier == "green" else closed(tier, content_of(plan, world), way=way, world=world)


def refuse_hidden(what: str, run: str, *, plan: Plan, world: World) -> None:
    """Refuse to show what came of red data, and of yellow data that nobody consented to.

    Args:
        what: what is not shown, such as `single samples`.
        run: id of the run it is of.
        plan: the plan of that run.
        world: the experiment and its surroundings.

    Raises:
        RunError: it may not be shown.
    """
    shut = closed_plan(plan, way="show", world=world)
    if shut is not None:
        raise RunError(f"{what} of run `{run}` are not shown: {shut.fact}", run_id=run, hint=shut.hint)


def content_of(plan: Plan, world: World) -> dict[str, str]:
    """Return the hash of each data set of a plan by its path, from the experiment where it lies in there."""
    start = f"{world.store.root}/"
    return {facts.path.removeprefix(start): facts.sha256 for facts in plan.datasets}


def missing(data: Mapping[str, str], *, way: Way, records: Iterable[AuditRecord]) -> dict[str, str]:
    """Return those data sets whose content a record tells nobody let go a way, or of which it was taken back."""
    wanted, allowed = set(data.values()), dict[str, bool]()
    for record in records:
        if record.verb == _VERB and record.inputs.get("way") == way and record.inputs.get("sha256") in wanted:
            allowed[record.inputs["sha256"]] = record.outputs.get("choice") == _ALLOWED
    return {name: sha256 for name, sha256 in data.items() if not allowed.get(sha256)}


def _event(each: Allowance, way: Way, *, reason: str, who: str, withdraw: bool, world: World) -> AuditEvent:
    return AuditEvent(
        actor=world.actor,
        verb=_VERB,
        action=Action.DECIDE_CONFIG,
        subject=each.data,
        reason=reason,
        inputs={"question": _QUESTIONS[way], "way": way, "sha256": each.sha256},
        outputs={
            "choice": _WITHDRAWN if withdraw else _ALLOWED,
            "chosen_by": "user",
            "who": who,
            "scope": "this content, in this experiment",
        },
    )


def _asked(paths: Sequence[str], world: World) -> list[tuple[str, str, Tier]]:
    """Return name, hash and tier of the data sets asked about."""
    if not paths:
        plan = plan_with_data(read_design(world), world=world).plan
        tier = plan_tier(plan, world)
        return [(name, sha256, tier) for name, sha256 in content_of(plan, world).items()]
    found = []
    for path in paths:
        place = world.store.root / path
        try:
            sha256 = data_sha256(place)
        except (OSError, ValueError) as err:
            fact = f"`{path}` cannot be read: {(getattr(err, 'strerror', None) or str(err)).lower()}"
            raise SpecError(fact, hint="mend the path; relative paths start at the experiment's directory") from err
        found.append((path, sha256, tier_of(place, world=world)))
    return found
