"""Generate data: a generator run by hand, its file where a design with the same arguments would look for it."""

import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic.fields import FieldInfo

from cruijff_kit.data.generators.registry import GENERATORS, Generated, dataset_meta, make_dataset, named_files
from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.generated import ArgumentFacts, DataTarget, GenerationReceipt, GeneratorFacts
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Noun
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.tiers import marks_of, told_tier

__all__ = ["generate_data", "list_generators"]

_WHERE_DESIGNS_LOOK = DataTarget()
_TEXT = (str, str | None)


def list_generators() -> tuple[GeneratorFacts, ...]:
    """Return every generator with its arguments."""
    return tuple(
        GeneratorFacts(
            name=name,
            told=_told(known.generate),
            arguments=tuple(_argument(each, field) for each, field in known.arguments.model_fields.items()),
        )
        for name, known in GENERATORS.items()
    )


def generate_data(
    generator: str,
    arguments: Mapping[str, Any],
    *,
    target: DataTarget = _WHERE_DESIGNS_LOOK,
    dry_run: bool = False,
    force: bool = False,
    world: World,
) -> GenerationReceipt:
    """Make a data set and write it with its sidecar; a file that is there already and whole is left alone.

    Args:
        generator: its name.
        arguments: its arguments; files they name are relative to the experiment.
        target: where the file goes.
        dry_run: write nothing.
        force: replace what is there.
        world: the experiment and its surroundings.

    Raises:
        SpecError: generator or arguments are wrong, all problems at once; or the file cannot be written there.
    """
    made = _made(generator, arguments, world=world)
    path = _path(made, target)
    content, meta = made.content, str(PurePosixPath(path).with_suffix(".meta.json"))
    known = ExperimentLayout.dataset(made.facts.key)
    there = world.store.digest(path) == made.facts.sha256 and world.store.read(meta) is not None
    named = named_files(generator, made.facts.arguments)
    sources = [world.store.root / each for each in named.values()]
    if not dry_run and not there:
        # What a design would find under this name is this very data set, or a torn one.
        own_target(path, source=next(iter(named.values()), path), force=force or path == known, world=world)
        facts = made.facts.model_copy(update={"path": path})
        tier = told_tier(world.store.root / path, sources=sources, root=world.store.root)
        world.store.write(path, content)
        world.store.write(meta, dataset_meta(facts, tier=tier))
        inputs = {named[name]: sha256 for name, sha256 in made.facts.inputs.items()}
        record_written("generate", path, inputs=inputs, outputs={path: made.facts.sha256}, world=world)
    marks: list[Tier] = [mark for source in sources for mark in marks_of(source, root=world.store.root)]
    shown = strictest(marks, unsaid="green") == "green"
    return GenerationReceipt(
        path=path,
        key=made.facts.key,
        sha256=made.facts.sha256,
        written=not dry_run and not there,
        splits=made.facts.splits,
        arguments=made.facts.arguments,
        ceilings=made.facts.ceilings,
        samples={split: dict(rows[0]) for split, rows in made.splits.items() if rows and shown},
    )


def _made(generator: str, arguments: Mapping[str, Any], *, world: World) -> Generated:
    files, problems = {}, []
    for name, path in named_files(generator, arguments).items():
        try:
            files[name] = (world.store.root / Path(path).expanduser()).read_bytes()
        except OSError as err:
            fact = f"file `{path}` cannot be read: {str(err.strerror).lower()}"
            problems.append(
                Problem(fact, name, hint="mend the path; relative paths start at the experiment's directory")
            )
    if problems:
        raise SpecError(f"generator `{generator}` cannot run", problems=problems)
    return make_dataset(generator, arguments, files=files)


def _path(made: Generated, target: DataTarget) -> str:
    name = target.file or f"{made.facts.key}.json"
    if PurePosixPath(name).suffix != ".json":
        hint = "end it in `.json`; `ck data convert` writes the other formats"
        raise SpecError(f"`{name}` is no name for generated data", hint=hint)
    return (PurePosixPath(target.folder) / name).as_posix()


def _told(generate: Any) -> str:
    return (sys.modules[generate.__module__].__doc__ or "").partition("\n")[0].rstrip(".:")


def _argument(name: str, field: FieldInfo) -> ArgumentFacts:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    plain = default.model_dump(mode="json") if isinstance(default, Noun) else default
    told = " ".join((field.description or "").split())
    return ArgumentFacts(name=name, text=field.annotation in _TEXT, default=plain, told=told)
