"""Groups of commands whose modules are imported when they are run."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that imports a command's module when it is asked for; commands of its own it may have too."""

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        """Make the group.

        Args:
            arguments: those of a group.
            places: command to the module of this package and the function that hold it, as `module:function`.
            options: those of a group.
        """
        super().__init__(*arguments, **options)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; none is imported."""
        return sorted([*super().list_commands(ctx), *self.places])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is asked for; where there is none, the refusal names the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as err:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            # Click names those near by among commands that are imported already.
            if not near or getattr(err, "possibilities", None):
                raise
            raise click.UsageError(f"{err.message} (Did you mean '{near[0]}'?)", ctx=err.ctx) from err

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now; None where there is none of that name."""
        if cmd_name not in self.places:
            return super().get_command(ctx, cmd_name)
        module, function = self.places[cmd_name].split(":")
        found: click.Command = getattr(import_module(f"cruijff_kit.cli.{module}"), function)
        return found
