"""The objective of a run: its loss over a pass, a slice of the vocabulary's logits at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cruijff_kit.data.loss_facts import looks_at_rows, refuse_unfit
from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding, answer_ids
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.answer_tree import AnswerTree, Needed
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.losses import LOGITS_AT_ONCE
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.objectives import (
    gambler_loss,
    harm_weighted_loss,
    smoothed_answer_loss,
    token_loss,
)
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.scoring.harm import harm_costs, harm_of

__all__ = ["Heads", "Objective", "answer_tree", "load_objective", "make_objective"]

_SHOWN = 20
_Part = Callable[..., Tensor]


class Heads(Protocol):
    """What an objective needs of a model: its output layer, and cross-entropy the quick way."""

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the summed cross-entropy of hidden states and their labels."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits over the vocabulary."""
        ...


@dataclass(slots=True, eq=False)
class Objective:
    """A loss that is not cross-entropy: of each token, or of each answer as one of the options."""

    tokens: Callable[[Tensor, Tensor], Tensor]
    """The loss of each token, where there is no tree."""
    tree: AnswerTree | None = None
    """Where answers part, for a loss of whole answers."""
    answers: Callable[[Tensor, Tensor], Tensor] | None = None
    """The loss of each answer: of the log-probabilities of all options, and which is right."""
    plain_steps: int = 0
    """Optimiser steps of plain cross-entropy first."""
    at_once: int | None = None
    """Tokens whose logits are held at a time, known once the vocabulary is."""

    def loss(self, heads: Heads, hidden: Tensor, *, batch: Batch, step: int) -> Tensor:
        """Return the summed loss of a pass.

        Args:
            heads: the model.
            hidden: its hidden states where the pass has labels.
            batch: the pass.
            step: optimiser steps done.
        """
        labels = batch.labels[batch.labels != IGNORE].to(hidden.device)
        if not len(labels) or step < self.plain_steps:
            return heads.loss(hidden, labels)
        if self.tree is None or self.answers is None:
            part = partial(_of_tokens, loss=self.tokens)
            return self._sliced(heads, part, hidden=hidden, asked=labels[:, None]).sum()
        asked = torch.cat([labels[:, None], self.tree.beside(batch).to(labels.device)], dim=1)
        read = self._sliced(heads, _read, hidden=hidden, asked=asked)
        return self.answers(*self.tree.masses(read, batch)).sum()

    def _sliced(self, heads: Heads, part: _Part, *, hidden: Tensor, asked: Tensor) -> Tensor:
        """Return what a function reads off logits, some tokens at a time; the backward pass makes them again."""
        if self.at_once is None:
            with torch.no_grad():
                self.at_once = max(1, LOGITS_AT_ONCE // heads.logits(hidden[:1]).shape[-1])
        if len(asked) <= self.at_once:
            return part(hidden, asked, heads=heads)
        pieces = zip(hidden.split(self.at_once), asked.split(self.at_once), strict=True)
        return torch.cat([checkpoint(part, *piece, heads=heads, use_reentrant=False) for piece in pieces])


def load_objective(config: TrainConfig, rows: Rows) -> Objective | None:
    """Return what a run minimises; None for cross-entropy.

    Raises:
        SpecError: its controls contradict themselves, or the rows are not what the loss is for; all of it is told.
    """
    refuse_unfit(config, train_on_input=config.dataset.train_on_input)
    if config.loss == "ce":
        return None
    tree = None
    if looks_at_rows(config):
        tokenizer = load_tokenizer(Path(config.base_model.path))
        tree = answer_tree(config.options or (), encoding=Encoding.of(config.dataset), tokenizer=tokenizer)
        _refuse_others(rows.train, tree, split=config.split)
    taught = [] if tree is None else [tree.places[_taught(row)] for row in rows.train]
    return make_objective(config, tree=tree, taught=taught)


def make_objective(controls: LossControls, *, tree: AnswerTree | None, taught: Sequence[int]) -> Objective:
    """Return the objective that controls ask for.

    Args:
        controls: which loss, and what it is told.
        tree: where answers part, for a loss of whole answers.
        taught: the right option of every training row, for the mean of harm weights.

    Raises:
        SpecError: options that the loss must tell apart begin alike.
    """
    if tree is None:
        return Objective(token_loss(controls.loss, controls.loss_options))
    told, names = controls.loss_options, tree.options
    abstain = names.index(told.abstain) if told.abstain in names else -1
    costs = torch.tensor(harm_costs(names, errors=controls.critical_errors, plain=0.0))
    needed: Mapping[str, Needed] = {
        "label_smoothing": lambda right, other: True,
        "gambler": lambda right, other: other == abstain,
        "harm_weighted": lambda right, other: bool(costs[right, other] > 0),
    }
    unclear = tree.unclear(needed[controls.loss])
    if unclear:
        raise SpecError(f"`loss: {controls.loss}` cannot tell the options apart", problems=unclear)
    if controls.loss == "label_smoothing":
        answers = partial(smoothed_answer_loss, smoothing=told.smoothing)
    elif controls.loss == "gambler":
        answers = partial(gambler_loss, payoff=told.payoff or 1.0, abstain=abstain)
    else:
        weights = torch.tensor(harm_of(names, controls.harm_weights))
        mean = weights[list(taught)].mean().item() if taught else 1.0
        mean = mean or 1.0
        answers = partial(
            _weighed, weights=(weights / mean).float(), costs=(costs / mean).float(), cost_weight=told.cost_weight
        )
    steps = told.ce_steps if controls.loss == "gambler" else 0
    return Objective(token_loss("ce", told), tree, answers, steps)


def answer_tree(options: Sequence[str], *, encoding: Encoding, tokenizer: Tokenizer) -> AnswerTree:
    """Return where answers part that are taught as this encoding says.

    Raises:
        SpecError: two options are the same tokens.
    """
    spelt = (answer_ids(each, encoding=encoding, tokenizer=tokenizer) for each in options)
    return AnswerTree(tuple(options), tuple(spelt))


def _taught(row: Encoded) -> tuple[int, ...]:
    return tuple(label for label in row.labels[1:] if label != IGNORE)


def _refuse_others(rows: Sequence[Encoded], tree: AnswerTree, *, split: str) -> None:
    strange = [f"{split}[{at}]" for at, row in enumerate(rows) if _taught(row) not in tree.places]
    if strange:
        fact = f"{len(strange)} of {len(rows)} rows of split `{split}` have no answer, whole and alone, of `options`"
        hint = "add the label to `options`, correct the rows, or train by `loss: ce`"
        raise SpecError(
            fact, problems=[Problem("its answer is none of them", "options", at, hint) for at in strange[:_SHOWN]]
        )


def _of_tokens(hidden: Tensor, asked: Tensor, *, heads: Heads, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    return loss(heads.logits(hidden), asked[:, 0])


def _read(hidden: Tensor, asked: Tensor, *, heads: Heads) -> Tensor:
    """Return the log-probability of each token asked for, of the shape of `asked`."""
    logits = heads.logits(hidden)
    return logits.gather(-1, asked) - logits.logsumexp(-1, keepdim=True)


def _weighed(said: Tensor, true: Tensor, *, weights: Tensor, costs: Tensor, cost_weight: float) -> Tensor:
    here = said.device
    return harm_weighted_loss(said, true, weights=weights.to(here), costs=costs.to(here), cost_weight=cost_weight)
