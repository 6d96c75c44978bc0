"""The page *Compare*: runs side by side, with the figures and intervals that the report has."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.metric_view import Curve, Panel
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.report import Trace
from cruijff_kit.ui.charts import config_of, overlay
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.sight import choose_experiment, following, plan_of, said, world_of
from cruijff_kit.ui.words import figure, shown

__all__ = ["SideBySide", "show_compare", "side_by_side"]

_PAGE = 500
_FIRST = 3
_MOST = 8


class SideBySide(NamedTuple):
    """A figure, and what each run has of it."""

    figure: str
    """Its name, without the run's."""
    runs: Mapping[str, Trace]
    """What runs have of it."""


def side_by_side(figures: Sequence[Trace], runs: Sequence[str]) -> list[SideBySide]:
    """Return the figures of some runs, a line for each that any of them has, in the order of the report."""
    found: dict[str, dict[str, Trace]] = {}
    for each in figures:
        parts = each.figure.split("/")
        run = next((part for part in parts if part in runs), None)
        if run is not None:
            name = "/".join(part for part in parts if part != run)
            found.setdefault(name, {})[run] = each
    return [SideBySide(name, runs) for name, runs in found.items()]


def show_compare(opening: Opening) -> None:
    """Show the page."""
    st.title("Compare")
    name = choose_experiment(opening)
    if name is None:
        return
    plan = plan_of(opening, name)
    ids = [each.id for each in plan.runs]
    runs = st.multiselect("Runs", ids, default=ids[:_FIRST], max_selections=_MOST, key=f"compared_{name}")
    if not runs:
        st.info("Choose runs to compare.")
        return
    _differences(plan, runs)
    _figures(opening, name, runs=runs)
    _curves(opening, name, runs=runs)


def _differences(plan: Plan, runs: Sequence[str]) -> None:
    """Show what differs between runs; what all have in common is left out."""
    chosen = [each for each in plan.runs if each.id in runs]
    values = {
        name: [shown(str(each.settings[name].value)) if name in each.settings else "" for each in chosen]
        for name in dict.fromkeys(name for each in chosen for name in each.settings)
    }
    differing = {name: told for name, told in values.items() if len(set(told)) > 1}
    differing = {"model": [shown(each.model.name) for each in chosen], **differing}
    differing["seed"] = [str(each.seed) for each in chosen]
    st.subheader("What differs")
    rows = {
        "setting": list(differing),
        **{each.id: [differing[n][at] for n in differing] for at, each in enumerate(chosen)},
    }
    st.dataframe(rows, hide_index=True, width="stretch", key="differences")


def _figures(opening: Opening, name: str, *, runs: Sequence[str]) -> None:
    st.subheader("Figures of the report")
    try:
        figures = _all_figures(opening, name)
    except CruijffError as err:
        st.info(said(err))
        return
    words = st.text_input("Figures whose names hold", key="figure_words", placeholder="accuracy, ece, guarantee …")
    wanted = words.casefold().split()
    lines = [
        line for line in side_by_side(figures, runs) if all(word in line.figure.casefold() for word in wanted)
    ]  # fmt: skip
    if not lines:
        st.info("The report has no such figure of these runs.")
        return
    table: dict[str, list[Any]] = {"figure": [shown(line.figure) for line in lines]}
    for run in runs:
        table[run] = [_told(line.runs.get(run)) for line in lines]
    st.dataframe(table, hide_index=True, width="stretch", key="figures")
    st.caption("Each with its interval and the samples it rests on, as `report/trace.json` has it.")
    offer("figures", lambda: [_flat(run, each) for line in lines for run, each in line.runs.items()])


def _all_figures(opening: Opening, name: str) -> list[Trace]:
    world = world_of(opening.project, name, site=opening.site)
    found: list[Trace] = []
    total = 1
    while len(found) < total:
        page = workflow.read_results(after=len(found), limit=_PAGE, world=world)
        found += page.figures
        total = page.total
        if not page.figures:
            break
    return found


def _told(each: Trace | None) -> str:
    if each is None:
        return ""
    rests = f", n = {each.n}" if each.n is not None and each.value is not None else ""
    return f"{figure(each.value, each.low, each.high)}{rests}"


def _flat(run: str, each: Trace) -> dict[str, Any]:
    return {"run": run, "figure": each.figure, "value": each.value, "low": each.low, "high": each.high, "n": each.n}


def _curves(opening: Opening, name: str, *, runs: Sequence[str]) -> None:
    panels = {
        run: workflow.arrange_metrics(
            following(opening.project, name, RunLayout(run).metrics, site=opening.site).look()
        )
        for run in runs
    }
    known = _known(panels)
    if not known:
        return
    st.subheader("Curves")
    picked = st.selectbox("Figure", list(known), format_func=lambda key: known[key][1].title, key="curve")
    if picked is None:
        return
    panel = known[picked][0]
    curves = {
        run: curve for run in runs for each in panels[run] for curve in each.curves if curve.name == picked
    }  # fmt: skip
    drawn = overlay(known[picked][1].title, curves, unit=panel.unit, logarithmic=panel.logarithmic)
    st.plotly_chart(drawn, width="stretch", key="overlay", config=config_of(f"{name}_{picked}"), theme=None)


def _known(panels: Mapping[str, Sequence[Panel]]) -> dict[str, tuple[Panel, Curve]]:
    """Return every figure that any run has, by its name in the file."""
    found: dict[str, tuple[Panel, Curve]] = {}
    for each in panels.values():
        for panel in each:
            for curve in panel.curves:
                found.setdefault(curve.name, (panel, curve))
    return found
