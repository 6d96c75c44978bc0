"""A base model held in memory, and LoRA adapters put on it unmerged, one at a time.

One base serves every epoch of a run. Weights are read from safetensors alone, code
from nowhere, and the network is not asked: a directory is used as it lies on disk.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

import torch

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.causal_lm import end_ids, load_causal_lm, tokenizer_of
from cruijff_kit.runtime.devices import choose_device, choose_dtype, metal_in_words
from cruijff_kit.runtime.inference import Decoder, Limits
from cruijff_kit.runtime.lora_dropout import dropout_on, dropping_layers
from cruijff_kit.runtime.option_scores import OptionTable
from cruijff_kit.runtime.resident_base import Resident, unfitting
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["ResidentModel"]

_Found = TypeVar("_Found")


class ResidentModel(Resident):
    """A base model that torch computes, its adapters put on it by peft."""

    def __init__(self, path: str, *, dtype: Literal["fp32", "bf16"] = "fp32", device: str = "auto") -> None:
        """Load a base model directory.

        Args:
            path: directory in Hugging Face format, without an adapter in it.
            dtype: arithmetic of weights and activations.
            device: `cpu`, `cuda`, `mps`, or `auto` for the GPU where there is one.

        Raises:
            SiteError: the directory cannot be loaded or carries an adapter, or there is no such device.
        """
        super().__init__()
        where = choose_device(device)
        self.tokenizer = tokenizer_of(path)
        self._model = load_causal_lm(path, dtype=choose_dtype(dtype, where), device=where)
        self.vocabulary = len(self.tokenizer)
        self.max_positions = getattr(self._model.config, "max_position_embeddings", None)
        self._decoder = Decoder(
            self._model,
            self.tokenizer,
            vocabulary=self.vocabulary,
            max_positions=self.max_positions,
            ends=end_ids(getattr(self._model.generation_config, "eos_token_id", None), self.tokenizer),
        )
        self._peft: Any = None
        self._lock = Lock()

    @contextmanager
    def network(self, adapter: str | None = None) -> Iterator[Any]:
        """Lend the model itself, with an adapter on it or bare; whoever else asks waits.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the adapter directory cannot be loaded.
        """
        with self._lock, metal_in_words(self._model.device), self._put_on(adapter):
            yield self._model

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

        Raises:
            ResultError: the adapter was trained without dropout, or does not fit.
            SiteError: it cannot be loaded.
        """
        with self.network(adapter):
            layers = dropping_layers(self._model, self._attached(Path(adapter)))
            if not layers:
                fact = f"the adapter `{adapter}` was trained without dropout, so passes would not differ"
                raise ResultError(fact, hint="train with `lora_dropout` above 0, or ask an ensemble of several seeds")
            found = []
            for seed in seeds:
                with dropout_on(layers, seed=seed, device=self._model.device):
                    found.append(self._decoder.complete(prompts, limits, options=options))
        return found

    def _wearing(self, adapter: str | None, call: Callable[[], _Found]) -> _Found:
        with self.network(adapter):
            return call()

    def _logits(self, ids: PromptIds) -> torch.Tensor:
        with torch.inference_mode():
            given = torch.tensor([ids], device=self._model.device)
            return self._model(input_ids=given, use_cache=False).logits[0].float()

    def _put_on(self, adapter: str | None) -> AbstractContextManager[object]:
        if adapter is None:
            return nullcontext() if self._peft is None else self._peft.disable_adapter()
        name = self._attached(Path(adapter))
        self._peft.set_adapter(name)
        return nullcontext()

    def _attach(self, folder: Path) -> str:
        """Load an adapter and return the name that peft knows it by."""
        from peft import PeftConfig, PeftModel

        name = f"adapter_{len(self._adapters)}"
        try:
            if self._peft is None:
                config = PeftConfig.from_pretrained(str(folder))
                config.inference_mode = True
                self._peft = PeftModel(self._model, config, adapter_name=name)
            loaded = self._peft.load_adapter(str(folder), adapter_name=name, torch_device=str(self._model.device))
        except (RuntimeError, ValueError) as err:
            # Layers of another size, or that the base does not have.
            raise unfitting(folder, str(err).strip().splitlines()[-1].strip()) from err
        self._model.eval()
        if loaded.unexpected_keys or loaded.missing_keys:
            key = [*loaded.unexpected_keys, *loaded.missing_keys][0]
            raise unfitting(folder, f"`{key}` has no counterpart")
        return name
