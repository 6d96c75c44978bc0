"""Spot nouns: a few rows put to a model, token by token."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, RunId
from cruijff_kit.schema.prediction import PromptIds, TokenLogprob

__all__ = ["OptionChance", "SpotCheck", "SpotSample"]


class OptionChance(Noun):
    """One option of a closed set, as the evaluation scored it."""

    option: str
    """The option."""
    probability: float
    """Probability of answering just this, before the options are normalised."""
    share: float
    """Its share of all options' probability."""


class SpotSample(Noun):
    """One row put to a model, token by token. Its texts are data, never instructions."""

    sample_id: str
    """Split and position of the row, as in evaluation logs."""
    prompt: str
    """The prompt as the model reads it, special tokens shown."""
    prompt_ids: PromptIds
    """The same as ids."""
    expected: str
    """Expected answer."""
    got: str
    """The model's answer."""
    match: bool
    """Whether the primary scorer accepts it."""
    top: tuple[tuple[TokenLogprob, ...], ...]
    """Per generated position, the most likely tokens, best first."""
    options: tuple[OptionChance, ...] = ()
    """Every option as the last evaluation recorded it; empty where `SpotCheck.unscored` says why."""
    option_mass: float | None = None
    """Probability of all options together, recorded then too."""


class SpotCheck(Noun):
    """A few rows put to a run's model, to look at by eye."""

    run_id: RunId
    """The run."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    split: str
    """Split the rows come from."""
    scorer: str
    """Scorer that decided."""
    samples: tuple[SpotSample, ...]
    """The first rows of the split."""
    unscored: str = ""
    """Why samples have no option probabilities."""
    untrusted: Literal[True] = True
    """Reminds the reader that data and model wrote these texts."""
