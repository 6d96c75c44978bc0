"""A completion becomes an answer, an answer right or wrong, log-probabilities a confidence."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, fsum
from types import MappingProxyType

__all__ = ["SCORERS", "Verdict", "confidence", "includes", "match", "parse_answer"]

Verdict = Callable[[str, str], bool]
"""Takes a raw completion and the expected answer; says whether it is right."""


def parse_answer(completion: str) -> str | None:
    """Return the answer without surrounding white space, None where blank."""
    return completion.strip() or None


def match(completion: str, target: str) -> bool:
    """Return whether answer and target are equal but for outer white space."""
    return completion.strip() == target.strip()


def includes(completion: str, target: str) -> bool:
    """Return whether the target occurs in the answer; a blank one never does."""
    wanted = target.strip()
    return bool(wanted) and wanted in completion


def confidence(logprobs: Sequence[float]) -> float | None:
    """Return the probability of an answer from those of its tokens.

    The product over all generated tokens, the end token included where the model
    produced it: the probability of giving exactly this answer and then stopping.

    Args:
        logprobs: natural log-probability of each generated token.

    Returns:
        A probability in [0, 1]; None where nothing was generated.
    """
    return min(1.0, exp(fsum(logprobs))) if logprobs else None


SCORERS: Mapping[str, Verdict] = MappingProxyType({"includes": includes, "match": match})
"""Scorers that a design may plan, by name."""
