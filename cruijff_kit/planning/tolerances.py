"""How far something may be from what is wanted of it before that is called a fault."""

__all__ = ["ALIKE", "LEAST_ROOM", "MOST_SKEW"]

ALIKE = 0.02
"""By how much a loss or a share may differ where the same run is made again by other versions or on another device."""
LEAST_ROOM = 1_000_000_000
"""Bytes that must be left where jobs write."""
MOST_SKEW = 5.0
"""Seconds that two clocks may be apart: records of what ended when would lie beyond."""
