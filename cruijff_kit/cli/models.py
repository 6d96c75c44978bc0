"""`ck models`: look at base models, or make the small one."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.site import ModelFacts

__all__ = ["models"]


@click.group()
def models() -> None:
    """Look at base models, or make the small one."""


@models.command("make-tiny")
@click.option("--force", is_flag=True, help="Train it again even where it is cached.")
@click.pass_obj
def make_tiny(experiment: str, force: bool) -> None:
    """Train the small base model of the demo on this machine's CPU, or find it cached."""
    with ProgressBar("base model") as progress:
        facts = workflow.make_tiny_model(force=force, progress=progress, world=enter(experiment))
    click.echo(_facts(facts))


@models.command("info")
@click.argument("path")
@click.pass_obj
def info(experiment: str, path: str) -> None:
    """Show what the model directory PATH says of itself."""
    click.echo(_facts(workflow.describe_model(path, world=enter(experiment))))


def _facts(facts: ModelFacts) -> str:
    return aligned(("fact", "value"), [(name, str(value)) for name, value in facts.model_dump().items()])
