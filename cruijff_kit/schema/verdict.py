"""Verdict nouns: what probabilities, a calibrator and costs say is to be done with one sample."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.scoring_rules import Costs
from cruijff_kit.schema.serving import ModelChoice

__all__ = [
    "ActionCost",
    "Chances",
    "DecisionSettings",
    "Doubt",
    "DoubtSource",
    "OptionShare",
    "Promise",
    "Ruling",
    "Spread",
    "TextOrder",
    "Uncertainty",
    "Verdict",
]

Ruling = Literal["ABSTAIN", "PROCEED", "ADJUST"]
"""Do nothing; do what the likeliest option says; do what the costs say, which is something else."""

DoubtSource = Literal["mc_dropout", "ensemble"]
"""Where several answers to one question come from: passes with dropout on, or several models."""

_Share = Annotated[float, Field(gt=0, lt=1)]
_Cost = Annotated[float, Field(gt=0)]


class DecisionSettings(Noun):
    """What is asked of a decision; whatever is None stays as the calibrator was fitted."""

    alpha: _Cost | None = None
    """Of the calibrator's own kind: share of sets that may miss, or the risk allowed in units of cost."""
    miss_rate: _Share | None = None
    """Share of sets that may miss the right option; wanted beside a calibrator of decisions to have sets too."""
    risk_level: _Cost | None = None
    """Cost allowed per sample acted on; wanted beside a calibrator of sets to have a threshold too."""
    costs: Costs | None = None
    """What each wrong choice costs, true option first; the calibrator's own, or 1 each, where None."""
    abstain_cost: Annotated[float, Field(ge=0)] | None = None
    """What abstaining costs: the threshold where none is calibrated, which promises nothing."""


class Chances(Noun):
    """The probabilities of one sample's options, as a model gave them."""

    options: tuple[str, ...]
    """The options."""
    logprobs: tuple[float, ...]
    """Log-probability of each; a constant added to all of them changes nothing."""
    sample_id: str = ""
    """What the sample is called."""
    groups: dict[str, str] = {}
    """Its group columns, for calibrators that have a quantile for each group."""
    uniform: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The number that randomises its set, fixed by the sample alone; `aps` and `raps` have no set without it."""
    unproven: str = ""
    """On which condition a calibrator's promise holds for it; empty where that was checked."""
    notes: tuple[str, ...] = ()
    """What to know of these probabilities."""

    @model_validator(mode="after")
    def _one_each(self) -> "Chances":
        if len(self.options) < 2 or len(self.options) != len(self.logprobs):
            counts = f"{len(self.options)} options and {len(self.logprobs)} log-probabilities"
            raise ValueError(f"there are {counts}; there must be two at least, and as many of either")
        if len(set(self.options)) < len(self.options):
            raise ValueError("an option is there twice")
        return self


class OptionShare(Noun):
    """One option and its probability."""

    option: str
    """The option."""
    probability: float
    """In [0, 1], at the calibrator's temperature; all of them add up to 1."""


class ActionCost(Noun):
    """One action and what it is expected to cost."""

    action: str
    """Option to act on."""
    expected_cost: float
    """Sum over the options, as if each were true, of its probability times what the action then costs."""


class Spread(Noun):
    """How far probabilities are spread over the options."""

    entropy: float
    """In nats; 0 for certainty."""
    normalised_entropy: float
    """Entropy by that of equal probabilities, in [0, 1]."""
    margin: float
    """Largest probability less the second."""
    effective_options: float
    """One by the sum of squared probabilities: 1 for certainty, the number of options where all are equal."""
    gini: float
    """One less the sum of squared probabilities (Gini's impurity)."""


class Promise(Noun):
    """What is guaranteed, in plain words, and the numbers in it."""

    of: Literal["set", "decision"]
    """What it is about."""
    words: str
    """The guarantee, with n, alpha, delta, which risk, and for which samples it holds."""
    method: str
    """How it was made."""
    n: int
    """Calibration samples."""
    alpha: float
    """Share of sets that may miss, or risk allowed in units of cost."""
    delta: float | None = None
    """Chance that it is wrong for this calibration set; None where it holds on average over such sets."""
    risk: Literal["selective", "marginal"] | None = None
    """Cost per sample acted on, or per sample with abstaining free; None for sets."""
    recomputed: bool = False
    """Whether alpha or costs are not those fitted, and the threshold was found anew from the scores kept."""


class Doubt(Noun):
    """Which several answers are to be had instead of one."""

    source: DoubtSource
    """Passes with the adapter's dropout on, or several adapters on one base."""
    passes: Annotated[int, Field(ge=2, le=1000)] = 10
    """How many passes with dropout on."""
    seed: int = 0
    """Decides what those drop."""
    adapters: tuple[str, ...] = ()
    """Directories of the ensemble's further adapters, beside the model's own."""


class TextOrder(Noun):
    """Which model is to be asked of texts, and how."""

    choice: ModelChoice
    """The model, as for talking to it."""
    options: tuple[str, ...] = ()
    """Answers to choose from; those that the run was evaluated with where empty."""
    fields: dict[str, str] = {}
    """Further columns that the prompt template asks for."""
    asked: DecisionSettings = DecisionSettings()
    """Error rates and costs."""
    source: DoubtSource | None = None
    """Where several answers come from; None for a single one."""
    passes: Annotated[int, Field(ge=2, le=1000)] = 10
    """Passes with dropout on."""
    seed: int = 0
    """Decides what those drop."""
    members: tuple[str, ...] = ()
    """Further members of an ensemble: runs of the experiment, or adapter directories."""


class Uncertainty(Noun):
    """What several sets of probabilities for the same sample say together."""

    source: DoubtSource
    """Passes with dropout on, or several models."""
    members: int
    """Passes or models."""
    predictive_entropy: float
    """Entropy of the mean probabilities, in nats: all the doubt there is."""
    expected_entropy: float
    """Mean entropy of the members, in nats: the doubt that each of them has."""
    mutual_information: float
    """The difference: the doubt that comes from members that disagree."""
    deviations: tuple[float, ...]
    """Standard deviation of each option's probability over the members."""


class Verdict(Noun):
    """What is to be done with one sample, why, and what is guaranteed of it."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    sample_id: str = ""
    """What the sample is called."""
    verdict: Ruling
    """What is to be done."""
    action: str | None
    """Option to act on; None for abstaining."""
    reason: str
    """Why, in words."""
    probabilities: tuple[OptionShare, ...] = ()
    """The options in their order; none where the input could not be read."""
    likeliest: str | None = None
    """Most probable option; among equals the cheapest action where it is one of them, else the first."""
    expected_costs: tuple[ActionCost, ...] = ()
    """What each action is expected to cost, in the order of the options."""
    cheapest: str | None = None
    """Action of the lowest expected cost, the first of equals."""
    threshold: float | None = None
    """Largest expected cost at which to act; None where there is none, or where none is low enough."""
    prediction_set: tuple[str, ...] | None = None
    """Conformal set, in the order of the options; None where no set was calibrated."""
    temperature: float = 1.0
    """What log-probabilities were divided by."""
    promises: tuple[Promise, ...] = ()
    """What is guaranteed; each by itself, not all at once."""
    notes: tuple[str, ...] = ()
    """Why there is no guarantee, and what else to know."""
    spread: Spread | None = None
    """How far the probabilities are spread."""
    uncertainty: Uncertainty | None = None
    """What several passes or models say together; None where there was one."""
