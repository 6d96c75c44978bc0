"""`ck recipe`: the training recipes, and a start for one of your own."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter

__all__ = ["recipe"]


@click.group()
def recipe() -> None:
    """List the training recipes, or start one of your own."""


@recipe.command("list")
def list_all() -> None:
    """List the recipes of this package and what each is for."""
    found = workflow.list_recipes()
    rows = [(each.name, each.purpose if each.available else f"{each.purpose} Not in this version.") for each in found]
    click.echo(aligned(("recipe", "what it is for"), rows))


@recipe.command("copy")
@click.argument("name")
@click.argument("dest", required=False)
@click.pass_obj
def copy(experiment: str, name: str, dest: str | None) -> None:
    """Copy recipe NAME to DEST in the experiment, to be changed there; it runs as it is."""
    path = workflow.copy_recipe(name, dest, world=enter(experiment))
    click.echo(f"copied to {path}; name it in the design (`controls.recipe: {path}`) or with `--custom_recipe {path}`")
