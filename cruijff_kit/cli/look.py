"""`ck status`, `ck watch` and `ck logs`: looking, which never disturbs a job."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import STATUS_COLUMNS, aligned, changed, phase_line, status_rows, status_table
from cruijff_kit.cli.world import enter
from cruijff_kit.errors import RunError
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.receipt import Excerpt
from cruijff_kit.schema.run import ExperimentStatus, Phase

__all__ = ["logs", "status", "watch"]

_COLOURS = {
    Phase.COMPLETED: "green",
    Phase.RUNNING: "cyan",
    Phase.FAILED: "red",
    Phase.CANCELLED: "yellow",
    Phase.PENDING: "dim",
    Phase.WAITING: "dim",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@click.option("--compute", is_flag=True, help="Show what the jobs that have ended took instead.")
@click.pass_obj
def status(experiment: str, as_json: bool, compute: bool) -> None:
    """Show where every job stands."""
    if compute:
        used = workflow.show_compute(world=enter(experiment))
        text = f"{aligned(used.columns, used.rows)}\n\n{used.note}"
        click.echo(used.report.model_dump_json(indent=2) if as_json else text)
        return
    found = workflow.read_status(world=enter(experiment))
    click.echo(found.model_dump_json(indent=2) if as_json else status_table(found))


@click.command()
@click.option("--poll", default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--timeout", type=float, default=None, help="Seconds after which to stop looking.")
@click.pass_obj
def watch(experiment: str, poll: float, timeout: float | None) -> None:
    """Follow the jobs until all have ended, and hand over what waits; leaving with Ctrl-C disturbs nothing."""
    looks = workflow.watch_jobs(poll=poll, timeout=timeout, world=enter(experiment))
    try:
        last = _live(looks) if sys.stdout.isatty() else _lines(looks)
    except KeyboardInterrupt:
        click.echo("\nno longer watching; the jobs go on. `ck watch` takes up again.", err=True)
        return
    failed = [entry for entry in last.steps if entry.phase is Phase.FAILED]
    if failed:
        names = ", ".join(f"{entry.run_id}/{entry.step.value}" for entry in failed[:5])
        raise RunError(
            f"{len(failed)} of {len(last.steps)} jobs failed: {names}",
            run_id=failed[0].run_id,
            hint=f"`ck logs {failed[0].run_id}`, then `ck retry {failed[0].run_id} --reason …`",
        )


@click.command()
@click.argument("run")
@click.option("--eval", "evaluation", is_flag=True, help="The evaluation job instead of the training job.")
@click.option("-n", "--lines", default=50, show_default=True, help="Lines to show, at most 500.")
@click.option("--grep", default=None, help="Show only lines that match this regular expression.")
@click.option("--since", default=None, metavar="TIME", help="Show lines from then on: `14:05` (UTC) or `10m` ago.")
@click.option("--until", default=None, metavar="TIME", help="Show lines up to then.")
@click.option("--first-error", is_flag=True, help="Show the first error in its context, a traceback whole.")
@click.pass_obj
def logs(experiment: str, run: str, evaluation: bool, **choices: Any) -> None:
    """Show the end of what RUN's job printed."""
    step, excerpt = "eval" if evaluation else "train", Excerpt(**choices)
    page = workflow.tail_log(run, step=step, excerpt=excerpt, world=enter(experiment))
    click.echo("\n".join(page.lines))
    if page.note:
        click.echo(page.note, err=True)


def _lines(looks: Iterator[ExperimentStatus]) -> ExperimentStatus:
    """Print a line per change, for pipes and logs; the table at the end."""
    seen: dict[tuple[str, Step], Phase] = {}
    look = ExperimentStatus(experiment="", steps=())
    watcher = ""
    for look in looks:
        if look.watcher != watcher:
            click.echo(_acting(look), err=True)
            watcher = look.watcher
        for entry in changed(look, seen):
            click.echo(phase_line(entry))
    click.echo(status_table(look))
    return look


def _acting(look: ExperimentStatus) -> str:
    if look.watcher:
        return f"{look.watcher} watches already and acts; this watch shows, and goes on when that one ends"
    return "this watch acts now"


def _live(looks: Iterator[ExperimentStatus]) -> ExperimentStatus:
    """Redraw one table in place; plain lines where the extra `live` is not installed."""
    try:
        from rich.live import Live
        from rich.table import Table
    except ImportError:
        return _lines(looks)

    def drawn(look: ExperimentStatus) -> Table:
        table = Table(*STATUS_COLUMNS, box=None, pad_edge=False, caption=_acting(look) if look.watcher else None)
        for entry, row in zip(look.steps, status_rows(look), strict=True):
            table.add_row(*row, style=_COLOURS.get(entry.phase, ""))
        return table

    look = ExperimentStatus(experiment="", steps=())
    with Live(refresh_per_second=4) as live:
        for look in looks:
            live.update(drawn(look))
    return look
