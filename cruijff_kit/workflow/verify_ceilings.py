"""Ceilings held against the rows: what a plan says can be known of its data, worked out anew."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from cruijff_kit.data.generators.registry import GENERATORS
from cruijff_kit.ports import World
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.verification import Difference, Origin
from cruijff_kit.workflow.verify_files import Checked

__all__ = ["check_ceilings"]

_SLACK = 2e-9
"""What rounding on another machine may leave."""


def check_ceilings(plan: Plan, *, world: World) -> Checked:
    """Work out from the rows what can be known of their answers, and compare it with what the plan holds.

    Args:
        plan: the sealed plan.
        world: the experiment and its surroundings.
    """
    differences, notes, files = list[Difference](), list[str](), 0
    for facts in (each for each in plan.datasets if each.ceilings):
        known, content = GENERATORS.get(str(facts.generator)), world.store.read(facts.path)
        if known is None or known.version != facts.generator_version:
            notes.append(
                f"generator `{facts.generator}` is another by now: the best possible accuracy stays as planned"
            )
        elif content is None:
            notes.append(f"`{facts.path}` is not here, so the best possible accuracy is not worked out anew")
        else:
            files += 1
            differences += _compared(facts, content)
    return Checked(files, tuple(differences), tuple(notes))


def _compared(facts: DatasetFacts, content: bytes) -> Iterator[Difference]:
    """Yield that the rows are not those planned, or what else can be known of them than the plan says."""
    digest, planned = hashlib.sha256(content).hexdigest(), (Origin(file=ExperimentLayout.plan, pointer="datasets"),)
    if digest != facts.sha256:
        words = "the data set is not the one that was planned"
        yield Difference(
            kind="file", path=facts.path, shown=digest, made=facts.sha256, origins=planned, words=words
        )  # fmt: skip
        return
    known = GENERATORS[str(facts.generator)]
    made = known.ceilings(known.arguments.model_validate(facts.arguments), json.loads(content))
    for split, part, shown, wanted in _unequal(facts.ceilings, made):
        yield Difference(
            kind="value", path=ExperimentLayout.plan, place=f"ceiling of {split}, {part}", shown=shown, made=wanted,
            origins=(Origin(file=facts.path, sha256=facts.sha256, pointer=split),),
            words="what can be known of the answers is not what follows from the rows",
        )  # fmt: skip


def _unequal(planned: Mapping[str, Ceiling], made: Mapping[str, Ceiling]) -> Iterator[tuple[str, str, str, str]]:
    for split, ceiling in planned.items():
        wanted = made.get(split)
        if wanted is None:
            yield split, "all of it", "known", "unknown"
            continue
        for part in Ceiling.model_fields:
            one, other = getattr(ceiling, part), getattr(wanted, part)
            if abs(one - other) > _SLACK:
                yield split, part, f"{one}", f"{other}"
