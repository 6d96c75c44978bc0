"""Roots: the directories that what an assistant names must lie in."""

from cruijff_kit.schema.noun import Noun

__all__ = ["Roots"]


class Roots(Noun):
    """Directories as they really lie, links followed."""

    writable: tuple[str, ...]
    """Where files may be written: the project, and the site's directory for checkpoints."""
    readable: tuple[str, ...]
    """Where files may be read: those, the site's directories of models and data, and what a server was started with."""
