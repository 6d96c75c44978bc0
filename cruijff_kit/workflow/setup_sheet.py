"""What the set-up verbs share: keys read from file and flags, and files laid beside those on disk."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.data.setup_text import Given, read_flags, read_setup
from cruijff_kit.data.yaml_text import Marks
from cruijff_kit.errors import PlanError, Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.receipt import FileChange, SetupValue
from cruijff_kit.schema.setup_keys import KeyTable
from cruijff_kit.workflow.audit import recording, render_views
from cruijff_kit.workflow.changes import diff_of

__all__ = ["Order", "Read", "Said", "lay_files", "read_said", "refused"]


class Read(NamedTuple):
    """What a file and the command line say, not laid over anything yet."""

    file: Given
    """The file, or nothing where there is none."""
    line: Given
    """The flags."""
    inputs: dict[str, str]
    """Hash of the file that was read."""
    problems: tuple[Problem, ...]
    """All that is wrong with them."""


class Said(NamedTuple):
    """What file, flags, base recipe and site say, and what is wrong with it."""

    values: dict[str, SetupValue]
    """Every key with its value and source."""
    marks: Marks
    """Where the file says what it says."""
    inputs: dict[str, str]
    """Hash of the file that was read."""
    problems: list[Problem]
    """All that stands in the way."""


class Order(NamedTuple):
    """Files to write, and how."""

    table: KeyTable
    """Keys that they are made of."""
    subject: str
    """Run that they are of."""
    files: Mapping[str, str]
    """Text of each file."""
    inputs: Mapping[str, str]
    """Hashes of what was read."""
    force: bool
    """Whether files that were edited are replaced."""
    dry_run: bool
    """Whether nothing is written."""


def read_said(flags: Mapping[str, str], table: KeyTable, *, optional: bool, world: World) -> Read:
    """Return what the file of a table and the flags say.

    Args:
        flags: keys to text, as given on the command line.
        table: the keys there are.
        optional: whether the table's own file may be missing.
        world: the directory that holds it.

    Raises:
        SpecError: the file cannot be read.
    """
    name = flags.get("config_file", table.file)
    text = _text(name, world)
    problems: list[Problem] = []
    if text is None and ("config_file" in flags or not optional):
        hint = "write one, name another with `--config_file`, or give every key as a flag"
        problems.append(Problem(f"`{name}` does not exist in `{world.store.root}`", hint=hint))
    file = read_setup(text or "", name=name, table=table)
    line = read_flags(flags, table=table)
    inputs = {name: hashlib.sha256(text.encode()).hexdigest()} if text is not None else {}
    return Read(file, line, inputs, (*problems, *file.problems, *line.problems))


def refused(problems: Sequence[Problem], said: Said, *, verb: str) -> SpecError:
    """Return the error that tells every problem, each with the line of its key where the file says it."""
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    placed = [_at_place(problem, said) for problem in problems]
    return SpecError(f"`{verb}` found {count}; nothing was written", problems=placed)


def lay_files(order: Order, *, world: World) -> tuple[FileChange, ...]:
    """Write files that this verb wrote before, or that are new, and return what became of each.

    Raises:
        PlanError: a file was edited since it was written.
    """
    changes = _changes(order, world)
    if order.dry_run:
        return tuple(change.model_copy(update={"content": order.files[change.path]}) for change in changes)
    _refuse_edits(changes, order.table)
    if any(change.kind != "unchanged" for change in changes):
        _publish(order, world)
    return changes


def _text(name: str, world: World) -> str | None:
    """Return the text of the file that holds the keys; None where there is none.

    Raises:
        SpecError: it is there and cannot be read.
    """
    try:
        return (world.store.root / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(f"`{name}` cannot be read: {err}", hint="see that it is a text file of yours") from err


def _at_place(problem: Problem, said: Said) -> Problem:
    """Return a problem with the line of its key, where the file says it."""
    value = said.values.get(problem.path)
    if problem.place or value is None or value.source not in {"file", "flag"}:
        return problem
    return problem._replace(place=said.marks.place((problem.path,)) if value.source == "file" else "command line")


def _changes(order: Order, world: World) -> tuple[FileChange, ...]:
    """Return what becomes of each file: one that this verb wrote, and nobody touched, may be replaced."""
    written = _written(order, world)
    found = []
    for path, text in order.files.items():
        content = world.store.read(path)
        if content is None:
            found.append(FileChange(path=path, kind="create"))
        elif content == text.encode():
            found.append(FileChange(path=path, kind="unchanged"))
        else:
            pristine = order.force or hashlib.sha256(content).hexdigest() == written.get(path)
            kind = "overwrite" if pristine else "edited"
            found.append(FileChange(path=path, kind=kind, diff=diff_of(path, content, planned=text.encode())))
    return tuple(found)


def _written(order: Order, world: World) -> dict[str, str]:
    """Return the hashes of the files as this verb last wrote them, by the record."""
    if world.audit.head() is None:
        return {}
    written: dict[str, str] = {}
    for record in world.audit.records():
        if record.verb == order.table.verb:
            written.update(record.outputs)
    return written


def _refuse_edits(changes: tuple[FileChange, ...], table: KeyTable) -> None:
    edited = [change for change in changes if change.kind == "edited"]
    if edited:
        names = " and ".join(f"`{change.path}`" for change in edited)
        shown = "\n".join(change.diff.rstrip("\n") for change in edited)
        fact = f"{names} would be replaced, and this command did not leave it so; nothing was written\n{shown}"
        raise PlanError(fact, hint=f"put the change into `{table.file}`, or replace the file with `--force`")


def _publish(order: Order, world: World) -> None:
    """Write the files and record it."""
    with recording(world, verb=order.table.verb, action=Action.GENERATE_YAML, subject=order.subject) as entry:
        for path, text in order.files.items():
            world.store.write(path, text)
            entry.outputs[path] = hashlib.sha256(text.encode()).hexdigest()
        entry.inputs.update(order.inputs)
    render_views(world=world)
