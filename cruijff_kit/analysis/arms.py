"""Arms: runs of an experiment that differ in nothing but their seed, and what two arms do not share."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from cruijff_kit.schema.compared import KeyDifference
from cruijff_kit.schema.evaluation import Generation
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["PROMPTS", "Arm", "Entry", "arms_of", "differing"]

PROMPTS = ("dataset_type", "prompt", "system_prompt", "template", "template_date")
"""Controls that decide which tokens a model is asked with."""

_TEXTS = frozenset({"prompt", "system_prompt", "template"})
# What a base model's answers depend on besides itself and the data.
_ASKED = (*PROMPTS, "max_seq_len", "overlong", "dtype")
_SEED = re.compile(r"_?seed\d+")


class Entry(NamedTuple):
    """One experiment as it is compared."""

    label: str
    """Letter by which tables call it."""
    spec: ExperimentSpec
    """Its design."""
    plan: Plan
    """Its sealed plan."""
    table: ResultTable
    """What was found of it."""
    hidden: bool = False
    """Whether texts of it are told by their hashes only."""


class Arm(NamedTuple):
    """Runs that differ in nothing but their seed."""

    entry: Entry
    """Their experiment."""
    name: str
    """Factor levels, or the run's own name."""
    runs: tuple[PlannedRun, ...]
    """The runs, in design order."""

    @property
    def told(self) -> str:
        """Return label and name, as tables call the arm."""
        return f"{self.entry.label} {self.name}"


def arms_of(entry: Entry) -> list[Arm]:
    """Return the arms of an experiment, in design order; no two have the same name."""
    grouped: dict[str, list[PlannedRun]] = {}
    for run in entry.plan.runs:
        grouped.setdefault(_identity(run), []).append(run)
    named: dict[str, list[list[PlannedRun]]] = {}
    for runs in grouped.values():
        named.setdefault(_name(runs[0]), []).append(runs)
    alone = {id(runs[0]) for same in named.values() if len(same) == 1 for runs in same}
    return [
        Arm(entry, _name(runs[0]) if id(runs[0]) in alone else runs[0].id, tuple(runs)) for runs in grouped.values()
    ]


def differing(first: Arm, second: Arm) -> tuple[KeyDifference, ...]:
    """Return the configuration keys that two arms do not share, in a fixed order; seeds are no key.

    Where one of them was not trained, what only training reads is left out.
    """
    one, other = _configuration(first), _configuration(second)
    if {first.runs[0].type, second.runs[0].type} != {"fine-tuned"}:
        asked = {"type", "model", "model sha256", "data sha256", *_ASKED}
        one, other = (
            {key: value for key, value in each.items() if key in asked or key.startswith("generation.")}
            for each in (one, other)
        )
    keys = dict.fromkeys((*one, *other))
    hidden = first.entry.hidden or second.entry.hidden
    return tuple(
        KeyDifference(key=key, first=_shown(key, one, hidden=hidden), second=_shown(key, other, hidden=hidden))
        for key in keys
        if one.get(key) != other.get(key)
    )


def _identity(run: PlannedRun) -> str:
    settings = {name: each.value for name, each in run.settings.items() if name != "seeds"}
    whole = (run.type, run.model.name, run.dataset, dict(run.factors), settings)
    return json.dumps(whole, sort_keys=True, default=str)


def _name(run: PlannedRun) -> str:
    if run.factors:
        return ", ".join(f"{name} {level}" for name, level in run.factors.items())
    slug = _SEED.sub("", run.id.rsplit("-", 1)[0]).strip("_")
    return slug or run.id


def _configuration(arm: Arm) -> dict[str, Any]:
    run, plan = arm.runs[0], arm.entry.plan
    facts = next((each for each in plan.datasets if each.key == run.dataset), None)
    generation = run.generation or arm.entry.spec.evaluation.generation
    return {
        "type": run.type,
        "model": run.model.name,
        "model sha256": run.model.sha256,
        "data sha256": facts.sha256 if facts is not None else None,
        "backend": arm.entry.spec.tools.preparation if run.type == "fine-tuned" else None,
        **{name: each.value for name, each in sorted(run.settings.items()) if name != "seeds"},
        **dict(_generated(generation)),
    }


def _generated(generation: Generation) -> Iterator[tuple[str, Any]]:
    for name, value in generation.model_dump(mode="json").items():
        # How many samples are in flight changes no answer.
        if name not in {"batch_size", "max_connections"}:
            yield f"generation.{name}", value


def _shown(key: str, values: Mapping[str, Any], *, hidden: bool) -> str:
    if key not in values:
        return "not set"
    value = values[key]
    if value is None:
        return "none"
    if key in _TEXTS and hidden:
        return f"sha256 {sha256(str(value).encode()).hexdigest()[:12]}"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
