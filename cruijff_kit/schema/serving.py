"""Serving nouns: which model is to answer, how it was trained to be asked, and where it listens."""

from typing import Annotated, Literal

from pydantic import Field

from cruijff_kit.schema.backend import Device, Library
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["Address", "ChatSettings", "ModelChoice", "Place", "Reply", "Saying", "ServedModel"]


class ModelChoice(Noun):
    """Which model a person wants to talk to."""

    model: str | None = None
    """Base model directory, or its name in the models directory; what adapter or run names where None."""
    adapter: str | None = None
    """LoRA adapter directory."""
    run: str | None = None
    """Run of the experiment, or the start of its id: its base, adapter and prompts."""
    epoch: str | None = None
    """Of that run: a saved epoch's number, `best` or `base`; the last one where None."""
    name: str | None = None
    """What requests call it; a name made of run or directory where None."""
    system_prompt: str | None = None
    """System message of conversations that bring none; the run's own where None."""
    dataset_type: DatasetType | None = None
    """How questions become tokens; as in training, else by the chat template where there is one, where None."""
    wrap: bool = False
    """Whether each question is put into the prompt template of the training, as its rows were."""
    dtype: Literal["fp32", "bf16"] | None = None
    """Arithmetic; the run's own, or `fp32`, where None."""
    backend: Literal["auto", "torch", "mlx"] = "auto"
    """Which library computes; `auto` is MLX on Apple silicon where it is installed, else torch."""
    device: Device = "auto"
    """Where to compute."""
    max_concurrent: Annotated[int, Field(ge=1, le=1024)] = 16
    """Most answers made in one forward pass."""


class Place(Noun):
    """Where a server listens, and who may ask."""

    host: str = "127.0.0.1"
    """Name or address of an interface of this machine."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port; 0 lets the system choose one."""
    token_file: str | None = None
    """File that holds the token; the environment's `CK_SERVE_TOKEN`, where there is one, if None."""


class ServedModel(Noun):
    """A model as it is loaded to answer."""

    name: str
    """What requests call it."""
    base_name: str
    """What requests call the bare base; the same where no adapter is worn."""
    base: str
    """Absolute base model directory."""
    base_sha256: Sha256
    """Content hash of it."""
    adapter: str | None = None
    """Absolute adapter directory; None for the bare base."""
    adapter_sha256: Sha256 | None = None
    """Hash of its weights."""
    dataset: DatasetConfig | None = None
    """How training put questions; None where no training is known."""
    dataset_type: DatasetType
    """How questions become tokens."""
    system_prompt: str = ""
    """System message of conversations that bring none; empty leaves it out."""
    wrap: bool = False
    """Whether each question is put into the prompt template of the training."""
    max_positions: Annotated[int, Field(ge=1)]
    """Longest conversation in tokens, the answer with it."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic."""
    backend: Library = "torch"
    """Which library computes."""
    device: Device = "auto"
    """Where to compute."""
    max_concurrent: Annotated[int, Field(ge=1)] = 16
    """Most answers made in one forward pass."""
    here_only: str = ""
    """Why it may be served on this machine alone; empty where it may be elsewhere."""
    notes: tuple[str, ...] = ()
    """What whoever asks should know of it."""


class Address(Noun):
    """Where a server that is ready can be asked."""

    url: str
    """Address that clients are given, its `/v1` with it."""
    host: str
    """Address it listens at."""
    port: int
    """TCP port."""
    model: str
    """Name of the model."""
    models: tuple[str, ...]
    """Every name that requests may use."""
    token: bool
    """Whether a token is asked for."""
    pid: int
    """Process id of the server."""


class ChatSettings(Noun):
    """How answers of a conversation are made."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest answer in tokens; what the model has room for, at most 256, where None."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Draws where above 0; the most likely answer where None."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Mass of the most likely tokens that are drawn from."""
    seed: int | None = None
    """Decides what is drawn; another one each time where None."""


class Saying(Noun):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    """Who says it."""
    content: str
    """What is said."""


class Reply(Noun):
    """An answer in a conversation."""

    text: str
    """What was said."""
    ended: Literal["stop", "length", "interrupted"]
    """Whether it came to its end, to the limit, or was stopped by the user."""
    prompt_tokens: int
    """Tokens read."""
    tokens: int
    """Tokens given."""
