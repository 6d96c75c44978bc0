"""`ck compare`: figures of several experiments, what may be subtracted, and what differs between their runs."""

import csv
import io
from collections.abc import Iterator
from typing import Literal

import click

from cruijff_kit import workflow
from cruijff_kit.cli.table import aligned
from cruijff_kit.cli.world import ProgressBar, enter
from cruijff_kit.schema.compared import Across, ArmFigure, CompareRules, Contrast, KeyDifference
from cruijff_kit.schema.interval import Interval

__all__ = ["compare"]

_SHOWN = 60


@click.command("compare")
@click.argument("experiments", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False))
@click.option(
    "--metric", "metrics", multiple=True, help="A metric such as `match` or `risk/auc`; the designs' own where absent."
)
@click.option("--task", "tasks", multiple=True, help="An evaluation task; all where absent.")
@click.option("--run", "runs", multiple=True, metavar="WORD", help="Only arms whose name, or a run's id, holds WORD.")
@click.option("--matched", is_flag=True, help="Only arms with the same factor levels against each other.")
@click.option("--level", default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, hashes whole.")
@click.option("--csv", "as_csv", type=click.Choice(["figures", "differences"]), help="Print one of the tables as CSV.")
@click.pass_obj
def compare(
    _: str,
    *,
    experiments: tuple[str, ...],
    as_json: bool,
    as_csv: Literal["figures", "differences"] | None,
    metrics: tuple[str, ...],
    tasks: tuple[str, ...],
    runs: tuple[str, ...],
    matched: bool,
    level: float,
) -> None:
    """Compare EXPERIMENTS: figures with intervals, and differences where task, data, split and metric agree.

    Nothing is written. Runs that differ in their seed alone are one arm; each arm is compared with those of the other
    experiments, and every key that the two do not share is told.
    """
    rules = CompareRules(metrics=metrics, tasks=tasks, runs=runs, matched=matched, level=level)
    with ProgressBar("compare") as bar:
        found = workflow.compare_experiments([enter(each) for each in experiments], rules=rules, progress=bar)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    elif as_csv is not None:
        click.echo(_csv(found, as_csv), nl=False)
    else:
        click.echo("\n".join(workflow.safe_text(line) for line in _lines(found)))


def _lines(found: Across) -> Iterator[str]:
    for each in found.experiments:
        origin = ", imported" if each.imported else ""
        yield f"{each.label}  {each.name}  ({each.folder}, {each.runs} runs, plan {each.plan_id[:12]}{origin})"
        if each.closed:
            yield f"   texts are told by their hashes: {each.closed}"
    yield ""
    yield aligned(
        ("", "arm", "task", "epoch", "metric", "value", f"{100 * found.level:g} %", "n", "seeds"),
        [
            (each.experiment, each.arm, each.task, "base" if each.epoch is None else str(each.epoch), each.metric,
             _plain(each.figure.value), _range(each.figure), str(each.figure.n), str(len(each.runs)))
            for each in found.figures
        ],
    )  # fmt: skip
    yield from (
        f"missing: {each.experiment} {each.arm}, {each.task}: {each.reason}" for each in found.figures if each.reason
    )
    if found.contrasts:
        yield ""
        yield aligned(
            ("difference", "task", "metric", "value", f"{100 * found.level:g} %", "n", "over", "p", "p (Holm)"),
            [_row(each) for each in found.contrasts],
        )
        yield found.multiplicity
        yield from _told(found)
    if found.not_comparable:
        yield from ("", "not comparable")
    for each in found.not_comparable:
        yield f"  {each.second} - {each.first}, {each.metric}: {'; '.join(each.reasons)}"


def _row(each: Contrast) -> tuple[str, ...]:
    figure = each.difference
    value = "–" if figure.value is None else f"{figure.value:+.3f}"
    tested = (_p(each.p_value), _p(each.p_adjusted))
    pair = f"{each.second} - {each.first}"
    return (pair, each.task, each.metric, value, _range(figure, sign=True), str(figure.n), each.over, *tested)


def _told(found: Across) -> Iterator[str]:
    """Yield what the arms of differences do not share, and what to know; alike ones once."""
    said: dict[tuple[KeyDifference, ...], list[str]] = {}
    for each in found.contrasts:
        said.setdefault(each.differs, []).append(f"{each.second} - {each.first}")
    for keys, pairs in said.items():
        yield ""
        yield "; ".join(dict.fromkeys(pairs))
        yield from (f"  {each.key}: {_short(each.first)} -> {_short(each.second)}" for each in keys)
        if not keys:
            yield "  no configuration key differs"
    warned: dict[str, list[str]] = {}
    for each in found.contrasts:
        for caution in each.cautions:
            warned.setdefault(caution, []).append(f"{each.second} - {each.first}")
    for caution, pairs in warned.items():
        named = dict.fromkeys(pairs)
        whose = f"all {len(named)}" if len(named) > 3 else "; ".join(named)
        yield f"caution ({whose}): {caution}"


def _csv(found: Across, which: Literal["figures", "differences"]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = {each.label: each.name for each in found.experiments}
    if which == "figures":
        writer.writerow(("experiment", "label", "arm", "task", "epoch", "metric", "value", "low", "high", "level", "n",
                         "method", "runs", "values", "reason"))  # fmt: skip
        writer.writerows(_figure_cells(each, names[each.experiment]) for each in found.figures)
    else:
        writer.writerow(("first", "second", "task", "metric", "value", "low", "high", "level", "n", "over", "method",
                         "test", "p_value", "p_adjusted", "differs", "cautions"))  # fmt: skip
        writer.writerows(_contrast_cells(each) for each in found.contrasts)
    return buffer.getvalue()


def _figure_cells(each: ArmFigure, name: str) -> tuple[object, ...]:
    figure = each.figure
    told = (figure.value, figure.low, figure.high, figure.level, figure.n, figure.method)
    runs = (" ".join(each.runs), " ".join(map(str, each.values)))
    return (name, each.experiment, each.arm, each.task, each.epoch, each.metric, *told, *runs, each.reason)


def _contrast_cells(each: Contrast) -> tuple[object, ...]:
    figure = each.difference
    keys = "; ".join(f"{key.key}: {key.first} -> {key.second}" for key in each.differs)
    told = (figure.value, figure.low, figure.high, figure.level, figure.n, each.over, figure.method)
    tested = (each.test, each.p_value, each.p_adjusted)
    return (each.first, each.second, each.task, each.metric, *told, *tested, keys, "; ".join(each.cautions))


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _range(figure: Interval, *, sign: bool = False) -> str:
    if figure.low is None or figure.high is None:
        return "–"
    return f"[{figure.low:+.3f}, {figure.high:+.3f}]" if sign else f"[{figure.low:.3f}, {figure.high:.3f}]"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    if len(plain) == 64 and plain.isalnum():
        return plain[:12]
    return plain if len(plain) <= _SHOWN else f"{plain[: _SHOWN - 1]}…"
