"""`ck train profiles`: values that belong together, under a name."""

from typing import Any

import click
import yaml

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.train_flags import TrainCommand
from cruijff_kit.cli.train_text import shown
from cruijff_kit.cli.world import enter_project
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.training import Profile

__all__ = ["profiles"]


@click.group()
def profiles() -> None:
    """List, show or make profiles: chat, instruction and code, and those of yours."""


@profiles.command("list", cls=TrainCommand)
@click.pass_obj
def listing(experiment: str) -> None:
    """List every profile with its values."""
    found = workflow.list_profiles(world=enter_project(experiment))
    rows = [(each.name, each.path or "this package", _line(each)) for each in found]
    click.echo(aligned(("profile", "from", "values"), rows))


@profiles.command("show", cls=TrainCommand)
@click.argument("name")
@click.pass_obj
def show(experiment: str, name: str) -> None:
    """Show the values of the profile NAME."""
    found = workflow.find_profile(name, world=enter_project(experiment))
    rows = [(key, shown(value)) for key, value in found.values.items()]
    click.echo("\n".join([f"{found.name}: {found.path or 'of this package'}", aligned(("key", "value"), rows)]))


@profiles.command("create", cls=TrainCommand)
@click.argument("name")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A value, as YAML.")
@click.option("--from", "base", default=None, metavar="PROFILE", help="Profile to start from.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
def create(experiment: str, name: str, pairs: tuple[str, ...], base: str | None, force: bool) -> None:
    """Write the profile NAME of this project to profiles/NAME.yaml."""
    values = dict(_pair(each) for each in pairs)
    made = workflow.create_profile(name, values, base=base, force=force, world=enter_project(experiment))
    click.echo(f"{made.path} written: {_line(made)}\nuse it: ck train start MODEL DATA --profile {name}")


def _line(profile: Profile) -> str:
    return ", ".join(f"{key} {shown(value)}" for key, value in profile.values.items())


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SpecError(f"`--set {text}` has no `=`", hint="write `--set lora_rank=16`")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as err:
        raise SpecError(f"`--set {text}` is not valid YAML", hint="quote the value twice") from err
