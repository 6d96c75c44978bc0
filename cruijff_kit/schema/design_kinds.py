"""Kinds of designs beside `full` and `list`: which points of a space of settings are run."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from cruijff_kit.schema.noun import Name, Noun

__all__ = [
    "Dimension",
    "FractionalDesign",
    "GridDesign",
    "LatinDesign",
    "Level",
    "SearchDesign",
    "Space",
    "Span",
]

Level = str | int | float | bool | None
"""One value a factor can take."""

_MOST_LEVELS = 10_000


class Span(Noun):
    """A range of numbers, both ends included."""

    low: int | float
    """Least value."""
    high: int | float
    """Greatest value."""
    log: bool = False
    """Whether equal ratios count as equal steps, as for a learning rate."""
    step: int | float | None = Field(default=None, gt=0)
    """Distance between values; any value of the range where absent."""
    points: int | None = Field(default=None, ge=2, le=_MOST_LEVELS)
    """How many values a `grid` takes, evenly from end to end; only for a grid, instead of `step`."""

    @model_validator(mode="after")
    def _orderly(self) -> "Span":
        if self.low >= self.high:
            raise ValueError(f"`low` {self.low} is not below `high` {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"`low` {self.low} has no logarithm; with `log: true` it must be above 0")
        if self.log and self.step is not None:
            raise ValueError("`step` and `log: true` contradict each other")
        if self.step is not None and self.points is not None:
            raise ValueError("`step` and `points` contradict each other")
        if self.step is not None and (self.high - self.low) / self.step > _MOST_LEVELS:
            raise ValueError(f"`step` {self.step} makes more than {_MOST_LEVELS} values")
        return self


Dimension = Span | tuple[Level, ...]
"""What one setting may be: a range, or a list of levels."""

Space = dict[str, Dimension]
"""Name of a control, `model` or `data.<argument>` to what it may be."""


def _distinct(space: Space) -> Space:
    for name, dimension in space.items():
        if isinstance(dimension, Span):
            continue
        if len(dimension) < 2:
            raise ValueError(f"`{name}` has no choice: give two levels at least, or hold it fixed in `controls`")
        if len({repr(level) for level in dimension}) < len(dimension):
            raise ValueError(f"`{name}` names a level twice")
    return space


class GridDesign(Noun):
    """Every combination of evenly spaced values of ranges; `factors` are crossed with them."""

    kind: Literal["grid"]
    """Which design it is."""
    space: Space = Field(min_length=1)
    """Ranges, each with `points` or `step`, and lists of levels."""

    @field_validator("space", mode="after")
    @classmethod
    def _spaced(cls, space: Space) -> Space:
        for name, each in space.items():
            if isinstance(each, Span) and each.points is None and each.step is None:
                raise ValueError(f"`{name}` says neither `points` nor `step`, so a grid cannot know its values")
        return _distinct(space)


class FractionalDesign(Noun):
    """A fraction of all combinations of `factors` of two levels each, chosen so that main effects stay apart."""

    kind: Literal["fractional"]
    """Which design it is."""
    runs: int | None = Field(default=None, ge=4, le=1024)
    """Combinations to run, a power of two; half of all where nothing is said of generators either."""
    generators: tuple[str, ...] = ()
    """Which factor follows from which others, such as `weight_decay = lr * lora_rank`; a `-` before them turns it.

    Found by the package, for the highest resolution, where absent.
    """
    resolution: int | None = Field(default=None, ge=3, le=8)
    """Least resolution: 3 keeps main effects apart, 4 also from pairs, 5 also pairs from each other."""


class LatinDesign(Noun):
    """Points spread so that every range is covered evenly, however few there are; `factors` are crossed with them."""

    kind: Literal["latin_hypercube"]
    """Which design it is."""
    points: int = Field(ge=2, le=2_000)
    """Points; each range is cut into as many equal parts, and each part holds one point."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides which part meets which."""
    space: Space = Field(min_length=1)
    """Ranges and lists of levels."""

    @field_validator("space", mode="after")
    @classmethod
    def _levels_differ(cls, space: Space) -> Space:
        return _without_points(_distinct(space))


class SearchDesign(Noun):
    """Trials proposed one round after another from the results of those before, against the controls as they are."""

    kind: Literal["search"]
    """Which design it is."""
    trials: int = Field(ge=1, le=10_000)
    """Trials in all, the default aside; the most that an approval stands for."""
    sampler: Literal["tpe", "random", "gp"] = "tpe"
    """Who proposes: `tpe` learns from what was tried, `gp` too and slowly, `random` does not."""
    at_once: int = Field(default=4, ge=1, le=256)
    """Trials a round; a round is proposed once all of the one before have ended."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Decides every proposal, together with what was tried before it."""
    preset: Literal["tune"] | None = None
    """`tune` searches rank, alpha, dropout, learning rate, batch size, warm-up, weight decay and schedule of LoRA."""
    space: Space = {}
    """Ranges and lists of levels; over the preset's where it names the same."""
    metric: str = "val_loss"
    """What is searched for: `val_loss`, `train_loss`, a scorer, or one of its figures such as `match/brier`."""
    task: Name | None = None
    """Evaluation task of the metric; the first one where absent, and none for a loss."""
    direction: Literal["minimize", "maximize"] | None = None
    """Which way is better; known of losses and of this package's figures, and up where absent."""
    fresh_seeds: int = Field(default=6, ge=5, le=16)
    """Seeds, used nowhere before, on which the best trial must beat the default in the end."""

    @field_validator("space", mode="after")
    @classmethod
    def _levels_differ(cls, space: Space) -> Space:
        return _without_points(_distinct(space))

    @model_validator(mode="after")
    def _somewhere(self) -> "SearchDesign":
        if not self.space and self.preset is None:
            raise ValueError("there is nothing to search: give `space`, or `preset: tune`")
        return self

    @property
    def is_loss(self) -> bool:
        """Return whether the metric is one of training's own."""
        return self.metric in {"val_loss", "train_loss"}


def _without_points(space: Space) -> Space:
    for name, each in space.items():
        if isinstance(each, Span) and each.points is not None:
            raise ValueError(f"`points` of `{name}` belong to `kind: grid`; here the whole range is used")
    return space
