"""Following a training at a terminal: a bar and the loss as it falls, lines in a pipe, and what Ctrl-C does."""

import os
import sys
from typing import TYPE_CHECKING

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import changed, phase_line
from cruijff_kit.cli.train_flags import INTERRUPTED
from cruijff_kit.errors import CruijffError, RunError
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.run import ExperimentStatus, Phase, StepStatus

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["LiveLine", "bar_line", "follow"]

_POLL = 0.2
_ENDING = 60.0
_TENTHS = 10
_BAD = (Phase.FAILED, Phase.CANCELLED)
_ENDED = (Phase.COMPLETED, *_BAD)


def follow(run: str, *, world: "World") -> None:
    """Show a training and its evaluations until they end; Ctrl-C stops them, and nothing done is lost.

    Raises:
        RunError: a job failed; its last lines are told.
        SystemExit: somebody pressed Ctrl-C.
    """
    line = LiveLine()
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


class LiveLine:
    """One line of a terminal, drawn again and again; in a pipe a line for each tenth of the way.

    Of several runs it tells how many jobs have ended, and in a pipe a line for each job that begins or ends.
    """

    def __init__(self, experiment: str = "") -> None:
        """Begin a line.

        Args:
            experiment: what several runs are called together; empty for one training.
        """
        self._experiment = experiment
        self._live = sys.stderr.isatty()
        self._drawn = False
        self._told: set[tuple[str, Step, int]] = set()
        self._seen: dict[tuple[str, Step], Phase] = {}
        self._validated: float | None = None

    def show(self, look: ExperimentStatus) -> None:
        """Show the step that moves, training before evaluations."""
        if self._experiment and not self._live:
            self._tell(look)
            return
        moving = [entry for entry in look.steps if entry.phase is Phase.RUNNING]
        entry = next((each for each in moving if each.step is Step.TRAIN), moving[0] if moving else None)
        if entry is None or entry.own is None or not entry.own.total:
            self._wait(look)
            return
        before = self._before(look)
        share = entry.own.step / entry.own.total
        # Only some lines tell of it; the last one told stays on view.
        self._validated = entry.last.get("val_loss", self._validated)
        figures = f"{entry.own.step}/{entry.own.total}{_figures(entry, self._validated)}"
        if self._live:
            self._draw(f"{before}{self._doing(entry)}", share, figures=figures)
        elif (key := (entry.run_id, entry.step, int(_TENTHS * share))) not in self._told:
            self._told.add(key)
            click.echo(f"{self._doing(entry)} {figures}", err=True)

    def _wait(self, look: ExperimentStatus) -> None:
        """Say on a terminal that something goes on, until there are steps to count."""
        if self._live and look.moving and (self._experiment or not self._drawn):
            self._put(f"{self._before(look)}loading the model and the rows …")

    def _before(self, look: ExperimentStatus) -> str:
        """Return how many jobs of several runs have ended."""
        ended = sum(entry.phase in _ENDED for entry in look.steps)
        return f"{self._experiment}: {ended} of {len(look.steps)} jobs ended; " if self._experiment else ""

    def _tell(self, look: ExperimentStatus) -> None:
        """Print a line for each job that is in another state than before."""
        begun = bool(self._seen)
        for entry in changed(look, self._seen):
            if entry.phase in _ENDED or (begun and entry.phase is Phase.RUNNING):
                click.echo(f"{self._before(look)}{phase_line(entry)}{_figures(entry, None)}", err=True)

    def _doing(self, entry: StepStatus) -> str:
        word = "training" if entry.step is Step.TRAIN else "evaluating"
        return f"{word} {entry.run_id}" if self._experiment or word == "evaluating" else word

    def _draw(self, doing: str, share: float, *, figures: str) -> None:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        self._put(bar_line(doing, figures, share=share, columns=columns))
        self._drawn = True

    def _put(self, text: str) -> None:
        """Write over the line, as much of it as the terminal is wide; 80 columns where it does not say."""
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        click.echo(f"\r\x1b[K{text[: columns - 1]}", nl=False, err=True)

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
