"""Roots: whatever an assistant names lies below the project, or where the site keeps models, data and checkpoints."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.recipe_names import resolve_recipe
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.errors import PlanError, Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.user_folders import cache_dir
from cruijff_kit.schema.roots import Roots
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.tiers import named_data

__all__ = ["outside_problems", "refuse_outside", "refuse_outside_files", "refuse_writing", "roots_of"]

_DATA = "copy it below the project; or name its directory under `data_dirs` in site.yaml"
_MODEL = "name the directory that holds it as `models_dir` in site.yaml"
_CODE = "copy it below the project"
_OUTPUT = "leave it out, or name it as `output_dir_base` in site.yaml"


class _Named(NamedTuple):
    """A path as a design names it."""

    path: str
    """Where the design says so."""
    text: str
    """What it says."""
    place: Path
    """Where that lies."""
    hint: str
    """How to mend it."""


def roots_of(site: Site, *, root: Path, read: Sequence[Path] = ()) -> Roots:
    """Return the directories that an assistant's paths must lie in.

    Args:
        site: settings of the machine.
        root: the project.
        read: further directories that may be read.
    """
    writable = [root, *_places((site.output_dir_base,), root)]
    # The small models that `ck models make-tiny` makes lie among our own files.
    readable = [*writable, *_places((site.models_dir, *site.data_dirs), root), cache_dir() / "models", *read]
    return Roots(
        writable=tuple(str(each.resolve()) for each in writable),
        readable=tuple(str(each.resolve()) for each in readable),
    )


def outside_problems(spec: ExperimentSpec, world: World) -> list[Problem]:
    """Return a problem for each path of a design that leads out of the roots; none where the world has no roots.

    Nothing is read for it but the links on the way.
    """
    roots = world.roots
    if roots is None:
        return []
    found = [_problem(named) for named in _read(spec, world) if _leaves(named.place, roots.readable)]
    base = spec.output.output_dir_base
    if base is not None and _leaves(world.store.root / base, roots.writable):
        found.append(_problem(_Named("output.output_dir_base", base, world.store.root / base, _OUTPUT)))
    return found


def refuse_outside(spec: ExperimentSpec, world: World) -> None:
    """Refuse a design whose paths lead out of the roots, before anything of them is read.

    Raises:
        PlanError: lists every such path.
    """
    problems = outside_problems(spec, world)
    if problems:
        raise PlanError("the design names what lies outside the directories an assistant may use", problems=problems)


def refuse_outside_files(paths: Iterable[str | None], world: World) -> None:
    """Refuse files that lie out of the roots.

    Raises:
        PlanError: one of them does.
    """
    for path in paths:
        if path is not None and world.roots is not None and _leaves(world.store.root / path, world.roots.readable):
            raise PlanError(_fact(path), hint=_DATA)


def refuse_writing(path: str, world: World) -> None:
    """Refuse a place to write to that lies out of the roots; none does where the world has no roots.

    Raises:
        PlanError: it does.
    """
    if world.roots is not None and _leaves(world.store.root / path, world.roots.writable):
        raise PlanError(_fact(path), hint=_OUTPUT)


def _read(spec: ExperimentSpec, world: World) -> Iterator[_Named]:
    """Yield every path that a design has read: data, models, and code of the user's."""
    root, models = world.store.root, world.site.models_dir
    for path, text in named_data(spec):
        yield _Named(path, text, root / text, _DATA)
    for index, model in enumerate(spec.models):
        # A hub's name that was not pulled leads nowhere, and another error tells of it.
        if model.path is not None and _tells_of_a_place(model.path, models):
            yield _Named(f"models[{index}].path", model.path, Path(models or ".") / model.path, _MODEL)
    for path, text in _code(spec):
        yield _Named(path, text, root / text, _CODE)


def _tells_of_a_place(path: str, models: str | None) -> bool:
    plain = not Path(path).is_absolute() and ".." not in Path(path).parts
    with suppress(OSError, ValueError):
        return not plain or (Path(models or ".") / path).exists()
    return True


def _code(spec: ExperimentSpec) -> Iterator[tuple[str, str]]:
    """Yield the files of tasks, recipes and custom metrics."""
    for index, task in enumerate(spec.evaluation.tasks):
        with suppress(SpecError):
            file = parse_task(task.task).file
            yield from () if file is None else ((f"evaluation.tasks[{index}].task", file),)
    for name in ("recipe", "custom_metrics"):
        for path, text in _levels(spec, name):
            yield from ((path, text),) if _is_file(name, text) else ()


def _levels(spec: ExperimentSpec, name: str) -> Iterator[tuple[str, str]]:
    said = [(f"controls.{name}", getattr(spec.controls, name))]
    said += [(f"factors.{name}[{at}]", level) for at, level in enumerate(spec.factors.get(name, ()))]
    said += [(f"runs[{at}].parameters.{name}", run.parameters.get(name)) for at, run in enumerate(spec.runs)]
    yield from ((path, text) for path, text in said if isinstance(text, str))


def _is_file(name: str, text: str) -> bool:
    if name == "custom_metrics":
        return text.endswith(".py")
    with suppress(ValueError):
        return resolve_recipe(text).kind == "file"
    return False


def _leaves(place: Path, roots: Sequence[str]) -> bool:
    """Return whether a place lies in none of the roots, links followed; what cannot be told does."""
    try:
        real = place.resolve()
    except (OSError, RuntimeError, ValueError):
        return True
    return not any(real.is_relative_to(root) for root in roots)


def _problem(named: _Named) -> Problem:
    return Problem(_fact(named.text), named.path, hint=named.hint)


def _fact(text: str) -> str:
    return f"`{text[:120]}` lies, or leads by a link, outside the directories an assistant may use"


def _places(paths: Iterable[str | None], root: Path) -> list[Path]:
    """Return the directories a site names; one that holds everything, or everything of a person, is none."""
    everything = (Path("/"), Path.home().resolve())
    return [root / path for path in paths if path is not None and (root / path).resolve() not in everything]
