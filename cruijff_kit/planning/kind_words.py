"""What a design of a kind says of itself: its dimensions, and in sentences what it can and cannot tell."""

from collections.abc import Iterator

from cruijff_kit.planning.fractions import fraction_of
from cruijff_kit.planning.search_space import DEFAULT, most_trainings, space_of
from cruijff_kit.schema.design_kinds import (
    Dimension,
    FractionalDesign,
    GridDesign,
    LatinDesign,
    SearchDesign,
    Span,
)
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["dimensions", "kind_words"]


def dimensions(spec: ExperimentSpec, plan: Plan) -> dict[str, str]:
    """Return every dimension of a design's space, in words; none where it has no space."""
    design = spec.design
    if isinstance(design, GridDesign | LatinDesign):
        return {name: _words(each) for name, each in design.space.items()}
    if isinstance(design, SearchDesign):
        steps = next((run.total_steps for run in plan.runs if run.type == "fine-tuned"), 0)
        return {name: _words(each) for name, each in space_of(design, steps=steps).items()}
    return {}


def kind_words(spec: ExperimentSpec) -> tuple[str, ...]:
    """Return what the kind of a design means for what can be concluded from it."""
    return tuple(_kind(spec))


def _kind(spec: ExperimentSpec) -> Iterator[str]:
    design = spec.design
    if isinstance(design, FractionalDesign):
        yield from fraction_of(design, spec.factors).words()
    if isinstance(design, LatinDesign):
        yield (
            f"Latin hypercube of {design.points} points, seed {design.seed}: every range is cut into as many equal "
            "parts, and each part holds one point."
        )
    if isinstance(design, SearchDesign):
        metric = design.metric if design.task is None else f"{design.metric} of {design.task}"
        yield (
            f"Search by {metric}: up to {design.trials} trials, {design.at_once} at once, proposed by {design.sampler}"
            f", seed {design.seed}; the run called {DEFAULT} has the controls as they are."
        )
        yield (
            "The estimates below are of the runs that stand here already; in all there are at most "
            f"{most_trainings(design, len(spec.controls.seeds))} trainings."
        )
        yield (
            f"The best trial then runs beside the default on {design.fresh_seeds} seeds used nowhere before; a win is "
            f"claimed only if an exact test there rejects at {spec.analysis.alpha:g} and the noise floor is cleared "
            "twice."
        )


def _words(dimension: Dimension) -> str:
    if not isinstance(dimension, Span):
        return ", ".join("none" if level is None else str(level) for level in dimension)
    text = f"{dimension.low:g} to {dimension.high:g}"
    if dimension.step is not None:
        return f"{text} in steps of {dimension.step:g}"
    if dimension.points is not None:
        text = f"{text}, {dimension.points} values"
    return f"{text}, by ratio" if dimension.log else text
