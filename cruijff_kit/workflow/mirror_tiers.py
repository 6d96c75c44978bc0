"""Tiers of a mirrored experiment: which inputs may go to the other machine, and whether texts may come from there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from cruijff_kit.data.tiers import MARK, stated_tier, strictest
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, Problem, SpecError
from cruijff_kit.ports import Mirror, RunStore
from cruijff_kit.rendering.summary import parse_summary
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.consent import missing
from cruijff_kit.workflow.tiers import marks_of

__all__ = ["refuse_inputs", "withheld_there"]

_NO_DATA = frozenset({".md", ".py", ".sh", ".toml", ".yaml", ".yml"})
"""Endings of designs, recipes and their like; every other input counts as data."""
_SHOWN = 8


def refuse_inputs(mirror: Mirror) -> None:
    """Refuse to copy inputs that are red, or yellow without consent to their content.

    Raises:
        PlanError: lists them.
        SpecError: a mark names no tier.
    """
    root, yellow, red = mirror.copy.root.parent, dict[str, str](), list[str]()
    for file in mirror.home.inputs():
        if file.name == MARK or file.suffix.lower() in _NO_DATA:
            continue
        tier, name = strictest(marks_of(file, root=root)), file.relative_to(root).as_posix()
        red += [name] if tier == "red" else []
        yellow |= {name: data_sha256(file)} if tier == "yellow" else {}
    lacking = yellow if mirror.project is None else missing(yellow, way="host", records=mirror.project.records())
    if not red and not lacking:
        return
    problems = [
        *(Problem(f"`{name}` is red", hint="take it out of `remote.inputs`: work where it lies") for name in red),
        *(
            Problem(
                f"`{name}` is yellow, and no consent is on record that it, as it is now, be copied",
                hint=f"`ck -C {mirror.copy.root.name} data allow '{name}' --way host --reason …`, or a `TIER` beside "
                "it that says `green`",
            )
            for name in lacking
        ),
    ]  # fmt: skip
    fact = f"{len(problems)} inputs may not go to {mirror.home.words}; nothing was copied"
    raise PlanError(fact, problems=problems[:_SHOWN])


def withheld_there(mirror: Mirror) -> str:
    """Return why texts of an experiment stay where it lies; empty where they may come here."""
    plan = _plan(mirror.copy)
    tier = strictest(_said(plan, mirror.copy))
    if tier == "green":
        return ""
    if mirror.copy.read(ExperimentLayout.summary) is None:
        return "no design there tells the tier of its data yet: texts stay there"
    if tier == "red":
        return "the data is red: figures and configurations came, texts and adapters stay there"
    data = _content(plan)
    if data and not missing(data, way="host", records=mirror.audit.records()):
        return ""
    command = f"ck -C {mirror.copy.root.name} data allow --way host --reason …"
    return (
        "the data is yellow, and no consent is on record that it be copied: figures and configurations came, texts "
        f"and adapters stay there; whoever may decide agrees by `{command}`"
    )


def _said(plan: Mapping[str, Any], store: RunStore) -> Iterator[Tier]:
    """Yield what design and plan say, of which the plan knows how the data are marked there."""
    if "tier" in plan:
        yield stated_tier(str(plan["tier"]), place=ExperimentLayout.plan)
    with suppress(SpecError, KeyError, TypeError):
        front = parse_summary(store.read_text(ExperimentLayout.summary) or "").front
        said = load_yaml(front, name=ExperimentLayout.summary).value["data"]["tier"]
        yield stated_tier(str(said), place=ExperimentLayout.summary)


def _content(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each data set of a plan by its path; none where its form is another one."""
    with suppress(KeyError, TypeError):
        return {str(each["path"]): str(each["sha256"]) for each in plan["datasets"]}
    return {}


def _plan(store: RunStore) -> dict[str, Any]:
    """Return what the plan there says: of that much a newer form is understood too."""
    with suppress(ValueError):
        found = json.loads(store.read_text(ExperimentLayout.plan) or "{}")
        return found if isinstance(found, dict) else {}
    return {}
