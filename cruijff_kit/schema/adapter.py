"""Adapter nouns: the base an adapter belongs to, and what the adapter verbs return."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun, Sha256

__all__ = [
    "AdapterCheck",
    "AdapterForm",
    "AdapterLimits",
    "BaseRecord",
    "ConvertReceipt",
    "MergeReceipt",
    "PortReceipt",
    "PortedFile",
]

AdapterForm = Literal["mlx", "peft"]
"""Libraries whose form of a LoRA adapter is known: mlx-lm and peft."""


class BaseRecord(Noun):
    """`base_model.json` beside an adapter: its base by content, by path and by name."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    name: str
    """Name in the design."""
    path: str
    """Absolute directory at the time of training."""
    repo_id: str | None = None
    """Repository `owner/name` the directory came from, where it tells."""
    revision: str | None = None
    """Commit of that repository, where known."""
    sha256: Sha256
    """Content hash of the directory: the one thing that does not change when it moves."""


class AdapterLimits(Noun):
    """What counts as an effect in `check_adapter`."""

    ppl_threshold: float = Field(default=0.5, ge=0)
    """Change of perplexity from which on an adapter is said to have an effect."""
    mse_threshold: float = Field(default=0.01, ge=0)
    """Mean squared difference of logits from which on it is."""


class AdapterCheck(Noun):
    """Base and adapter on one text, one model in memory, the adapter off and on."""

    adapter: str
    """Adapter directory."""
    base: str
    """Base model directory it was put on."""
    prompt: str
    """The text."""
    tokens: int
    """Its tokens; perplexity is over all but the first."""
    base_ppl: float
    """Perplexity of the text to the base."""
    adapter_ppl: float
    """Perplexity with the adapter on."""
    logit_mse: float
    """Mean squared difference of all logits."""
    logit_max: float
    """Largest absolute difference of a logit."""
    changed_tokens: int
    """Positions whose most likely next token differs."""
    limits: AdapterLimits
    """The thresholds that were used."""
    untouched: bool
    """Whether the update is zero throughout, as before the first step."""
    effect: bool
    """Whether perplexity or logits moved by a threshold or more."""
    verdict: str
    """The test and its outcome in words."""
    warnings: tuple[str, ...] = ()
    """What is wrong around it: a base that moved or differs, merged weights beside it."""


class PortedFile(Noun):
    """One file that names a base, before and after."""

    path: str
    """Absolute path."""
    before: Sha256
    """Hash as it lies there."""
    after: Sha256
    """Hash of the new text."""
    text: str
    """The new text."""


class PortReceipt(Noun):
    """A base reference that was rewritten."""

    base: str
    """What adapters now name: a directory or a repository."""
    files: tuple[str, ...]
    """Files rewritten; none where all said so already."""
    vouched: tuple[str, ...] = ()
    """Markers of finished trainings that now vouch for the new files."""


class MergeReceipt(Noun):
    """A merged model that was written; the adapter is as it was."""

    adapter: str
    """Adapter directory, unchanged: loading it on its base is the model unmerged."""
    base: str
    """Base model directory."""
    output: str
    """Directory of the merged model, without any adapter in it."""
    layers: int
    """Weights that got an update."""
    files: tuple[str, ...]
    """Files written, by name."""


class ConvertReceipt(Noun):
    """An adapter that was written in another library's form; the one it was made of is as it was."""

    adapter: str
    """Adapter directory, unchanged."""
    form: AdapterForm
    """Whose form was written."""
    output: str
    """Directory made."""
    layers: int
    """Layers that it adapts."""
