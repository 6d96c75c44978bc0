"""What a model's output says of one sample: the record before any scorer judged it."""

import hashlib
from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.answers import confidence, same

if TYPE_CHECKING:
    from inspect_ai.model import ModelOutput, TopLogprob

__all__ = ["NOTHING_SHA256", "UNPLANNED", "OptionScores", "Subject", "option_scores", "raw_record"]

NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()
"""Stands for prompt ids that are not known: those of another provider, or of a prompt never made."""

# Marks of a leading space in the vocabularies of byte-level and SentencePiece tokenizers.
_SPACES = "\u0120\u2581"
_SHOWN = 5


class Subject(Noun):
    """What is evaluated: everything a prediction says that is not the sample's own."""

    run: RunId
    """The run."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    task: str
    """Evaluation name."""
    split: str
    """Split evaluated."""
    groups: tuple[str, ...] = ()
    """Columns copied from a sample's metadata."""
    checkpoint_sha256: Sha256
    """Hash of the adapter, or of the base model for a control."""


UNPLANNED = Subject(run="unplanned", epoch=None, task="", split="", checkpoint_sha256=NOTHING_SHA256)
"""What a scorer evaluates that no design planned."""


class OptionScores(NamedTuple):
    """Log-probabilities of the options, or why there are none."""

    logprobs: tuple[float, ...] = ()
    """One per option, in their order; empty where one is missing."""
    mass: float | None = None
    """Their probabilities' sum."""
    reason: str = ""
    """Why there are none."""


def raw_record(
    about: Subject,
    output: "ModelOutput",
    *,
    sample_id: str,
    target: str,
    metadata: Mapping[str, Any],
    rules: ScoringRules,
) -> Prediction:
    """Return a sample's record without a verdict.

    Args:
        about: what is evaluated.
        output: what the model answered.
        sample_id: id of the sample.
        target: expected answer.
        metadata: the sample's own.
        rules: options, and whether case counts.
    """
    logprobs = output.choices[0].logprobs if output.choices else None
    scored = option_scores(output, rules)
    return Prediction(
        sample_id=sample_id,
        run=about.run,
        epoch=about.epoch,
        task=about.task,
        split=about.split,
        groups={name: str(metadata[name]) for name in about.groups if name in metadata},
        target=target,
        options=rules.options,
        option_logprobs=scored.logprobs,
        option_mass=scored.mass,
        prediction=None,
        confidence=confidence([token.logprob for token in logprobs.content]) if logprobs else None,
        reason=scored.reason,
        completion=output.completion,
        prompt_token_sha256=(output.metadata or {}).get("prompt_token_sha256", NOTHING_SHA256),
        checkpoint_sha256=about.checkpoint_sha256,
    )


def option_scores(output: "ModelOutput", rules: ScoringRules) -> OptionScores:
    """Return the options' log-probabilities, from the provider or from the first token's likeliest.

    The first token stands for an option only where it is the whole of it; spellings with
    and without a leading space are added up. A missing option is never made up.
    """
    if not rules.options:
        return OptionScores()
    given = output.metadata or {}
    if given.get("option_logprobs"):
        return _whole(dict(zip(given.get("options", ()), given["option_logprobs"], strict=False)), rules.options)
    logprobs = output.choices[0].logprobs if output.choices else None
    if logprobs is None or not logprobs.content or not logprobs.content[0].top_logprobs:
        return OptionScores(reason="the model gave no log-probabilities of the options")
    likeliest = logprobs.content[0].top_logprobs
    pooled = {option: _pooled(option, likeliest, rules=rules) for option in rules.options}
    found = {option: value for option, value in pooled.items() if value is not None}
    if len(found) == len(rules.options):
        return _whole(found, rules.options)
    lacking = ", ".join(f"`{option}`" for option in rules.options if option not in found)
    return OptionScores(reason=f"{lacking} not among the first token's {len(likeliest)} likeliest: {_shown(likeliest)}")


def _whole(found: Mapping[str, float], options: Sequence[str]) -> OptionScores:
    lacking = [option for option in options if option not in found or not isfinite(found[option])]
    if lacking:
        return OptionScores(reason=f"no log-probability of {', '.join(f'`{option}`' for option in lacking)}")
    logprobs = tuple(float(found[option]) for option in options)
    return OptionScores(logprobs, exp(float(np.logaddexp.reduce(logprobs))))


def _pooled(option: str, likeliest: "Sequence[TopLogprob]", *, rules: ScoringRules) -> float | None:
    own = [each.logprob for each in likeliest if same(_text(each), option, ignore_case=rules.ignore_case)]
    return float(np.logaddexp.reduce(own)) if own else None


def _text(token: "TopLogprob") -> str:
    return token.token.lstrip(_SPACES)


def _shown(likeliest: "Sequence[TopLogprob]") -> str:
    return ", ".join(f"`{_text(each)[:20]}`" for each in likeliest[:_SHOWN])
