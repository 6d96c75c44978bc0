"""`ck design from-config`: the predecessor's configuration, labels and rows as a design of ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.configured import ConfiguredDesign, ConfigureOrder
from cruijff_kit.schema.data import Tier

__all__ = ["from_config"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHOWN = 44


@click.command("from-config")
@click.argument("config", type=_FILE)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--data", required=True, type=click.Path(exists=True, path_type=Path),
              help="Rows: `text`, `label`, and what else is known; divided first where they are not.")  # fmt: skip
@click.option("--labels", type=_FILE, help="Labels with harm weights; `labels.yaml` beside CONFIG if there is one.")
@click.option("--model", metavar="DIR", help="Base model directory or name; the configuration's own if absent.")
@click.option("--tier", type=click.Choice(get_args(Tier)), default="yellow", show_default=True,
              help="How freely rows may be shown.")  # fmt: skip
@click.option("--gpus", type=click.IntRange(0, 64), help="GPUs of a training; 1 on a cluster and for 4 bits if absent.")
@click.option("--tune", is_flag=True, help="Search the predecessor's space instead of one training.")
@click.option("--trials", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Trials of --tune.")
@click.option("--reason", default="made by `ck design from-config`", help="Why, in your words; kept in the audit log.")
@click.option("--check", is_flag=True, help="Tell what each key becomes and print the design; write nothing.")
@click.option("--force", is_flag=True, help="Replace rows that lie in DIRECTORY.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def from_config(_: str, config: Path, directory: Path, **told: Any) -> None:
    """Write a design in DIRECTORY from CONFIG, an `llm_lora.yaml`, with its labels and rows.

    Every key works, is set aside with the reason, or is refused with what to write instead.
    """
    reason, as_json, tune, trials = (told.pop(name) for name in ("reason", "as_json", "tune", "trials"))
    paths = {name: str(told.pop(name).absolute()) if told.get(name) else told.pop(name) for name in ("data", "labels")}
    order = ConfigureOrder.model_validate({**told, **paths, "trials": trials if tune else 0})
    with ProgressBar("rows") as bar:
        made = workflow.configure_design(
            str(config), order=order, reason=reason, progress=bar, world=enter(str(directory))
        )
    click.echo(made.model_dump_json(indent=2) if as_json else "\n".join(_lines(made)))


def _lines(made: ConfiguredDesign) -> Iterator[str]:
    rows = [(each.key, _value(each.value, said=each.said), each.outcome) for each in made.outcomes]
    yield aligned(("key", "value", "outcome"), rows)
    splits = ", ".join(f"{count:,} {split}" for split, count in made.splits.items())
    if not made.written:
        yield from ("", made.design.rstrip(), "", f"nothing written; rows: about {splits}")
        return
    yield from ("", f"{made.path} written, {len(made.runs)} runs; rows: {splits}")
    yield from (f"  {each}" for each in made.runs)
    yield from (f"warning: {text}" for text in made.warnings)
    yield from (f"next: {text}" for text in made.next)


def _value(value: Any, *, said: bool) -> str:
    """Return a value in a line; one that the file does not say in brackets."""
    plain = value
    if isinstance(value, list | tuple):
        told = all(isinstance(each, str) for each in value)
        plain = ", ".join(value) if told else f"{len(value)} entries"
    text = " ".join(
        ("null" if value is None else str(plain).lower() if isinstance(value, bool) else str(plain)).split()
    )
    short = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    return short if said else f"({short})"
