"""`ck collect`, `ck report`, `ck results` and `ck spot-check`: from finished runs to results."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.spot_text import spot_text
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.report import ResultsPage, Trace

__all__ = ["collect", "report", "results", "spot_check"]


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


@click.command()
@click.argument("words", nargs=-1)
@click.option("--after", default=0, help="Figures to pass over.")
@click.option("-n", "--limit", default=50, show_default=True, help="Figures to show.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, hashes whole.")
@click.pass_obj
def results(experiment: str, words: tuple[str, ...], after: int, limit: int, as_json: bool) -> None:
    """Show figures of the report on disk whose names hold all WORDS, each with the file it was computed from."""
    page = workflow.read_results(match=" ".join(words), after=after, limit=limit, world=enter(experiment))
    if as_json:
        click.echo(page.model_dump_json(indent=2))
        return
    if not page.total:
        click.echo(f"no figure's name holds {' and '.join(f'`{word}`' for word in words)}; `ck results` lists all")
        return
    rows = [
        (each.figure, *map(_plain, (each.value, each.low, each.high, each.n)), _source(each, page))
        for each in page.figures
    ]
    click.echo(aligned(("figure", "value", "low", "high", "n", "source"), rows))
    if after + len(page.figures) < page.total:
        click.echo(f"{page.total} figures match; go on with --after {after + len(page.figures)}", err=True)


@click.command("spot-check")
@click.argument("run")
@click.option("--count", default=5, show_default=True, help="Samples to look at.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def spot_check(experiment: str, run: str, count: int, as_json: bool) -> None:
    """Look at a few answers of RUN: prompt, token ids, expected, got, probabilities."""
    found = workflow.spot_check_run(run, count=count, world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else spot_text(found))


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"


def _source(trace: Trace, page: ResultsPage) -> str:
    sources = [page.sources[label] for label in trace.references]
    return ", ".join(f"{each.path} {(each.sha256 or 'missing')[:12]}" for each in sources[:2]) + (
        ", …" if sources[2:] else ""
    )
