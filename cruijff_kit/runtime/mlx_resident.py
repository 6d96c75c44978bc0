"""A base model held in memory by MLX, and LoRA adapters put on it unmerged, one at a time."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import torch
from mlx.utils import tree_unflatten
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from cruijff_kit.errors import ResultError, SiteError
from cruijff_kit.runtime.adapter_merge import check_plain, scale_of
from cruijff_kit.runtime.adapter_names import layers_of, to_mlx_names
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_settings
from cruijff_kit.runtime.inference import Aside, Decoder, Limits
from cruijff_kit.runtime.mlx_lora import as_array, as_tensor, put_adapter
from cruijff_kit.runtime.mlx_model import linear_layers, load_base, use_device
from cruijff_kit.runtime.mlx_network import MlxNetwork
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["MlxResident"]

_OFFLINE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


class MlxResident:
    """A base model with its tokenizer, ready to answer with or without an adapter; `ResidentModel` in MLX."""

    def __init__(
        self, path: str, *, dtype: Literal["fp32", "bf16"] = "fp32", device: str = "auto", longest: int | None = None
    ) -> None:
        """Load a base model directory.

        Args:
            path: directory in Hugging Face format or as mlx-lm converted it, without an adapter in it.
            dtype: arithmetic of weights and activations.
            device: `cpu`, or `auto` for Apple's GPU where there is one.
            longest: tokens of the longest prompt and answer; the model's positions where None.

        Raises:
            SiteError: the directory cannot be loaded, carries an adapter, or is of a family
                that MLX computes otherwise.
        """
        # MLX computes what a thread has begun in that thread alone, and callers come from several.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlx")
        self._adapters: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._worn: Mapping[str, Any] = {}
        self._thread.submit(self._load, path, dtype=dtype, device=device, longest=longest).result()

    def _load(self, path: str, *, dtype: Literal["fp32", "bf16"], device: str, longest: int | None) -> None:
        use_device(device)
        try:
            config = AutoConfig.from_pretrained(path, **_OFFLINE)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(path, **_OFFLINE)
        except (OSError, ValueError) as err:
            raise SiteError(f"the model directory `{path}` cannot be loaded: {err}") from err
        # Tidied spaces would be another answer than the one given.
        self.tokenizer.clean_up_tokenization_spaces = False
        self.vocabulary = len(self.tokenizer)
        self.max_positions: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        reach = min(each for each in (longest, self.max_positions, 2**31) if each is not None)
        self._base = load_base(Path(path), dtype=dtype, longest=reach)
        self._plain = linear_layers(self._base)
        self._decoder = Decoder(
            MlxNetwork(self._base, config),
            self.tokenizer,
            vocabulary=self.vocabulary,
            max_positions=self.max_positions,
            ends=_end_ids(path, self.tokenizer),
        )

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
            asides: for each prompt its own seed and listener, told in the thread of MLX; none at all where absent.

        Raises:
            PlanError: prompt and answer exceed the model's positions, or two options are one.
            ResultError: the adapter does not fit, or the logits are not numbers.
            SiteError: the adapter directory cannot be loaded.
        """

        def answers() -> list[Completion]:
            self._wear(adapter)
            return self._decoder.complete(prompts, limits, stop_ids=stop_ids, options=options, asides=asides)

        return self._thread.submit(answers).result()

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

        def steps() -> list[Step]:
            self._wear(adapter)
            return self._decoder.read(ids, count=count)

        return self._thread.submit(steps).result()

    def logits(self, ids: PromptIds, *, adapter: str | None = None) -> torch.Tensor:
        """Return the logits behind every token of one text, shape (tokens, vocabulary); safe between threads.

        Raises:
            ResultError: the adapter does not fit.
            SiteError: the adapter directory cannot be loaded.
        """

        def found() -> torch.Tensor:
            self._wear(adapter)
            return as_tensor(self._base.model(mx.array([ids]))[0].astype(mx.float32))

        return self._thread.submit(found).result()

    def _wear(self, adapter: str | None) -> None:
        """Put an adapter's layers in the place of plain ones, or those back."""
        wanted = {} if adapter is None else self._attached(Path(adapter))
        if wanted is not self._worn:
            layers = {**{name: self._plain[name] for name in self._worn}, **wanted}
            self._base.model.update_modules(tree_unflatten(list(layers.items())))
            self._base.model.eval()
            self._worn = wanted

    def _attached(self, folder: Path) -> Mapping[str, Any]:
        """Return the layers of an adapter by name, making them the first time its file is seen."""
        weights = folder / ADAPTER_WEIGHTS
        if not weights.is_file() or not (folder / ADAPTER_CONFIG).is_file():
            raise SiteError(f"`{folder}` is no adapter: it lacks `{ADAPTER_WEIGHTS}` or `{ADAPTER_CONFIG}`")
        key = (str(weights.resolve()), weights.stat().st_mtime_ns)
        if key not in self._adapters:
            self._adapters[key] = self._made(folder)
        return self._adapters[key]

    def _made(self, folder: Path) -> Mapping[str, Any]:
        settings: dict[str, Any] = dict(adapter_settings(folder))
        check_plain(settings, folder)
        weights = to_mlx_names(load_file(folder / ADAPTER_WEIGHTS))
        lost = [name for name in layers_of(weights) if name not in self._plain]
        if lost:
            raise ResultError(
                f"the adapter `{folder}` does not fit the base model: `{lost[0]}` has no counterpart",
                hint="evaluate an adapter on the base model it was trained on",
            )
        self._wear(None)
        layers, dora = layers_of(weights), bool(settings.get("use_dora"))
        made = put_adapter(self._base, layers, rank=settings["r"], scale=scale_of(settings), dora=dora)
        self._worn = made
        for name, part in made.items():
            own = {key.rpartition(".")[2]: each for key, each in weights.items() if key.rpartition(".")[0] == name}
            if any(tuple(each.shape) != part[key].shape for key, each in own.items()):
                raise ResultError(f"the adapter `{folder}` does not fit the base model: `{name}` has another shape")
            part.update({key: as_array(each) for key, each in own.items()})
        self._base.model.eval()
        return made


def _end_ids(path: str, tokenizer: Any) -> tuple[int, ...]:
    """Return every id that the model directory names as an end."""
    try:
        named = GenerationConfig.from_pretrained(path, **_OFFLINE).eos_token_id
    except OSError:
        named = AutoConfig.from_pretrained(path, **_OFFLINE).eos_token_id
    listed = named if isinstance(named, list | tuple) else [named]
    return tuple({end for end in (*listed, tokenizer.eos_token_id) if end is not None})
