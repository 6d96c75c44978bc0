"""Nouns of stored samples that are looked at one by one."""

from cruijff_kit.schema.noun import Noun, RunId
from cruijff_kit.schema.verdict import Chances

__all__ = ["SamplePage", "StoredSample"]


class StoredSample(Noun):
    """One evaluated sample: what the model said of its options, and what was right."""

    task: str
    """Evaluation task."""
    split: str
    """Split it comes from."""
    epoch: int | None
    """Epoch of the model that was asked, from 0; None for a base model."""
    chances: Chances
    """Its options with their log-probabilities."""
    target: str
    """The right option."""


class SamplePage(Noun):
    """Samples of a run that a verdict can be asked of."""

    run: RunId
    """The run."""
    samples: tuple[StoredSample, ...]
    """Those whose options were scored, in the order in which they were collected."""
    left_out: int = 0
    """Samples that errored or have no scored options."""
