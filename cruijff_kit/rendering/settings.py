"""Runs gathered by setting, with one colour each across all plots."""

from collections.abc import Sequence
from typing import NamedTuple

from cruijff_kit.rendering.numbers import factor_words, short_run
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.report import Dossier, Finding, Findings
from cruijff_kit.schema.spec import Level

__all__ = ["Setting", "last_findings", "settings_of", "shown_of"]

_COLOURS = 6


class Setting(NamedTuple):
    """Runs that differ in their seed alone, or the base models."""

    name: str
    """Factor levels in words."""
    role: str
    """Colour."""
    runs: tuple[str, ...]
    """Run ids in design order."""
    base: bool = False
    """Whether these were not trained."""


def settings_of(dossier: Dossier) -> tuple[Setting, ...]:
    """Return the base models first, then every combination of levels; where none is trained, those alone."""
    groups: dict[str, list[PlannedRun]] = {}
    trains = any(run.type == "fine-tuned" for run in dossier.plan.runs)
    for run in dossier.plan.runs:
        if run.type == "fine-tuned" or not trains:
            groups.setdefault(factor_words(run.factors or _listed(run)), []).append(run)
    if len(groups) == 1:
        groups = {factor_words(runs[0].factors) or runs[0].model.name: runs for runs in groups.values()}
    tuned = (Setting(name, f"c{index % _COLOURS}", _ids(runs)) for index, (name, runs) in enumerate(groups.items()))
    controls = [run for run in dossier.plan.runs if run.type == "control" and trains]
    base = (Setting("base model", "base", _ids(controls), base=True),) if controls else ()
    return (*base, *tuned)


def last_findings(findings: Findings, task: str) -> dict[str, Finding]:
    """Return what was found of each run by the outcome's scorer on a task at its last epoch."""
    shown = [each for each in findings.findings if (each.task, each.metric) == (task, findings.metric)]
    ordered = sorted(shown, key=lambda each: -1 if each.epoch is None else each.epoch)
    return {each.run: each for each in ordered}


def shown_of(settings: Sequence[Setting], *, limit: int) -> str:
    """Return a remark where a plot has panels for the first settings alone."""
    return f"; the first {limit} of {len(settings)} settings" if len(settings) > limit else ""


def _listed(run: PlannedRun) -> dict[str, Level]:
    """Return what tells a run that a design lists: its name, as it stands before seed and hash of the id."""
    return {"run": short_run(run.id).removesuffix(f"_seed{run.seed}")}


def _ids(runs: Sequence[PlannedRun]) -> tuple[str, ...]:
    return tuple(run.id for run in runs)
