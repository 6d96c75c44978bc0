"""The tier of a table: how freely its rows and cells may be shown."""

from pathlib import Path

from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.read_design import read_design

__all__ = ["tier_of", "withheld"]

_TIERS: tuple[Tier, ...] = ("green", "yellow", "red")


def tier_of(file: Path, *, declared: Tier | None, world: World) -> Tier:
    """Return the tier of a table: the strictest of what is declared and what its folder and the design say.

    A folder says it by a file `TIER`, or by its name below `data`. Where nothing is said it is yellow.

    Raises:
        SpecError: a `TIER` names no tier, or the design cannot be read.
    """
    said = [tier for tier in (declared, *_marks(file)) if tier is not None]
    if file.resolve().is_relative_to(world.store.root.resolve()) and _designed(world):
        said.append(read_design(world).data.tier)
    return _TIERS[max(map(_TIERS.index, said), default=_TIERS.index("yellow"))]


def withheld(tier: Tier, *, world: World) -> str:
    """Return why cells and rows are not shown; empty where they may be."""
    if tier == "green":
        return ""
    if tier == "red":
        return "the table is red: look at it on this machine, outside these tools"
    if _designed(world) and read_design(world).data.consent is not None:
        return ""
    return "the table is yellow, and no consent is recorded; whoever may decide declares it green with `--tier green`"


def _designed(world: World) -> bool:
    return world.store.read(ExperimentLayout.summary) is not None


def _marks(file: Path) -> list[Tier]:
    """Return what the folders around a file say."""
    found: list[Tier] = []
    for folder in file.resolve().parents:
        found += _named(folder.name if folder.parent.name == "data" else "")
    mark = file.parent / "TIER"
    if mark.is_file():
        text = mark.read_text(encoding="utf-8").strip()
        if text not in _TIERS:
            fact = f"`{mark}` says `{text[:20]}`; tiers are `green`, `yellow` and `red`"
            raise SpecError(fact, hint="write one of them into that file")
        found += _named(text)
    return found


def _named(text: str) -> list[Tier]:
    """Return the tier that a word names; nothing where it names none."""
    tiers: dict[str, Tier] = {tier: tier for tier in _TIERS}
    return [tiers[text]] if text in tiers else []
