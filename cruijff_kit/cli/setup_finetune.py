"""`ck setup-finetune`: one run's files from `setup_finetune.yaml`, without a design."""

from collections.abc import Callable
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.receipt import SetupReceipt
from cruijff_kit.schema.setup_keys import SETUP_KEYS

__all__ = ["setup_finetune"]


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag a key, all as text: whether one was given is then never in doubt."""
    for key in reversed(list(SETUP_KEYS.values())):
        command = click.option(f"--{key.name}", metavar=key.kind.removesuffix("?").upper(), help=key.meaning)(command)
    return command


@click.command("setup-finetune")
@click.option("--show", is_flag=True, help="Show every value and who set it; write nothing.")
@click.option("--dry-run", is_flag=True, help="Print both files; write nothing.")
@click.option("--force", is_flag=True, help="Replace files that were edited.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipt as JSON.")
@click.option("--list-keys", is_flag=True, help="List every key, its defaults and where it goes.")
@_with_flags
@click.pass_obj
def setup_finetune(
    experiment: str, *, show: bool, dry_run: bool, force: bool, as_json: bool, list_keys: bool, **flags: str | None
) -> None:
    """Write finetune.yaml and finetune.slurm from setup_finetune.yaml; a flag overrides the file.

    Precedence: defaults, the site, base_recipe, the file, flags; whatever was said counts, also
    where it equals a default.
    """
    if list_keys:
        click.echo(_keys())
        return
    given = {name: text for name, text in flags.items() if text is not None}
    receipt = workflow.write_finetune(flags=given, force=force, dry_run=dry_run or show, world=enter(experiment))
    click.echo(receipt.model_dump_json(indent=2) if as_json else _told(receipt, show=show))


def _told(receipt: SetupReceipt, *, show: bool) -> str:
    if show:
        rows = [(name, _text(each.value), each.source) for name, each in receipt.values.items()]
        return aligned(("key", "value", "source"), rows)
    parts = [f"── {each.path}\n{each.content}" if each.content else each.diff for each in receipt.changes]
    kinds = ", ".join(f"{each.kind} {each.path}" for each in receipt.changes)
    verb = "would be written" if receipt.dry_run else "set up"
    return "\n".join([*filter(None, parts), f"run {receipt.run_id} {verb}: {kinds}", f"adapters: {receipt.output_dir}"])


def _keys() -> str:
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
        for key in SETUP_KEYS.values()
    ]
    return aligned(columns, rows)


def _text(value: Any) -> str:
    """Return a value on one line, as YAML people write it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return repr(value) if isinstance(value, str) and (not value or "\n" in value) else str(value)
