"""Croissant: describe a generated data set for other tools, beside what tells how to make it again."""

import hashlib
import json
from difflib import get_close_matches
from pathlib import PurePosixPath

from pydantic import ValidationError

from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.croissant import Origins, croissant_text
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.dataset_report import CroissantReceipt
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.conversion import record_written
from cruijff_kit.workflow.read_design import read_design

__all__ = ["NO_LICENCE", "describe_dataset", "described", "origins_of"]

NO_LICENCE = "no licence is stated: all rights stay with the authors"
"""What is said of terms where nobody said any."""

_META = ".meta.json"
_MAKERS = frozenset({"design", "amend", "scaffold"})


def describe_dataset(data: str, *, licence: str = NO_LICENCE, world: World) -> CroissantReceipt:
    """Write the Croissant description of a generated data set beside it; it holds names of columns and no cell.

    Saying the same again writes nothing.

    Args:
        data: the data set: its key, or its file.
        licence: under which terms it is given: a URL, or words.
        world: the experiment and its surroundings.

    Raises:
        SpecError: there is no such generated data set, or its file is not what its sidecar tells.
        PlanError: there is no design.
    """
    facts = _facts(data, world)
    path, source = ExperimentLayout.dataset_croissant(facts.key), ExperimentLayout.dataset(facts.key)
    content = described(facts, origins=origins_of(licence, world), world=world)
    digest = hashlib.sha256(content).hexdigest()
    changed = world.store.read(path) != content
    if changed:
        world.store.write(path, content)
        record_written("croissant", path, inputs={source: facts.sha256}, outputs={path: digest}, world=world)
    return CroissantReceipt(path=path, sha256=digest, data=source, splits=facts.splits, changed=changed)


def described(facts: DatasetFacts, *, origins: Origins, world: World) -> bytes:
    """Return the description of a generated data set as it lies on disk.

    Raises:
        SpecError: its file is not there, or not what it was.
    """
    path = ExperimentLayout.dataset(facts.key)
    content = world.store.read(path)
    if content is None or hashlib.sha256(content).hexdigest() != facts.sha256:
        fact = "is not there" if content is None else "is not what its sidecar tells"
        raise SpecError(f"`{path}` {fact}", hint="`ck scaffold` makes it again")
    return croissant_text(facts, json.loads(content), origins=origins)


def origins_of(licence: str, world: World) -> Origins:
    """Return where data of an experiment come from: its people are those who designed and scaffolded it.

    Raises:
        PlanError: there is no design.
        SpecError: it is not a valid one any more.
    """
    if world.store.read(ExperimentLayout.summary) is None:
        fact = "a description names the experiment, its people and its day, and there is no design here to tell them"
        hint = "write one that names these data: what made them ended with its lines for `data`; see `ck design write`"
        raise PlanError(fact, hint=hint)
    spec = read_design(world)
    made = (each for each in world.audit.records() if each.verb in _MAKERS)
    people = dict.fromkeys(each.actor.name for each in made if each.actor.kind == "human")
    return Origins(spec.name, str(spec.created), licence, tuple(people) or (world.actor.name,))


def _facts(data: str, world: World) -> DatasetFacts:
    """Return what the sidecar of a generated data set tells of it."""
    key = PurePosixPath(data).name.removesuffix(".json")
    text = world.store.read_text(ExperimentLayout.dataset_meta(key)) if _is_name(key) else None
    if text is None:
        known = [
            PurePosixPath(path).name.removesuffix(_META)
            for path in world.store.glob(ExperimentLayout.data, f"*{_META}")
        ]
        near = get_close_matches(key, known, n=1) or known[:1]
        hint = f"name one of {', '.join(f'`{each}`' for each in known)}" if known else "`ck scaffold` generates data"
        hint = f"did you mean `{near[0]}`? {hint}" if near and len(known) > 1 else hint
        raise SpecError(f"`{data}` is no data set that was generated here", hint=hint)
    try:
        told = json.loads(text)
        return DatasetFacts.model_validate({name: told[name] for name in DatasetFacts.model_fields if name in told})
    except (ValueError, ValidationError, TypeError) as err:
        hint = "`ck scaffold --overwrite PATH` writes it again"
        raise SpecError(f"`{ExperimentLayout.dataset_meta(key)}` cannot be read: {err}", hint=hint) from err


def _is_name(key: str) -> bool:
    return bool(key) and key not in {".", ".."} and "/" not in key
