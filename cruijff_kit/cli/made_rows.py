"""`ck data acs|stand-in|twins`: data sets of persons, shown or written."""

import json
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.set_options import yaml_values
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.made_data import MadeData

__all__ = ["acs", "stand_in", "twins"]

_TASKS = ("ACSIncome", "ACSEmployment", "ACSMobility", "ACSPublicCoverage", "ACSTravelTime", "age", "income", "hours",
          "commute")  # fmt: skip
_SET = click.option(
    "--set", "others", multiple=True, metavar="NAME=VALUE", help="Any other argument, its value as YAML."
)
_TIER = click.option(
    "--tier",
    type=click.Choice(("green", "yellow", "red")),
    default=None,
    help="How freely the file may be shown, as you declare it; its folder and the design may say more strictly.",
)
_DRY = click.option("--dry-run", is_flag=True, help="Show rows and write nothing.")
_COUNT = click.option("-n", "--count", default=2, show_default=True, help="Rows of each split a dry run shows.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
_SEED = click.option("--seed", type=int, default=None, help="Fixes which rows are drawn, and into which split.")


@click.command("acs")
@click.argument("source", required=False)
@click.option(
    "--task", type=click.Choice(_TASKS), required=True, help="What is asked; a number for those in small letters."
)
@click.option(
    "--form", type=click.Choice(("verbose", "condensed", "terse")), default=None, help="How a person is told."
)
@click.option(
    "--order",
    type=click.Choice(("published", "once", "each")),
    default=None,
    help="Order of variables; shuffled once, or each.",
)
@click.option("--balanced", is_flag=True, help="As many answered yes as no.")
@click.option("--train-size", "train", type=int, default=None, help="Persons to train on.")
@click.option("--val-size", "validation", type=int, default=None, help="Persons to choose by.")
@click.option("--test-size", "test", type=int, default=None, help="Persons kept for judging.")
@click.option(
    "--dictionary", default=None, help="The survey's data dictionary in CSV: words for occupations and places."
)
@click.option("--stand-in", "made_up", is_flag=True, help="Persons made up instead of a file; chances are known.")
@_SEED
@_SET
@_TIER
@_DRY
@_COUNT
@_JSON
@click.pass_obj
def acs(
    experiment: str, source: str | None, made_up: bool, balanced: bool, others: tuple[str, ...], **told: Any
) -> None:
    """Ask of persons in SOURCE, your person file of the American Community Survey: `.csv`, or the `.zip` of it.

    Nothing is downloaded. With --stand-in persons are made up, and nothing is said of anyone who lives.
    """
    if (source is None) != made_up:
        fact = "no person file is named" if source is None else "persons are read from a file or made up, not both"
        raise SpecError(fact, hint="name the file, or ask for `--stand-in`")
    names = ("task", "form", "order", "train", "validation", "test", "dictionary", "seed")
    given = {name: told.pop(name) for name in names} | {"source": source, "balanced": balanced or None}
    arguments = {name: value for name, value in given.items() if value is not None}
    _make(experiment, "acs_stand_in" if made_up else "acs", {**arguments, **yaml_values(others)}, told)


@click.command("stand-in")
@click.argument("path")
@click.option("--people", type=int, default=40_000, show_default=True, help="Persons in it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Fixes them.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@_JSON
@click.pass_obj
def stand_in(experiment: str, path: str, *, people: int, seed: int, force: bool, as_json: bool) -> None:
    """Write PATH, a person file like the survey's whose persons are made up."""
    with ProgressBar("make") as progress:
        found = workflow.make_stand_in(
            path, people=people, seed=seed, force=force, progress=progress, world=enter(experiment)
        )
    told = f"{found.path}: {found.rows:,} persons, none of whom lives\nsha256 {found.sha256}"
    click.echo(found.model_dump_json(indent=2) if as_json else told)


@click.command("twins")
@click.argument("source", required=False)
@click.option("--pairs", type=int, default=None, help="Pairs made up; without SOURCE.")
@click.option("--traits", type=int, default=None, help="Traits of each twin; without SOURCE.")
@click.option("--a2", type=float, default=None, help="Share of variance by genes, the heritability; without SOURCE.")
@click.option("--c2", type=float, default=None, help="Share by what a family shares; without SOURCE.")
@click.option("--form", type=click.Choice(("pair", "difference")), default=None, help="Both values, or how far apart.")
@_SEED
@_SET
@_TIER
@_DRY
@_COUNT
@_JSON
@click.pass_obj
def twins(experiment: str, source: str | None, others: tuple[str, ...], **told: Any) -> None:
    """Ask which pairs of twins are identical: pairs of the table SOURCE, or pairs made up by the ACE model."""
    names = ("pairs", "traits", "a2", "c2", "form", "seed")
    given = {name: told.pop(name) for name in names} | {"source": source}
    arguments = {name: value for name, value in given.items() if value is not None}
    _make(experiment, "synthetic_twins" if source is None else "twins", {**arguments, **yaml_values(others)}, told)


def _make(experiment: str, generator: str, arguments: dict[str, Any], told: dict[str, Any]) -> None:
    show = told["count"] if told["dry_run"] else None
    with ProgressBar("make") as progress:
        found = workflow.make_rows(
            generator, arguments, show=show, tier=told["tier"], progress=progress, world=enter(experiment)
        )
    as_json, dry_run = told["as_json"], told["dry_run"]
    click.echo(found.model_dump_json(indent=2) if as_json else _receipt(found, arguments, dry_run=dry_run))


def _receipt(found: MadeData, arguments: dict[str, Any], *, dry_run: bool) -> str:
    verb = "would be written" if dry_run else "written" if found.written else "is there already, unchanged"
    lines = [f"{found.path} {verb}: {', '.join(f'{count:,} {split}' for split, count in found.splits.items())}"]
    lines.append(f"sha256 {found.sha256}")
    for split, answers in found.answers.items():
        lines.append(f"{split}: " + ", ".join(f"`{answer}` {count:,}" for answer, count in answers.items()))
    if found.best:
        told = ", ".join(f"{share:.3f} on {split}" for split, share in found.best.items())
        lines.append(f"accuracy of whoever knows the true chances: {told}")
    if found.ceiling is not None:
        lines.append(f"best accuracy there is, by the model: {found.ceiling:.4f}")
    lines += [f"no rows shown: {found.withheld}"] if found.withheld else []
    for each in found.samples:
        lines += ["", f"── {each.split}", each.input, f"→ {each.output}"]
    block = json.dumps({"training": {"generator": found.generator, "arguments": arguments}}, ensure_ascii=False)
    return "\n".join([*lines, "", f'in a design:  data: {block[:-1]}, "tier": "{found.tier}"}}'])
