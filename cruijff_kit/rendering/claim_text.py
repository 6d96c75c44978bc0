"""A claim's comparison in words, for the design's summary and for the report."""

from cruijff_kit.rendering.numbers import factor_words
from cruijff_kit.schema.claims import BASE, Claim, Side

__all__ = ["claim_words", "side_words"]


def claim_words(claim: Claim, *, figure: str = "") -> str:
    """Return what is compared with what; empty for a claim that names nothing.

    Args:
        claim: the claim.
        figure: what is looked at, such as `accuracy (match) on words`; the claim's own metric where empty.
    """
    what = figure or " on ".join(part for part in (claim.metric, claim.task) if part) or "primary metric"
    if claim.at_least is not None or claim.at_most is not None:
        whose = "every trained run" if claim.of is None else side_words(claim.of)
        bound = f"above {claim.at_least:g}" if claim.at_least is not None else f"below {claim.at_most:g}"
        return f"{what} of {whose} {bound}"
    if claim.compare is None:
        return ""
    first, second = map(side_words, claim.compare)
    return f"{what}: {first} {_relation(claim)} {second}{_where(claim)}"


def side_words(side: Side) -> str:
    """Return a side in words: `lora_rank 16`, `the base model`, `run slow`."""
    if isinstance(side, str):
        return "the base model" if side == BASE else f"run {side}"
    return factor_words(side)


def _relation(claim: Claim) -> str:
    if claim.expect == "same":
        return f"within {claim.margin:g} of"
    more = f" by more than {claim.margin:g}" if claim.margin else ""
    return f"{claim.expect}{more} than"


def _where(claim: Claim) -> str:
    if claim.more_at is None:
        return ""
    high, low = map(factor_words, claim.more_at)
    return f", judged by the difference at {high} less that at {low}"
