"""Tiers: how freely a file, a design's data or a plan's may be shown, looked up anew each time something may go out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cruijff_kit.data.generators.registry import GENERATORS
from cruijff_kit.data.tiers import MARK, TIERS, path_tier, stated_tier, strictest
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.ports import World
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.read_design import read_design

__all__ = [
    "DECLARED",
    "data_hash",
    "design_tier",
    "marks_of",
    "named_data",
    "plan_tier",
    "sidecar_of",
    "tier_of",
    "told_tier",
]

DECLARED = "declared_data_sha256"
"""Name under which the record of a design keeps what it says of its data."""

_SIDECAR = ".meta.json"


def tier_of(file: Path, *, declared: Tier | None = None, world: World) -> Tier:
    """Return the tier of a file, or of a folder: the strictest of all that says it; yellow where nothing does.

    Its place below `data/green`, `data/yellow` or `data/red`, the files `TIER` of the folders around it
    and in it, the sidecar of generated data with the tables that it was made of, and the design: where the
    file lies in the experiment, or is named by it. A link counts for where it lies and for where it leads.

    Args:
        file: where it lies.
        declared: what whoever asks says of it.
        world: the experiment and its surroundings.

    Raises:
        SpecError: a mark names no tier, or the design cannot be read.
    """
    said: list[Tier | None] = [declared, *marks_of(file, root=world.store.root)]
    if world.store.read_text(ExperimentLayout.summary) is not None:
        spec, root = read_design(world), world.store.root.resolve()
        place = file.resolve()
        named = {(root / path).resolve() for _, path in named_data(spec)}
        if place.is_relative_to(root) or place in named:
            said += [_declared(spec, world), *_sealed(world), *_archived(world)]
    return strictest(said)


def design_tier(spec: ExperimentSpec, world: World) -> Tier:
    """Return the tier of all data that a design names together.

    That an assistant calls a user's files green counts for nothing: who may look at them is not its to say.
    """
    said, files = _declared(spec, world), named_data(spec)
    root, training = world.store.root, spec.data.training
    put_away = list(_archived(world))
    marked: list[Tier] = [strictest([said, *marks_of(root / path, root=root)]) for _, path in files]
    # Rows that a generator makes of nothing are told by the declaration alone.
    tables = any(place.startswith("data.training.arguments") for place, _ in files)
    made: list[Tier] = [strictest([said])] if training.generator and not tables else []
    return strictest([*made, *marked, *put_away])


def plan_tier(plan: Plan, world: World) -> Tier:
    """Return the tier of what a plan was made with, as strict as its data and the design on disk are marked by now."""
    said: list[Tier | None] = [plan.tier, *_archived(world)]
    for dataset in plan.datasets:
        said += marks_of(world.store.root / dataset.path, root=world.store.root)
    # A design that cannot be read any more says nothing; the plan was sealed with what it said.
    with suppress(PlanError, SpecError):
        said.append(_declared(read_design(world), world))
    return strictest(said)


def marks_of(file: Path, *, root: Path) -> list[Tier]:
    """Return what places, marks and sidecars say of a file or folder.

    Args:
        file: where it lies.
        root: the experiment, from which the sidecar of generated data names what it was made of.

    Raises:
        SpecError: a mark names no tier.
    """
    here, there = file.absolute(), file.resolve()
    found: list[Tier] = []
    for place in dict.fromkeys((here, there)):
        found += _around(place)
        if place.is_dir():
            found += _inside(place)
    return [*found, *_made_of(there, root=root)]


def sidecar_of(file: Path) -> dict[str, Any]:
    """Return what lies beside generated data; nothing where there is none that can be read."""
    try:
        meta = json.loads(file.with_suffix(_SIDECAR).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def told_tier(file: Path, *, sources: Iterable[Path], declared: Tier | None = None, root: Path) -> Tier | None:
    """Return what the sidecar of generated data is to say: as it does, or as its tables do; None where nothing is said.

    Args:
        file: the generated data.
        sources: what it is made of.
        declared: what whoever makes it says of them.
        root: the experiment.
    """
    sidecar = sidecar_of(file)
    if declared is None and sidecar:
        said = sidecar.get("tier")
        return stated_tier(said, place=str(file.with_suffix(_SIDECAR))) if isinstance(said, str) else None
    marks = [declared, *(mark for source in sources for mark in marks_of(source, root=root))]
    return strictest(marks) if any(marks) else None


def named_data(spec: ExperimentSpec) -> list[tuple[str, str]]:
    """Return the files that a design names as data: YAML path and file."""
    training = spec.data.training
    known = GENERATORS.get(training.generator or "")
    arguments = known.files if known else ()
    found: dict[str, Any] = {"data.training.path": training.path}
    found |= {f"data.training.arguments.{name}": training.arguments.get(name) for name in arguments}
    for key in ("path", *arguments):
        factor = f"data.{key}"
        found |= {f"factors.{factor}[{at}]": level for at, level in enumerate(spec.factors.get(factor, ()))}
        found |= {f"runs[{at}].parameters.{factor}": run.parameters.get(factor) for at, run in enumerate(spec.runs)}
    found |= {f"evaluation.tasks[{at}].dataset": task.dataset for at, task in enumerate(spec.evaluation.tasks)}
    return [(place, path) for place, path in found.items() if isinstance(path, str)]


def data_hash(spec: ExperimentSpec) -> str:
    """Return the SHA-256 of what a design says of its data: by it the record tells who declared it so."""
    return content_hash({"data": spec.data.model_dump(mode="json"), "files": sorted(map(list, named_data(spec)))})


def _declared(spec: ExperimentSpec, world: World) -> Tier | None:
    """Return the tier that a design declares; None where it says none, or only an assistant calls its files green."""
    if "tier" not in spec.data.model_fields_set:
        return None
    if spec.data.tier == "green" and named_data(spec) and not _vouched(spec, world):
        return None
    return spec.data.tier


def _vouched(spec: ExperimentSpec, world: World) -> bool:
    """Return whether a person declared the data so: in a design that they wrote, or by hand, which leaves no record."""
    digest = data_hash(spec)
    kinds = {record.actor.kind for record in world.audit.records() if record.outputs.get(DECLARED) == digest}
    if kinds:
        return "human" in kinds
    return world.actor.kind != "assistant" or _lies_here(digest, world)


def _sealed(world: World) -> Iterator[Tier]:
    """Yield the tier that the experiment was sealed with."""
    text = world.store.read_text(ExperimentLayout.plan)
    if text is not None:
        with suppress(ValueError, AttributeError):
            yield stated_tier(str(json.loads(text).get("tier", "yellow")), place=ExperimentLayout.plan)


def _archived(world: World) -> Iterator[Tier]:
    """Yield the tier that an archived experiment had when it was put away: what marked its data may lie elsewhere."""
    text = world.store.read_text(ExperimentLayout.archived)
    if text is not None:
        with suppress(ValueError, AttributeError):
            yield stated_tier(str(json.loads(text).get("tier", "red")), place=ExperimentLayout.archived)
            return
        yield "red"


def _lies_here(digest: str, world: World) -> bool:
    try:
        return data_hash(read_design(world)) == digest
    except (PlanError, SpecError):
        return False


def _around(place: Path) -> Iterator[Tier]:
    """Yield what the names on the way to a place say, and the marks in folders on it."""
    named = path_tier(place)
    if named is not None:
        yield named
    for folder in place.parents:
        yield from _mark(folder / MARK)


def _inside(folder: Path) -> Iterator[Tier]:
    """Yield what is said in a folder: by its own mark and by those of folders in it, and by their names."""
    yield from _mark(folder / MARK)
    for inner in folder.rglob("*"):
        if inner.name == MARK:
            yield from _mark(inner)
        elif inner.name in TIERS:
            named = path_tier(inner)
            yield from () if named is None else (named,)


def _mark(mark: Path) -> Iterator[Tier]:
    if mark.is_file():
        try:
            text = mark.read_text(encoding="utf-8", errors="replace")
        except OSError as err:
            raise SpecError(f"`{mark}` cannot be read: {str(err.strerror).lower()}", hint="make it readable") from err
        yield stated_tier(text, place=str(mark))


def _made_of(file: Path, *, root: Path) -> Iterator[Tier]:
    """Yield what the sidecar of generated data says, and what is said by now of the tables it was made of."""
    meta = sidecar_of(file)
    if isinstance(meta.get("tier"), str):
        yield stated_tier(meta["tier"], place=str(file.with_suffix(_SIDECAR)))
    arguments, known = meta.get("arguments"), GENERATORS.get(str(meta.get("generator")))
    for name in known.files if known and isinstance(arguments, Mapping) else ():
        source = arguments.get(name) if isinstance(arguments, Mapping) else None
        if isinstance(source, str) and (root / source).resolve() != file:
            yield from marks_of(root / source, root=root)
