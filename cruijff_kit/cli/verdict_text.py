"""A verdict as plain text: what is to be done and why, the options, and what is guaranteed."""

from collections.abc import Iterator

from cruijff_kit.cli.table import aligned
from cruijff_kit.schema.verdict import Verdict

__all__ = ["verdict_text"]


def verdict_text(found: Verdict) -> str:
    """Return a verdict; options are quoted, so that no control character reaches a terminal."""
    return "\n".join(_lines(found))


def _lines(found: Verdict) -> Iterator[str]:
    action = "" if found.action is None else f": act on {found.action!r}"
    yield f"{found.verdict}{action}"
    yield f"  {found.reason}"
    if found.probabilities:
        held = found.prediction_set
        heads = ("option", "probability", "expected cost", *(() if held is None else ("in the set",)))
        rows = [
            (
                repr(share.option),
                f"{share.probability:.4f}",
                f"{cost.expected_cost:.4f}",
                *(() if held is None else ("yes" if share.option in held else "",)),
            )
            for share, cost in zip(found.probabilities, found.expected_costs, strict=True)
        ]
        yield aligned(heads, rows)
    if found.spread is not None:
        spread = found.spread
        yield (
            f"entropy {spread.entropy:.3f} nats ({spread.normalised_entropy:.2f} of the most there can be), "
            f"margin {spread.margin:.3f}, effective options {spread.effective_options:.2f}, Gini {spread.gini:.3f}"
        )
    if found.uncertainty is not None:
        told = found.uncertainty
        what = "passes with dropout on" if told.source == "mc_dropout" else "models"
        yield (
            f"{told.members} {what}: predictive entropy {told.predictive_entropy:.3f} = expected entropy "
            f"{told.expected_entropy:.3f} + mutual information {told.mutual_information:.3f} nats"
        )
    for promise in found.promises:
        yield f"guaranteed: {promise.words}"
    for note in found.notes:
        yield f"note: {note}"
