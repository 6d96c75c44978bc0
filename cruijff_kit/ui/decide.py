"""The page *Decide*: one sample's probabilities, the set, the costs and the verdict, and what is guaranteed of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from cruijff_kit import workflow
from cruijff_kit.errors import CruijffError
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.sample_view import SamplePage
from cruijff_kit.schema.verdict import Chances, DecisionSettings, Verdict
from cruijff_kit.ui.charts import bars, config_of
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.sight import choose_experiment, choose_run, plan_of, told, world_of
from cruijff_kit.ui.words import plain, shown

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["NO_GUARANTEE", "costs_of", "matrix_of", "show_decide"]

NO_GUARANTEE = "Nothing is guaranteed here: there is no calibrator for these probabilities."
"""What stands where a guarantee would, without a calibrator."""

_TYPED, _STORED = "typed probabilities", "a stored sample"
_RISK = ("crc", "ltt")
_COLOURS = {"PROCEED": "green", "ADJUST": "orange", "ABSTAIN": "red"}
_MEANS = {
    "PROCEED": "act on the likeliest option",
    "ADJUST": "act, but on another option than the likeliest: the costs say so",
    "ABSTAIN": "do not act; hand the sample to a person",
}
_NEW = ("yes", "no")


def show_decide(opening: Opening) -> None:
    """Show the page."""
    st.title("Decide")
    left, right = st.columns(2)
    with left:
        name = choose_experiment(opening)
    run = None
    if name is not None:
        with right:
            run = choose_run({each.id: each.id for each in plan_of(opening, name).runs})
    world = world_of(opening.project, name or "", site=opening.site)
    calibrator = workflow.find_calibrator(run, world=world) if run is not None else None
    _about(run, calibrator)
    source = st.radio("Decide on", [_TYPED, _STORED], horizontal=True, key="decide_source")
    chances = _typed(calibrator) if source == _TYPED else _stored(run, world=world)
    if chances is None:
        return
    asked = _asked(calibrator, chances.options)
    with told():
        verdict = workflow.weigh_chances(chances, run=run if calibrator is not None else None, asked=asked, world=world)
        _show(verdict, calibrated=calibrator is not None)


def costs_of(rows: Sequence[Sequence[float]], options: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return a matrix, a row for each true option, as costs are named in a design."""
    return {
        true: {chosen: float(cost) for chosen, cost in zip(options, row, strict=True)}
        for true, row in zip(options, rows, strict=True)
    }


def matrix_of(costs: dict[str, dict[str, float]], options: Sequence[str]) -> list[list[float]]:
    """Return costs as a matrix, a row for each true option; 1 for each wrong choice where none are named."""
    if not costs:
        return [[float(true != chosen) for chosen in options] for true in options]
    return [[float(costs.get(true, {}).get(chosen, 0.0)) for chosen in options] for true in options]


def _about(run: str | None, calibrator: Calibrator | None) -> None:
    if calibrator is None:
        fitted = f" `ck calibrate {plain(run)}` fits one." if run is not None else ""
        st.warning(f"{NO_GUARANTEE}{fitted}", icon=":material/info:")
        return
    method, n = calibrator.settings.method, calibrator.n
    st.caption(
        f"Calibrator: {method} on {n} samples of split {plain(calibrator.settings.split)}, "
        f"alpha {calibrator.alpha:g}, temperature {calibrator.temperature:.3g}."
    )


def _typed(calibrator: Calibrator | None) -> Chances | None:
    options: Sequence[str] = calibrator.options if calibrator is not None else _own_options()
    if len(options) < 2:
        st.info("Name two options at least.")
        return None
    st.caption("They are made to add up to 1. They stand for what the model said, before any temperature.")
    cells = st.columns(min(6, len(options)))
    shares = {}
    for place, option in enumerate(options):
        start = 0.6 if place == 0 else round(0.4 / (len(options) - 1), 3)
        cell = cells[place % len(cells)]
        key = f"share_{option}"
        shares[option] = cell.number_input(shown(option), 0.0, 1.0, start, 0.01, format="%.3f", key=key)
    with told():
        return workflow.type_chances(shares)
    return None


def _own_options() -> list[str]:
    text = st.text_input("Options, separated by commas", ", ".join(_NEW), key="own_options")
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _stored(run: str | None, *, world: "World") -> Chances | None:
    if run is None:
        st.info("There is no run whose samples could be chosen.")
        return None
    try:
        page = _samples(run, world=world)
    except CruijffError as err:
        st.info(plain(str(err)).replace("\n", "  \n"))
        return None
    if not page.samples:
        st.info("No sample of this run was scored on a split that nothing was fitted to.")
        return None
    words = [
        f"{shown(each.chances.sample_id)} · {each.split} · epoch {each.epoch}" for each in page.samples
    ]  # fmt: skip
    place = st.selectbox("Sample", range(len(words)), format_func=words.__getitem__, key="sample") or 0
    chosen = page.samples[place]
    groups = "".join(f", {plain(name)} {plain(value)}" for name, value in chosen.chances.groups.items())
    st.caption(f"The right option of this sample is {plain(chosen.target)}{groups}.")
    return chosen.chances


def _samples(run: str, *, world: "World") -> SamplePage:
    """Return the samples of a run, read again only once they were collected anew."""
    head = world.audit.head()
    key = (str(world.store.root), run, head.seq if head is not None else -1)
    kept = st.session_state.get("samples")
    if kept is None or kept[0] != key:
        kept = (key, workflow.list_samples(run, world=world))
        st.session_state["samples"] = kept
    return kept[1]


def _asked(calibrator: Calibrator | None, options: Sequence[str]) -> DecisionSettings:
    """Return what the sliders and the matrix say."""
    left, right = st.columns([2, 3])
    with left:
        levels = _levels(calibrator)
    with right:
        costs = _costs(calibrator, options)
    return DecisionSettings(costs=costs, **levels)


def _levels(calibrator: Calibrator | None) -> dict[str, float]:
    if calibrator is None:
        cost = st.slider("Abstaining costs", 0.0, 1.0, 0.3, 0.01, key="abstain_cost")
        st.caption("It abstains where acting is expected to cost more. That promises nothing.")
        return {"abstain_cost": cost}
    risk = calibrator.settings.method in _RISK
    found = {}
    named = f"{calibrator.run}_{calibrator.settings.method}"
    if risk or st.toggle("limit the cost of acting", value=True, key=f"risk_on_{named}"):
        start = calibrator.alpha if risk else 0.15
        label = "alpha of decisions: the cost allowed"
        found["risk_level"] = st.slider(label, 0.01, max(1.0, start), start, 0.01, key=f"risk_{named}")
    if not risk or st.toggle("make sets too", value=True, key=f"sets_on_{named}"):
        start = 0.1 if risk else calibrator.alpha
        label = "alpha of sets: the share that may miss"
        found["miss_rate"] = st.slider(label, 0.01, 0.5, min(start, 0.5), 0.01, key=f"miss_{named}")
    st.caption("Each is found anew from the scores that the calibrator keeps.")
    return found


def _costs(calibrator: Calibrator | None, options: Sequence[str]) -> dict[str, dict[str, float]]:
    own = calibrator.settings.costs if calibrator is not None else {}
    st.markdown("What it costs: the true option in rows, the action in columns")
    rows = matrix_of(own, options)
    # The first column tells the truth and is not edited.
    table: dict[str, Any] = {"true": [shown(option) for option in options]}
    table |= {f"act on {shown(option)}": [row[place] for row in rows] for place, option in enumerate(options)}
    edited = st.data_editor(
        table,
        hide_index=True,
        width="stretch",
        disabled=["true"],
        key=f"costs_{calibrator.run if calibrator is not None else ''}_{'|'.join(options)}",
        column_config={name: st.column_config.NumberColumn(min_value=0.0) for name in list(table)[1:]},
    )
    columns = [list(edited[name]) for name in list(table)[1:]]
    return costs_of([[column[place] or 0.0 for column in columns] for place in range(len(options))], options)


def _show(verdict: Verdict, *, calibrated: bool) -> None:
    st.divider()
    colour = _COLOURS[verdict.verdict]
    action = f": {plain(verdict.action)}" if verdict.action is not None else ""
    st.markdown(f"## :{colour}[{verdict.verdict}{action}]")
    st.markdown(f"That is: {_MEANS[verdict.verdict]}. {plain(verdict.reason)}.")
    left, right = st.columns(2)
    held = verdict.prediction_set or ()
    with left:
        shares = {each.option: each.probability for each in verdict.probabilities}
        st.plotly_chart(
            bars(shares, chosen=held), width="stretch", key="shares", config=config_of("shares"), theme=None
        )
        if verdict.prediction_set is not None:
            names = ", ".join(plain(option) for option in held)
            st.markdown(f"Conformal set: **{{ {names} }}**")
    with right:
        st.markdown("Expected cost of each action")
        table = {
            "action": [shown(each.action) for each in verdict.expected_costs],
            "expected cost": [each.expected_cost for each in verdict.expected_costs],
            "": ["cheapest" if each.action == verdict.cheapest else "" for each in verdict.expected_costs],
        }
        st.dataframe(table, hide_index=True, width="stretch", key="expected")
        if verdict.threshold is not None:
            st.caption(f"It acts up to an expected cost of {verdict.threshold:.4g}.")
    _guaranteed(verdict, calibrated=calibrated)
    _spread(verdict)
    offer("verdict", [verdict.model_dump(mode="json")])


def _guaranteed(verdict: Verdict, *, calibrated: bool) -> None:
    st.subheader("What is guaranteed")
    for promise in verdict.promises if calibrated else ():
        st.success(f"Of the {promise.of}: {plain(promise.words)}.", icon=":material/verified:")
    if not (calibrated and verdict.promises):
        st.markdown("Nothing.")
    for note in verdict.notes:
        st.markdown(f"- {plain(note)}")


def _spread(verdict: Verdict) -> None:
    found = verdict.spread
    if found is None:
        return
    cells = st.columns(5)
    figures = (
        ("entropy (nats)", found.entropy),
        ("normalised entropy", found.normalised_entropy),
        ("margin", found.margin),
        ("effective options", found.effective_options),
        ("Gini impurity", found.gini),
    )
    for cell, (name, value) in zip(cells, figures, strict=True):
        cell.metric(name, f"{value:.3f}")
