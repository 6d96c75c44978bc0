"""Nouns of stored samples that are looked at one by one."""

from cruijff_kit.schema.noun import Noun, RunId

__all__ = ["SamplePage", "StoredSample"]


class StoredSample(Noun):
    """One evaluated sample whose options were scored."""

    sample_id: str
    """Its name."""
    task: str
    """Evaluation task."""
    split: str
    """Split it comes from."""
    options: tuple[str, ...]
    """Its options."""
    target: str
    """The right option."""
    groups: dict[str, str] = {}
    """Its group columns."""


class SamplePage(Noun):
    """Samples of a run that a verdict can be asked of."""

    run: RunId
    """The run."""
    samples: tuple[StoredSample, ...]
    """Those whose options were scored, in the order in which they were collected."""
    left_out: int = 0
    """Samples that errored or have no scored options."""
