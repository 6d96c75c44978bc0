"""Models and adapters on this machine."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from cruijff_kit.ports.clock import Progress
from cruijff_kit.ports.tokenizer import Tokenizer
from cruijff_kit.schema.adapter import (
    AdapterCheck,
    AdapterForm,
    AdapterLimits,
    ConvertReceipt,
    MergeReceipt,
    PortedFile,
)
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.embedding import EmbeddingFile, EmbedJob
from cruijff_kit.schema.prediction import Completion, PromptIds
from cruijff_kit.schema.registry import ConvertedModel, ModelTrait, PullReceipt
from cruijff_kit.schema.site import ModelFacts

__all__ = ["Adapters", "Asking", "Embedder", "Inference", "ModelHub"]


class Asking(NamedTuple):
    """How a model is asked."""

    max_tokens: int
    """Longest answer in tokens."""
    options: tuple[str, ...] = ()
    """Labels that are scored behind each prompt."""
    temperature: float | None = None
    """Temperature of sampling; None for the likeliest answer."""
    seed: int = 0
    """Decides, together with a prompt's ids, what is sampled."""
    top_logprobs: int = 0
    """Candidates kept per generated position."""


class ModelHub(Protocol):
    """Model directories on this machine, in Hugging Face format."""

    def facts(self, path: str) -> ModelFacts:
        """Read a model directory's configuration, size and content hash.

        Raises:
            SiteError: the directory or its `config.json` is missing or unreadable.
        """
        ...

    def tokenizer(self, path: str) -> Tokenizer:
        """Load a model directory's tokenizer; SiteError where there is none, or its extra is not installed."""
        ...

    def inference(self, path: str, *, adapter: str | None = None, backend: Library = "torch") -> "Inference":
        """Load a base model, an adapter unmerged on it; SiteError where it or what computes cannot be had."""
        ...

    def make_tiny(self, *, force: bool = False, progress: Progress | None = None) -> ModelFacts:
        """Train the small base model of the demo, or return the cached one.

        Raises:
            SiteError: the extra that trains is not installed, or a known answer was missed.
        """
        ...

    def present(self) -> Mapping[str, Mapping[str, str]]:
        """Return the model directories here: path to `repo` and `revision`, where they were pulled."""
        ...

    def check(self, path: str) -> tuple[ModelTrait, ...]:
        """Check a model directory part by part; what is wrong is told, not raised."""
        ...

    def pull(self, repo: str, *, revision: str | None = None) -> PullReceipt:
        """Pull a model from the hub into the models directory, or find it there.

        Raises:
            SiteError: this machine is offline, the hub refuses, or the directory is another model's.
        """
        ...

    def convert(self, path: str, output: str, *, to: Literal["mlx", "hf"], bits: int | None = None) -> ConvertedModel:
        """Write a model in another form to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken, the model cannot be converted, or MLX is not installed.
        """
        ...

    def size(self, path: str) -> int:
        """Return the bytes that a model directory takes on disk."""
        ...

    def remove(self, path: str) -> None:
        """Remove a directory of the models directory: first out of sight, then from disk.

        Raises:
            SiteError: it does not lie there, or is a link to somewhere else.
        """
        ...


class Inference(Protocol):
    """A model held in this process, for spot checks and audits."""

    def ask(self, prompts: Sequence[PromptIds], asking: Asking, *, stop_ids: Sequence[int] = ()) -> list[Completion]:
        """Answer each prompt, greedily or sampled, and score the options behind it.

        Args:
            prompts: token ids, as the model reads them.
            asking: how far, how, and which options.
            stop_ids: ids that end an answer besides those the model names itself.
        """
        ...


class Adapters(Protocol):
    """LoRA adapter directories on this machine; paths start at the current directory."""

    def plan_port(self, folder: str, *, base: str | None = None, repo_id: str | None = None) -> tuple[PortedFile, ...]:
        """Return the new text of every file that names a base; the recorded repository where none is given.

        Raises:
            SiteError: there is no adapter, or the directory given is not its base.
            SpecError: no base is given or recorded, or its form is not known.
        """
        ...

    def write_port(self, files: Sequence[PortedFile]) -> None:
        """Write those texts, each aside and renamed."""
        ...

    def check(self, folder: str, *, base: str | None, prompt: str, limits: AdapterLimits) -> AdapterCheck:
        """Compare a base with and without an adapter on one text.

        Raises:
            ResultError: the adapter does not fit, or logits are not numbers.
            SiteError: either cannot be loaded.
            SpecError: the text is too short.
        """
        ...

    def merge(self, folder: str, output: str, *, base: str | None) -> MergeReceipt:
        """Write base and adapter as one model to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken or lies in the adapter or base, or these cannot be merged.
        """
        ...

    def convert(self, folder: str, output: str, *, to: AdapterForm, base: str | None) -> ConvertReceipt:
        """Write an adapter in another library's form to a new directory, whole or not at all.

        Raises:
            SiteError: the output is taken, the adapter is not of the other form, or its base is another.
        """
        ...


class Embedder(Protocol):
    """Writes embeddings of a data file, a block at a time."""

    def embed(self, job: EmbedJob, *, progress: Progress | None = None) -> tuple[EmbeddingFile, ...]:
        """Embed the texts of a job by each of its models, or go on where a kill has stopped it.

        A file of the same settings that is finished stays as it is.

        Raises:
            PlanError: the model has no such layer.
            ResultError: a file of other settings is there, an adapter does not fit, or vectors are not finite.
            SiteError: the model cannot be loaded, or another process writes the same file.
            SpecError: the data cannot be used; nothing is written.
        """
        ...
