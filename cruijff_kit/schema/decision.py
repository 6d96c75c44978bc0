"""Who takes decisions; apart from other nouns, so that a server that starts need not load them."""

from typing import Literal

__all__ = ["Chooser"]

Chooser = Literal["user", "assistant", "default"]
"""Who chose: the user, the assistant for them, or a default that nobody changed."""
