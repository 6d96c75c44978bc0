"""Site reading nouns: what the site files say, who said it, and how they are written."""

from typing import Any, Literal

from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.site import Site

__all__ = ["SiteFile", "SiteLevel", "SiteReading", "SiteValue", "SiteWriting"]

SiteLevel = Literal["user", "project"]
"""`user`: your own file, for all experiments; `project`: the one beside the experiments, which counts over it."""


class SiteValue(Noun):
    """One setting and who set it."""

    key: str
    """Dotted key, such as `caps.max_jobs`."""
    value: Any
    """The value used."""
    source: Literal["default", "user", "project"]
    """Which file says it."""
    place: str = ""
    """`file:line` that says it; empty for a default."""


class SiteFile(Noun):
    """One site file as it lies on disk."""

    level: SiteLevel
    """Whose it is."""
    path: str
    """Where it lies, or would."""
    text: str | None
    """What it says; None where there is none."""


class SiteReading(Noun):
    """The site as both files and the defaults make it."""

    site: Site
    """Its settings."""
    values: tuple[SiteValue, ...]
    """Each of them with its source."""


class SiteWriting(Noun):
    """What became of a site file."""

    path: str
    """The file."""
    text: str
    """What it says, or would say."""
    diff: str
    """Unified diff from what lay there; empty where nothing changes."""
    written: bool
    """Whether it was written."""
