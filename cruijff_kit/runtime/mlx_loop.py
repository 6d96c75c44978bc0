"""The training loop in MLX: optimiser steps over a run's rows in one process."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np

from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.batches import Array, Batch
from cruijff_kit.runtime.course import Course, Learnt, Place, State, Tally, Work
from cruijff_kit.runtime.machine_memory import usable_cpus
from cruijff_kit.runtime.mlx_lora import MlxLora, as_array, as_numbers, as_tensor
from cruijff_kit.runtime.mlx_model import describe_mlx
from cruijff_kit.runtime.seeding import plain_states, restore_plain_states, seed_plain
from cruijff_kit.runtime.trainee import Adapter

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.checkpoints import Checkpoint

__all__ = ["MlxLoop"]

_WEIGHT = "adapter."
_OPTIMIZER = "optimizer."
_STEP = "optimizer.step"
# torch adds as much to a norm that it divides by.
_TINY = 1e-6


@dataclass(eq=False)
class MlxLoop(Course):
    """The optimiser steps of a run that MLX computes.

    What dropout draws depends on the seed and the step alone, so a training that was
    broken off goes on exactly as it would have.
    """

    trainee: MlxLora
    """What learns."""
    optimizer: Any = field(init=False)
    """AdamW with the corrections that torch's has."""
    weights: dict[str, Any] = field(init=False)
    """What learns, by mlx-lm's names."""

    @staticmethod
    def seed(seed: int) -> None:
        """Seed whatever may draw but MLX, which draws by numbers that are set each time."""
        seed_plain(seed)

    @property
    def array(self) -> Array:
        """Return what makes the arrays of a pass: NumPy."""
        return np.array

    def prepare(self) -> None:
        """Make the optimiser, and let what is dropped in training be dropped."""
        settings = self.config.optimizer
        self.trainee.base.model.train()
        self.weights = self.trainee.weights()
        self.optimizer = optim.AdamW(settings.lr, weight_decay=settings.weight_decay, bias_correction=True)
        self.optimizer.init(self.weights)

    def learn(self, work: Work, *, rate: float, logged: bool) -> Learnt:
        """Take one optimiser step."""
        measured = self.metrics if logged else None
        total, gradients = mx.array(0.0), dict[str, Any]()
        for at, batch in enumerate(work.passes):
            self.trainee.draw = self._draw(at)
            (loss, logits), found = self._passed(batch, share=work.supervised)
            total = total + loss
            gradients = {name: gradients[name] + each if gradients else each for name, each in found.items()}
            # Evaluated pass by pass, so that no more than one keeps its activations.
            mx.eval(total, gradients, *([] if measured is None else [logits]))
            if measured is not None:
                measured.add(as_tensor(logits), _as_torch(batch), logits=lambda each: each)
        norm = mx.sqrt(sum(mx.square(each.astype(mx.float32)).sum() for each in gradients.values()))
        limit = self.config.clip_grad_norm
        if limit is not None:
            share = mx.minimum(limit / (norm + _TINY), 1.0)
            gradients = {name: each * share for name, each in gradients.items()}
        self.optimizer.learning_rate = rate
        moved = self.optimizer.apply_gradients(gradients, self.weights)
        # Products round by how their factors lie in memory: here as they will lie when read from a checkpoint.
        self.weights = {name: mx.contiguous(each) for name, each in moved.items()}
        self.trainee.take(self.weights)
        mx.eval(self.weights, self.optimizer.state, norm)
        return Learnt(total.item(), norm.item())

    def validation_loss(self, passes: Sequence[Batch]) -> float:
        """Return the summed loss of these passes, in nats, nothing dropped."""
        self.trainee.base.model.eval()
        loss = sum(self.trainee.hear(batch).loss.item() for batch in passes)
        self.trainee.base.model.train()
        return loss

    def heard(self, passes: Iterable[Batch]) -> "Iterator[torch.Tensor]":
        """Yield the logits of each pass where it has labels, nothing dropped."""
        self.trainee.base.model.eval()
        for batch in passes:
            yield as_tensor(self.trainee.hear(batch).logits)
        self.trainee.base.model.train()

    def adapter(self) -> Adapter:
        """Return what is learnt so far, whole."""
        return self.trainee.adapter()

    def state(self) -> State:
        """Return all that a checkpoint holds."""
        tensors = {f"{_WEIGHT}{name}": as_numbers(each) for name, each in self.weights.items()}
        for name in self.weights:
            parts = self.optimizer.state[name].items()
            tensors |= {f"{_OPTIMIZER}{name}.{part}": as_numbers(each) for part, each in parts}
        tensors[_STEP] = as_numbers(self.optimizer.state["step"])
        return State(plain_states(), tensors)

    def restore(self, checkpoint: "Checkpoint") -> None:
        """Stand where a checkpoint stands: weights, moments, position, random states.

        Raises:
            ResultError: the checkpoint was made by another recipe.
        """
        tensors = {name: as_array(each) for name, each in checkpoint.tensors.items()}
        if {f"{_WEIGHT}{name}" for name in self.weights} != {name for name in tensors if name.startswith(_WEIGHT)}:
            hint = "train it by the recipe that began it, or remove its `recipe_state` to train from the start"
            raise ResultError("the checkpoint was made by another recipe than `mlx_lora`", hint=hint)
        # In the model's order, not the file's: the norm of the gradient is a sum, and sums round by their order.
        self.weights = {name: tensors[f"{_WEIGHT}{name}"] for name in self.weights}
        self.trainee.take(self.weights)
        for name in self.weights:
            state = self.optimizer.state[name]
            self.optimizer.state[name] = {part: tensors[f"{_OPTIMIZER}{name}.{part}"] for part in state}
        self.optimizer.state["step"] = tensors[_STEP].astype(mx.uint64)
        mx.eval(self.weights, self.optimizer.state)
        self.tally = Tally.of(checkpoint.progress)
        restore_plain_states(checkpoint.progress.random)

    def peak_memory(self) -> int:
        """Return the most memory that MLX held so far, in bytes."""
        return mx.get_peak_memory()

    def place(self) -> Place:
        """Return where this computes."""
        return Place(describe_mlx(), int(os.environ.get("OMP_NUM_THREADS") or usable_cpus()))

    def _passed(self, batch: Batch, *, share: int) -> tuple[tuple[Any, Any], dict[str, Any]]:
        """Return loss and logits of a pass, and the gradient of the loss by the name of each weight."""

        def loss(weights: dict[str, Any]) -> tuple[Any, Any]:
            self.trainee.take(weights)
            heard = self.trainee.hear(batch)
            # Divided by the whole step's tokens: a row weighs the same however the step is split.
            return heard.loss / share, heard.logits

        found = mx.value_and_grad(loss)(self.weights)
        self.trainee.take(self.weights)
        return found

    def _draw(self, at: int) -> int:
        """Return the number that dropout of a pass is drawn by: of seed and step alone."""
        said = f"{self.config.seed}:{self.tally.step}:{at}".encode()
        return int.from_bytes(blake2b(said, digest_size=8).digest(), "little")


def _as_torch(batch: Batch) -> Batch:
    """Return a pass as metrics of a user's file expect it."""
    import torch

    return batch._replace(ids=torch.from_numpy(batch.ids), labels=torch.from_numpy(batch.labels))
