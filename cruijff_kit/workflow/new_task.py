"""A task of one's own, made from what its author answers: module, test and rows."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cruijff_kit.data.prompts import placeholders
from cruijff_kit.data.streams import Streamed, stream_rows
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.task_text import render_rows, render_task, render_test
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.task import TaskReceipt, TaskRequest
from cruijff_kit.workflow.collect import hashes_of

__all__ = ["make_task"]

_ROWS = "samples.jsonl"
_SHOWN = 10


def make_task(request: TaskRequest, *, dry_run: bool = False, force: bool = False, world: World) -> TaskReceipt:
    """Write `tasks/<name>/` with a task that runs, its test, and rows where none are given.

    Args:
        request: what the task asks and how answers are scored.
        dry_run: write nothing.
        force: replace the task and its test; rows are never replaced.
        world: the experiment and its surroundings.

    Raises:
        SpecError: prompt, answers and rows do not fit each other, all problems at once; or the task is there already.
        SiteError: the extra that reads the rows' format is not installed.
    """
    folder = f"tasks/{request.name}"
    if request.data is not None:
        _check_rows(request, world)
    elif request.target in placeholders(request.prompt):
        raise SpecError("the prompt tells the answer", problems=[_tells(request)])
    place = Path(request.data or f"{folder}/{_ROWS}")
    data = str(place) if place.is_absolute() else os.path.relpath(place, folder)
    entry = f"- {{name: {request.name}, task: {folder}/task.py@{request.name}, scorers: []}}"
    files = {
        f"{folder}/task.py": render_task(request, folder=folder, data=data, entry=entry),
        f"{folder}/test_{request.name}.py": render_test(request),
    }
    there = [path for path in files if world.store.read(path) is not None]
    if there and not force:
        raise SpecError(f"`{there[0]}` is there already", hint="give another name, or replace it with `--force`")
    if request.data is None and world.store.read(f"{folder}/{_ROWS}") is None:
        files[f"{folder}/{_ROWS}"] = render_rows(request)
    if not dry_run:
        for path, text in files.items():
            world.store.write(path, text)
        _record(folder, files, world=world)
    return TaskReceipt(name=request.name, written=not dry_run, files=files, entry=entry)


def _check_rows(request: TaskRequest, world: World) -> None:
    place = world.store.root / str(request.data)
    try:
        with place.open("rb") as file:
            problems = list(_misfits(request, stream_rows(file, place.name)))
    except OSError as err:
        hint = "mend the path; relative paths start at the experiment's directory"
        raise SpecError(f"`{request.data}` cannot be read: {str(err.strerror).lower()}", hint=hint) from err
    if request.target in placeholders(request.prompt):
        problems.append(_tells(request))
    if problems:
        raise SpecError("prompt, answers and rows do not fit", problems=problems[:_SHOWN])


def _misfits(request: TaskRequest, rows: Iterable[Streamed]) -> Iterator[Problem]:
    """Yield what is wrong with the rows that would be asked; no cell is quoted."""
    splits: set[str] = set()
    for each in rows:
        splits.add(each.split)
        if each.problem is not None:
            yield each.problem
        elif each.split in {request.split, "train"}:
            yield from _misfit(request, each.row, place=each.place)
    if splits - {"train"} and request.split not in splits:
        yield Problem(
            f"there is no split `{request.split}`", hint=f"name one of {', '.join(sorted(splits))} with `--split`"
        )


def _misfit(request: TaskRequest, row: Mapping[str, Any], *, place: str) -> Iterator[Problem]:
    wanted = [*placeholders(request.prompt), request.target, *(["choices"] if request.answer == "choice" else [])]
    lacking = [name for name in dict.fromkeys(wanted) if name not in row]
    for name in lacking:
        yield Problem(f"the row has no column `{name}`", place=place, hint=f"its columns are {', '.join(row)}")
    if lacking:
        return
    target = str(row[request.target])
    if request.options and target not in request.options:
        yield Problem(
            f"the cell of `{request.target}` is none of the options",
            place=place,
            hint="name every answer with `--option`",
        )
    if request.answer == "choice" and not _is_choice(target, row["choices"]):
        hint = "make `choices` a list of ten at most, and the target one of them or its letter"
        yield Problem("the target is none of the choices", place=place, hint=hint)
    if request.answer == "numeric" and not _is_number(target):
        yield Problem(
            f"the cell of `{request.target}` is no number",
            place=place,
            hint="mend it, or ask for another kind of answer",
        )


def _is_choice(target: str, choices: Any) -> bool:
    return (
        isinstance(choices, list)
        and len(choices) <= 10
        and target in {*map(str, choices), *"ABCDEFGHIJ"[: len(choices)]}
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _tells(request: TaskRequest) -> Problem:
    return Problem(f"`{request.target}` is the answer, and the prompt names it", hint="remove it from the prompt")


def _record(folder: str, files: Mapping[str, str], *, world: World) -> None:
    """Record it where there is a record: before the first design there is none."""
    if world.audit.head() is not None:
        outputs = hashes_of({path: text.encode() for path, text in files.items()})
        event = AuditEvent(
            actor=world.actor, verb="task", action=Action.VERIFY_EVAL_TASK, subject=folder, outputs=outputs
        )
        world.audit.append(event)
