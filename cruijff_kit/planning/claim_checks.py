"""Checks of what a design claims: that every comparison names figures and runs which there will be."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from cruijff_kit.errors import Problem
from cruijff_kit.schema.claims import BASE, LOSSES, Claim, Side
from cruijff_kit.schema.design_kinds import FractionalDesign, GridDesign, LatinDesign, SearchDesign
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.scoring.figure_names import FIGURES, metrics_of, split_metric

__all__ = ["check_claims"]


class _Asked(NamedTuple):
    """A claim, the design it stands in and its place there."""

    claim: Claim
    spec: ExperimentSpec
    path: str

    @property
    def evaluated(self) -> bool:
        """Return whether the design evaluates anything."""
        return self.spec.tools.evaluation != "none" and bool(self.spec.evaluation.tasks)

    @property
    def task(self) -> EvalTask | None:
        """Return the task it is about, where there is such a one."""
        tasks = {each.name: each for each in self.spec.evaluation.tasks}
        wanted = self.claim.task or self.spec.analysis.primary_task
        return tasks.get(wanted) if wanted else next(iter(tasks.values()), None)

    @property
    def metric(self) -> str:
        """Return the figure it is about."""
        return self.claim.metric or (self.spec.analysis.primary_metric if self.evaluated else "val_loss")


def check_claims(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what is wrong with the claims of a design: figures, runs or bounds that there cannot be."""
    for index, claim in enumerate(spec.analysis.claims):
        asked = _Asked(claim, spec, f"analysis.claims[{index}]")
        if isinstance(spec.design, SearchDesign) and claim.testable:
            hint = "remove it: what a search may claim its fresh seeds say"
            yield Problem(
                "trials of a search are chosen by their results, so no claim can rest on them", asked.path, hint=hint
            )
            continue
        for check in (_figure, _bounds, _sides, _base):
            yield from check(asked)


def _figure(asked: _Asked) -> Iterator[Problem]:
    claim, tasks = asked.claim, [task.name for task in asked.spec.evaluation.tasks]
    if claim.task is not None and claim.task not in tasks:
        yield _unknown(claim.task, tasks, path=f"{asked.path}.task")
        return
    known = list(LOSSES) if asked.spec.tools.preparation != "none" else []
    if asked.evaluated and asked.task is not None:
        scorers = [name for scorer in asked.task.scorers for name in metrics_of(scorer, asked.task.options)]
        if not scorers and claim.metric not in LOSSES:
            # What a task's own scorers give is known when it has run.
            return
        known = [*scorers, *known]
    if asked.metric not in known and claim.metric is not None:
        yield _unknown(claim.metric, known, path=f"{asked.path}.metric")


def _bounds(asked: _Asked) -> Iterator[Problem]:
    figure = FIGURES.get(split_metric(asked.metric)[1] or "accuracy")
    if figure is None or asked.metric in LOSSES:
        return
    for name in ("at_least", "at_most"):
        bound = getattr(asked.claim, name)
        low, high = figure.low, figure.high
        if bound is not None and ((low is not None and bound < low) or (high is not None and bound > high)):
            fact = f"`{bound:g}` is no value that {figure.words} can have"
            span = f"from {low:g} to {high:g}" if low is not None and high is not None else "that it can have"
            yield Problem(fact, f"{asked.path}.{name}", hint=f"write a value {span}")


def _sides(asked: _Asked) -> Iterator[Problem]:
    claim = asked.claim
    sides: list[tuple[str, Side]] = [(f"compare[{place}]", each) for place, each in enumerate(claim.compare or ())]
    sides += [(f"more_at[{place}]", each) for place, each in enumerate(claim.more_at or ())]
    sides += [] if claim.of is None else [("of", claim.of)]
    for key, side in sides:
        yield from _side(asked, side, path=f"{asked.path}.{key}")
    first, second = claim.compare or ("", "x")
    if first == second:
        yield Problem("both sides are the same runs", f"{asked.path}.compare", hint="name what they differ in")
    if claim.more_at is not None and any(isinstance(side, str) for side in claim.compare or ()):
        hint = "write both sides of `compare` as factor levels"
        yield Problem("`more_at` needs factor levels on both sides", f"{asked.path}.more_at", hint=hint)


def _side(asked: _Asked, side: Side, *, path: str) -> Iterator[Problem]:
    spec = asked.spec
    if isinstance(side, str):
        runs = [run.name for run in spec.runs]
        if side != BASE and side not in runs:
            yield _unknown(side, [BASE, *runs], path=path)
        return
    space = spec.design.space if isinstance(spec.design, GridDesign | LatinDesign) else {}
    names = [*spec.factors, *space]
    if not side:
        yield Problem(
            "a side names no level", path, hint="write levels such as `{lora_rank: 16}`, `base`, or a run's name"
        )
    for name, level in side.items():
        levels = spec.factors.get(name)
        if name not in names:
            yield _unknown(name, names, path=f"{path}.{name}")
        elif levels is not None and not isinstance(spec.design, FractionalDesign) and level not in levels:
            yield _unknown(str(level), [str(each) for each in levels], path=f"{path}.{name}")


def _base(asked: _Asked) -> Iterator[Problem]:
    claim, path = asked.claim, f"{asked.path}.compare"
    if claim.compare is None or not asked.evaluated:
        if claim.compare is not None and BASE in claim.compare:
            yield Problem("base models have no loss to compare with", path, hint="compare settings, or evaluate a task")
        return
    trains = asked.spec.tools.preparation != "none"
    if claim.compare[0] == BASE:
        yield Problem("`base` is the first side", path, hint="write it second, with `expect: lower` where it is better")
    elif claim.compare[1] == BASE and not trains:
        yield Problem("nothing is trained, so no run has a base", path, hint="name both sides by their levels or names")
    elif claim.compare[1] == BASE and not any(run.type == "control" for run in asked.spec.runs):
        fact = "`base` needs a control run, and there is none"
        yield Problem(fact, path, hint="add `{name: base, type: control}` to `runs`")
    paired = claim.compare[1] == BASE or not trains
    scorers = asked.task.scorers if asked.task is not None else ()
    if paired and scorers and asked.metric != scorers[0]:
        fact = (
            f"`{asked.metric}` cannot be paired: answers are right or wrong by `{scorers[0]}`, the task's first scorer"
        )
        yield Problem(fact, f"{asked.path}.metric", hint=f"write `{scorers[0]}`, or bound the figure with `at_least`")


def _unknown(name: str, known: Iterable[str], *, path: str) -> Problem:
    names = list(known)
    near = get_close_matches(name, names, n=1)
    listed = ", ".join(f"`{each}`" for each in names) or "none"
    return Problem(
        f"unknown `{name}`; known are {listed}", path, hint=f"write `{near[0]}`" if near else "name one of them"
    )
