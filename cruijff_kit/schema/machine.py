"""Machine nouns: what this machine computes with, and what a project was begun with."""

from cruijff_kit.schema.estimate import MemoryParts
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.site import GpuKind

__all__ = ["MachineReport", "ModelNeeds", "ProjectReceipt", "RemovedModel"]


class MachineReport(Noun):
    """What this machine computes with."""

    system: str
    """Operating system and architecture."""
    device: str
    """What a training would compute on."""
    backend: str
    """What `--backend auto` trains by here; `none` where nothing can."""
    backend_why: str
    """Why."""
    cpus: int
    """CPUs that a process may use."""
    memory: int
    """Bytes that a process may have."""
    gpus: tuple[GpuKind, ...]
    """GPUs that the driver tells of."""
    disk_free: int
    """Bytes free where the project lies."""
    versions: dict[str, str]
    """Package to version, of those that shape a result."""
    missing: tuple[str, ...]
    """Packages that some verb needs and that are not installed."""
    models_dir: str
    """Where models lie; empty where the site names no place."""
    models: int
    """Models that lie there."""
    cache: str
    """Where what can be made again is kept."""
    state: str
    """Where queue and record heads are kept."""
    scheduler: str
    """Where an experiment's jobs go, `ck train` aside, whose jobs run here."""


class ModelNeeds(Noun):
    """What training a model takes."""

    model: str
    """The model."""
    memory: MemoryParts
    """What a step needs, part by part."""
    batch_size: int
    """Rows of a pass."""
    max_seq_len: int
    """Tokens of each."""
    lora_rank: int
    """Rank of the update."""
    dtype: str
    """Arithmetic."""
    backend: str
    """What would train it here, whose memory this is: `mlx`, `peft` or `torchtune`."""
    formula: str
    """Which of the estimator's two sums was taken, and where it was held against measurements."""
    limit: int
    """Bytes that are counted with, four fifths of this machine's; 0 where nobody says."""
    most_rows: int | None
    """Largest batch that fits; 0 where none does, None where nobody knows."""


class ProjectReceipt(Noun):
    """What a project was begun with."""

    root: str
    """Its directory."""
    written: tuple[str, ...]
    """Files that were written."""
    kept: tuple[str, ...]
    """Files that were there already."""
    models_dir: str
    """Where models go."""


class RemovedModel(Noun):
    """A model that lay on this machine."""

    path: str
    """Where."""
    bytes: int
    """What it took on disk."""
    repo: str | None
    """Repository that it can be pulled from again; None where it was not pulled."""
