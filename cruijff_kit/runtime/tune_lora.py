"""A Llama with LoRA layers out of torchtune's components, ready for the training loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchtune.models.llama3_2 import lora_llama3_2
from torchtune.modules import TransformerDecoder, TransformerSelfAttentionLayer
from torchtune.modules.peft import DoRALinear, get_adapter_params, set_trainable_params
from torchtune.training import set_activation_checkpointing

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import RunError, SiteError
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.devices import choose_device, choose_dtype, default_dtype, move_but_blocks
from cruijff_kit.runtime.lean_llama import make_lean
from cruijff_kit.runtime.llama import adapted, adapter_weights, llama_arguments, load_base
from cruijff_kit.runtime.losses import linear_cross_entropy, summed_cross_entropy
from cruijff_kit.runtime.packed_attention import Layout, Scores, attend, layout
from cruijff_kit.schema.config import TrainConfig

__all__ = ["TuneLora"]

_WRAPPER = "_checkpoint_wrapped_module."


@dataclass(slots=True, eq=False)
class TuneLora:
    """A LoRA model of torchtune, its output layer apart so that only needed logits are computed."""

    network: TransformerDecoder
    """Token ids, shape (rows, length), to normalised hidden states (rows, length, width)."""
    head: Any
    """Hidden states to logits over the vocabulary."""
    device: torch.device
    """Where both lie."""
    arguments: dict[str, Any]
    """Dimensions, as torchtune's builder took them."""
    config: TrainConfig
    """What was asked for."""
    rows: Layout | None = None
    """Where the rows of the packed batch in hand lie."""

    @classmethod
    def from_config(cls, config: TrainConfig, *, shared: bool = False) -> "TuneLora":
        """Build the base model with LoRA layers, load its weights, freeze all but LoRA.

        Args:
            config: what to build.
            shared: whether frozen weights of blocks stay on the CPU: several processes will share
                them out block by block, so that no GPU ever holds them all.

        Raises:
            RunError: the weights do not fit the model's own `config.json`.
            SiteError: the model, or a setting, is none that these components have.
        """
        base = Path(config.base_model.path)
        if config.model.quantization != "none":
            hint = "use `tools.preparation: peft`, or leave `quantization: none`"
            raise SiteError("torchtune's components train no base in 4 bits here", hint=hint)
        arguments = llama_arguments(base, max_seq_len=config.dataset.max_seq_len)
        device = choose_device(config.device)
        if device.type == "mps":
            hint = "set `tools.preparation: peft` or `mlx`, or `resources.gpus: 0` for the CPU"
            raise SiteError("torchtune's recipes are not tried on Apple's GPU", hint=hint)
        with torch.device("cpu") if shared else device, default_dtype(choose_dtype(config.dtype, device)):
            network = _network(config, arguments)
        missing, unexpected = network.load_state_dict(load_base(base, arguments), strict=False)
        # The magnitudes of DoRA follow from the weights and are set below.
        ours = (".lora_", ".magnitude")
        strange = [*(name for name in missing if not any(part in name for part in ours)), *unexpected]
        if strange:
            fact = f"weights of `{base}` do not fit its config.json: `{strange[0]}`"
            raise RunError(fact, run_id=config.run_id, hint="download the model again")
        set_trainable_params(network, get_adapter_params(network))
        for module in network.modules():
            if isinstance(module, DoRALinear):
                module.initialize_dora_magnitude()
        if config.packed:
            # Positions start anew with each row, so a pass may be as long as all its rows.
            network.max_seq_len *= max(config.batch_size, config.batch_size_val)
        if shared:
            move_but_blocks(network, network.layers, device=device)
        head = network.output
        network.output = torch.nn.Identity()
        model = cls(network, head, device, arguments, config)
        model._prepare()
        return model

    def blocks(self) -> Sequence[torch.nn.Module]:
        """Return the decoder blocks in order, recomputation around them where it is asked for."""
        return list(self.network.layers)

    def hidden(self, batch: Batch) -> Tensor:
        """Return the last hidden states where `batch.labels` has one, shape (supervised, width)."""
        ids = batch.ids.to(self.device)
        wanted = (batch.labels != IGNORE).to(self.device)
        if not batch.packed:
            self.rows = None
            return self.network(ids)[wanted]
        self.rows = layout(batch.lengths, device=self.device)
        return self.network(ids, input_pos=batch.positions().to(self.device))[wanted]

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss of hidden states and their labels, in nats."""
        weight = self._head_weight()
        if weight is not None:
            return linear_cross_entropy(hidden.to(weight.dtype), labels, weight=weight)
        return summed_cross_entropy(self.logits(hidden), labels)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits over the vocabulary in single precision."""
        return self.head(hidden.to(next(self.network.parameters()).dtype)).float()

    def adapter(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return trainable weights under peft's names."""
        # A block that is computed again stands in a wrapper, whose name is no part of the weight's.
        plain = {name.replace(_WRAPPER, ""): weight for name, weight in weights.items()}
        return adapter_weights(plain, self.arguments)

    def settings(self) -> dict[str, Any]:
        """Return the entries of `adapter_config.json` that this backend decides on."""
        variant = self.config.model.variant
        return {
            "target_modules": list(adapted(self.config.model.target_modules)),
            "use_rslora": variant == "rslora",
            "use_dora": variant == "dora",
        }

    def _head_weight(self) -> Tensor | None:
        """Return the output layer's weight where it is a plain matrix in this process."""
        tied = getattr(self.head, "tied_module", None)
        weight = (tied if tied is not None else self.head).weight
        return weight if type(weight) is torch.nn.Parameter else None

    def _prepare(self) -> None:
        """Put packed attention, recomputation and compilation where they are asked for."""
        if self.config.packed:
            # Rows laid end to end are longer together; each one's positions stay below its own limit.
            self.network.max_seq_len *= max(self.config.batch_size, self.config.batch_size_val)
        blocks: list[Any] = list(self.network.layers)
        for block in blocks:
            block.attn._attention_call = partial(_attention, model=self, plain=block.attn._attention_call)
        if self.config.enable_activation_checkpointing:
            set_activation_checkpointing(self.network, auto_wrap_policy={TransformerSelfAttentionLayer})
        if not self.config.compile:
            make_lean(self.network)
            return
        # A compiler joins the plain forms itself.
        for block in blocks:
            block.compile(dynamic=True)


def _network(config: TrainConfig, arguments: Mapping[str, Any]) -> TransformerDecoder:
    lora = config.model
    targets = set(adapted(lora.target_modules))
    # Scaled by alpha over the rank inside; over its root for rank-stabilised LoRA (Kalajdzievski 2023).
    alpha = lora.lora_alpha * (sqrt(lora.lora_rank) if lora.variant == "rslora" else 1)
    return lora_llama3_2(
        [name for name, theirs in _ATTENTION.items() if theirs in targets],
        apply_lora_to_mlp="gate_proj" in targets,
        lora_rank=lora.lora_rank,
        lora_alpha=alpha,
        lora_dropout=lora.lora_dropout,
        use_dora=lora.variant == "dora",
        **arguments,
    )


_ATTENTION: dict[Any, str] = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}


def _attention(*heads: Tensor, model: TuneLora, plain: Any, **options: Any) -> Tensor:
    """Attend row by row in a packed batch, and as torchtune does otherwise; heads are query, key and value."""
    if model.rows is None:
        return plain(*heads, **options)
    query, key, value = heads
    return attend(query, key, value=value, rows=model.rows, scores=Scores(dropout=options["dropout_p"]))
