"""What an archive may leave behind; apart from other nouns, so that a server that starts need not load them."""

from typing import Literal

__all__ = ["Drop"]

Drop = Literal["merged", "caches"]
"""What may be dropped when an experiment is put away, once somebody says so."""
