"""A base model held in memory by MLX, and LoRA adapters put on it unmerged, one at a time."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import mlx.core as mx
import torch
from mlx.utils import tree_unflatten
from safetensors.torch import load_file
from transformers import AutoConfig, GenerationConfig

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.adapter_merge import check_plain, scale_of
from cruijff_kit.runtime.adapter_names import layers_of, to_mlx_names
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS, adapter_settings
from cruijff_kit.runtime.causal_lm import OFFLINE, end_ids, tokenizer_of
from cruijff_kit.runtime.inference import Decoder
from cruijff_kit.runtime.mlx_lora import as_array, as_tensor, put_adapter
from cruijff_kit.runtime.mlx_model import linear_layers, load_base, use_device
from cruijff_kit.runtime.mlx_network import MlxNetwork
from cruijff_kit.runtime.mlx_thread import MlxThread
from cruijff_kit.runtime.resident_base import Resident, unfitting
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["MlxResident"]

_Found = TypeVar("_Found")


class MlxResident(Resident):
    """A base model that MLX computes, in one thread, where whoever follows an answer is told of it."""

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
        super().__init__()
        self._thread = MlxThread()
        self._worn: Mapping[str, Any] = {}
        self._thread.run(lambda: self._load(path, dtype=dtype, device=device, longest=longest))

    def _load(self, path: str, *, dtype: Literal["fp32", "bf16"], device: str, longest: int | None) -> None:
        use_device(device)
        try:
            config = AutoConfig.from_pretrained(path, **OFFLINE)
        except (OSError, ValueError) as err:
            raise SiteError(f"the model directory `{path}` cannot be loaded: {err}") from err
        self.tokenizer = tokenizer_of(path)
        self.vocabulary = len(self.tokenizer)
        self.max_positions = getattr(config.get_text_config(), "max_position_embeddings", None)
        reach = min(each for each in (longest, self.max_positions, 2**31) if each is not None)
        self._base = load_base(Path(path), dtype=dtype, longest=reach)
        self._plain = linear_layers(self._base)
        self._decoder = Decoder(
            MlxNetwork(self._base, config),
            self.tokenizer,
            vocabulary=self.vocabulary,
            max_positions=self.max_positions,
            ends=end_ids(_named_ends(path, config), self.tokenizer),
        )

    def _wearing(self, adapter: str | None, call: Callable[[], _Found]) -> _Found:
        def worn() -> _Found:
            self._wear(adapter)
            return call()

        return self._thread.run(worn)

    def _logits(self, ids: PromptIds) -> torch.Tensor:
        return as_tensor(self._base.model(mx.array([ids]))[0].astype(mx.float32))

    def _wear(self, adapter: str | None) -> None:
        """Put an adapter's layers in the place of plain ones, or those back."""
        wanted = {} if adapter is None else self._attached(Path(adapter))
        if wanted is not self._worn:
            layers = {**{name: self._plain[name] for name in self._worn}, **wanted}
            self._base.model.update_modules(tree_unflatten(list(layers.items())))
            self._base.model.eval()
            self._worn = wanted

    def _attach(self, folder: Path) -> Mapping[str, Any]:
        """Make the layers of an adapter and return them by name."""
        settings: dict[str, Any] = dict(adapter_settings(folder))
        check_plain(settings, folder)
        weights = to_mlx_names(load_file(folder / ADAPTER_WEIGHTS))
        layers, dora = layers_of(weights), bool(settings.get("use_dora"))
        lost = [name for name in layers if name not in self._plain]
        if lost:
            raise unfitting(folder, f"`{lost[0]}` has no counterpart")
        self._wear(None)
        made = put_adapter(self._base, layers, rank=settings["r"], scale=scale_of(settings), dora=dora)
        self._worn = made
        for key, weight in weights.items():
            name, _, part = key.rpartition(".")
            if part not in made[name]:
                raise unfitting(folder, f"`{key}` has no counterpart")
            if tuple(weight.shape) != made[name][part].shape:
                raise unfitting(folder, f"`{name}` has another shape")
            made[name].update({part: as_array(weight)})
        self._base.model.eval()
        return made


def _named_ends(path: str, config: Any) -> Any:
    """Return what a model directory names as ends, as transformers finds it."""
    try:
        return GenerationConfig.from_pretrained(path, **OFFLINE).eos_token_id
    except OSError:
        return config.eos_token_id
