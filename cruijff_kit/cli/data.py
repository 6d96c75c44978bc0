"""`ck data`: rows as a model reads them, data files checked and divided, tables told in words, formats converted."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.lazy import LazyGroup
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.proof import DataView

__all__ = ["data"]


_PLACES = {
    "acs": "made_rows:acs",
    "allow": "allow:allow",
    "baseline": "baseline:baseline",
    "croissant": "croissant:croissant",
    "from-table": "tables:from_table",
    "generate": "generate:generate",
    "list": "datasets:list_files",
    "narrate": "tables:narrate",
    "prepare": "datasets:prepare",
    "schema": "tables:schema",
    "split": "datasets:split",
    "stand-in": "made_rows:stand_in",
    "stats": "datasets:stats",
    "structure": "structure:structure",
    "swap": "swap:swap",
    "twins": "made_rows:twins",
    "validate": "datasets:validate",
}


@click.group(cls=LazyGroup, places=_PLACES)
def data() -> None:
    """Look at, check, prepare, divide, convert or generate data, or tell a table in words."""


@data.command("show")
@click.option("--run", default=None, help="Run id, or the start of it; the first that trains where absent.")
@click.option("-n", "--count", default=5, show_default=True, help="Rows to show.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(experiment: str, run: str | None, count: int, as_json: bool) -> None:
    """Show training rows in the model's tokens, supervised ones between ⟦ and ⟧, and the gate's verdict."""
    view = workflow.show_data(run=run, count=count, world=enter(experiment))
    click.echo(view.model_dump_json(indent=2) if as_json else _view(view))


@data.command("convert")
@click.argument("source")
@click.argument("target")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.pass_obj
def convert(experiment: str, source: str, target: str, force: bool) -> None:
    """Write the data set SOURCE as TARGET: a .json, .jsonl or .parquet file, or a folder of parquet files."""
    receipt = workflow.convert_data(source, target, force=force, world=enter(experiment))
    rows = ", ".join(f"{count:,} {split}" for split, count in receipt.splits.items())
    click.echo(f"{receipt.target}: {rows}\nsha256 {receipt.sha256}")


def _read_as(view: DataView) -> str:
    """Return the type of the rows, and the template where conversations are written by one."""
    if view.dataset_type == "text_completion":
        return view.dataset_type
    whose = "the model's own template" if view.template == "model" else f"template {_short(view.template)}"
    return f"{view.dataset_type}, {whose}"


def _short(template: str) -> str:
    line = " ".join(template.split())
    return f"`{line if len(line) <= 60 else line[:59] + '…'}`"


def _view(view: DataView) -> str:
    rows = ", ".join(f"{count:,} {split}" for split, count in view.splits.items())
    lines = [f"{view.dataset}: {rows}", f"sha256 {view.sha256}", f"{view.run_id} reads it as {_read_as(view)}", ""]
    for sample in view.samples:
        lines += [f"── {sample.row}: {sample.tokens} tokens, {sample.supervised} supervised", sample.text, ""]
    if view.withheld:
        lines += [f"no rows shown: {view.withheld}", ""]
    verdict = [f"masks proven on {view.proof.words}"] if view.proof else ["masks refused", *view.problems]
    return "\n".join([*lines, *verdict])
