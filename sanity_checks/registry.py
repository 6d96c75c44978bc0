"""Checks by name, and the size one is made at."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from cruijff_kit.errors import PlanError
from cruijff_kit.sanity_checks.bit_sequences.check import CHECK as BIT_SEQUENCES
from cruijff_kit.sanity_checks.checks import Check, Size
from cruijff_kit.sanity_checks.predictable_or_not.check import CHECK as PREDICTABLE_OR_NOT

__all__ = ["CHECKS", "TINY", "check_of", "size_of"]

CHECKS: Mapping[str, Check] = MappingProxyType({check.name: check for check in (BIT_SEQUENCES, PREDICTABLE_OR_NOT)})
"""Name to check, in the order they are run."""

TINY = "tiny"
"""What the small base model of this package is called."""


def check_of(name: str, checks: Mapping[str, Check] = CHECKS) -> Check:
    """Return the check of a name.

    Raises:
        PlanError: there is none.
    """
    if name in checks:
        return checks[name]
    known, near = ", ".join(f"`{each}`" for each in checks), get_close_matches(name, checks, n=1)
    raise PlanError(f"unknown check `{name}`; checks are {known}", hint=f"write `{(near or list(checks))[0]}`")


def size_of(check: Check, name: str | None, *, model: str) -> Size:
    """Return a size of a check, by default the one that fits the model.

    Raises:
        PlanError: it has no such size.
    """
    wanted = name or ("small" if model == TINY else "full")
    if wanted in check.sizes:
        return check.sizes[wanted]
    known = ", ".join(f"`{each}`" for each in check.sizes)
    raise PlanError(f"check `{check.name}` has no size `{wanted}`; it has {known}", hint="name one of them")
