"""Flags of `ck train`: one for each key, given or not given; and endings that are 0, 1 or 130."""

from collections.abc import Callable
from typing import Any

import click

from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.train_keys import TRAIN_KEYS, TrainKey

__all__ = ["INTERRUPTED", "TrainCommand", "TrainGroup", "given", "with_keys"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_WIDE = "all"
_NUMBERS = {"integer": click.INT, "number": click.FLOAT}


class TrainCommand(click.Command):
    """A command that ends with 0, 1 whatever went wrong, or 130 after Ctrl-C."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line; what cannot be read ends with 1 too."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as err:
            err.show()
            raise SystemExit(1) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors a user can mend are told without a traceback."""
        try:
            return super().invoke(ctx)
        except CruijffError as err:
            if ctx.find_root().params.get("debug"):
                raise
            click.echo(f"error: {err}", err=True)
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            click.echo("\ninterrupted; the same command goes on with whatever was begun", err=True)
            raise SystemExit(INTERRUPTED) from None


class TrainGroup(click.Group):
    """A group of such commands; one that there is not ends with 1 as well."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is named."""
        try:
            return super().invoke(ctx)
        except click.UsageError as err:
            err.show()
            raise SystemExit(1) from None


def with_keys(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag a key; without a default, so that whether one was given is never in doubt."""
    for key in reversed(list(TRAIN_KEYS.values())):
        command = _option(key)(command)
    return command


def given(told: dict[str, Any]) -> dict[str, Any]:
    """Return the keys whose flags were given, each in its own form."""
    return {name: _value(TRAIN_KEYS[name], raw) for name, raw in told.items() if name in TRAIN_KEYS and raw is not None}


def _option(key: TrainKey) -> Callable[[Callable[..., None]], Callable[..., None]]:
    long = f"--{key.name.replace('_', '-')}"
    names = (*((f"-{key.short}",) if key.short else ()), long)
    told = f"{key.meaning.replace('`', '')} {_default(key)}"
    if key.kind == "truth":
        return click.option(f"{long}/--no-{long[2:]}", key.name, default=None, help=told)
    form = _NUMBERS.get(key.kind, click.STRING)
    return click.option(*names, key.name, type=form, default=None, help=told)


def _default(key: TrainKey) -> str:
    if key.start is None and key.quick is None:
        return ""
    told = str(key.start) if key.start == key.quick else f"{key.start}, quick {key.quick}"
    return f"[{told or 'empty'}]"


def _value(key: TrainKey, raw: Any) -> Any:
    if key.kind == "words":
        words = tuple(raw.replace(",", " ").split())
        return None if words in {(), (_WIDE,)} else words
    if key.kind == "epochs" and raw not in {"all", "last", "none"}:
        parts = raw.split(",")
        return [int(part) if part.strip().isdecimal() else part for part in parts]
    return raw
