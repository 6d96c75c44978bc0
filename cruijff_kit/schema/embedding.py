"""Embedding nouns: what is asked for, the job that it becomes, and the file that it leaves."""

from typing import Annotated, Literal

from pydantic import Field

from cruijff_kit.schema.backend import Device
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = [
    "EmbedJob",
    "EmbedOrder",
    "EmbedReceipt",
    "EmbedTarget",
    "EmbedWork",
    "EmbeddingFile",
    "Layers",
    "Padding",
    "Pool",
    "Tier",
]

Pool = Literal["none", "mean", "mean_non_padding", "median", "first", "last", "last_non_padding"]
"""How the hidden states of a text's tokens become one vector; `none` keeps them all."""

Layers = Literal["last", "all"] | tuple[int, ...]
"""Hidden states kept: 0 is what enters the first block, L and -1 what leaves the last, normalised."""

Padding = Literal["left", "right"]
"""Side on which shorter texts are filled up."""

Tier = Literal["green", "yellow", "red"]
"""How closely data is kept."""


class EmbedWork(Noun):
    """How texts become vectors, whatever the model and the texts."""

    pool: Pool = "last_non_padding"
    """How a text's tokens become one vector; texts do not see padding here, so `mean` is `mean_non_padding`."""
    layers: Layers = "last"
    """Hidden states kept."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the model; vectors are written as fp32."""
    truncate: bool = False
    """Whether texts longer than the model's positions are cut at their end instead of refused."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    """Texts of one forward pass; may change between a kill and the resumption."""
    device: Device = "auto"
    """Where to compute."""


class EmbedOrder(Noun):
    """Which texts a person wants embedded by which model, and where to."""

    data: str | None = None
    """File or folder of rows; the run's own where None."""
    out: str
    """HDF5 file to write; for several epochs each gets its own, named after it."""
    model: str | None = None
    """Base model directory; the one that adapter or run names where None."""
    adapter: str | None = None
    """LoRA adapter directory."""
    run: str | None = None
    """Run of the experiment, whose base, adapters and prompts are taken."""
    epochs: tuple[str, ...] = ()
    """Epochs of that run: numbers, `best`, `base`, or `all` for the base and every saved one; the last where empty."""
    split: str | None = None
    """Split embedded; every row where None."""
    text_column: str | None = None
    """Column of the text; `input`, or the run's own, where None."""
    id_column: str | None = None
    """Column of the ids, each once; `<split>-<number>` where None."""
    dataset_type: DatasetType | None = None
    """How a text is put to the model; plain text, or as the run does, where None."""
    prompt: str | None = None
    """Template around the text; `{input}`, or the run's own, where None."""
    system_prompt: str | None = None
    """System message; none, or the run's own, where None."""
    work: EmbedWork = EmbedWork()
    """How texts become vectors."""
    force: bool = False
    """Whether a file of other embeddings is replaced."""


class EmbedTarget(Noun):
    """One model of a job: the base, or the base with one adapter, and the file of its vectors."""

    label: str
    """`base`, `adapter`, `best` or `epoch_<n>`."""
    out: str
    """Absolute path of the HDF5 file."""
    adapter: str | None = None
    """Absolute adapter directory; None for the bare base."""
    adapter_sha256: Sha256 | None = None
    """Hash of its weights."""


class EmbedJob(Noun):
    """Everything that decides a file of embeddings."""

    model: str
    """Absolute base model directory."""
    model_sha256: Sha256
    """Content hash of it."""
    max_positions: Annotated[int, Field(ge=1)]
    """Longest text in tokens that it reads."""
    dataset: DatasetConfig
    """Rows and how they become tokens."""
    split: str | None
    """Split embedded; every row where None."""
    id_column: str | None
    """Column of the ids."""
    tier: Tier
    """How closely the texts, and so their vectors, are kept."""
    run: str | None = None
    """Run that the adapters are of."""
    work: EmbedWork
    """How texts become vectors."""
    targets: tuple[EmbedTarget, ...]
    """The models, which share one base in memory."""
    force: bool = False
    """Whether a file of other embeddings is replaced."""


class EmbeddingFile(Noun):
    """One finished file."""

    label: str
    """Which of the job's models made it."""
    path: str
    """Where it lies."""
    rows: int
    """Texts in it."""
    shape: tuple[int, ...]
    """Shape of its vectors: texts (tokens where nothing is pooled), layers, width."""
    embedded: int
    """Texts embedded by this call; fewer than `rows` where an earlier one had begun or finished."""
    sha256: Sha256
    """Hash of the file."""


class EmbedReceipt(Noun):
    """What embedding left."""

    model: str
    """Base model directory."""
    data: str
    """File or folder of the texts."""
    tier: Tier
    """How closely they are kept, and the vectors with them."""
    files: tuple[EmbeddingFile, ...]
    """One for each model."""
