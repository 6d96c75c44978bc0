"""The part of a causal language model behind its decoder: hidden states to logits."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutputWithPast

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.losses import LOGITS_AT_ONCE, linear_cross_entropy, summed_cross_entropy

__all__ = ["OutputLayer"]


@dataclass
class _Stated(BaseModelOutputWithPast):
    """The output of a decoder that has nothing but hidden states, whatever else is asked of it."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _Given(torch.nn.Module):
    """Stands where a decoder was and hands on what it is given."""

    def forward(self, *_: object, inputs_embeds: Tensor, **__: object) -> _Stated:
        """Return hidden states as they came."""
        stated: Any = inputs_embeds
        return _Stated(stated)


class OutputLayer:
    """A model's own forward pass with its decoder left out.

    So logits are right whatever a family does to them: biases, caps, scales. Where they
    turn out to be a plain matrix product, the loss is computed without keeping them.
    """

    def __init__(self, model: Any) -> None:
        """Take a causal language model of transformers, without adapters on its output layer.

        Raises:
            SiteError: the model does not keep its decoder apart.
        """
        body = model.base_model_prefix
        if body not in model._modules or model.get_output_embeddings() is None:
            fact = f"`{type(model).__name__}` does not keep its decoder apart from its output layer"
            raise SiteError(fact, hint="name a recipe of yours in `controls.recipe`")
        self._model = copy.copy(model)
        self._model.__dict__["_modules"] = {**model._modules, body: _Given()}
        self._layer = model.get_output_embeddings()
        self.plain = self._is_plain(model.config.get_text_config().hidden_size)
        """Whether logits are hidden states times one frozen matrix, and nothing else."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits of hidden states, shape (tokens, vocabulary), in single precision."""
        found = self._model(inputs_embeds=hidden[None].to(self._layer.weight.dtype), use_cache=False)
        return found.logits[0].float()

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed loss of hidden states and their labels, in nats."""
        weight = self._layer.weight
        if self.plain and type(weight) is torch.nn.Parameter:
            return linear_cross_entropy(hidden.to(weight.dtype), labels, weight=weight)
        size = max(1, LOGITS_AT_ONCE // weight.shape[0])
        if len(labels) <= size:
            return self._part(hidden, labels)
        parts = zip(hidden.split(size), labels.split(size), strict=True)
        # The logits of one slice at a time: the backward pass computes them again.
        losses = [checkpoint(self._part, *part, use_reentrant=False) for part in parts]
        return torch.stack(losses).sum()

    def _part(self, hidden: Tensor, labels: Tensor) -> Tensor:
        return summed_cross_entropy(self.logits(hidden), labels)

    def _is_plain(self, width: int) -> bool:
        """Try it: zeros have to give zeros, large values exactly those of the matrix."""
        weight = self._layer.weight
        if type(weight) is not torch.nn.Parameter or weight.ndim != 2 or weight.requires_grad:
            return False
        with torch.no_grad():
            hidden = 50 * torch.randn(3, width, generator=torch.Generator().manual_seed(0)).to(weight)
            hidden[0] = 0
            return torch.equal(self.logits(hidden), linear(hidden[None], weight)[0].float())
