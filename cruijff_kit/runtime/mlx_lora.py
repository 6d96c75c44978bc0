"""A causal language model in MLX with mlx-lm's LoRA layers, ready for the training loop."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.dora import DoRALinear
from mlx_lm.tuner.lora import LoRALinear

from cruijff_kit.data.mlx_limits import unlike_mlx
from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.runtime.adapter_names import to_peft_names
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.mlx_model import (
    Base,
    linear_layers,
    load_base,
    output_head,
    targets_of,
    unlike_files,
    use_device,
)
from cruijff_kit.runtime.target_modules import short_names
from cruijff_kit.runtime.trainee import Adapter
from cruijff_kit.schema.config import TrainConfig

if TYPE_CHECKING:
    import torch

__all__ = ["Heard", "MlxLora", "as_array", "as_numbers", "as_tensor", "put_adapter"]

_SEEDS = 2**64


class Heard(NamedTuple):
    """What a pass gives."""

    loss: Any
    """Summed over its supervised tokens, in nats."""
    logits: Any
    """Behind these tokens, shape (supervised, vocabulary), in single precision."""


@dataclass(slots=True, eq=False)
class MlxLora:
    """A LoRA model of MLX and mlx-lm; what learns are flat names to arrays, handed in and out."""

    base: Base
    """The model, its base frozen."""
    targets: tuple[str, ...]
    """Linear layers adapted, by their whole names."""
    config: TrainConfig
    """What was asked for."""
    head: tuple[Callable[..., Any], Callable[..., Any]] | None
    """Decoder and output layer, where only needed logits can be computed; None for all of them."""
    draw: int = 0
    """What dropout is drawn by in the next pass."""

    @classmethod
    def from_config(cls, config: TrainConfig) -> "MlxLora":
        """Load the base model, freeze it, and put LoRA layers on its blocks.

        Raises:
            SiteError: the model, or a layer of it, is none that can be trained here.
            SpecError: settings ask for what there is not in MLX; all of them are told.
        """
        _refuse_unlike(config)
        use_device(config.device)
        folder, lora = Path(config.base_model.path), config.model
        longest, int4 = config.dataset.max_seq_len, lora.quantization == "int4"
        base = load_base(folder, dtype=config.dtype, longest=longest, int4=int4)
        targets = targets_of(base, lora.target_modules)
        strange = unlike_files(targets, folder)
        if strange:
            fact = f"MLX calls a layer of this `{base.kind}` model `{strange[0]}`, and its files do not"
            raise SiteError(fact, hint="its adapter would fit nothing else; use `tools.preparation: peft`")
        head = output_head(base.model)
        mx.random.seed(config.seed)
        scale = lora.lora_alpha / (sqrt(lora.lora_rank) if lora.variant == "rslora" else lora.lora_rank)
        put_adapter(
            base, targets, rank=lora.lora_rank, scale=scale, dropout=lora.lora_dropout, dora=lora.variant == "dora"
        )
        made = cls(base, targets, config, head)
        made._wrap_blocks()
        mx.eval(base.model.parameters())
        return made

    def weights(self) -> dict[str, Any]:
        """Return the weights that learn, by mlx-lm's names."""
        return dict(tree_flatten(self.base.model.trainable_parameters()))

    def take(self, weights: Mapping[str, Any]) -> None:
        """Compute with these weights from now on."""
        self.base.model.update(tree_unflatten(list(weights.items())))

    def hear(self, batch: Batch) -> Heard:
        """Return summed loss and logits of the supervised tokens of a pass."""
        labels = np.asarray(batch.labels)
        places, wanted = mx.array(np.flatnonzero(labels != IGNORE)), mx.array(labels[labels != IGNORE])
        ids = mx.array(np.asarray(batch.ids))
        if self.head is None:
            found = self.base.model(ids)
            logits = found.reshape(-1, found.shape[-1])[places]
        else:
            decoder, output = self.head
            hidden = decoder(ids)
            logits = output(hidden.reshape(-1, hidden.shape[-1])[places])
        logits = logits.astype(mx.float32)
        return Heard(nn.losses.cross_entropy(logits, wanted, reduction="sum"), logits)

    def adapter(self) -> Adapter:
        """Return what is learnt so far, as it is written."""
        weights = to_peft_names({name: as_numbers(weight) for name, weight in self.weights().items()})
        variant, kinds = self.config.model.variant, nn.Linear | nn.QuantizedLinear | LoRALinear | DoRALinear
        linear = [name for name, part in self.base.model.named_modules() if isinstance(part, kinds)]
        settings = {
            # An adapted layer keeps the plain one as `linear`.
            "target_modules": short_names(self.targets, (name.removesuffix(".linear") for name in linear)),
            "use_rslora": variant == "rslora",
            "use_dora": variant == "dora",
        }
        return Adapter(weights, settings)

    def _wrap_blocks(self) -> None:
        """Let every block draw its dropout anew and alike, and be computed again where that is asked for."""
        drops, again = self.config.model.lora_dropout > 0, self.config.enable_activation_checkpointing
        named = dict(self.base.model.named_modules())
        for at, name in enumerate(self.base.blocks):
            if drops:
                _drawing(named[name], lambda at=at: (self.draw + at) % _SEEDS)
            if again:
                _recomputed(named[name])


def put_adapter(
    base: Base, targets: tuple[str, ...], *, rank: int, scale: float, dropout: float = 0.0, dora: bool = False
) -> dict[str, Any]:
    """Put new LoRA layers in the place of some linear ones, and return them by name."""
    kind: Any = DoRALinear if dora else LoRALinear
    plain = {name: part for name, part in linear_layers(base).items() if name in set(targets)}
    made = {name: kind.from_base(part, r=rank, scale=scale, dropout=dropout) for name, part in plain.items()}
    base.model.update_modules(tree_unflatten(list(made.items())))
    return made


def as_numbers(array: Any) -> np.ndarray:
    """Return an array of MLX as one of NumPy: numbers of 16 bits become single ones, counts signed ones."""
    plain = array.astype(mx.float32) if array.dtype == mx.bfloat16 else array
    held = np.array(plain)
    # What MLX counts with is of a type that numpy knows by two names, and torch by one.
    return held.astype(np.int64) if held.dtype.kind == "u" else held


def as_tensor(array: Any) -> "torch.Tensor":
    """Return an array of MLX as a tensor of its own, its numbers as `as_numbers` has them."""
    import torch

    return torch.from_numpy(as_numbers(array))


def as_array(tensor: "torch.Tensor") -> Any:
    """Return a tensor as an array of MLX; numbers of 16 bits become single ones."""
    import torch

    plain = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return mx.array(plain.cpu().numpy())


def _refuse_unlike(config: TrainConfig) -> None:
    asked = {
        "packed": config.packed,
        "compile": config.compile,
        "strategy": config.strategy,
        "quantization": config.model.quantization,
        "loss": config.loss,
    }
    problems = [Problem(each.fact, each.control, hint=each.hint) for each in unlike_mlx(asked)]
    if problems:
        raise SpecError("MLX cannot train as this configuration says", problems=problems)


def _drawing(block: Any, seed: Callable[[], int]) -> None:
    """Let a block draw by a number of its own, so that it drops the same when it is computed again."""
    kind = type(block)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.training:
            mx.random.seed(seed())
        return kind.__call__(self, *args, **kwargs)

    _reclassed(block, call)


def _recomputed(block: Any) -> None:
    """Let a block keep its input alone and be computed again for the backward pass."""
    kind = type(block)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        def inner(weights: Any, *inputs: Any, **options: Any) -> Any:
            self.update(weights)
            return kind.__call__(self, *inputs, **options)

        return mx.checkpoint(inner)(self.trainable_parameters(), *args, **kwargs)

    _reclassed(block, call)


def _reclassed(block: Any, call: Callable[..., Any]) -> None:
    # MLX looks `__call__` up in the class; one of its own leaves other models of the process alone.
    block.__class__ = type(type(block).__name__, (type(block),), {"__call__": call})
