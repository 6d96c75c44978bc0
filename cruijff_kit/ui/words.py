"""Words on pages: whoever wrote them, they hold no secret, hide nothing and format nothing."""

import os
import re
from functools import cache

from cruijff_kit import workflow
from cruijff_kit.schema.run import Phase

__all__ = ["PHASES", "SIGNS", "figure", "plain", "shown"]

PHASES = {
    Phase.COMPLETED: "✓",
    Phase.RUNNING: "▶",
    Phase.FAILED: "✗",
    Phase.CANCELLED: "■",
    Phase.PENDING: "…",
    Phase.WAITING: "…",
    Phase.UNKNOWN: "?",
    Phase.INTENDED: "?",
    Phase.NOT_SUBMITTED: "·",
}
"""A sign before each state, which shows it without colour."""

SIGNS = {"good": ":green[●]", "watch": ":orange[●]", "bad": ":red[●]", "open": ":gray[○]"}
"""The colour of each light."""

_MANY = 1_000
_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:-])")


def shown(text: str) -> str:
    """Return a text as it may be shown where nothing of it is formatted."""
    return workflow.safe_text(text, secrets=_secrets())


def plain(text: str) -> str:
    """Return a text as it may be shown among Markdown, of which it then is none."""
    return _MARKS.sub(r"\\\1", shown(text))


def figure(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a figure with its interval, where it has one."""
    if value is None:
        return "–"
    ends = "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
    return f"{value:,.0f}{ends}" if abs(value) >= _MANY else f"{value:.4g}{ends}"


@cache
def _secrets() -> tuple[str, ...]:
    """Return the values of this process's variables that are named like secrets; they do not change while it runs."""
    return workflow.secrets_of(os.environ)
