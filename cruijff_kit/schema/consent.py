"""Consent nouns: a way out of the house, and who let which data go that way."""

from typing import Literal

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["AllowReceipt", "Allowance", "Closed", "Way"]

Way = Literal["show", "api", "host"]
"""A way out: shown by a tool, which may mean to a model and its provider; put to a model behind an API; copied to
another machine."""


class Allowance(Noun):
    """What is on record for one data set and one way."""

    data: str
    """Data set, as it was named."""
    sha256: Sha256
    """Its hash; consent to other content is another consent."""
    tier: Tier
    """Its tier."""
    open: bool
    """Whether it may go that way now."""
    changed: bool
    """Whether a line was written to the audit log."""


class AllowReceipt(Noun):
    """What is to be allowed or withdrawn, and then what was."""

    way: Way
    """The way out."""
    data: tuple[Allowance, ...]
    """Each data set that was asked about."""
    whole: bool
    """Whether these are all data of the design."""
    question: str = ""
    """What a person is asked; empty where nothing is left to ask."""


class Closed(Noun):
    """Why data may not go a way."""

    fact: str
    """What stands against it."""
    hint: str
    """What to do instead."""
    tier: Tier
    """The tier of the data."""

    @property
    def words(self) -> str:
        """Return fact and hint in one line."""
        return f"{self.fact}; {self.hint}"
