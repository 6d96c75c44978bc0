"""A base model held in memory, and LoRA adapters put on it unmerged, one at a time.

One base serves every epoch of a run. Weights are read from safetensors alone, code
from nowhere, and the network is not asked: a directory is used as it lies on disk.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import torch
from transformers import AutoTokenizer

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.adapter_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from cruijff_kit.runtime.causal_lm import OFFLINE, load_causal_lm
from cruijff_kit.runtime.devices import choose_device, choose_dtype
from cruijff_kit.runtime.inference import Aside, Decoder, Limits
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["ResidentModel"]


class ResidentModel:
    """A base model with its tokenizer, ready to answer with or without an adapter."""

    def __init__(self, path: str, *, dtype: Literal["fp32", "bf16"] = "fp32", device: str = "auto") -> None:
        """Load a base model directory.

        Args:
            path: directory in Hugging Face format, without an adapter in it.
            dtype: arithmetic of weights and activations.
            device: `cpu`, `cuda`, or `auto` for the GPU where there is one.

        Raises:
            SiteError: the directory cannot be loaded or carries an adapter, or there is no such device.
        """
        where = choose_device(device)
        self._model, self.tokenizer = _load(path, dtype=choose_dtype(dtype, where), device=where)
        self.vocabulary = len(self.tokenizer)
        self.max_positions: int | None = getattr(self._model.config, "max_position_embeddings", None)
        self._decoder = Decoder(
            self._model,
            self.tokenizer,
            vocabulary=self.vocabulary,
            max_positions=self.max_positions,
            ends=_end_ids(self._model, self.tokenizer),
        )
        self._peft: Any = None
        self._adapters: dict[tuple[str, int], str] = {}
        self._lock = Lock()

    def complete(
        self,
        prompts: Sequence[PromptIds],
        limits: Limits,
        *,
        adapter: str | None = None,
        stop_ids: Sequence[int] = (),
        options: Sequence[Sequence[str]] = (),
        asides: Sequence[Aside] = (),
    ) -> list[Completion]:
        """Return the answer to each prompt, in the order given; safe between threads.

        Args:
            prompts: ids as the model reads them.
            limits: how far to generate.
            adapter: directory of a LoRA adapter in peft format; the bare base where None.
            stop_ids: ids that end an answer besides the model's own.
            options: for each prompt the labels to score behind it; none at all where absent.
            asides: for each prompt its own seed and listener; none at all where absent.

        Raises:
            PlanError: prompt and answer exceed the model's positions or the memory, or two options are one.
            ResultError: the adapter does not fit, or the logits are not numbers.
            SiteError: the adapter directory cannot be loaded.
        """
        with self._lock, self._wearing(adapter):
            return self._decoder.complete(prompts, limits, stop_ids=stop_ids, options=options, asides=asides)

    def read(self, ids: PromptIds, *, count: int, adapter: str | None = None) -> list[Step]:
        """Return, for every token of a text but the first, how likely it was and what else was; safe between threads.

        Args:
            ids: the text.
            count: likeliest tokens of each position.
            adapter: directory of a LoRA adapter; the bare base where None.

        Raises:
            PlanError: the text exceeds the model's positions.
            ResultError: the adapter does not fit, or the logits are not numbers.
            SiteError: the adapter directory cannot be loaded.
        """
        with self._lock, self._wearing(adapter):
            return self._decoder.read(ids, count=count)

    def logits(self, ids: PromptIds, *, adapter: str | None = None) -> torch.Tensor:
        """Return the logits behind every token of one text, shape (tokens, vocabulary); safe between threads.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the adapter directory cannot be loaded.
        """
        with self._lock, self._wearing(adapter), torch.inference_mode():
            given = torch.tensor([ids], device=self._model.device)
            return self._model(input_ids=given, use_cache=False).logits[0].float()

    @contextmanager
    def network(self, adapter: str | None = None) -> Iterator[Any]:
        """Lend the model itself, with an adapter on it or bare; whoever else asks waits.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the adapter directory cannot be loaded.
        """
        with self._lock, self._wearing(adapter):
            yield self._model

    def _wearing(self, adapter: str | None) -> AbstractContextManager[object]:
        if adapter is None:
            return nullcontext() if self._peft is None else self._peft.disable_adapter()
        name = self._attached(Path(adapter))
        self._peft.set_adapter(name)
        return nullcontext()

    def _attached(self, folder: Path) -> str:
        """Return the name of an adapter, loading it the first time its file is seen."""
        weights = folder / ADAPTER_WEIGHTS
        if not weights.is_file() or not (folder / ADAPTER_CONFIG).is_file():
            raise SiteError(f"`{folder}` is no adapter: it lacks `{ADAPTER_WEIGHTS}` or `{ADAPTER_CONFIG}`")
        key = (str(weights.resolve()), weights.stat().st_mtime_ns)
        if key not in self._adapters:
            name = f"adapter_{len(self._adapters)}"
            self._attach(folder, name)
            self._adapters[key] = name
        return self._adapters[key]

    def _attach(self, folder: Path, name: str) -> None:
        from peft import PeftConfig, PeftModel

        try:
            if self._peft is None:
                config = PeftConfig.from_pretrained(str(folder))
                config.inference_mode = True
                self._peft = PeftModel(self._model, config, adapter_name=name)
            loaded = self._peft.load_adapter(str(folder), adapter_name=name, torch_device=str(self._model.device))
        except (RuntimeError, ValueError) as err:
            # Layers of another size, or that the base does not have.
            raise _unfitting(folder, str(err).strip().splitlines()[-1].strip()) from err
        self._model.eval()
        if loaded.unexpected_keys or loaded.missing_keys:
            key = [*loaded.unexpected_keys, *loaded.missing_keys][0]
            raise _unfitting(folder, f"`{key}` has no counterpart")


def _unfitting(folder: Path, fact: str) -> ResultError:
    hint = "evaluate an adapter on the base model it was trained on"
    return ResultError(f"the adapter `{folder}` does not fit the base model: {fact}", hint=hint)


def _load(path: str, *, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **OFFLINE)
    except (OSError, ValueError) as err:
        raise SiteError(f"the model directory `{path}` cannot be loaded: {err}") from err
    # Tidied spaces would be another answer than the one given.
    tokenizer.clean_up_tokenization_spaces = False
    return load_causal_lm(path, dtype=dtype, device=device), tokenizer


def _end_ids(model: Any, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return every id that the model directory names as an end."""
    named = getattr(model.generation_config, "eos_token_id", None)
    listed = named if isinstance(named, list | tuple) else [named]
    return tuple({end for end in (*listed, tokenizer.eos_token_id) if end is not None})
