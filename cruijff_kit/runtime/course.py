"""What every training loop does alike: the order of rows, the schedule, the points of a curve, validation when due."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.data.tokens import IGNORE, Encoded
from cruijff_kit.errors import RunError
from cruijff_kit.runtime.batches import Array, Batch, as_torch, batches, unsupervised
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.schedules import rate_at
from cruijff_kit.runtime.seeding import seed_everything, shuffled
from cruijff_kit.runtime.trainee import Adapter
from cruijff_kit.runtime.training_rows import Rows, steps_of_epoch
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import MetricPoint, TrainingProgress

if TYPE_CHECKING:
    import numpy as np
    import torch

    from cruijff_kit.runtime.calibration_watch import CalibrationWatch
    from cruijff_kit.runtime.checkpoints import Checkpoint
    from cruijff_kit.runtime.custom_metrics import CustomMetrics
    from cruijff_kit.runtime.objective import Objective

__all__ = ["Course", "Learnt", "Place", "State", "Tally", "Work"]


@dataclass(slots=True)
class Tally:
    """What a training has done so far."""

    step: int = 0
    """Optimiser steps."""
    tokens: int = 0
    """Tokens processed, padding excluded."""
    supervised: int = 0
    """Tokens that a loss was taken on."""
    lr_scale: float = 1.0
    """What is left of the planned learning rate: the monitor of calibration may have lowered it."""

    @classmethod
    def of(cls, progress: TrainingProgress) -> "Tally":
        """Return what a checkpoint says was done."""
        return cls(progress.step, progress.tokens, progress.supervised, progress.lr_scale)


class Work(NamedTuple):
    """One optimiser step's share of this process."""

    passes: list[Batch]
    """Rows of each forward pass."""
    supervised: int
    """Tokens with a label, of all processes."""
    tokens: int
    """Tokens of all rows of all processes, padding left out."""


class Learnt(NamedTuple):
    """What one optimiser step tells."""

    loss: float
    """Mean over all supervised tokens of the step of what is minimised, for cross-entropy in nats."""
    norm: float
    """Norm of the gradient before it was clipped."""


class State(NamedTuple):
    """Everything that training has changed, and every random state."""

    texts: dict[str, str]
    """States that are words."""
    tensors: "dict[str, torch.Tensor] | dict[str, np.ndarray]"
    """Adapter, optimiser and states that are numbers, by name."""


class Place(NamedTuple):
    """Where a training computes, as recorded."""

    device: str
    """Such as `cpu` or `cuda:0 NVIDIA H200`."""
    threads: int
    """Threads of one process."""


@dataclass(eq=False)
class Course(ABC):
    """The optimiser steps of one run, one at a time; each library that computes them has a class of its own.

    The loss of a step is the mean over all its supervised tokens, however the step is
    split into passes and processes.
    """

    config: TrainConfig
    """What to do."""
    trainee: Any
    """What learns, as the recipe made it."""
    rows: Rows
    """What it learns from."""
    ranks: Ranks = field(default_factory=Ranks)
    """The processes that share the work."""
    metrics: "CustomMetrics | None" = None
    """Further metrics, taken at the steps that are logged."""
    objective: "Objective | None" = None
    """What is minimised; cross-entropy where None."""
    watch: "CalibrationWatch | None" = None
    """What is measured of the options' probabilities at every validation."""
    tally: Tally = field(default_factory=Tally)
    """What was done so far; a resumed training starts from its checkpoint's."""
    per_epoch: int = field(init=False)
    """Optimiser steps of one epoch."""

    def __post_init__(self) -> None:
        """Count the steps and prepare what takes them."""
        config = self.config
        self.per_epoch = steps_of_epoch(
            len(self.rows.train),
            batch_size=config.batch_size,
            accumulation=config.gradient_accumulation_steps,
            limit=config.max_steps_per_epoch,
        )
        self.prepare()

    @staticmethod
    def seed(seed: int) -> None:
        """Seed whatever may draw, before the model is made."""
        seed_everything(seed)

    @property
    def array(self) -> Array:
        """Return what makes the arrays of a pass."""
        return as_torch

    @abstractmethod
    def prepare(self) -> None:
        """Make the optimiser."""

    @abstractmethod
    def learn(self, work: Work, *, rate: float, logged: bool) -> Learnt:
        """Take one optimiser step.

        Args:
            work: the passes of this process.
            rate: learning rate.
            logged: whether further metrics are taken.
        """

    @abstractmethod
    def validation_loss(self, passes: Sequence[Batch]) -> float:
        """Return the summed loss of these passes, in nats, as the model stands."""

    @abstractmethod
    def heard(self, passes: Iterable[Batch]) -> "Iterator[torch.Tensor]":
        """Yield the logits of each pass where it has labels, as the model stands, shape (labels, vocabulary)."""

    @abstractmethod
    def adapter(self) -> Adapter:
        """Return what is learnt so far, whole; every process has to call it."""

    @abstractmethod
    def state(self) -> State:
        """Return all that a checkpoint holds; every process has to call it."""

    @abstractmethod
    def restore(self, checkpoint: "Checkpoint") -> None:
        """Stand where a checkpoint stands: weights, moments, position, random states."""

    @abstractmethod
    def peak_memory(self) -> int:
        """Return the most memory that was needed so far, in bytes."""

    @abstractmethod
    def place(self) -> Place:
        """Return where this computes."""

    @property
    def total(self) -> int:
        """Return the optimiser steps of the whole training."""
        return self.per_epoch * self.config.epochs

    def take(self) -> Iterator[MetricPoint]:
        """Take the steps that are left, with the validation loss where it is due."""
        rate = rate_at(self.config.lr_scheduler, total_steps=self.total)
        window = self.config.batch_size * self.config.gradient_accumulation_steps
        order, ordered = self.rows.train, -1
        while self.tally.step < self.total:
            epoch, within = divmod(self.tally.step, self.per_epoch)
            if epoch != ordered:
                order = shuffled(self.rows.train, seed=self.config.seed, purpose=f"epoch {epoch}")
                ordered = epoch
            rows = order[within * window : (within + 1) * window]
            peak = self.config.optimizer.lr * rate(self.tally.step)
            yield self._validated(self._step(rows, epoch=epoch, rate=peak * self.tally.lr_scale))

    def validate(self) -> float:
        """Return the mean loss per supervised token over all validation rows, in nats."""
        packed, size = self.config.packed, self.config.batch_size_val
        # Rows of like length share a pass, so that little is padded.
        rows = sorted(self.ranks.share(self.rows.val), key=lambda row: -len(row.ids))
        passes = list(batches(rows, size=size, packed=packed, array=self.array))
        idle = self._idle(len(self.rows.val), size=size, made=len(passes))
        passes += [unsupervised(self.rows.val[0], packed=packed, array=self.array)] * idle
        loss = self.validation_loss(passes)
        loss, count = self.ranks.total(loss, sum(batch.supervised for batch in passes))
        return loss / count

    def _step(self, rows: Sequence[Encoded], *, epoch: int, rate: float) -> MetricPoint:
        started = time.perf_counter()
        work = self._work(rows)
        # Metrics are sums over processes, so every one of them takes part.
        logged = (self.tally.step + 1) % self.config.log_every_n_steps == 0
        learnt = self.learn(work, rate=rate, logged=logged)
        self.tally.step += 1
        self.tally.tokens += work.tokens
        self.tally.supervised += work.supervised
        self._check(learnt.loss)
        seconds = time.perf_counter() - started
        return MetricPoint(
            step=self.tally.step,
            epoch=epoch,
            loss=learnt.loss,
            lr=rate,
            tokens=self.tally.tokens,
            supervised_tokens=self.tally.supervised,
            tokens_per_second=work.tokens / seconds,
            supervised_tokens_per_second=work.supervised / seconds,
            grad_norm=learnt.norm,
            peak_memory_bytes=self.peak_memory() if logged else None,
            custom=self.metrics.mean(self.ranks) if self.metrics and logged else {},
        )

    def _work(self, rows: Sequence[Encoded]) -> Work:
        """Return this process's passes over a step's rows; every process makes equally many."""
        size, packed = self.config.batch_size, self.config.packed
        # Rows of like length share a pass, so that little is padded; the step's loss is over all of them.
        mine = self.ranks.share(rows) if packed else sorted(self.ranks.share(rows), key=lambda row: -len(row.ids))
        passes = list(batches(mine, size=size, packed=packed, array=self.array))
        idle = self._idle(len(rows), size=size, made=len(passes))
        passes += [unsupervised(rows[0], packed=packed, array=self.array)] * idle
        supervised = sum(label != IGNORE for row in rows for label in row.labels[1:])
        return Work(passes, supervised, sum(len(row.ids) for row in rows))

    def _idle(self, rows: int, *, size: int, made: int) -> int:
        """Return the passes that this process makes only because another one has more rows."""
        return -(-self.ranks.most(rows) // size) - made

    def _check(self, loss: float) -> None:
        if not loss < float("inf"):
            raise RunError(
                f"the loss is `{loss}` at step {self.tally.step}",
                run_id=self.config.run_id,
                hint="lower `lr`, or clip the gradient with `max_grad_norm: 1.0`",
            )

    def _validated(self, point: MetricPoint) -> MetricPoint:
        every = self.config.run_val_every_n_steps
        due = point.step % self.per_epoch == 0 or (every > 0 and point.step % every == 0)
        if not due or not self.rows.val:
            return point
        found: dict[str, Any] = {"val_loss": self.validate()}
        if self.watch is not None:
            found |= self.watch.measure(self)
            found["lr_scale"] = self._lowered(found)
        return point.model_copy(update=found)

    def _lowered(self, found: Mapping[str, Any]) -> float | None:
        """Lower the rate of all later steps where calibration is wrong beyond doubt; return what is left of it."""
        monitor = self.config.calibration_monitor
        low = found.get("ece_debiased_low")
        if not monitor.adjust_lr or low is None or low <= monitor.adjustment_threshold:
            return None
        self.tally.lr_scale *= monitor.lr_reduction_factor
        return self.tally.lr_scale
