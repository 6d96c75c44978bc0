"""Which runs a claim is about: those with certain levels, a listed run, or the base model of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cruijff_kit.schema.claims import Claim, Levels, Side
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import Level

__all__ = ["Setting", "contrast_weights", "runs_of", "setting_of", "stem_of"]

Setting = tuple[tuple[str, str], ...]
"""What runs that differ in their seed alone have in common."""

# Ids cut longer names than this.
_WHOLE = 38


def setting_of(run: PlannedRun) -> Setting:
    """Return factor levels, model and name of a run, its seed left out."""
    levels = sorted((name, repr(level)) for name, level in run.factors.items())
    return (*levels, ("model", repr(run.model.name)), ("", "" if run.factors else stem_of(run)))


def runs_of(side: Side, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Return the runs of a side; those of `base` are none of the runs themselves."""
    if isinstance(side, str):
        return [run for run in runs if _is_called(run, side)]
    return [run for run in runs if all(_level(run, name) == _text(level) for name, level in side.items())]


def contrast_weights(claim: Claim, runs: Sequence[PlannedRun]) -> dict[Setting, float]:
    """Return a weight a setting for the difference that a claim is about; empty where nothing can be set beside.

    Settings of both sides are matched on all that the claim does not name, and pairs
    weigh alike; listed runs have nothing to be matched on.
    """
    signed = list(_corners(claim))
    groups = [_by_rest(runs_of(side, runs), named=_named(claim)) for side, _ in signed]
    shared = [rest for rest in groups[0] if all(rest in group for group in groups)]
    weights: dict[Setting, float] = {}
    for rest in shared:
        for (_, sign), group in zip(signed, groups, strict=True):
            for setting in group[rest]:
                weights[setting] = weights.get(setting, 0.0) + sign / len(group[rest]) / len(shared)
    return {setting: weight for setting, weight in weights.items() if weight}


def _corners(claim: Claim) -> Iterator[tuple[Side, int]]:
    first, second = claim.compare or ({}, {})
    if claim.more_at is None or isinstance(first, str) or isinstance(second, str):
        yield from ((first, 1), (second, -1))
        return
    high, low = claim.more_at
    yield from (({**first, **high}, 1), ({**second, **high}, -1), ({**first, **low}, -1), ({**second, **low}, 1))


def _named(claim: Claim) -> set[str] | None:
    """Return the factors that a claim names; None where a side is a listed run."""
    sides: Iterable[Side | Levels] = (*(claim.compare or ()), *(claim.more_at or ()))
    names: set[str] = set()
    for side in sides:
        if isinstance(side, str):
            return None
        names |= side.keys()
    return names


def _by_rest(runs: Iterable[PlannedRun], *, named: set[str] | None) -> dict[Setting, list[Setting]]:
    """Return settings by what a claim does not name of them."""
    found: dict[Setting, list[Setting]] = {}
    for run in runs:
        setting = setting_of(run)
        rest = () if named is None else tuple(part for part in setting if part[0] not in named)
        settings = found.setdefault(rest, [])
        if setting not in settings:
            settings.append(setting)
    return found


def _level(run: PlannedRun, name: str) -> str:
    levels: Mapping[str, Level] = {"model": run.model.name, **run.factors}
    return _text(levels[name]) if name in levels else ""


def _text(level: Level) -> str:
    """Return a level so that equal numbers are alike and truth is no number."""
    return f"{float(level):.17g}" if isinstance(level, int | float) and not isinstance(level, bool) else repr(level)


def _is_called(run: PlannedRun, name: str) -> bool:
    stem = stem_of(run)
    return stem == name or (len(stem) >= _WHOLE and name.startswith(stem))


def stem_of(run: PlannedRun) -> str:
    """Return the name of a run without its seed and hash."""
    return run.id.rpartition("-")[0].removesuffix(f"_seed{run.seed}")
