"""Tiers: how freely data may be shown, as its place, its marks and its declarations say; the strictest counts."""

from collections.abc import Iterable
from pathlib import PurePath

from cruijff_kit.errors import SpecError
from cruijff_kit.schema.data import Tier

__all__ = ["MARK", "TIERS", "path_tier", "stated_tier", "strictest"]

TIERS: tuple[Tier, ...] = ("green", "yellow", "red")
"""All tiers, the freest first."""

MARK = "TIER"
"""File in a folder of data that says its tier."""

_HOME = "data"


def strictest(said: Iterable[Tier | None], *, unsaid: Tier = "yellow") -> Tier:
    """Return the strictest of what was said; `unsaid` where nothing was."""
    ranks = [TIERS.index(tier) for tier in said if tier is not None]
    return TIERS[max(ranks)] if ranks else unsaid


def path_tier(path: PurePath) -> Tier | None:
    """Return the strictest tier that a path names by `data/green`, `data/yellow` or `data/red`; None where it does not.

    Only whole names count, spelt just so: `data/red2`, `my-data/red` and `red/data` name none.
    """
    pairs = zip(path.parts, path.parts[1:], strict=False)
    said: list[Tier] = [tier for home, name in pairs for tier in TIERS if home == _HOME and name == tier]
    return strictest(said) if said else None


def stated_tier(text: str, *, place: str) -> Tier:
    """Return the tier that a text states.

    Args:
        text: `green`, `yellow` or `red`, blanks around it aside.
        place: file it stands in, as messages call it.

    Raises:
        SpecError: it is none of them.
    """
    word = text.strip()
    for tier in TIERS:
        if word == tier:
            return tier
    fact = f"`{place}` says `{word[:20]}`; tiers are `green`, `yellow` and `red`"
    raise SpecError(fact, hint="write one of them into that file")
