"""The registry's noun: what is known of a base model before it lies on this machine."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun

__all__ = ["ConvertedModel", "ModelEntry", "ModelListing", "ModelReport", "ModelTrait", "PullReceipt"]

_MEMORY = r"^[1-9]\d*[KMGT]$"


class ModelEntry(Noun):
    """A base model as its publisher describes it, and what training it usually asks for."""

    repo: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+$")
    """Repository id on the model hub, `owner/name`."""
    architecture: str
    """First entry of `architectures` in its `config.json`."""
    parameters: int = Field(ge=1)
    """Weights in all, tied ones counted once."""
    hidden_size: int = Field(ge=1)
    """Width of the hidden states."""
    layers: int = Field(ge=1)
    """Transformer blocks."""
    heads: int = Field(ge=1)
    """Attention heads."""
    kv_heads: int = Field(ge=1)
    """Heads of keys and values."""
    head_dim: int = Field(ge=1)
    """Width of one head."""
    mlp_width: int = Field(ge=1)
    """Width of the MLP."""
    vocab_size: int = Field(ge=1)
    """Rows of the embedding."""
    max_positions: int = Field(ge=1)
    """Longest sequence it was made for."""
    tied: bool
    """Whether the output layer shares the embedding's weights."""
    dtype: Literal["F32", "BF16", "F16"] = "BF16"
    """Element type of its published weights."""
    shards: int | None = Field(default=None, ge=1)
    """Files its weights come in; None where not verified."""
    tokenizer: str
    """Family of its tokenizer."""
    licence: str
    """Licence, in a word or two."""
    gated: bool = False
    """Whether the publisher's terms have to be accepted before it can be pulled."""
    mem: str = Field(pattern=_MEMORY)
    """Memory that a training job usually asks for."""
    gpus: int = Field(default=1, ge=1)
    """GPUs that it usually takes."""
    cpus: int = Field(default=1, ge=1)
    """CPUs that it usually takes."""
    min_gpu_memory: str = Field(pattern=_MEMORY)
    """Memory that each of those GPUs should have: LoRA in bf16, one row of 2,048 tokens, blocks computed again."""
    note: str = ""
    """What else to know, and what of the entry is not verified."""

    @property
    def name(self) -> str:
        """Return the repository's name without its owner: what its directory is called."""
        return self.repo.rpartition("/")[2]

    @property
    def bytes(self) -> int:
        """Return the size of the published weights on disk."""
        return self.parameters * (4 if self.dtype == "F32" else 2)


class ModelListing(Noun):
    """One line of the list of models: an entry of the registry, a directory here, or both."""

    name: str
    """Name in the registry, else of the directory."""
    entry: ModelEntry | None
    """What the registry knows; None for a model it does not have."""
    path: str | None
    """Directory on this machine; None where it is not here."""
    revision: str | None = None
    """Commit it was pulled at, where known."""


class ModelTrait(Noun):
    """One thing that was checked of a model directory."""

    name: str
    """What was looked at."""
    ok: bool | None
    """Whether it is as it has to be; None where there is nothing to compare with."""
    found: str
    """What was found, in words."""
    hint: str = ""
    """What would mend it."""


class ModelReport(Noun):
    """A model directory, checked part by part."""

    path: str
    """Absolute directory."""
    name: str
    """Its entry in the registry, else the directory's name."""
    sha256: str | None
    """Content hash; None where it cannot be taken."""
    traits: tuple[ModelTrait, ...]
    """What was checked, in order."""

    @property
    def ok(self) -> bool:
        """Return whether nothing that was checked is wrong."""
        return all(trait.ok is not False for trait in self.traits)


class ConvertedModel(Noun):
    """A model that was written in another form."""

    source: str
    """Directory that it was made of."""
    path: str
    """Directory that was made."""
    form: Literal["mlx", "hf"]
    """Whose form it is: mlx-lm's, or that of transformers."""
    bits: int | None
    """Bits a weight, where they are MLX's few."""
    bytes: int
    """What it takes on disk."""
    sha256: str
    """Content hash, as designs name it."""


class PullReceipt(Noun):
    """A model that was pulled."""

    repo: str
    """Repository id."""
    revision: str
    """Commit that was pulled."""
    path: str
    """Directory it lies in."""
    files: int
    """Files in it."""
    bytes: int
    """Their size."""
    sha256: str
    """Content hash, as designs name it."""
