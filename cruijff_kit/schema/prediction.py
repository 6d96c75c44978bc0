"""Prediction nouns: prompt ids, completions, and one record per evaluated sample."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, RunId, Sha256

__all__ = ["AnswerPair", "Completion", "Prediction", "PromptIds", "TokenLogprob"]

PromptIds = tuple[int, ...]
"""Token ids of one prompt, exactly as the model reads them."""


class TokenLogprob(Noun):
    """One candidate token at one position."""

    token_id: int
    """Id in the model's vocabulary."""
    token: str
    """The id decoded on its own."""
    logprob: float
    """Natural log-probability."""


class Completion(Noun):
    """What a model answered to one prompt."""

    token_ids: tuple[int, ...]
    """Generated ids, the end token included where it was produced."""
    text: str
    """Generated text without special tokens."""
    stopped: bool
    """Whether an end token was produced before the limit."""
    top: tuple[tuple[TokenLogprob, ...], ...] = ()
    """Per generated position, the most likely tokens, best first."""
    given: tuple[TokenLogprob, ...] = ()
    """Per generated position the token given, where candidates are kept; probabilities are the untempered model's."""
    option_logprobs: tuple[float, ...] = ()
    """Natural log-probability of each option asked for, not normalised."""
    option_mass: float | None = None
    """Probability that the answer begins with any option, in [0, 1]; None where none was asked for."""


class Prediction(Noun):
    """One record per sample and evaluated model; everything downstream reads these."""

    sample_id: str
    """Id of the sample within its data set."""
    run: RunId
    """The run evaluated."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    task: str
    """Evaluation task name."""
    split: str
    """Split the sample came from: validation, calibration, test, or a named one."""
    groups: dict[str, str] = {}
    """Group columns, such as `word_length`."""
    target: str
    """Expected answer."""
    options: tuple[str, ...] = ()
    """Answer options where the task has a closed set."""
    option_logprobs: tuple[float, ...] = ()
    """Log-probability of each option, as the model gave it; empty where an option has none."""
    option_mass: float | None = None
    """Total probability of the options before normalising."""
    prediction: str | None
    """The parsed answer; None where it could not be parsed."""
    correct: bool | None = None
    """Whether the primary scorer accepted it; None where the sample errored."""
    confidence: float | None = None
    """Probability of the answer given, in [0, 1]."""
    abstain: bool = False
    """Whether the model declined to answer."""
    parse_ok: bool = True
    """Whether the answer could be parsed."""
    number: float | None = None
    """The number read from the answer, where the scorer reads one."""
    rationale: str | None = None
    """Why the model decided so, in its own words, where it was asked."""
    reason: str = ""
    """Why the answer was not parsed, abstained or scored, or what to know of how it was read."""
    error: str | None = None
    """Why there is no answer, where the sample errored."""
    completion: str
    """The raw completion."""
    prompt_token_sha256: Sha256
    """SHA-256 of the prompt ids as little-endian 32-bit integers."""
    checkpoint_sha256: Sha256
    """SHA-256 of the adapter, or of the base model for a control."""
    source: Literal["eval_log"] = "eval_log"
    """Where the record was read from."""


class AnswerPair(Noun):
    """What was answered to a question, and to the same with its terms for a person's group swapped."""

    written: Prediction
    """To the question as it was written."""
    swapped: Prediction
    """To it with its terms swapped."""
