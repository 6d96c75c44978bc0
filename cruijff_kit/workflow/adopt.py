"""Adopt: take a hand edit of a run's files over into the plan and the seal."""

from cruijff_kit.ports import World
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.receipt import ScaffoldReceipt

__all__ = ["adopt_edit", "with_adopted"]


def adopt_edit(run: str, *, reason: str, world: World) -> ScaffoldReceipt:
    """Seal a run's files as somebody edited them, with the reason on record."""
    raise NotImplementedError


def with_adopted(plan: Plan, sealed: DesignLock | None, *, world: World) -> Plan:
    """Return the plan with adopted edits in place of what the design says."""
    return plan
