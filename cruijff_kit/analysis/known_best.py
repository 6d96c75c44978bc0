"""Known best: which evaluations ask rows whose best possible accuracy is on record, and what became of it there."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.analysis.distributions import binomial_at_most, normal_below, normal_quantile
from cruijff_kit.analysis.paired import holm_adjusted
from cruijff_kit.schema.ceiling import KnownBest, Standing
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import CellCheck, Finding
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["check_ceilings", "known_bests"]

# Tasks that ask the rows as they are: what others ask, and what counts as right there, nobody knows beforehand.
_ASKING_ROWS = frozenset({"acs", "capitalization", "rows", "synthetic_twins"})
# Shares of right answers that give one answer each. `includes` takes any text that holds the right one.
_ONE_ANSWER = frozenset({"match", "numeric_risk", "risk"})
_SHOWN = 3


class _Held(NamedTuple):
    """An accuracy held against the best possible one."""

    finding: Finding
    best: KnownBest
    standing: Standing


def known_bests(spec: ExperimentSpec, plan: Plan) -> dict[tuple[str, str, str], KnownBest]:
    """Return the best possible accuracy by run, task and metric, for evaluations where it is known.

    Args:
        spec: the design.
        plan: its plan, whose data sets tell what can be known of them.
    """
    if spec.data.training.output_key != "output":
        return {}
    ceilings = {facts.key: facts.ceilings for facts in plan.datasets}
    return {
        (run.id, cell.task.name, metric): KnownBest(
            dataset=run.dataset, split=cell.task.split, ceiling=ceilings[run.dataset][cell.task.split]
        )
        for run in plan.runs
        for cell in run.cells
        if cell.task.task in _ASKING_ROWS and cell.task.dataset is None
        for metric in _ONE_ANSWER
        if cell.task.split in ceilings.get(run.dataset, {})
    }


def check_ceilings(findings: Sequence[Finding], *, subjects: frozenset[str]) -> Iterator[CellCheck]:
    """Yield how evaluations stand against the best possible accuracy; nothing where it is known of none.

    Whoever lies above it, interval and all, knows what could not be known, or was lucky: which of
    the two is told at the level of the intervals over all evaluations (Holm).

    Args:
        findings: accuracies of the last epoch of each run and task.
        subjects: runs whose results the experiment is about.
    """
    known = [
        _Held(each, each.best, each.best.standing(each.figure))
        for each in findings
        if each.best is not None and not each.best.ceiling.seen and each.figure.low is not None
    ]
    if not known:
        return
    above = [held for held in known if held.standing == "above"]
    words = _exceeded(above, known) if above else _kept([held for held in known if held.finding.run in subjects])
    runs = tuple(dict.fromkeys(held.finding.run for held in above or known))
    if words:
        yield CellCheck(kind="ceiling", flagged=bool(above), words=words, runs=runs)


def _exceeded(above: Sequence[_Held], known: Sequence[_Held]) -> str:
    """Return that some lie above what is possible, and whether luck may have put them there."""
    chances = dict(zip(map(id, known), holm_adjusted([_luck(held) for held in known]), strict=True))
    tail = (1 - above[0].finding.figure.level) / 2
    leaks = [held for held in above if chances[id(held)] < tail]
    named = _named(leaks or above)
    if leaks:
        return (
            f"{named} {'lies' if len(leaks) == 1 else 'lie'} above the best possible accuracy, interval and all, and "
            "no training can do that: answers of the test leaked into training or prompts, or the rows are not those "
            "that were generated"
        )
    return (
        f"{named} {'lies' if len(above) == 1 else 'lie'} above the best possible accuracy, interval and all; among "
        f"{len(known)} intervals luck alone may put {'it' if len(above) == 1 else 'them'} there, and so may a leak"
    )


def _kept(known: Sequence[_Held]) -> str:
    """Return how many reached what is possible, and who did not."""
    if not known:
        return ""
    values = sorted({held.best.accuracy for held in known})
    span = f"{values[0]:.3f}" if len(values) == 1 else f"from {values[0]:.3f} to {values[-1]:.3f} by data set"
    bound = ", an upper bound" if any(held.best.ceiling.upper for held in known) else ""
    reached = [held for held in known if held.standing == "reached"]
    below = [held for held in known if held.standing == "below"]
    count = f"{len(reached)} of {len(known)} evaluations reached" if len(known) > 1 else "the one evaluation reached"
    if not reached:
        count = f"none of {len(known)} evaluations reached" if len(known) > 1 else "the one evaluation did not reach"
    rest = f"; below {'stays' if len(below) == 1 else 'stay'} {_named(below)}" if below else ""
    within = "within their intervals" if len(known) > 1 else "within its interval"
    return f"{count} the best possible accuracy (the ceiling, {span}{bound}) {within}{rest}"


def _named(held: Sequence[_Held]) -> str:
    more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
    return f"{', '.join(map(_told, held[:_SHOWN]))}{more}"


def _told(held: _Held) -> str:
    found, most = held.finding, "at most " if held.best.ceiling.upper else ""
    return f"`{found.run}` on {found.task} with {found.figure.value or 0.0:.3f} against {most}{held.best.accuracy:.3f}"


def _luck(held: _Held) -> float:
    """Return how likely the best answerer is right so often."""
    figure, best = held.finding.figure, held.best.accuracy
    value, low = figure.value or 0.0, figure.low or 0.0
    if figure.method == "wilson":
        return 1 - binomial_at_most(round(value * figure.n) - 1, figure.n, share=best)
    error = (value - low) / normal_quantile(figure.level)
    return 1 - normal_below((value - best) / error) if error else float(value <= best)
