"""A search in words and in plain text: what may be claimed, and how the best value fell or rose."""

from collections.abc import Iterator

from cruijff_kit.rendering.numbers import NONE, plain
from cruijff_kit.rendering.sheet import Column, Table
from cruijff_kit.schema.sweep import SweepView, Win

__all__ = ["curve_lines", "sweep_table", "sweep_words", "win_words"]

_WIDTH = 60
_HEIGHT = 9


def sweep_words(view: SweepView) -> tuple[str, ...]:
    """Return what a search says so far, in sentences; a win is claimed by fresh seeds alone."""
    return tuple(_words(view))


def _words(view: SweepView) -> Iterator[str]:
    told = [row for row in view.rows if row.name.startswith("trial-") and not row.name.endswith("-fresh")]
    ended = [row for row in told if row.name not in view.waiting]
    failed = sum(row.value is None for row in ended)
    lost = f", {failed} of them without a value" if failed else ""
    way = "less" if view.minimise else "more"
    yield f"Search by {view.metric}, {way} is better: {len(ended)} of {view.trials} trials have ended{lost}."
    if view.spread is not None:
        yield f"The default varies by {view.spread:.3g} (standard deviation) between the search's own seeds."
    if view.win is not None:
        yield from win_words(view.win)
    elif view.finished:
        yield _without_win(view)
    elif any(row.value is not None for row in told):
        yield "The best of many results is flattered by having been chosen; nothing is claimed before fresh seeds."


def _without_win(view: SweepView) -> str:
    if view.rows[0].value is None:
        return "No win: the default has no value, so nothing can be held against it."
    if any(row.name.endswith("-fresh") for row in view.rows):
        return "No win: too few runs on fresh seeds have a value to tell."
    return "No win: no trial did better than the default, on the search's own seeds already."


def win_words(win: Win) -> Iterator[str]:
    """Yield whether a win may be claimed, and by what."""
    seeds = len(win.values)
    figures = (
        f"{win.trial} is better than the default by {win.improvement:.4g} on {seeds} fresh seeds, "
        f"{_times(win)} the noise floor of {win.noise:.3g} (exact sign-flip test, one-sided p = {win.p_value:.3g})"
    )
    if win.improvement <= 0:
        yield f"No win: on {seeds} fresh seeds {win.trial} is no better than the default ({win.improvement:.4g})."
    elif win.won:
        yield f"Win: {figures}."
    else:
        yield f"No win: {figures}; asked for were p of at most {win.alpha:g} and twice the noise floor."
    yield (
        f"Both ran on the same seeds, which had no part in choosing: a search without any effect claims a win in at "
        f"most {win.alpha:.0%} of cases, however many trials it has."
    )


def _times(win: Win) -> str:
    return f"{win.improvement / win.noise:.1f} times" if win.noise else "over"


def sweep_table(view: SweepView) -> Table:
    """Return the trials of a search as a table of the report."""
    columns = (
        Column("trial", "code"),
        *(Column(name) for name in view.parameters),
        Column("seeds", "number"),
        Column(view.metric, "number"),
        Column("note"),
    )
    rows = tuple(
        (
            row.name,
            *(row.level_words(name) or NONE for name in view.parameters),
            str(row.seeds),
            plain(row.value),
            row.note or NONE,
        )
        for row in view.rows
    )
    note = "Means over seeds. Trials were proposed by the values of those before them, which `search.json` keeps."
    return Table("search", "Search", columns, rows, note, view.curve)


def curve_lines(view: SweepView) -> tuple[str, ...]:
    """Return a plot of plain characters: `.` a trial's value, `*` the best so far, from the default on."""
    best = view.incumbents
    values = [row.value for row in view.rows[: len(best)]]
    known = [value for value in (*best, *values) if value is not None]
    if len(best) < 2 or not known:
        return ()
    low, high = min(known), max(known)
    columns = min(_WIDTH, len(best))
    grid = [[" "] * columns for _ in range(_HEIGHT)]
    for mark, series in ((".", values), ("*", best)):
        for at, value in enumerate(series):
            if value is not None:
                share = 0.5 if high == low else (high - value) / (high - low)
                grid[round(share * (_HEIGHT - 1))][at * columns // len(best)] = mark
    ends = {0: f"{high:.4g}", _HEIGHT - 1: f"{low:.4g}"}
    width = max(map(len, ends.values()))
    lines = [f"{ends.get(at, ''):>{width}} |{''.join(row)}".rstrip() for at, row in enumerate(grid)]
    axis = f"{'':>{width}} +{'-' * columns}"
    foot = f"{'':>{width}}  default, then {len(best) - 1} trials; `.` a trial, `*` the best so far"
    return (*lines, axis, foot)
