"""How answers are scored: the names of scorers and what they are told."""

from typing import Annotated, Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun

__all__ = ["Costs", "ScorerName", "ScoringRules"]

ScorerName = Literal["match", "includes", "risk", "numeric_risk", "continuous", "decision"]
"""Scorers that a design may plan."""

Costs = dict[str, dict[str, Annotated[float, Field(ge=0)]]]
"""True option to option chosen to what that costs; a right choice costs nothing unless named."""


class ScoringRules(Noun):
    """What scorers are told beside the answer and the target."""

    options: tuple[str, ...] = ()
    """Answers of a closed set; the last of two is the event."""
    ignore_case: bool = False
    """Whether capital and small letters are the same."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Probability from which `numeric_risk` takes the event to be foretold."""
    costs: Costs = {}
    """What wrong choices cost; 1 each where empty."""
    abstain_cost: float = Field(default=0.0, ge=0)
    """What declining to answer costs."""

    def __hash__(self) -> int:
        """Return the hash of the canonical JSON: mappings have none of their own."""
        return hash(self.model_dump_json())
