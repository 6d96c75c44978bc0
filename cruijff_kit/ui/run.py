"""The page *Run*: how one training goes, followed while it goes on."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.metric_view import Light, MetricRow
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.run import Phase, StepStatus
from cruijff_kit.ui.charts import chart, config_of, page_of
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.sight import (
    Followed,
    choose_experiment,
    choose_run,
    following,
    plan_of,
    said,
    standing_of,
    told,
    world_of,
)
from cruijff_kit.ui.words import PHASES, SIGNS, figure, plain, shown

__all__ = ["show_metrics", "show_run"]

_EVERY = 2.0
_OVER = (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)
_TITLES = {"ece": "ECE, debiased", "coverage": "coverage", "expected_risk": "expected risk"}
_LINES = 60


def show_run(opening: Opening) -> None:
    """Show the page for a run of an experiment."""
    st.title("Run")
    left, right = st.columns(2)
    with left:
        name = choose_experiment(opening)
    if name is None:
        return
    plan = plan_of(opening, name)
    with right:
        run = choose_run(plan)
    if run is None:
        return
    planned = next(each for each in plan.runs if each.id == run)
    alpha = _alpha(planned)
    followed = following(opening.project, name, RunLayout(run).metrics, site=opening.site)
    over = all(entry.phase in _OVER for entry in _steps(opening, name, run=run))

    @st.fragment(run_every=None if over else _EVERY)
    def live() -> None:
        with told():
            _states(_steps(opening, name, run=run))
            _metrics(followed, name=run, alpha=alpha)

    live()
    _offer(followed, name=run)
    _settings(planned)
    _log(opening, name, run=planned)


def show_metrics(opening: Opening) -> None:
    """Show the page for one file of metrics."""
    place = Path(opening.metrics or "")
    st.title(plain(place.name))
    followed = following(str(place.parent), "", place.name, site=opening.site)

    @st.fragment(run_every=_EVERY)
    def live() -> None:
        with told():
            _metrics(followed, name=place.stem, alpha=None)

    live()
    _offer(followed, name=place.stem)


def _steps(opening: Opening, name: str, *, run: str) -> list[StepStatus]:
    found = standing_of(opening.project, name, ask=True, site=opening.site).status
    return [] if found is None else [entry for entry in found.steps if entry.run_id == run]


def _states(steps: Sequence[StepStatus]) -> None:
    words = []
    for entry in steps:
        what = "training" if entry.step is Step.TRAIN else "evaluation"
        own = f", step {entry.own.step} of {entry.own.total}" if entry.own is not None and entry.own.total else ""
        why = f" ({plain(entry.reason)})" if entry.reason else ""
        words.append(f"{PHASES[entry.phase]} {what} **{entry.phase.value}**{own}{why}")
    st.markdown("  ·  ".join(words))


def _metrics(followed: Followed, *, name: str, alpha: float | None) -> None:
    rows = followed.look()
    if not rows:
        st.info("No line of metrics is there yet.")
        return
    _cards(rows, workflow.light_metrics(rows, alpha=alpha))
    if followed.damaged:
        st.warning(f"{followed.damaged} lines are no records of metrics and were left out.")
    columns = st.columns(2)
    for place, panel in enumerate(workflow.arrange_metrics(rows)):
        with columns[place % 2]:
            key, config = f"panel_{panel.title}", config_of(f"{name}_{panel.title}")
            st.plotly_chart(chart(panel), width="stretch", key=key, config=config, theme=None)
    st.caption("Bands are the intervals that the training wrote. The camera above a chart takes it away as PNG.")


def _offer(followed: Followed, *, name: str) -> None:
    """Offer the metrics as they are then; apart from what is drawn anew, which would take the offer back."""

    def page() -> str:
        return page_of(name, [chart(panel) for panel in workflow.arrange_metrics(followed.look())])

    offer(f"{name}_metrics", followed.look, page=page)


def _cards(rows: Sequence[MetricRow], lights: Sequence[Light]) -> None:
    last = rows[-1]
    shown_first = [("step", f"{last['step']:g}")]
    for key, title in (("loss", "loss"), ("val_loss", "validation loss")):
        values = [row[key] for row in rows if key in row]
        if values:
            shown_first.append((title, figure(values[-1])))
    cells = st.columns(len(shown_first) + len(lights))
    for cell, (title, value) in zip(cells, shown_first, strict=False):
        cell.metric(title, value)
    for cell, light in zip(cells[len(shown_first) :], lights, strict=True):
        title = f"{SIGNS[light.state]} {_TITLES[light.name]}"
        cell.metric(title, figure(light.value, light.low, light.high))
        cell.caption(light.words)


def _alpha(run: PlannedRun) -> float | None:
    """Return the miss rate that the monitor's sets are made with; None where it makes none."""
    setting = run.settings.get("calibration_monitor")
    found = setting.value.get("alpha") if setting is not None and isinstance(setting.value, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _settings(run: PlannedRun) -> None:
    with st.expander("Settings, each with its source"):
        st.dataframe(
            {
                "setting": list(run.settings),
                "value": [shown(str(each.value)) for each in run.settings.values()],
                "source": [each.source for each in run.settings.values()],
                "varied": [name in run.factors for name in run.settings],
            },
            hide_index=True,
            width="stretch",
        )


def _log(opening: Opening, name: str, *, run: PlannedRun) -> None:
    """Show the end of what the job printed, once it is asked for, where its data allow that."""
    with st.expander("What its job printed"):
        steps = [each for each in ("train", "eval") if each == "train" or run.cells]
        step = st.radio("Job", steps, horizontal=True, key="log_step")
        if not st.toggle("show the end", key="log_shown"):
            return
        try:
            world = world_of(opening.project, name, site=opening.site)
            page = workflow.tail_log(run.id, step="eval" if step == "eval" else "train", world=world)
        except CruijffError as err:
            st.info(said(err))
            return
        st.code("\n".join(shown(line) for line in page.lines[-_LINES:]), language=None)
