"""A completion becomes an answer, an answer right or wrong, log-probabilities a confidence."""

from collections.abc import Callable, Sequence
from math import exp, fsum

__all__ = ["Verdict", "confidence", "includes", "match", "parse_answer", "same"]

Verdict = Callable[[str, str], bool]
"""Takes a raw completion and the expected answer; says whether it is right."""


def parse_answer(completion: str) -> str | None:
    """Return the answer without surrounding white space, None where blank."""
    return completion.strip() or None


def same(text: str, other: str, *, ignore_case: bool = False) -> bool:
    """Return whether two texts are equal but for outer white space, and for case where told so."""
    left, right = text.strip(), other.strip()
    return left.casefold() == right.casefold() if ignore_case else left == right


def match(completion: str, target: str, *, ignore_case: bool = False) -> bool:
    """Return whether answer and target are equal but for outer white space."""
    return same(completion, target, ignore_case=ignore_case)


def includes(completion: str, target: str, *, ignore_case: bool = False) -> bool:
    """Return whether the target occurs in the answer; a blank one never does."""
    wanted = target.strip()
    if ignore_case:
        wanted, completion = wanted.casefold(), completion.casefold()
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
