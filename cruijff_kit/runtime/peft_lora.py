"""Any causal language model of transformers with peft's LoRA layers, ready for the training loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.causal_lm import load_causal_lm
from cruijff_kit.runtime.devices import choose_device, choose_dtype, move_but_blocks
from cruijff_kit.runtime.output_layer import OutputLayer
from cruijff_kit.runtime.packed_models import pack_model, packed_inputs
from cruijff_kit.runtime.recomputing import same_draws
from cruijff_kit.runtime.target_modules import decoder_blocks, target_modules
from cruijff_kit.schema.config import TrainConfig

__all__ = ["PeftLora"]


@dataclass(slots=True, eq=False)
class PeftLora:
    """A LoRA model of transformers and peft, its output layer apart so that only needed logits are computed."""

    network: torch.nn.Module
    """The decoder: token ids, shape (rows, length), to normalised hidden states (rows, length, width)."""
    head: OutputLayer
    """Hidden states to logits over the vocabulary."""
    device: torch.device
    """Where both lie."""
    targets: tuple[str, ...]
    """Linear layers adapted, as peft finds them."""
    inner: str
    """Name of the decoder in the whole model, in front of every weight's."""
    config: TrainConfig
    """What was asked for."""

    @classmethod
    def from_config(cls, config: TrainConfig, *, shared: bool = False) -> "PeftLora":
        """Load the base model, freeze it, and put LoRA layers on its blocks.

        Args:
            config: what to build.
            shared: whether frozen weights of blocks stay on the CPU: several processes will share
                them out block by block, so that no GPU ever holds them all.

        Raises:
            SiteError: the model, or a setting, is none that can be trained here.
        """
        if config.model.quantization == "int4":
            raise SiteError("`quantization: int4` is MLX's own form of 4 bits", hint="write `quantization: nf4`")
        device = choose_device(config.device)
        if config.compile and device.type == "mps":
            fact = "`compile` is not tried on Apple's GPU, for which torch calls its compiler a prototype"
            raise SiteError(fact, hint="leave `compile: false`")
        dtype, nf4 = choose_dtype(config.dtype, device), config.model.quantization == "nf4"
        # A base in 4 bits is made on its GPU, and is never shared out.
        home = torch.device("cpu") if shared and not nf4 else device
        model = load_causal_lm(config.base_model.path, dtype=dtype, device=home, nf4=nf4).requires_grad_(False)
        head, decoder = OutputLayer(model), model.get_decoder()
        (inner,) = [name for name, part in model.named_modules() if part is decoder]
        text = model.config.get_text_config()
        blocks = [f"{inner}.{name}" for name in decoder_blocks(decoder, text.num_hidden_layers)]
        targets = target_modules(model, blocks, kind=text.model_type, asked=config.model.target_modules)
        if config.packed:
            pack_model(model, decoder)
        inject_adapter_in_model(_lora(config, targets), model)
        trainee = cls(decoder, head, device, targets, inner, config)
        if home != device:
            move_but_blocks(model, trainee.blocks(), device=device)
        trainee._prepare()
        return trainee

    def blocks(self) -> list[torch.nn.Module]:
        """Return the decoder's blocks, first to last, as they lie in `network`."""
        text: Any = self.network.config
        return list(decoder_blocks(self.network, text.get_text_config().num_hidden_layers).values())

    def hidden(self, batch: Batch) -> Tensor:
        """Return the last hidden states where `batch.labels` has one, shape (supervised, width)."""
        ids = batch.ids.to(self.device)
        inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
        if batch.packed:
            inputs = packed_inputs(ids, batch.positions().to(self.device), lengths=batch.lengths)
        return self.network(**inputs).last_hidden_state[(batch.labels != IGNORE).to(self.device)]

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss of hidden states and their labels, in nats."""
        return self.head.loss(hidden, labels)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits over the vocabulary in single precision."""
        return self.head.logits(hidden)

    def adapter(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return trainable weights under the names peft saves them by."""
        return {f"base_model.model.{self.inner}.{_saved(name)}": weight for name, weight in weights.items()}

    def settings(self) -> dict[str, Any]:
        """Return the entries of `adapter_config.json` that this backend decides on."""
        variant = self.config.model.variant
        return {
            "target_modules": list(self.targets),
            "use_rslora": variant == "rslora",
            "use_dora": variant == "dora",
        }

    def _prepare(self) -> None:
        """Put recomputation and compilation where they are asked for."""
        if self.config.enable_activation_checkpointing:
            network: Any = self.network
            how: dict[str, Any] = {"use_reentrant": False}
            if self.device.type == "mps":
                how["context_fn"] = same_draws(self.device)
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
        if self.config.compile:
            for block in self.blocks():
                block.compile(dynamic=True)


def _lora(config: TrainConfig, targets: tuple[str, ...]) -> LoraConfig:
    lora = config.model
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.lora_rank,
        lora_alpha=lora.lora_alpha,  # pyright: ignore[reportArgumentType]  # declared whole, used as a number
        lora_dropout=lora.lora_dropout,
        target_modules=list(targets),
        use_rslora=lora.variant == "rslora",
        use_dora=lora.variant == "dora",
        bias="none",
    )


def _saved(name: str) -> str:
    """Return a weight's name without that of the adapter in memory."""
    return (
        name.removesuffix(".default.weight")
        if name.endswith("_vector.default.weight")
        else name.replace(".default", "")
    )
