"""`ck data baseline`: what models of tables reach on the rows of a data set."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.made_data import BaselineModel, TableBaseline

__all__ = ["baseline"]


@click.command("baseline")
@click.argument("path")
@click.option("--split", default="test", show_default=True, help="Split they are judged on.")
@click.option("--seed", default=0, show_default=True, help="Their dice.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def baseline(experiment: str, path: str, split: str, seed: int, as_json: bool) -> None:
    """Show what models of tables reach on PATH, a generated data set: same rows, same columns, same splits."""
    with ProgressBar("read") as progress:
        found = workflow.measure_baseline(path, split=split, seed=seed, progress=progress, world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else _told(found))


def _told(found: TableBaseline) -> str:
    names = list(dict.fromkeys(name for model in found.models for name in model.figures))
    rows = [(model.name, *(_figure(model, name) for name in names)) for model in found.models]
    head = (
        f"{found.path}: {found.trained_on:,} rows of train, {found.rows:,} of {found.split}, {found.features} columns"
    )
    note = "" if found.kind == "number" else "\nin brackets the 95 % interval of the accuracy, Wilson's over the rows"
    return f"{head}\n\n{aligned(('model', *names), rows)}{note}"


def _figure(model: BaselineModel, name: str) -> str:
    if name not in model.figures:
        return ""
    told = f"{model.figures[name]:.4g}"
    if name != "accuracy" or model.accuracy is None:
        return told
    return f"{told} [{model.accuracy.low:.3f}, {model.accuracy.high:.3f}]"
