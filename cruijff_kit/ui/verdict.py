"""One verdict on a page: what is to be done, why, the set, the costs, and what is guaranteed."""

import streamlit as st

from cruijff_kit.schema.verdict import Verdict
from cruijff_kit.ui.charts import bars, config_of
from cruijff_kit.ui.export import offer
from cruijff_kit.ui.words import plain, shown

__all__ = ["show_verdict"]

_COLOURS = {"PROCEED": "green", "ADJUST": "orange", "ABSTAIN": "red"}
_MEANS = {
    "PROCEED": "act on the likeliest option",
    "ADJUST": "act, but on another option than the likeliest: the costs say so",
    "ABSTAIN": "do not act; hand the sample to a person",
}


def show_verdict(verdict: Verdict, *, calibrated: bool) -> None:
    """Show a verdict.

    Args:
        verdict: the verdict.
        calibrated: whether there is a calibrator: without one nothing is shown as guaranteed.
    """
    st.divider()
    action = f": {plain(verdict.action)}" if verdict.action is not None else ""
    st.markdown(f"## :{_COLOURS[verdict.verdict]}[{verdict.verdict}{action}]")
    st.markdown(f"That is: {_MEANS[verdict.verdict]}.  \nWhy: {plain(verdict.reason)}.")
    left, right = st.columns(2)
    with left:
        _probabilities(verdict)
    with right:
        _costs(verdict)
    _guaranteed(verdict, calibrated=calibrated)
    _spread(verdict)
    offer("verdict", lambda: [verdict.model_dump(mode="json")])


def _probabilities(verdict: Verdict) -> None:
    held = verdict.prediction_set
    shares = {each.option: each.probability for each in verdict.probabilities}
    drawn = bars(shares, chosen=held or ())
    st.plotly_chart(drawn, width="stretch", key="shares", config=config_of("shares"), theme=None)
    if held is not None:
        names = ", ".join(plain(option) for option in held) or "no option"
        st.markdown(f"Conformal set: **{names}** ({len(held)} of {len(shares)} options, in full colour)")


def _costs(verdict: Verdict) -> None:
    st.markdown("Expected cost of each action")
    table = {
        "action": [shown(each.action) for each in verdict.expected_costs],
        "expected cost": [round(each.expected_cost, 4) for each in verdict.expected_costs],
        "": ["cheapest" if each.action == verdict.cheapest else "" for each in verdict.expected_costs],
    }
    st.dataframe(table, hide_index=True, width="stretch", key="expected")
    if verdict.threshold is not None:
        st.caption(f"It acts up to an expected cost of {verdict.threshold:.4g}.")


def _guaranteed(verdict: Verdict, *, calibrated: bool) -> None:
    st.subheader("What is guaranteed")
    promises = verdict.promises if calibrated else ()
    for promise in promises:
        st.success(f"Of the {promise.of}: {plain(promise.words)}.", icon=":material/verified:")
    if not promises:
        st.markdown("Nothing.")
    for note in verdict.notes:
        st.markdown(f"- {plain(note)}")


def _spread(verdict: Verdict) -> None:
    found = verdict.spread
    if found is None:
        return
    figures = {
        "entropy (nats)": found.entropy,
        "normalised entropy": found.normalised_entropy,
        "margin": found.margin,
        "effective options": found.effective_options,
        "Gini impurity": found.gini,
    }
    for cell, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        cell.metric(name, f"{value:.3f}")
