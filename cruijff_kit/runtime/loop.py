"""The training loop in torch: optimiser steps over a run's rows, whatever the model and however many processes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.course import Course, Learnt, Place, State, Tally, Work
from cruijff_kit.runtime.devices import describe_device, metal_in_words
from cruijff_kit.runtime.memory_use import peak_memory
from cruijff_kit.runtime.optimizer_state import every_random_state, restore_training, training_tensors
from cruijff_kit.runtime.trainee import Adapter, Trainee, learning, whole_adapter

if TYPE_CHECKING:
    from cruijff_kit.runtime.checkpoints import Checkpoint

__all__ = ["Loop", "Tally"]


@dataclass(eq=False)
class Loop(Course):
    """The optimiser steps of a run that torch computes."""

    trainee: Trainee
    """What learns."""
    optimizer: torch.optim.AdamW = field(init=False)
    """AdamW over the adapter's weights."""
    weights: list[torch.nn.Parameter] = field(init=False)
    """The weights that learn, looked up once."""
    most: int = field(default=0, init=False)
    """Most memory that was seen, in bytes: not every device keeps it."""

    def prepare(self) -> None:
        """Make the optimiser, and let what is dropped in training be dropped."""
        self.trainee.network.train()
        settings, self.weights = self.config.optimizer, list(self.trainable.values())
        self.optimizer = torch.optim.AdamW(self.weights, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)

    @property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights that learn, by the network's names."""
        return learning(self.trainee.network)

    def learn(self, work: Work, *, rate: float, logged: bool) -> Learnt:
        """Take one optimiser step, the gradients of all processes summed."""
        with metal_in_words(self.trainee.device):
            loss = self._backward(work, logged=logged)
        self.ranks.sum_gradients(self.weights)
        norm = self._clip()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        # To read a number waits for the GPU, so the time of a step is that of its work.
        (value,) = self.ranks.total(loss.item())
        return Learnt(value, self.ranks.whole(norm).item())

    def validation_loss(self, passes: Sequence[Batch]) -> float:
        """Return the summed loss of these passes, in nats, nothing dropped."""
        self.trainee.network.eval()
        with torch.no_grad():
            loss = sum(self.trainee.loss(*self._hidden(batch)).item() for batch in passes)
        self.trainee.network.train()
        return loss

    def heard(self, passes: Iterable[Batch]) -> Iterator[Tensor]:
        """Yield the logits of each pass where it has labels, nothing dropped."""
        self.trainee.network.eval()
        with torch.no_grad():
            for batch in passes:
                yield self.trainee.logits(self.trainee.hidden(batch))
        self.trainee.network.train()

    def adapter(self) -> Adapter:
        """Return what is learnt so far, whole; every process has to call it."""
        return whole_adapter(self.trainee, self.ranks)

    def state(self) -> State:
        """Return all that a checkpoint holds; every process has to call it."""
        texts, generators = every_random_state(self.ranks)
        return State(texts, {**training_tensors(self, self.ranks), **generators})

    def restore(self, checkpoint: "Checkpoint") -> None:
        """Stand where a checkpoint stands: weights, moments, position, random states."""
        restore_training(self, checkpoint, ranks=self.ranks)

    def peak_memory(self) -> int:
        """Return the most memory that was needed so far, in bytes."""
        self.most = max(self.most, peak_memory(self.trainee.device))
        return self.most

    def place(self) -> Place:
        """Return where this computes."""
        return Place(describe_device(self.trainee.device), torch.get_num_threads())

    def _backward(self, work: Work, *, logged: bool) -> Tensor:
        """Add the gradient of every pass; return the loss of this process's part."""
        total = torch.zeros((), device=self.trainee.device)
        for batch in work.passes:
            hidden, labels = self._hidden(batch)
            # Divided by the whole step's tokens: a row weighs the same however the step is split.
            part = self._loss(hidden, labels, batch=batch) / work.supervised
            part.backward()
            total += part.detach()
            if self.metrics is not None and logged:
                self.metrics.add(hidden, batch, logits=self.trainee.logits)
        return total

    def _loss(self, hidden: Tensor, labels: Tensor, *, batch: Batch) -> Tensor:
        if self.objective is None:
            return self.trainee.loss(hidden, labels)
        return self.objective.loss(self.trainee, hidden, batch=batch, step=self.tally.step)

    def _hidden(self, batch: Batch) -> tuple[Tensor, Tensor]:
        labels = batch.labels[batch.labels != IGNORE].to(self.trainee.device)
        return self.trainee.hidden(batch), labels

    def _clip(self) -> Tensor:
        """Clip the gradient where a limit is set, and return its norm before that."""
        if self.config.clip_grad_norm is not None:
            return torch.nn.utils.clip_grad_norm_(self.weights, self.config.clip_grad_norm)
        return torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
