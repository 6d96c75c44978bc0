"""`ck sweep`: a search round by round, agreed to once, and its trials in plain text."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned, changed, phase_line
from cruijff_kit.cli.world import confirm, enter
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.schema.sweep import SweepRow, SweepView

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["sweep"]

_REASON = click.option("--reason", default="", help="Why, in your words; kept in the audit log.")
_YES = click.option("--yes", is_flag=True, help="Skip the question, where your own site file allows it.")


@click.group()
def sweep() -> None:
    """Run a search (`design: {kind: search}`) round by round, or show how it stands."""


@sweep.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def show(experiment: str, as_json: bool) -> None:
    """Show trials, the best so far and what may be claimed; write nothing."""
    view = workflow.read_sweep(world=enter(experiment))
    click.echo(view.model_dump_json(indent=2) if as_json else _told(view))


@sweep.command("next")
@_REASON
@_YES
@click.pass_obj
def next_(experiment: str, reason: str, yes: bool) -> None:
    """Tell what has ended, and propose and submit the next round; safe to repeat."""
    world = enter(experiment)
    _agree(reason, unattended=yes, world=world)
    click.echo(_told(workflow.next_round(reason=reason, world=world)))


@sweep.command("watch")
@click.option("--poll", default=1.0, show_default=True, help="Seconds between two looks at the jobs.")
@click.option("--timeout", type=float, default=None, help="Seconds after which to stop looking.")
@_REASON
@_YES
@click.pass_obj
def watch(experiment: str, poll: float, timeout: float | None, reason: str, yes: bool) -> None:
    """Run the search to its end; after Ctrl-C or a crash the same command goes on."""
    world = enter(experiment)
    _agree(reason, unattended=yes, world=world)
    steps = workflow.watch_sweep(poll=poll, timeout=timeout, reason=reason, progress=_changes(), world=world)
    view = None
    try:
        for view in steps:
            click.echo(view.words[0])
    except KeyboardInterrupt:
        click.echo("\nno longer watching; the jobs go on. `ck sweep watch` takes up again.", err=True)
        return
    if view is not None:
        click.echo(_told(view))
        if not view.finished:
            click.echo("the search has not ended: `ck status` tells what it waits for; then `ck sweep watch`", err=True)


def _agree(reason: str, *, unattended: bool, world: "World") -> None:
    """Ask once for the whole search; whoever goes on with the same one is not asked again."""
    preview = workflow.preview_sweep(world=world)
    if preview.approved:
        return
    confirm(preview.question, "search", unattended=unattended, world=world)
    workflow.approve_sweep(preview.scope, reason=reason, world=world)


def _changes() -> Callable[[ExperimentStatus], None]:
    """Return what prints a line for every job that is seen in a new state."""
    seen: dict[tuple[str, Step], Phase] = {}

    def tell(look: ExperimentStatus) -> None:
        for entry in changed(look, seen):
            if entry.phase is not Phase.NOT_SUBMITTED:
                click.echo(f"  {phase_line(entry)}")

    return tell


def _told(view: SweepView) -> str:
    """Return the table of trials, the curve of the best and the sentences."""
    heads = ("trial", *view.parameters, "seeds", view.metric, "note")
    table = aligned(heads, [_row(row, view.parameters) for row in view.rows])
    curve = ("", *view.curve) if view.curve else ()
    return "\n".join([table, *curve, "", *view.words])


def _row(row: SweepRow, names: Sequence[str]) -> tuple[str, ...]:
    levels = (row.level_words(name) or "" for name in names)
    value = "" if row.value is None else f"{row.value:.4g}"
    return (row.name, *levels, str(row.seeds), value, row.note)
