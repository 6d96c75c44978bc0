"""How far a machine may be from what jobs need of it before that is called a fault."""

__all__ = ["LEAST_ROOM", "MOST_SKEW"]

LEAST_ROOM = 1_000_000_000
"""Bytes that must be left where jobs write."""
MOST_SKEW = 5.0
"""Seconds that two clocks may be apart: records of what ended when would lie beyond."""
