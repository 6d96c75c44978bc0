"""`ck train`: fine-tune a model on your rows by one command, on this machine."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.train_flags import TrainCommand, TrainGroup, given, with_keys
from cruijff_kit.cli.train_profiles import profiles
from cruijff_kit.cli.train_text import data_table, headline, next_steps, remarks, review_text, samples_text
from cruijff_kit.cli.train_watch import follow
from cruijff_kit.cli.world import ProgressBar, enter_local, enter_project
from cruijff_kit.errors import CruijffError, PlanError
from cruijff_kit.schema.train_keys import TrainMode
from cruijff_kit.schema.training import TrainOrder, TrainReview

__all__ = ["train"]

_PATHS = ("model", "dataset", "named", "validation_data", "output", "config", "template")
_TAKEN = (
    click.argument("model", required=False),
    click.argument("dataset", required=False),
    click.option("--data", "named", default=None, metavar="FILE", help="The data, where not named by its place."),
    click.option("--validation-data", default=None, metavar="FILE", help="Another file to validate on."),
    click.option("-o", "--output", default=None, metavar="DIR", help="Experiment directory."),
    click.option("-c", "--config", default=None, metavar="FILE", help="Configuration; flags count over it."),
    click.option("-p", "--profile", default=None, metavar="NAME", help="Profile; file and flags count over it."),
    click.option("--resume", is_flag=True, help="Go on with a training that was stopped or failed."),
    click.option("--dry-run", is_flag=True, help="Show every value, its source and the design; write nothing."),
    click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="A question to ask before and after."),
    click.option("--reason", default=None, help="Why, in your words; the command itself where absent."),
    click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the review as JSON."),
)


@click.group(cls=TrainGroup)
def train() -> None:
    """Fine-tune a model on your rows by one command, on this machine.

    A training is an experiment of one run: the same files, record and report, and it can be grown
    into a larger one. Values count in the order defaults, profile, file, flags.
    """


train.add_command(profiles)


def _training(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what both ways of training take, then a flag for each key."""
    command = with_keys(command)
    for each in reversed(_TAKEN):
        command = each(command)
    return command


@train.command("quick", cls=TrainCommand)
@_training
@click.pass_obj
def quick(experiment: str, **told: Any) -> None:
    """Take one pass of MODEL over DATASET, a file or bundled data, and see what changed."""
    _train(experiment, "quick", told)


@train.command("start", cls=TrainCommand)
@_training
@click.pass_obj
def start(experiment: str, **told: Any) -> None:
    """Train MODEL on DATASET, a file, a folder or bundled data."""
    _train(experiment, "start", told)


@train.command("validate", cls=TrainCommand)
@click.argument("config")
@click.option("-p", "--profile", default=None, metavar="NAME", help="Profile; the file counts over it.")
@click.option("--json", "as_json", is_flag=True, help="Print the review as JSON.")
@click.pass_obj
def validate(experiment: str, config: str, profile: str | None, as_json: bool) -> None:
    """Check the configuration file CONFIG: every value, its source, memory, warnings."""
    project = enter_project(experiment)
    order = TrainOrder("start", config=_as_typed(experiment, config, project=project.store.root), profile=profile)
    review = workflow.review_training(order, loose=True, world=project)
    click.echo(_json(review) if as_json else review_text(review))


@train.command("list-data", cls=TrainCommand)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_data(as_json: bool) -> None:
    """List the data of this package by family, and how it is used."""
    found = workflow.list_training_data()
    if as_json:
        click.echo("[" + ",\n".join(each.model_dump_json() for each in found) + "]")
        return
    click.echo(data_table(found))


def _train(experiment: str, mode: TrainMode, told: dict[str, Any]) -> None:
    project = enter_project(experiment)
    for name in _PATHS:
        told[name] = _as_typed(experiment, told[name], project=project.store.root, made=name == "output")
    with ProgressBar("base model") as progress:
        order, make = _order(mode, told), not told["dry_run"]
        review = workflow.review_training(order, make=make, progress=progress, world=project)
    if not review.chosen and review.design:
        review = workflow.move_training(review, _folder(review, project=project.store.root))
    if told["dry_run"]:
        click.echo(_json(review) if told["as_json"] else review_text(review, design=bool(review.design)))
        return
    _run(review, told, project=project.store.root)


def _as_typed(experiment: str, said: str | None, *, project: Path, made: bool = False) -> str | None:
    """Return a path as it was meant: in an experiment's own directory, whose project is the one around it, too."""
    folder = Path(experiment).resolve()
    if not said or folder == project:
        return said
    place = folder / Path(said).expanduser()
    try:
        there = made or place.exists()
    except OSError:
        # A template may be a text, and longer than names may be.
        there = False
    return str(place) if there else said


def _order(mode: TrainMode, told: dict[str, Any]) -> TrainOrder:
    data = {each for each in (told["dataset"], told["named"]) if each is not None}
    if len(data) > 1:
        raise PlanError("the data is named twice, and differently", hint="name it once: by its place or by `--data`")
    return TrainOrder(
        mode,
        model=told["model"],
        data=next(iter(data), None),
        validation_data=told["validation_data"],
        output=told["output"],
        config=told["config"],
        profile=told["profile"],
        flags=given(told),
    )


def _folder(review: TrainReview, *, project: Path) -> Path:
    """Return the directory of a training that named none: its own where it is there already, else a free one."""
    for folder in _candidates(Path(review.output)):
        if not workflow.is_taken(review, world=enter_local(folder, project=project)):
            return folder
    raise PlanError("there is no free name left", hint="name a directory with `-o`")


def _candidates(first: Path) -> Iterator[Path]:
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in range(2, 1000))


def _run(review: TrainReview, told: dict[str, Any], *, project: Path) -> None:
    world = enter_local(Path(review.output), project=project)
    click.echo(headline(review))
    for remark in remarks(review):
        click.echo(remark, err=True)
    command = shlex.join(["ck", "train", review.mode, review.model, review.data])
    reason = told["reason"] or f"asked for by `{command}`"
    begun = workflow.begin_training(review, resume=told["resume"], reason=reason, world=world)
    for each in begun.warnings:
        click.echo(f"warning: {each}", err=True)
    if begun.stopped:
        fact = f"`{review.output}` holds this training, and it was stopped"
        raise PlanError(fact, hint="go on with it by `--resume`, or name another directory with `-o`")
    follow(begun.run_id, world=world)
    found = workflow.sample_training(prompts=told["prompts"], world=world)
    click.echo(f"\n{samples_text(found)}\n")
    _report(world)
    click.echo(next_steps(found, folder=_near(review.output), run=begun.run_id))


def _report(world: Any) -> None:
    """Write the report, and show what was measured where something was."""
    try:
        receipt = workflow.write_report(reason="written by `ck train` at its end", world=world)
    except CruijffError as err:
        click.echo(f"note: no report yet: {err}", err=True)
        return
    if any(entry.cells for entry in workflow.recorded_plan(world=world)[0].runs):
        click.echo(f"{receipt.table}\n")


def _near(output: str) -> str:
    """Return a directory as one would type it here."""
    path = Path(output).resolve()
    near = path.is_relative_to(Path.cwd()) and path != Path.cwd()
    return str(path.relative_to(Path.cwd())) if near else str(path)


def _json(review: TrainReview) -> str:
    return review.model_dump_json(indent=2, exclude={"prepared"})
