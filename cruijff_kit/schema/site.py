"""Site nouns: this machine's settings, its models and its disk."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Name, Noun, Sha256
from cruijff_kit.schema.policy import Policy, Queue
from cruijff_kit.schema.registry import ModelEntry

__all__ = ["Caps", "DiskSpace", "Environment", "ModelFacts", "Site"]


class Caps(Noun):
    """Hard limits on what one experiment may ask of the scheduler."""

    max_jobs: int = Field(default=500, ge=1)
    """Jobs that one submission may queue."""
    max_gpu_hours: float = Field(default=200.0, ge=0)
    """GPU-hours that one submission may ask for."""
    max_concurrent: int = Field(default=2, ge=1)
    """Jobs that the embedded scheduler runs at once."""


class Environment(Noun):
    """How a job script reaches this package's Python."""

    kind: Literal["python", "venv", "conda", "modules", "none"] = "python"
    """`python`: the interpreter that scaffolded; the others activate first."""
    name: str | None = None
    """Path of the venv, name of the conda environment, or None."""
    modules: tuple[str, ...] = ()
    """Modules to load first."""


class Site(Noun):
    """Settings of a machine or cluster; nothing here is ever hard-wired."""

    schema_version: Literal[1] = 1
    """Version of this file's form."""
    scheduler: Literal["local"] = "local"
    """Which scheduler takes jobs."""
    allow_unattended: bool = False
    """Whether `--yes` may skip the typed confirmation; caps still hold."""
    caps: Caps = Caps()
    """Hard limits."""
    queue: Queue = Queue()
    """How jobs are handed over."""
    policy: Policy = Policy()
    """What follows when jobs end badly."""
    environment: Environment = Environment()
    """How jobs reach Python."""
    models_dir: str | None = None
    """Directory in which relative model paths are looked up."""
    output_dir_base: str | None = None
    """Directory for checkpoints instead of `outputs/` in the experiment."""
    partition: Name | None = None
    """Default partition."""
    account: Name | None = None
    """Default account."""
    gpu_memory: str | None = Field(default=None, pattern=r"^[1-9]\d*[KMGT]$")
    """Memory of one GPU, such as `80G`; estimates are held against it."""
    models: tuple[ModelEntry, ...] = ()
    """Base models that the registry shall know beside, or instead of, those it ships."""


class DiskSpace(Noun):
    """Space on the file system of an experiment."""

    free: int
    """Bytes free."""
    total: int
    """Bytes in all."""


class ModelFacts(Noun):
    """What a model directory says of itself."""

    path: str
    """Absolute directory."""
    architecture: str
    """First entry of `architectures` in `config.json`."""
    parameters: int
    """Number of parameters, counted from the weights' headers."""
    bytes: int
    """Size of the weights in bytes."""
    sha256: Sha256
    """Hash over config, tokenizer and weights, in name order."""
    hidden_size: int
    """Model width."""
    layers: int
    """Number of transformer blocks."""
    vocab_size: int
    """Rows of the embedding."""
    max_positions: int
    """Longest sequence the model was made for."""
    has_chat_template: bool
    """Whether its tokenizer carries one."""
    modified: str
    """Date of the newest file, ISO-8601."""
    heads: int | None = None
    """Attention heads; None where its configuration does not say, as for the next four."""
    kv_heads: int | None = None
    """Heads of keys and values."""
    head_dim: int | None = None
    """Width of one head."""
    mlp_width: int | None = None
    """Width of the MLP."""
    tied: bool | None = None
    """Whether the output layer shares the embedding's weights."""
    dtype: str | None = None
    """Element type of its weights, as their headers say: `F32`, `BF16`…; None where they differ."""
    repo: str | None = None
    """Repository it was pulled from, where `ck models pull` did."""
    revision: str | None = None
    """Commit of that repository."""
