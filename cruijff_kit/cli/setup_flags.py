"""What the set-up commands share: a flag a key, the list of keys, and what became of files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from cruijff_kit.cli.table import aligned
from cruijff_kit.schema.receipt import FileChange, SetupValue
from cruijff_kit.schema.setup_keys import KeyTable

__all__ = ["kinds", "laid", "listed", "shown", "with_flags"]

_SHARED = (
    click.option("--show", is_flag=True, help="Show every value and who set it; write nothing."),
    click.option("--dry-run", is_flag=True, help="Print both files; write nothing."),
    click.option("--force", is_flag=True, help="Replace files that were edited."),
    click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON."),
    click.option("--list-keys", is_flag=True, help="List every key, its defaults and where it goes."),
)


def with_flags(table: KeyTable) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command what set-ups have in common, then one flag a key and name.

    All keys are text: whether one was given is then never in doubt.
    """

    def flagged(command: Callable[..., None]) -> Callable[..., None]:
        for name, own in reversed(list(table.renamed.items())):
            command = click.option(f"--{name}", metavar="TEXT", help=f"Another name of `{own}`.")(command)
        for key in reversed(list(table.keys.values())):
            form = key.kind.removesuffix("?").upper()
            command = click.option(f"--{key.name}", metavar=form, help=key.meaning)(command)
        for option in reversed(_SHARED):
            command = option(command)
        return command

    return flagged


def listed(table: KeyTable) -> str:
    """Return every key with its defaults, then and now, and where it goes; then those that are not taken."""
    columns = ("key", "kind", "autumn 2025", "later", "ours", "goes", "meaning", "note")
    rows = [
        (
            key.name,
            key.kind,
            _text(key.autumn),
            _text(key.later),
            _text(key.ours),
            key.goes,
            key.meaning,
            key.note,
        )
        for key in table.keys.values()
    ]
    further = [f"{name} is another name of {own}" for name, own in table.renamed.items()]
    refused = [f"{name} is not taken: {hint}" for name, hint in table.refused.items()]
    return "\n".join([aligned(columns, rows), *further, *refused])


def shown(values: Mapping[str, SetupValue]) -> str:
    """Return every value and who set it."""
    return aligned(
        ("key", "value", "source"), [(name, _text(each.value), each.source) for name, each in values.items()]
    )


def laid(changes: Sequence[FileChange]) -> Iterator[str]:
    """Yield the text of each file, or how it differs from the one on disk."""
    for each in changes:
        if each.content or each.diff:
            yield f"── {each.path}\n{each.content}" if each.content else each.diff


def kinds(changes: Sequence[FileChange]) -> str:
    """Return what became of each file."""
    return ", ".join(f"{each.kind} {each.path}" for each in changes)


def _text(value: Any) -> str:
    """Return a value on one line, as YAML people write it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return repr(value) if isinstance(value, str) and (not value or "\n" in value) else str(value)
