"""Following a training at a terminal: a bar and the loss as it falls, lines in a pipe, and what Ctrl-C does."""

import os
import sys
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.cli.train_flags import INTERRUPTED
from cruijff_kit.errors import CruijffError, RunError
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["bar_line", "follow"]

_POLL = 0.2
_ENDING = 60.0
_TENTHS = 10
_BAD = (Phase.FAILED, Phase.CANCELLED)


def follow(run: str, *, world: "World") -> None:
    """Show a training and its evaluations until they end; Ctrl-C stops them, and nothing done is lost.

    Raises:
        RunError: a job failed; its last lines are told.
        SystemExit: somebody pressed Ctrl-C.
    """
    line = _Line()
    last = ExperimentStatus(experiment="", steps=())
    try:
        for last in workflow.watch_jobs(poll=_POLL, reason="followed by `ck train`", world=world):
            line.show(last)
    except KeyboardInterrupt:
        line.end()
        _stop(run, world)
        raise SystemExit(INTERRUPTED) from None
    line.end()
    bad = next((entry for entry in last.steps if entry.phase in _BAD), None)
    if bad is not None:
        raise _failure(bad, world)


class _Line:
    """One line of a terminal, drawn again and again; in a pipe a line for each tenth of the way."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._drawn = False
        self._told: set[tuple[str, Step, int]] = set()
        self._validated: float | None = None

    def show(self, look: ExperimentStatus) -> None:
        """Show the step that moves, training before evaluations."""
        moving = [entry for entry in look.steps if entry.phase is Phase.RUNNING]
        entry = next((each for each in moving if each.step is Step.TRAIN), moving[0] if moving else None)
        if entry is None or entry.own is None or not entry.own.total:
            self._wait(look)
            return
        share = entry.own.step / entry.own.total
        # Only some lines tell of it; the last one told stays on view.
        self._validated = entry.last.get("val_loss", self._validated)
        figures = f"{entry.own.step}/{entry.own.total}{_figures(entry, self._validated)}"
        if self._live:
            self._draw(entry, share, figures=figures)
        elif (key := (entry.run_id, entry.step, int(_TENTHS * share))) not in self._told:
            self._told.add(key)
            click.echo(f"{_doing(entry)} {figures}", err=True)

    def _wait(self, look: ExperimentStatus) -> None:
        """Say on a terminal that something goes on, until there are steps to count."""
        if self._live and look.moving and not self._drawn:
            click.echo("\r\x1b[Kloading the model and the rows …", nl=False, err=True)

    def _draw(self, entry: StepStatus, share: float, *, figures: str) -> None:
        text = bar_line(_doing(entry), figures, share=share, columns=os.get_terminal_size(2).columns)
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)
        self._drawn = True

    def end(self) -> None:
        """Leave the cursor on a fresh line."""
        if self._live:
            click.echo("" if self._drawn else "\r\x1b[K", nl=self._drawn, err=True)


def bar_line(doing: str, figures: str, *, share: float, columns: int) -> str:
    """Return what is going on, a bar and figures on one line of a terminal; short of room the bar goes first.

    Args:
        doing: what is going on.
        figures: what is told of it.
        share: how much is done, from 0 to 1.
        columns: width of the terminal; 0 where it does not say.
    """
    room = (columns or 80) - 1
    width = min(28, room - len(doing) - len(figures) - 2)
    cells = int(width * share)
    bar = f"{'█' * cells}{'·' * (width - cells)} " if width > 0 else ""
    return f"{doing} {bar}{figures}"[:room]


def _doing(entry: StepStatus) -> str:
    return "training" if entry.step is Step.TRAIN else f"evaluating {entry.run_id}"


def _figures(entry: StepStatus, validated: float | None) -> str:
    loss = entry.last.get("loss")
    shown = (("loss", loss), ("validation", validated if entry.step is Step.TRAIN else None))
    return "".join(f"  {word} {value:.3f}" for word, value in shown if isinstance(value, float))


def _stop(run: str, world: "World") -> None:
    """Ask the jobs to stop and wait until they have written what they know."""
    click.echo("stopping; Ctrl-C again leaves it to itself", err=True)
    own = None
    try:
        workflow.cancel_runs(reason="Ctrl-C at the terminal", world=world)
        for look in workflow.watch_jobs(poll=_POLL, timeout=_ENDING, world=world):
            own = next((each.own for each in look.steps if each.run_id == run and each.step is Step.TRAIN), None)
    except KeyboardInterrupt:
        return
    except CruijffError as err:
        click.echo(f"error: {err}", err=True)
        return
    saved = f", saved at step {own.saved}" if own is not None and own.saved else ""
    where = f" at step {own.step} of {own.total}{saved}" if own is not None else ""
    click.echo(f"stopped{where}; the same command with `--resume` goes on", err=True)


def _failure(entry: StepStatus, world: "World") -> RunError:
    try:
        lines = workflow.tail_log(entry.run_id, step=entry.step.value, world=world).lines[-12:]
    except CruijffError:
        lines = ()
    told = "\n".join(f"  {line}" for line in lines)
    fact = f"the {entry.step.value} job of `{entry.run_id}` {entry.phase.value}: {entry.reason}"
    hint = f"`ck -C {world.store.root} logs {entry.run_id}`; once mended, the same command with `--resume` goes on"
    return RunError(f"{fact}\n{told}" if told else fact, run_id=entry.run_id, log_lines=lines, hint=hint)
