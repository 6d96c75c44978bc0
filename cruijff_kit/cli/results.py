"""`ck collect`, `ck report` and `ck spot-check`: from finished runs to results."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.spot_text import spot_text
from cruijff_kit.cli.world import ProgressBar, enter

__all__ = ["collect", "report", "spot_check"]


@click.command()
@click.pass_obj
def collect(experiment: str) -> None:
    """Gather metrics and evaluation logs into results.parquet and predictions/."""
    with ProgressBar("collect") as progress:
        table = workflow.collect_results(progress=progress, world=enter(experiment))
    missing = sum(row.value is None for row in table.rows)
    click.echo(f"{len(table.rows)} results, {missing} missing, {len(table.predictions)} predictions")


@click.command()
@click.option("--reason", default="", help="Why, in your words; kept in the audit log.")
@click.pass_obj
def report(experiment: str, reason: str) -> None:
    """Collect results and write summary.md and report/index.html."""
    with ProgressBar("report") as progress:
        receipt = workflow.write_report(reason=reason, progress=progress, world=enter(experiment))
    click.echo("\n".join([receipt.table, "", *receipt.bottom_line, "", receipt.summary, receipt.page]))


@click.command("spot-check")
@click.argument("run")
@click.option("--count", default=5, show_default=True, help="Samples to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def spot_check(experiment: str, run: str, count: int, as_json: bool) -> None:
    """Look at a few answers of RUN: prompt, token ids, expected, got, probabilities."""
    found = workflow.spot_check_run(run, count=count, world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else spot_text(found))
