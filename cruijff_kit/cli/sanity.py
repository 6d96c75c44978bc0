"""`ck sanity`: the smallest experiments with known answers, made and judged by one command."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.train_watch import LiveLine
from cruijff_kit.cli.world import ProgressBar, confirm, enter_sanity
from cruijff_kit.errors import CruijffError, PlanError
from cruijff_kit.schema.sanity import CheckOrder, CheckView, JudgedFigure, SanityVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from cruijff_kit.bootstrap import Begun, Bench

__all__ = ["sanity", "verdict_text"]

_ALWAYS = ("accuracy", "validation loss")
_PILOT_SEEDS = 101
_STRIP = 32
"""Columns that a figure in its band is drawn in."""
_WIDE = 132
"""Columns of a terminal on which a table with drawings has room."""

_TAKEN = (
    click.option("--model", default="tiny", show_default=True, metavar="DIR", help="Base model; tiny is ours."),
    click.option("--size", "--scale", default=None, metavar="NAME", help="small or full; by the model where absent."),
    click.option("--scheduler", type=click.Choice(["local", "site"]), default="site", show_default=True,
                 help="Whether jobs run on this machine, or as the site says."),
    click.option("-o", "--output", default=None, metavar="DIR",
                 help="Experiment directory; sanity_NAME, or pilot_NAME for pilots, where absent."),
    click.option("--yes", is_flag=True, help="Skip the question of a cluster, where your own site file allows it."),
    click.option("--json", "as_json", is_flag=True, help="Print as JSON."),
)  # fmt: skip


def _making(command: "Callable[..., None]") -> "Callable[..., None]":
    for each in reversed(_TAKEN):
        command = each(command)
    return command


@click.group()
def sanity() -> None:
    """Make the smallest experiments with known answers, and judge them."""


@sanity.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def list_checks(experiment: str, as_json: bool) -> None:
    """List the checks and their sizes."""
    bench = enter_sanity(experiment, here=True)
    views = [bench.show(name) for name in bench.names()]
    if as_json:
        click.echo("[" + ",\n".join(view.model_dump_json() for view in views) + "]")
        return
    rows = [(view.check, str(len(view.arms)), ", ".join(view.sizes), view.words) for view in views]
    click.echo(aligned(("check", "arms", "sizes", "what it checks"), rows))


@sanity.command("show")
@click.argument("name")
@click.option("--size", "--scale", default=None, metavar="NAME", help="small or full; small where absent.")
@click.option(
    "--pilots", default=None, metavar="FILE", help="Pilots that floors come from; the package's where absent."
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(experiment: str, name: str, *, size: str | None, pilots: str | None, as_json: bool) -> None:
    """Show what is known of check NAME before anything is trained."""
    view = enter_sanity(experiment, here=True).show(name, size=size, pilots=pilots)
    click.echo(view.model_dump_json(indent=2) if as_json else _view(view))


@sanity.command("run")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Run every check.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="Replicates of every arm.")
@click.option(
    "--pilots", default=None, metavar="FILE", help="Pilots that floors come from; the package's where absent."
)
@_making
@click.pass_obj
def run(experiment: str, name: str | None, *, every: bool, seeds: int, pilots: str | None, **told: Any) -> None:
    """Design, scaffold, run and judge check NAME, or all; exits with 1 where a figure lies outside its band.

    What was run before by the same words is judged again and not run again.
    """
    if (name is None) != every:
        raise PlanError("which check?", hint="name one of `ck sanity list`, or say `--all`")
    if every and (told["output"] or pilots):
        raise PlanError("`--output` and `--pilots` are of one check", hint="run the checks one by one")
    bench = enter_sanity(experiment, here=told["scheduler"] == "local")
    names = bench.names() if name is None else (name,)
    chosen = tuple(range(1, seeds + 1))
    begun = [_begun(bench, CheckOrder(check=each, seeds=chosen, pilots=pilots, **_order(told)), told) for each in names]
    verdicts = []
    for each in begun:
        _followed(bench, each)
        with ProgressBar(f"judge {each.order.check}") as progress:
            verdicts.append(bench.judge(each, progress=progress))
        _report(each)
    if told["as_json"]:
        click.echo("[" + ",\n".join(each.model_dump_json() for each in verdicts) + "]")
    else:
        click.echo("\n\n".join(verdict_text(each, drawn=_wide()) for each in verdicts))
    if not all(each.passed for each in verdicts):
        raise SystemExit(1)


@sanity.command("pilot")
@click.argument("name")
@click.option("--seeds", default=10, show_default=True, type=click.IntRange(10, 100), help="Pilots of every arm.")
@_making
@click.pass_obj
def pilot(experiment: str, name: str, *, seeds: int, **told: Any) -> None:
    """Run pilots of check NAME and record their results, from which the floors of its bands come.

    Their seeds start at 101, so that no run is judged by itself.
    """
    bench = enter_sanity(experiment, here=told["scheduler"] == "local")
    chosen = tuple(range(_PILOT_SEEDS, _PILOT_SEEDS + seeds))
    begun = _begun(bench, CheckOrder(check=name, seeds=chosen, piloting=True, **_order(told)), told)
    _followed(bench, begun)
    with ProgressBar(f"read {name}") as progress:
        found = bench.record(begun, progress=progress)
    if told["as_json"]:
        click.echo(found.model_dump_json(indent=2))
        return
    click.echo(f"{begun.world.store.root}/pilots.json: {len(found.figures)} results of {seeds} pilots an arm")
    click.echo(f"judge by them with `ck sanity run {name} --pilots {begun.world.store.root}/pilots.json`")


def _order(told: dict[str, Any]) -> dict[str, Any]:
    return {"model": told["model"], "size": told["size"], "output": told["output"]}


def _begun(bench: "Bench", order: CheckOrder, told: dict[str, Any]) -> "Begun":
    """Scaffold a check, have it agreed to where a cluster is to work for it, and hand its jobs over."""
    click.echo(f"{order.check}: design and scaffold", err=True)
    with ProgressBar("base model") as progress:
        begun = bench.begin(order, progress=progress)
    runs = len(workflow.recorded_plan(world=begun.world)[0].runs)
    click.echo(f"{order.check}: {runs} runs in {begun.world.store.root}; {begun.size_words}", err=True)
    if told["scheduler"] == "site" and begun.world.site.scheduler == "slurm":
        preview = workflow.preview_submission(begun.plan_id, world=begun.world)
        if preview.train_jobs + preview.eval_jobs:
            confirm(preview.question, "submit", unattended=told["yes"], world=begun.world)
    with ProgressBar(f"submit {order.check}") as progress:
        bench.submit(begun, progress=progress)
    return begun


def _followed(bench: "Bench", begun: "Begun") -> None:
    """Follow a check to its end; leaving with Ctrl-C disturbs no job."""
    line = LiveLine(begun.order.check)
    try:
        bench.follow(begun, show=line.show)
        line.end()
    except KeyboardInterrupt:
        click.echo("\nno longer watching; the jobs go on, and the same command takes up again", err=True)
        raise SystemExit(130) from None


def _report(begun: "Begun") -> None:
    """Write the report of a check; where nothing was measured the verdict tells, and is shown all the same."""
    try:
        workflow.write_report(reason="written by `ck sanity run` at its end", world=begun.world)
    except CruijffError as err:
        click.echo(f"note: no report of {begun.order.check}: {err}", err=True)


def _view(view: CheckView) -> str:
    sizes = [f"  {name:6} {words}" for name, words in view.sizes.items()]
    rows = [
        (
            arm.arm,
            f"{arm.accuracy:.4g}",
            "" if arm.accuracy_floor is None else f"{arm.accuracy_floor:.4f}",
            f"{arm.entropy:.4f}",
            "" if arm.pilots_loss is None else f"{arm.pilots_loss:.4f}",
            arm.words,
        )
        for arm in view.arms
    ]
    heads = ("arm", "ceiling", "floor", "entropy", "pilots' loss", "what it must show")
    legend = (
        "ceiling and floor are of accuracy; entropy is of an answer, in nats; the pilots' loss is a token's, in nats"
    )
    table = aligned(heads, rows)
    return "\n".join([f"{view.check}: {view.words}", *sizes, "", f"size {view.size}; {view.pilots}", table, legend])


def verdict_text(verdict: SanityVerdict, *, drawn: bool = False) -> str:
    """Return a verdict as a table: accuracies and losses, and whatever else is missing or outside its band.

    Args:
        verdict: the verdict.
        drawn: whether each figure is drawn in its band as well, for a terminal.
    """
    shown = [each for each in verdict.figures if each.figure in _ALWAYS or each.verdict != "inside"]
    rows = [
        (verdict.check, each.run or each.arm, each.figure, _number(each.value), each.band.words,
         *((_strip(each, shown),) if drawn else ()), _word(each))
        for each in shown
    ]  # fmt: skip
    heads = ("check", "run", "figure", "value", "band", *(("in its band",) if drawn else ()), "verdict")
    others = len(verdict.figures) - len(shown)
    rest = f"{others} further figures inside: rules kept by labels, splits apart, prompts as trained" if others else ""
    counts = _counts(verdict.figures)
    lines = [
        f"{verdict.check} at size {verdict.size}: {verdict.size_words}",
        f"floors: {verdict.pilots}",
        aligned(heads, rows),
        *([rest] if rest else []),
        f"{'passed' if verdict.passed else 'FAILED'}: {counts}",
        f"verdict {verdict.folder}/sanity.json",
    ]
    return "\n".join(lines)


def _counts(figures: Sequence[JudgedFigure]) -> str:
    words = [(sum(each.verdict == word for each in figures), word) for word in ("inside", "outside", "missing")]
    return ", ".join(f"{count} {word}" for count, word in words if count or word == "inside")


def _wide() -> bool:
    """Return whether a table with a drawing has room on standard output."""
    return sys.stdout.isatty() and os.get_terminal_size(1).columns >= _WIDE


def _strip(each: JudgedFigure, shown: Sequence[JudgedFigure]) -> str:
    """Return a figure as a mark on a line, its band drawn thick; figures of one name share their scale."""
    if each.value is None:
        return ""
    alike = [other for other in shown if other.figure == each.figure]
    ends = [end for other in alike for end in (other.value, other.band.low, other.band.high) if end is not None]
    most = max(1.0 if each.figure == "accuracy" else 0.0, *ends) or 1.0
    low, high = each.band.low or 0.0, most if each.band.high is None else each.band.high
    cells = [round(end / most * (_STRIP - 1)) for end in (low, each.value, high)]
    line = ["━" if cells[0] <= cell <= cells[2] else "·" for cell in range(_STRIP)]
    line[cells[1]] = "●" if each.verdict == "inside" else "✗"
    return "".join(line)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _word(each: JudgedFigure) -> str:
    return f"{each.verdict}: {each.reason}" if each.reason else each.verdict
