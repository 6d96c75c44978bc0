"""Figures as text: one way each, so that text, tables and plots agree."""

from cruijff_kit.schema.report import Interval
from cruijff_kit.schema.spec import Level

__all__ = [
    "NONE",
    "between",
    "duration",
    "estimate",
    "factor_words",
    "p_text",
    "percent",
    "plain",
    "short_run",
    "signed",
]

NONE = "-"
"""What stands where there is no figure; its reason stands beside it."""


def plain(value: float | None) -> str:
    """Return a figure with three decimals."""
    return NONE if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign and three decimals."""
    return NONE if value is None else f"{value:+.3f}"


def between(figure: Interval, *, sign: bool = False) -> str:
    """Return an interval in brackets."""
    if figure.low is None or figure.high is None:
        return NONE
    say = signed if sign else plain
    return f"[{say(figure.low)}, {say(figure.high)}]"


def estimate(figure: Interval | None) -> str:
    """Return a figure and its interval in brackets."""
    return NONE if figure is None or figure.value is None else f"{plain(figure.value)} {between(figure)}"


def percent(level: float) -> str:
    """Return a confidence level in per cent."""
    return f"{100 * level:g} %"


def p_text(value: float | None) -> str:
    """Return a p-value with three decimals, small ones as an inequality."""
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Return a time span in the largest two units that matter."""
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02.0f} s" if minutes else f"{rest:.1f} s"


def factor_words(factors: dict[str, Level]) -> str:
    """Return factor levels as words, such as `lora_rank 4, lr 0.001`."""
    return ", ".join(f"{name} {level}" for name, level in factors.items())


def short_run(run: str) -> str:
    """Return a run id without the hash at its end."""
    return run.rsplit("-", 1)[0]
