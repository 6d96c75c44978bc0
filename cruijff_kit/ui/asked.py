"""What is asked of a decision: sliders for error rates, and a matrix of costs that can be edited."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.scoring_rules import Costs
from cruijff_kit.ui.words import shown

__all__ = ["ask_costs", "ask_levels", "costs_of", "matrix_of"]

_ALPHA, _RISK_LEVEL, _ABSTAIN = 0.1, 0.15, 0.3
_LARGEST_ALPHA = 0.5


def ask_levels(calibrator: Calibrator | None) -> dict[str, float]:
    """Return the error rates that are asked for; without a calibrator what abstaining costs, which promises nothing."""
    if calibrator is None:
        cost = _slider("Abstaining costs", (0.0, 1.0), _ABSTAIN, key="abstain_cost")
        st.caption("It abstains where acting is expected to cost more. That promises nothing.")
        return {"abstain_cost": cost}
    risk, named = calibrator.settings.controls_risk, f"{calibrator.run}_{calibrator.settings.method}"
    found = {}
    if not risk or st.toggle("make sets too", value=True, key=f"sets_on_{named}"):
        start = _ALPHA if risk else min(calibrator.alpha, _LARGEST_ALPHA)
        label = "alpha of sets: the share that may miss the right option"
        found["miss_rate"] = _slider(label, (0.01, _LARGEST_ALPHA), start, key=f"miss_{named}")
    if risk or st.toggle("limit the cost of acting", value=True, key=f"risk_on_{named}"):
        start = calibrator.alpha if risk else _RISK_LEVEL
        label = "alpha of decisions: the cost allowed per sample acted on"
        found["risk_level"] = _slider(label, (0.01, max(1.0, start)), start, key=f"risk_{named}")
    if calibrator.kept is not None:
        st.caption("Thresholds are found anew from the scores that the calibrator keeps.")
    return found


def _slider(label: str, ends: tuple[float, float], start: float, *, key: str) -> float:
    # In two decimals an alpha of 0.025 would read as another than the one that is promised.
    return st.slider(label, *ends, start, 0.01, format="%.3g", key=key)


def ask_costs(calibrator: Calibrator | None, options: Sequence[str]) -> Costs:
    """Return what wrong choices cost, as the matrix on the page says: at first the calibrator's own."""
    own = calibrator.settings.costs if calibrator is not None else {}
    rows = matrix_of(own, options)
    names = [f"act on {shown(option)}" for option in options]
    table: dict[str, Any] = {"true": [shown(option) for option in options]}
    table |= {name: [row[place] for row in rows] for place, name in enumerate(names)}
    st.markdown("Costs: the true option in rows, the action in columns")
    edited = st.data_editor(
        table,
        hide_index=True,
        width="stretch",
        disabled=["true"],
        key=f"costs_{calibrator.run if calibrator is not None else ''}_{'|'.join(options)}",
        column_config={name: st.column_config.NumberColumn(min_value=0.0, format="%g") for name in names},
    )
    columns = [[float(cost or 0.0) for cost in edited[name]] for name in names]
    return costs_of(list(zip(*columns, strict=True)), options)


def costs_of(rows: Sequence[Sequence[float]], options: Sequence[str]) -> Costs:
    """Return a matrix, a row for each true option, as costs are named in a design."""
    return {
        true: {chosen: float(cost) for chosen, cost in zip(options, row, strict=True)}
        for true, row in zip(options, rows, strict=True)
    }


def matrix_of(costs: Mapping[str, Mapping[str, float]], options: Sequence[str]) -> list[list[float]]:
    """Return costs as a matrix, a row for each true option; 1 for each wrong choice where none are named."""
    if not costs:
        return [[float(true != chosen) for chosen in options] for true in options]
    return [[float(costs.get(true, {}).get(chosen, 0.0)) for chosen in options] for true in options]
