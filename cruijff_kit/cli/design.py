"""`ck design` and `ck schema`: from a design file to `experiment_summary.md`."""

import json
from pathlib import Path
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.from_config import from_config
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.receipt import DesignReceipt, DesignReview
from cruijff_kit.schema.spec import Level
from cruijff_kit.workflow.user_text import user_text

__all__ = ["design", "schema"]

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_REASON = click.option("--reason", required=True, help="Why, in your words; kept in the audit log.")


@click.group()
def design() -> None:
    """Check, write or amend the design of the experiment, or propose names."""


design.add_command(from_config)


@design.command("check")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="Print the review as JSON.")
@click.pass_obj
def check(experiment: str, file: Path, as_json: bool) -> None:
    """Check and cost a design FILE (YAML, or a whole summary); write nothing."""
    review = workflow.check_design(_text(file), name=file.name, world=enter(experiment))
    click.echo(review.model_dump_json(indent=2) if as_json else _review(review))


@design.command("write")
@_FILE
@_REASON
@click.pass_obj
def write(experiment: str, file: Path, reason: str) -> None:
    """Check a design FILE and write experiment_summary.md from it."""
    receipt = workflow.write_design(_text(file), name=file.name, reason=reason, world=enter(experiment))
    click.echo(_receipt(receipt))


def _text(file: Path) -> str:
    return user_text(file, name=str(file), hint="save it as UTF-8, or name a design that may be read")


@design.command("amend")
@click.option("--seed", "seeds", multiple=True, type=int, help="A further replicate seed.")
@click.option("--level", "levels", multiple=True, metavar="FACTOR=VALUE", help="A further level of a factor.")
@_REASON
@click.pass_obj
def amend(experiment: str, seeds: tuple[int, ...], levels: tuple[str, ...], reason: str) -> None:
    """Add seeds or levels to the design; runs that exist keep their ids."""
    receipt = workflow.amend_design(seeds=seeds, levels=_levels(levels), reason=reason, world=enter(experiment))
    click.echo(_receipt(receipt))


@design.command("from-run")
@click.argument("run")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--vary", "vary", multiple=True, metavar="FACTOR=A,B", help="What is varied, with its levels.")
@click.option("--seed", "seeds", multiple=True, type=int, help="A further replicate seed.")
@click.option("--question", default="", help="What the new experiment asks.")
@click.option("--reason", default="grown by `ck design from-run`", help="Why, in your words; kept in the audit log.")
@click.pass_obj
def from_run(experiment: str, run: str, directory: Path, **told: Any) -> None:
    """Write a design in DIRECTORY in which RUN is one cell: model, rows and controls are the run's own."""
    worlds = (enter(experiment), enter(str(directory)))
    levels = {factor: values for pair in told.pop("vary") for factor, values in [_varied(pair)]}
    grown = workflow.grow_design(run, levels=levels, worlds=worlds, **told)
    same = f"{grown.same} is the run it was grown from" if grown.same else "no run of it is the one it was grown from"
    lines = [f"{grown.path} written, {len(grown.runs)} runs", *(f"  {each}" for each in grown.runs), same]
    lines += [f"warning: {text}" for text in grown.warnings]
    click.echo("\n".join([*lines, f"next: ck -C {directory} scaffold, then submit and watch"]))


@design.command("name")
@click.option("-n", "--number", default=1, show_default=True, help="How many names.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another one gives another order.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def name(experiment: str, number: int, seed: int, as_json: bool) -> None:
    """Propose names for experiments or runs that nothing in this folder has, such as brave_otter."""
    found = workflow.propose_names(number, seed=seed, world=enter(experiment))
    click.echo(json.dumps(found) if as_json else "\n".join(found))


@click.command()
def schema() -> None:
    """Print the JSON Schema of a design, for editors and assistants."""
    click.echo(json.dumps(workflow.spec_json_schema(), indent=2))


def _levels(pairs: tuple[str, ...]) -> dict[str, list[Level]]:
    found: dict[str, list[Level]] = {}
    for pair in pairs:
        factor, equals, value = pair.partition("=")
        if not equals:
            raise SpecError(f"`{pair}` is not FACTOR=VALUE", hint="for example `--level lora_rank=8`")
        found.setdefault(factor, []).append(_scalar(value))
    return found


def _varied(pair: str) -> tuple[str, tuple[Level, ...]]:
    factor, equals, values = pair.partition("=")
    if not equals or not values:
        raise SpecError(f"`{pair}` is not FACTOR=A,B", hint="for example `--vary lora_rank=8,16`")
    return factor, tuple(_scalar(each.strip()) for each in values.split(","))


def _scalar(text: str) -> Level:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, (str, int, float, bool)) else text


def _review(review: DesignReview) -> str:
    rows = [
        (entry.name, "not assessed" if entry.value is None else f"{entry.value:g} {entry.unit}", entry.source)
        for entry in review.estimates
    ]
    parts = [
        f"{review.spec.name}: {len(review.plan.runs)} runs",
        *(f"  {run.id}" for run in review.plan.runs),
        aligned(("estimate", "value", "source"), rows) if rows else "",
        *(f"warning: {text}" for text in review.warnings),
        *(f"earlier: {text}" for text in review.earlier),
    ]
    return "\n".join(part for part in parts if part)


def _receipt(receipt: DesignReceipt) -> str:
    state = "written" if receipt.changed else "unchanged"
    warnings = [f"warning: {text}" for text in receipt.warnings]
    return "\n".join([f"{receipt.path} {state}, {len(receipt.runs)} runs", *warnings])
