"""Who proposes what a search tries next."""

from collections.abc import Sequence
from typing import Literal, Protocol

from cruijff_kit.schema.design_kinds import Level, Space
from cruijff_kit.schema.sweep import Tried

__all__ = ["Proposer"]


class Proposer(Protocol):
    """Samplers that decide from what they are told alone, and keep nothing."""

    def propose(
        self,
        space: Space,
        tried: Sequence[Tried],
        *,
        sampler: Literal["tpe", "random", "gp"],
        minimise: bool,
        seed: int,
    ) -> dict[str, Level]:
        """Return one point of a space; the same arguments give the same point.

        Args:
            space: what may be chosen; whoever asks rounds ranges further.
            tried: earlier points in their order; those outside the space are passed over.
            sampler: which of them decides.
            minimise: whether less is better.
            seed: decides what is left to chance.

        Raises:
            SiteError: the extra that samples is not installed.
        """
        ...
