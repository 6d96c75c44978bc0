"""Croissant: describe a generated data set for other tools, beside what tells how to make it again."""

import hashlib
import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import PurePosixPath

from pydantic import ValidationError

from cruijff_kit.errors import SpecError
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

_META, _ENDING = ".meta.json", ".croissant.json"
_MAKERS = frozenset({"design", "amend", "scaffold"})


def describe_dataset(data: str, *, licence: str = NO_LICENCE, world: World) -> CroissantReceipt:
    """Write the Croissant description of a generated data set beside it; it holds names of columns and no cell.

    Saying the same again writes nothing.

    Args:
        data: the data set: its key, or its file.
        licence: under which terms it is given: a URL, or words.
        world: the experiment and its surroundings; a design is not needed.

    Raises:
        SpecError: there is no such generated data set, or its file is not what its sidecar tells.
    """
    facts = _facts(data, world)
    path = str(PurePosixPath(facts.path).with_suffix(_ENDING))
    content = described(facts, origins=_origins(licence, path, world=world), world=world)
    digest = hashlib.sha256(content).hexdigest()
    changed = world.store.read(path) != content
    if changed:
        world.store.write(path, content)
        record_written("croissant", path, inputs={facts.path: facts.sha256}, outputs={path: digest}, world=world)
    return CroissantReceipt(path=path, sha256=digest, data=facts.path, splits=facts.splits, changed=changed)


def described(facts: DatasetFacts, *, origins: Origins, world: World) -> bytes:
    """Return the description of a generated data set as it lies on disk.

    Raises:
        SpecError: its file is not there, or not what it was.
    """
    content = world.store.read(facts.path)
    if content is None or hashlib.sha256(content).hexdigest() != facts.sha256:
        fact = "is not there" if content is None else "is not what its sidecar tells"
        raise SpecError(f"`{facts.path}` {fact}", hint="`ck scaffold` or `ck data generate` makes it again")
    return croissant_text(facts, json.loads(content), origins=origins)


def _origins(licence: str, path: str, *, world: World) -> Origins:
    """Return where data come from; without a design, who describes them, and when they were described first."""
    if world.store.read_text(ExperimentLayout.summary) is not None:
        return origins_of(licence, world)
    try:
        before = json.loads(world.store.read_text(path) or "{}")["datePublished"]
    except (ValueError, KeyError, TypeError):
        before = world.clock.now().date().isoformat()
    return Origins(None, str(before), licence, (world.actor.name,))


def origins_of(licence: str, world: World) -> Origins:
    """Return where data of an experiment come from: its people are those who designed and scaffolded it.

    Raises:
        PlanError: there is no design.
        SpecError: it is not a valid one any more.
    """
    spec = read_design(world)
    made = (each for each in world.audit.records() if each.verb in _MAKERS)
    people = dict.fromkeys(each.actor.name for each in made if each.actor.kind == "human")
    return Origins(spec.name, str(spec.created), licence, tuple(people) or (world.actor.name,))


def _facts(data: str, world: World) -> DatasetFacts:
    """Return what the sidecar of a generated data set tells of it."""
    path = next((each for each in _places(data) if world.store.read_text(_meta_of(each)) is not None), None)
    if path is None:
        known = [
            PurePosixPath(each).name.removesuffix(_META)
            for each in world.store.glob(ExperimentLayout.data, f"*{_META}")
        ]
        near = get_close_matches(data, known, n=1) or known[:1]
        hint = f"name one of {', '.join(f'`{each}`' for each in known)}" if known else "`ck scaffold` generates data"
        hint = f"did you mean `{near[0]}`? {hint}" if near and len(known) > 1 else hint
        raise SpecError(f"`{data}` is no data set that was generated here", hint=hint)
    try:
        told = json.loads(world.store.read_text(_meta_of(path)) or "")
        given = {name: told[name] for name in DatasetFacts.model_fields if name in told}
        # Those of the generators' own commands tell no key and no size.
        known_size = {"bytes": len(world.store.read(path) or b""), "key": PurePosixPath(path).stem}
        return DatasetFacts.model_validate({**known_size, **given, "path": path})
    except (ValueError, ValidationError, TypeError) as err:
        hint = "`ck scaffold --overwrite PATH` writes it again"
        raise SpecError(f"`{_meta_of(path)}` cannot be read: {err}", hint=hint) from err


def _places(data: str) -> Iterator[str]:
    """Yield where a data set may lie: at a path inside the experiment, or by its key."""
    path = PurePosixPath(data)
    if path.suffix == ".json" and not path.is_absolute() and ".." not in path.parts:
        yield str(path)
    key = path.name.removesuffix(".json")
    if key and key not in {".", ".."}:
        yield ExperimentLayout.dataset(key)


def _meta_of(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(_META))
