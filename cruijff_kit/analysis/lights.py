"""Lights: whether calibration and coverage are as they should be, by their intervals and never by the point alone."""

from cruijff_kit.schema.metric_view import Light

__all__ = ["ECE_BAD", "ECE_GOOD", "coverage_light", "ece_light", "risk_light"]

ECE_GOOD = 0.05
"""A calibration error that lies below this with its whole interval is small."""
ECE_BAD = 0.10
"""One that lies above this with its whole interval is large."""


def ece_light(value: float | None, low: float | None, *, high: float | None, debiased: bool = True) -> Light:
    """Return how a calibration error stands, by the interval of its debiased estimate.

    The plain estimate lies above .05 for nearly every small set, however well calibrated: a large one tells nothing.
    """
    if value is None:
        return Light(name="ece", state="open", value=None, words="no calibration error was measured")
    told = {"name": "ece", "value": value, "low": low, "high": high}
    if low is None or high is None:
        return Light(**told, state="open", words="without an interval nobody can tell it from chance")
    if high < ECE_GOOD:
        return Light(**told, state="good", words=f"the whole interval lies below {ECE_GOOD:g}")
    if not debiased:
        return Light(**told, state="open", words="the plain estimate is too large on small sets: this tells nothing")
    if low > ECE_BAD:
        return Light(**told, state="bad", words=f"the whole interval lies above {ECE_BAD:g}")
    if low > ECE_GOOD:
        return Light(**told, state="watch", words=f"the whole interval lies above {ECE_GOOD:g}")
    return Light(**told, state="open", words=f"the interval holds {ECE_GOOD:g}: too few samples to tell")


def coverage_light(
    value: float | None,
    low: float | None,
    *,
    high: float | None,
    alpha: float | None,
    expected: tuple[float, float] | None = None,
) -> Light:
    """Return how coverage stands against its target, one minus alpha of the calibrator.

    Args:
        value: share of sets that held the right option.
        low: lower limit of its interval.
        high: upper limit of its interval.
        alpha: share of sets that may miss; None where nothing was promised.
        expected: where coverage lies given the calibration set; None where nobody can tell.
    """
    if value is None:
        return Light(name="coverage", state="open", value=None, words="no coverage was measured")
    told = {"name": "coverage", "value": value, "low": low, "high": high}
    if alpha is None:
        return Light(**told, state="open", words="no calibrator says what was promised")
    target = 1 - alpha
    if low is None or high is None:
        return Light(**told, state="open", words=f"the target is {target:g}; without an interval nobody can tell")
    if high < target and expected is not None and high >= expected[0]:
        within = f"such a calibration set may give as little as {expected[0]:.3g}"
        return Light(**told, state="watch", words=f"the whole interval lies below the target {target:g}; {within}")
    if high < target:
        return Light(**told, state="bad", words=f"the whole interval lies below the target {target:g}")
    if low > target:
        return Light(**told, state="good", words=f"above the target {target:g}: sets may be larger than need be")
    return Light(**told, state="good", words=f"the interval holds the target {target:g}")


def risk_light(value: float | None, low: float | None, *, high: float | None, alpha: float | None) -> Light:
    """Return how an expected risk stands against what its calibrator allows."""
    if value is None:
        return Light(name="expected_risk", state="open", value=None, words="no risk was measured")
    told = {"name": "expected_risk", "value": value, "low": low, "high": high}
    if alpha is None:
        return Light(**told, state="open", words="no calibrator says what is allowed")
    if low is None or high is None:
        return Light(**told, state="open", words=f"{alpha:g} is allowed; without an interval nobody can tell")
    if low > alpha:
        return Light(**told, state="bad", words=f"the whole interval lies above the {alpha:g} allowed")
    if high <= alpha:
        return Light(**told, state="good", words=f"the whole interval lies within the {alpha:g} allowed")
    return Light(**told, state="watch", words=f"the interval reaches beyond the {alpha:g} allowed")
