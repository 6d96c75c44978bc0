"""What a base model in memory offers whichever library computes: answers and likelihoods, with an adapter or bare."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from cruijff_kit.runtime.inference import Aside, Decoder, Limits
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.runtime.option_scores import OptionTable
from cruijff_kit.schema.prediction import Completion, PromptIds

if TYPE_CHECKING:
    import torch

__all__ = ["Resident", "unfitting"]

_Found = TypeVar("_Found")


class Resident(ABC):
    """A base model with its tokenizer, ready to answer with or without an adapter; safe between threads."""

    tokenizer: Any
    """The base's tokenizer."""
    vocabulary: int
    """How many ids the tokenizer knows."""
    max_positions: int | None
    """The longest text it was made for; None where it does not say."""
    _decoder: Decoder

    def __init__(self) -> None:
        """Begin with no adapter seen."""
        self._adapters: dict[tuple[str, int], Any] = {}

    def complete(
        self,
        prompts: Sequence[PromptIds],
        limits: Limits,
        *,
        adapter: str | None = None,
        stop_ids: Sequence[int] = (),
        options: Sequence[Sequence[str] | OptionTable] = (),
        asides: Sequence[Aside] = (),
    ) -> list[Completion]:
        """Return the answer to each prompt, in the order given.

        Args:
            prompts: ids as the model reads them.
            limits: how far to generate.
            adapter: directory of a LoRA adapter in peft format; the bare base where None.
            stop_ids: ids that end an answer besides the model's own.
            options: for each prompt the labels to score behind it, or how they are spelt there; none where absent.
            asides: for each prompt its own seed, listener and guide; none at all where absent.

        Raises:
            PlanError: prompt and answer exceed the model's positions or the memory, or two options are one.
            ResultError: the adapter does not fit, or the logits are not numbers.
            SiteError: the adapter directory cannot be loaded.
        """
        return self._wearing(
            adapter,
            lambda: self._decoder.complete(prompts, limits, stop_ids=stop_ids, options=options, asides=asides),
        )

    def complete_dropping(
        self,
        prompts: Sequence[PromptIds],
        limits: Limits,
        *,
        adapter: str,
        options: Sequence[Sequence[str] | OptionTable],
        seeds: Sequence[int],
    ) -> list[list[Completion]]:
        """Return the answers of one pass a seed, with the adapter's dropout on as in training.

        Args:
            prompts: ids as the model reads them.
            limits: how far to generate.
            adapter: directory of a LoRA adapter in peft format that was trained with dropout.
            options: for each prompt the labels to score behind it.
            seeds: for each pass what decides which inputs are dropped.

        Raises:
            ResultError: the adapter was trained without dropout, or does not fit.
            SiteError: it cannot be loaded, or this library has no such passes.
        """
        raise SiteError("passes with dropout on need torch", hint="ask with `--backend torch`")

    def read(self, ids: PromptIds, *, count: int, adapter: str | None = None) -> list[Step]:
        """Return, for every token of a text but the first, how likely it was and what else was.

        Args:
            ids: the text.
            count: likeliest tokens of each position.
            adapter: directory of a LoRA adapter; the bare base where None.

        Raises:
            PlanError: the text exceeds the model's positions.
            ResultError: the adapter does not fit, or the logits are not numbers.
            SiteError: the adapter directory cannot be loaded.
        """
        return self._wearing(adapter, lambda: self._decoder.read(ids, count=count))

    def logits(self, ids: PromptIds, *, adapter: str | None = None) -> "torch.Tensor":
        """Return the logits behind every token of one text, shape (tokens, vocabulary).

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the adapter directory cannot be loaded.
        """
        return self._wearing(adapter, lambda: self._logits(ids))

    @abstractmethod
    def _wearing(self, adapter: str | None, call: Callable[[], _Found]) -> _Found:
        """Return what a call gives while an adapter is on the base, or none is; whoever else asks waits."""

    @abstractmethod
    def _logits(self, ids: PromptIds) -> "torch.Tensor":
        """Return the logits behind every token of one text, with what is worn."""

    @abstractmethod
    def _attach(self, folder: Path) -> Any:
        """Load an adapter and return by what it is put on again."""

    def _attached(self, folder: Path) -> Any:
        """Return by what an adapter is put on, loading it the first time its file is seen."""
        weights = folder / ADAPTER_WEIGHTS
        if not weights.is_file() or not (folder / ADAPTER_CONFIG).is_file():
            raise SiteError(f"`{folder}` is no adapter: it lacks `{ADAPTER_WEIGHTS}` or `{ADAPTER_CONFIG}`")
        key = (str(weights.resolve()), weights.stat().st_mtime_ns)
        if key not in self._adapters:
            self._adapters[key] = self._attach(folder)
        return self._adapters[key]


def unfitting(folder: Path, fact: str) -> ResultError:
    """Return the error of an adapter that is none of this base model's."""
    hint = "evaluate an adapter on the base model it was trained on"
    return ResultError(f"the adapter `{folder}` does not fit the base model: {fact}", hint=hint)
