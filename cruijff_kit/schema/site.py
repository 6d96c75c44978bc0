"""Site nouns: this machine's settings, its models and its disk."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from cruijff_kit.schema.noun import Name, Noun, Sha256, TimeLimit
from cruijff_kit.schema.policy import Policy, Queue
from cruijff_kit.schema.registry import ModelEntry

__all__ = [
    "RESERVED",
    "Below",
    "Caps",
    "DiskSpace",
    "Environment",
    "Features",
    "Folder",
    "GpuKind",
    "Mail",
    "Memory",
    "ModelFacts",
    "Partition",
    "Place",
    "Price",
    "Remote",
    "Site",
]


Memory = Annotated[str, Field(pattern=r"^[1-9]\d*[KMGT]$")]
"""A size with its unit, such as `80G`, in powers of 1024 as Slurm counts."""

Features = Annotated[str, Field(pattern=r"^[A-Za-z0-9_&|.()*-]+$", max_length=256)]
"""Node features as `--constraint` takes them."""

Folder = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]+$", max_length=1024)]
"""A directory; no character in it ends a line."""

Place = Annotated[
    str, Field(pattern=r"^/[^/\x00-\x1f\x7f\x85\u2028\u2029][^\x00-\x1f\x7f\x85\u2028\u2029]*$", max_length=1024)
]
"""An absolute directory or program on a login host; no character in it ends a line."""

Below = Annotated[
    str, Field(pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029/.~-][^\x00-\x1f\x7f\x85\u2028\u2029]*$", max_length=512)
]
"""A path below the project."""

Mail = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}(@[A-Za-z0-9][A-Za-z0-9.-]{0,253})?$")]
"""A mail address, or the name of a local user."""

Price = Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,4})? [A-Z]{3}$")]
"""An amount and its currency, such as `2.10 EUR`."""

_HOST = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,253}(@[A-Za-z0-9][A-Za-z0-9.-]{0,253})?$"
_PREFIXES = "SLURM|SBATCH|SRUN|CRUIJFF|PET|TORCH_ELASTIC"
RESERVED = re.compile(rf"(?:{_PREFIXES})_.*|OMP_NUM_THREADS|WANDB_MODE|HF_\w+_OFFLINE|TOKENIZERS_PARALLELISM")
"""Variables that scripts, launchers and schedulers set themselves."""


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
    name: Folder | None = None
    """Path of the venv, name of the conda environment, or None."""
    modules: tuple[Annotated[str, Field(pattern=r"^[^\s-]\S*$", max_length=128)], ...] = ()
    """Modules to load first."""
    variables: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)], str] = {}
    """Variables that every job gets, such as `NCCL_SOCKET_IFNAME: ib0`; no secrets, they stand in the scripts."""
    lock: Folder | None = None
    """File that its packages are held against, as `ck site env` writes it; None where it was not locked."""

    @field_validator("variables", mode="after")
    @classmethod
    def _not_ours(cls, variables: dict[str, str]) -> dict[str, str]:
        ours = [name for name in variables if RESERVED.fullmatch(name)]
        if ours:
            raise ValueError(f"`{ours[0]}` is set by the scripts or the scheduler")
        return variables


class GpuKind(Noun):
    """One kind of GPU in a partition."""

    type: Name | None = None
    """What the scheduler calls it in `--gres=gpu:<type>:<n>`; None where it is not told apart."""
    memory: Memory | None = None
    """Memory of one, such as `80G`; estimates are held against it."""
    count: int = Field(default=1, ge=1, le=64)
    """How many one node has."""


class Partition(Noun):
    """One partition of a cluster, and what a job in it may have."""

    name: Name
    """Its name."""
    max_time: TimeLimit | None = None
    """Longest time limit, `[days-]hours:minutes:seconds`; None where it has none."""
    gpus: tuple[GpuKind, ...] = ()
    """GPUs of its nodes."""
    account: Name | None = None
    """Account that jobs in it are charged to, instead of the site's."""
    qos: Name | None = None
    """Quality of service that jobs in it ask for, instead of the site's."""


class Remote(Noun):
    """Where experiments lie on a cluster whose directories are not seen here."""

    dir: Place
    """Directory there of the project: of this one's experiments, its inputs and its `site.yaml`."""
    program: Place | Literal["ck"] = "ck"
    """How `ck` is called there; the whole path where a login does not find it."""
    inputs: tuple[Below, ...] = ("inputs",)
    """Files and folders of the project that go there; whatever an experiment's folder holds comes from there."""
    largest: Memory = "100M"
    """Size of the largest file that comes back by itself; adapters come with `ck sync --adapters`."""

    @field_validator("inputs", mode="after")
    @classmethod
    def _inside(cls, inputs: tuple[str, ...]) -> tuple[str, ...]:
        outside = [path for path in inputs if any(part in ("", ".", "..") for part in path.split("/"))]
        if outside:
            raise ValueError(f"`{outside[0]}` is no plain path below the project")
        hidden = [path for path in inputs if any(part.startswith(".") for part in path.split("/"))]
        if hidden:
            raise ValueError(f"`{hidden[0]}` is hidden, and nothing hidden is sent")
        return inputs


class Site(Noun):
    """Settings of a machine or cluster; nothing here is ever hard-wired."""

    schema_version: Literal[1] = 1
    """Version of this file's form."""
    scheduler: Literal["local", "slurm"] = "local"
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
    models_dir: Folder | None = None
    """Directory in which relative model paths are looked up."""
    data_dirs: tuple[Folder, ...] = ()
    """Directories of data outside the project that an assistant may have read, as `models_dir` is; people name any."""
    output_dir_base: Folder | None = None
    """Directory for checkpoints instead of `outputs/` in the experiment."""
    scratch_dir: Folder | None = None
    """Directory for what may be lost: caches, and environments built for jobs."""
    partitions: tuple[Partition, ...] = ()
    """Partitions that jobs may go to; a design that names another is refused. None listed: any."""
    partition: Name | None = None
    """Default partition."""
    accounts: tuple[Name, ...] = ()
    """Accounts that jobs may be charged to; none listed: any."""
    account: Name | None = None
    """Default account."""
    qos_levels: tuple[Name, ...] = ()
    """Qualities of service that jobs may ask for; none listed: any."""
    qos: Name | None = None
    """Default quality of service."""
    constraint: Features | None = None
    """Default node features."""
    gpu_type: Name | None = None
    """Default kind of GPU, as the scheduler calls it."""
    gpu_memory: Memory | None = None
    """Memory of one GPU, such as `80G`; estimates are held against it."""
    gpu_hour_price: Price | None = None
    """What a GPU costs for an hour, such as `2.10 EUR`; costs are shown where it is set."""
    gpu_sampling: int = Field(default=30, ge=0, le=3600)
    """Seconds between samples of the GPUs' use that a job keeps beside its metrics; 0 keeps none."""
    wandb_mode: Literal["offline", "disabled"] = "offline"
    """What trackers do in a job: `offline` keeps runs for `ck wandb sync`, `disabled` keeps none."""
    mail: Mail | None = None
    """Where the scheduler writes to when a design sets `resources.notify`."""
    prove_inputs: bool = True
    """Whether every input is tried in the jobs' own environment before any is queued; false leaves it to the jobs."""
    login_host: str | None = Field(default=None, pattern=_HOST)
    """Host of the cluster as `ssh` knows it, `[user@]host`; None where jobs are submitted from here."""
    remote: Remote | None = None
    """Where experiments lie on the login host; None where it sees the same directories as this machine."""
    models: tuple[ModelEntry, ...] = ()
    """Base models that the registry shall know beside, or instead of, those it ships."""

    @model_validator(mode="after")
    def _known_defaults(self) -> Self:
        named = tuple(each.name for each in self.partitions)
        lists = (("partition", named, "partitions"), ("account", self.accounts, "accounts"))
        for field, known, key in (*lists, ("qos", self.qos_levels, "qos_levels")):
            value = getattr(self, field)
            if known and value is not None and value not in known:
                raise ValueError(f"default {field} `{value}` is none of `{key}`: {', '.join(known)}")
        if len(set(named)) < len(named):
            raise ValueError("a partition is listed twice in `partitions`")
        if self.remote is not None and self.login_host is None:
            raise ValueError("`remote` says where experiments lie there, and `login_host` is not set")
        return self


class DiskSpace(Noun):
    """Space on the file system of an experiment."""

    free: int
    """Bytes free."""
    total: int
    """Bytes in all."""


class ModelFacts(Noun):
    """What a model directory says of itself."""

    path: str
    """Absolute directory; empty where a model behind an API has no local copy."""
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
    """Date of the newest file, ISO-8601; empty behind an API."""
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
    api: str | None = None
    """Provider and name of a model behind an API, whose sizes are not known and stand as 0."""
