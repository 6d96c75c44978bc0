"""`ck task`: an evaluation task of one's own, made with its test."""

from typing import Any

import click
from pydantic import ValidationError

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.task import TaskReceipt, TaskRequest

__all__ = ["task"]

_KINDS = ("choice", "options", "free", "numeric", "probability", "json")


@click.group()
def task() -> None:
    """Make an evaluation task of your own."""


@task.command("new")
@click.argument("name")
@click.option("--answer", type=click.Choice(_KINDS), required=True, help="What is to be answered.")
@click.option("--prompt", default=None, help="What is asked, columns of the data in braces; {question} where absent.")
@click.option("--system", default=None, help="System prompt.")
@click.option("--option", "options", multiple=True, help="An answer of a closed set; the event last.")
@click.option("--target", default=None, help="Column of the right answer; target where absent.")
@click.option("--scorer", "scorers", multiple=True, help="A scorer; the one that decides first.")
@click.option("--data", default=None, help="File of rows; rows to fill in are written where absent.")
@click.option("--split", default=None, help="Split that is asked; test where absent.")
@click.option("--caption", default=None, help="What it asks, in a line.")
@click.option("--dry-run", is_flag=True, help="Show the files and write nothing.")
@click.option("--force", is_flag=True, help="Replace the task and its test; rows are never replaced.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def new(experiment: str, dry_run: bool, force: bool, as_json: bool, **told: Any) -> None:
    """Write task NAME into tasks/NAME, with its test and, where no data is named, rows to fill in."""
    given = {key: value for key, value in told.items() if value not in (None, ())}
    try:
        request = TaskRequest.model_validate(given)
    except ValidationError as err:
        raise SpecError("the task cannot be made", problems=[_problem(each) for each in err.errors()]) from err
    found = workflow.make_task(request, dry_run=dry_run, force=force, world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else _receipt(found))


def _problem(found: Any) -> Problem:
    name = str(found["loc"][0]) if found["loc"] else ""
    hint = "see `ck task new --help`"
    if found["type"] == "value_error":
        return Problem(str(found["ctx"]["error"]), hint=hint)
    field = TaskRequest.described().get(name)
    meaning = " ".join((field.description or "").split()) if field else ""
    return Problem(
        f"`{found['input']}` is not allowed: {found['msg'][:1].lower()}{found['msg'][1:]}", name, hint=meaning or hint
    )


def _receipt(found: TaskReceipt) -> str:
    lines: list[str] = []
    for path, text in found.files.items():
        lines += [f"{path} written"] if found.written else [f"── {path}", text.rstrip(), ""]
    test = next(path for path in found.files if "/test_" in path)
    lines += ["", f"its test:     python -m pytest {test}", f"in a design:  {found.entry}"]
    return "\n".join([*lines, *([] if found.written else ["", "nothing written"])])
