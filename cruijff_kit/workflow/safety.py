"""Safety: what may leave in an answer: secrets masked, and no character that hides or misleads."""

from collections.abc import Iterable, Mapping

from cruijff_kit.rendering.redaction import redact, sensitive_values
from cruijff_kit.rendering.untrusted import clean_text

__all__ = ["safe_text", "secrets_of"]


def safe_text(text: str, *, secrets: Iterable[str] = ()) -> str:
    """Return a text as it may be shown to a person or a model, whoever wrote it."""
    return redact(clean_text(text), secrets)


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of those variables that are named like secrets."""
    return sensitive_values(environment)
