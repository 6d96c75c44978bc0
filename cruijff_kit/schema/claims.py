"""Claim nouns: what a hypothesis says in figures, and what became of it."""

from typing import Literal

from pydantic import Field, model_validator

from cruijff_kit.schema.design_kinds import Level
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Name, Noun, RunId

__all__ = ["BASE", "LOSSES", "VERDICTS", "Claim", "ClaimVerdict", "Levels", "Side", "Verdict"]

BASE = "base"
"""The side that is each run's own base model, untouched."""

LOSSES = ("val_loss", "train_loss")
"""Figures of training, which belong to no task."""

Levels = dict[str, Level]
"""Factor levels that runs have."""

Side = str | Levels
"""Runs of a claim: factor levels, the name of a run that the design lists, or `base`."""

Verdict = Literal["confirmed", "violated", "inconclusive", "not testable"]
"""What became of a claim."""

VERDICTS: tuple[Verdict, ...] = ("confirmed", "violated", "inconclusive", "not testable")
"""All of them, in the order in which they are told."""


class Claim(Noun):
    """One claim of the hypothesis, with the comparison that decides on it, stated before any run."""

    text: str = ""
    """The claim in words; made of the rest where empty."""
    metric: str | None = None
    """Figure it is about: a scorer, one of its figures such as `risk/auc`, or a loss; the primary one where absent."""
    task: Name | None = None
    """Task it is about; the primary one where absent."""
    compare: tuple[Side, Side] | None = None
    """Runs whose figure is set beside that of others, such as `[{lora_rank: 16}, {lora_rank: 4}]`.

    A side is factor levels, the name of a listed run, or `base`.
    """
    more_at: tuple[Levels, Levels] | None = None
    """Levels of another factor, for an interaction: the difference at the first less that at the second."""
    of: Side | None = None
    """Runs that `at_least` or `at_most` is about; all that are trained where absent."""
    at_least: float | None = None
    """Value that the figure exceeds."""
    at_most: float | None = None
    """Value that the figure stays below."""
    expect: Literal["higher", "lower", "same"] = "higher"
    """How the first side's figure lies to the second's; `same` is within `margin` on either side."""
    margin: float = Field(default=0.0, ge=0)
    """By how much more than this, in the figure's own unit; for `same` the largest difference that does not count."""

    @model_validator(mode="after")
    def _orderly(self) -> "Claim":
        tests = [name for name in ("compare", "at_least", "at_most") if getattr(self, name) is not None]
        if len(tests) > 1:
            raise ValueError(f"`{tests[0]}` and `{tests[1]}` are two claims; write each as its own")
        if not tests and not self.text:
            raise ValueError("a claim needs `text`, or what decides on it: `compare`, `at_least` or `at_most`")
        if self.compare is None and (self.expect != "higher" or self.margin or self.more_at is not None):
            raise ValueError("`expect`, `margin` and `more_at` belong to `compare`")
        if self.compare is not None and self.of is not None:
            raise ValueError("`of` belongs to `at_least` or `at_most`; `compare` names both of its sides itself")
        if self.expect == "same" and not self.margin:
            raise ValueError("`expect: same` needs a `margin`: the largest difference that does not count")
        return self

    @property
    def testable(self) -> bool:
        """Return whether it says what decides on it."""
        return any(each is not None for each in (self.compare, self.at_least, self.at_most))


class ClaimVerdict(Noun):
    """What became of one claim, and on what grounds."""

    text: str
    """The claim in words; empty where the design gives none and its comparison says it."""
    claim: Claim | None = None
    """The comparison as it was stated; None for a hypothesis that names none, and for a planned comparison."""
    metric: str = ""
    """Figure that was looked at."""
    task: str = ""
    """Task that was looked at, `training` for a loss."""
    verdict: Verdict
    """What became of it."""
    figure: Interval | None = None
    """The difference, or the figure itself; of the run that speaks least for the claim where each has one."""
    p_adjusted: float | None = None
    """Least level at which a verdict would stand, Holm-adjusted over both directions of all claims."""
    test: str = ""
    """How it was tested."""
    reason: str = ""
    """Why there is no verdict, or what to bear in mind with it."""
    runs: tuple[RunId, ...] = ()
    """Runs that it rests on."""
    exploratory: bool = False
    """Whether it was stated, or changed, after the first job had been handed over."""
