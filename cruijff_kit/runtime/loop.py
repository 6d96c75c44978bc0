"""The training loop: optimiser steps over a run's rows, whatever the backend and however many processes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cruijff_kit.data.tokens import IGNORE, Encoded
from cruijff_kit.errors import RunError
from cruijff_kit.runtime.batches import Batch, batches, unsupervised
from cruijff_kit.runtime.custom_metrics import CustomMetrics
from cruijff_kit.runtime.memory_use import peak_memory
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.schedules import rate_at
from cruijff_kit.runtime.seeding import shuffled
from cruijff_kit.runtime.trainee import Trainee, learning
from cruijff_kit.runtime.training_rows import Rows, steps_of_epoch
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import MetricPoint

__all__ = ["Loop", "Tally"]


@dataclass(slots=True)
class Tally:
    """What a training has done so far."""

    step: int = 0
    """Optimiser steps."""
    tokens: int = 0
    """Tokens processed, padding excluded."""
    supervised: int = 0
    """Tokens that a loss was taken on."""


class _Work(NamedTuple):
    """One optimiser step's share of this process."""

    passes: list[Batch]
    supervised: int
    tokens: int


@dataclass(slots=True, eq=False)
class Loop:
    """The optimiser steps of one run, one at a time.

    The loss of a step is the mean over all its supervised tokens, however the step is
    split into passes and processes.
    """

    config: TrainConfig
    """What to do."""
    trainee: Trainee
    """What learns."""
    rows: Rows
    """What it learns from."""
    ranks: Ranks = field(default_factory=Ranks)
    """The processes that share the work."""
    metrics: CustomMetrics | None = None
    """Further metrics, taken at the steps that are logged."""
    tally: Tally = field(default_factory=Tally)
    """What was done so far; a resumed training starts from its checkpoint's."""
    optimizer: torch.optim.AdamW = field(init=False)
    """AdamW over the adapter's weights."""
    per_epoch: int = field(init=False)
    """Optimiser steps of one epoch."""
    weights: list[torch.nn.Parameter] = field(init=False)
    """The weights that learn, looked up once."""

    def __post_init__(self) -> None:
        """Prepare the optimiser."""
        config = self.config
        self.per_epoch = steps_of_epoch(
            len(self.rows.train),
            batch_size=config.batch_size,
            accumulation=config.gradient_accumulation_steps,
            limit=config.max_steps_per_epoch,
        )
        settings, self.weights = config.optimizer, list(self.trainable.values())
        self.optimizer = torch.optim.AdamW(self.weights, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)

    @property
    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Return the weights that learn, by the network's names."""
        return learning(self.trainee.network)

    @property
    def total(self) -> int:
        """Return the optimiser steps of the whole training."""
        return self.per_epoch * self.config.epochs

    def take(self) -> Iterator[MetricPoint]:
        """Take the steps that are left, with the validation loss where it is due."""
        rate = rate_at(self.config.lr_scheduler, total_steps=self.total)
        window = self.config.batch_size * self.config.gradient_accumulation_steps
        order, ordered = self.rows.train, -1
        self.trainee.network.train()
        while self.tally.step < self.total:
            epoch, within = divmod(self.tally.step, self.per_epoch)
            if epoch != ordered:
                order = shuffled(self.rows.train, seed=self.config.seed, purpose=f"epoch {epoch}")
                ordered = epoch
            rows = order[within * window : (within + 1) * window]
            peak = self.config.optimizer.lr * rate(self.tally.step)
            yield self._validated(self._step(rows, epoch=epoch, rate=peak))

    def _step(self, rows: Sequence[Encoded], *, epoch: int, rate: float) -> MetricPoint:
        started = time.perf_counter()
        work = self._work(rows)
        # Metrics are sums over processes, so every one of them takes part.
        logged = (self.tally.step + 1) % self.config.log_every_n_steps == 0
        loss = self._backward(work, logged=logged)
        self.ranks.sum_gradients(self.weights)
        norm = self._clip()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.tally.step += 1
        self.tally.tokens += work.tokens
        self.tally.supervised += work.supervised
        (value,) = self.ranks.total(loss.item())
        self._check(value)
        seconds = time.perf_counter() - started
        return MetricPoint(
            step=self.tally.step,
            epoch=epoch,
            loss=value,
            lr=rate,
            tokens=self.tally.tokens,
            supervised_tokens=self.tally.supervised,
            tokens_per_second=work.tokens / seconds,
            supervised_tokens_per_second=work.supervised / seconds,
            grad_norm=self.ranks.whole(norm).item(),
            peak_memory_bytes=peak_memory(self.trainee.device) if logged else None,
            custom=self.metrics.mean(self.ranks) if self.metrics and logged else {},
        )

    def _work(self, rows: Sequence[Encoded]) -> _Work:
        """Return this process's passes over a step's rows; every process makes equally many."""
        size, packed = self.config.batch_size, self.config.packed
        # Rows of like length share a pass, so that little is padded; the step's loss is over all of them.
        mine = self.ranks.share(rows) if packed else sorted(self.ranks.share(rows), key=lambda row: -len(row.ids))
        passes = list(batches(mine, size=size, packed=packed))
        passes += [unsupervised(rows[0], packed=packed)] * self._idle(len(rows), size=size, made=len(passes))
        supervised = sum(label != IGNORE for row in rows for label in row.labels[1:])
        return _Work(passes, supervised, sum(len(row.ids) for row in rows))

    def _idle(self, rows: int, *, size: int, made: int) -> int:
        """Return the passes that this process makes only because another one has more rows."""
        return -(-self.ranks.most(rows) // size) - made

    def _backward(self, work: _Work, *, logged: bool) -> Tensor:
        """Add the gradient of every pass; return the loss of this process's part."""
        total = torch.zeros((), device=self.trainee.device)
        for batch in work.passes:
            hidden, labels = self._hidden(batch)
            # Divided by the whole step's tokens: a row weighs the same however the step is split.
            part = self.trainee.loss(hidden, labels) / work.supervised
            part.backward()
            total += part.detach()
            if self.metrics is not None and logged:
                self.metrics.add(hidden, batch, logits=self.trainee.logits)
        return total

    def _hidden(self, batch: Batch) -> tuple[Tensor, Tensor]:
        labels = batch.labels[batch.labels != IGNORE].to(self.trainee.device)
        return self.trainee.hidden(batch), labels

    def _clip(self) -> Tensor:
        """Clip the gradient where a limit is set, and return its norm before that."""
        if self.config.clip_grad_norm is not None:
            return torch.nn.utils.clip_grad_norm_(self.weights, self.config.clip_grad_norm)
        return torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])

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
        return point.model_copy(update={"val_loss": self.validate()})

    def validate(self) -> float:
        """Return the mean loss per supervised token over all validation rows, in nats."""
        network, packed = self.trainee.network, self.config.packed
        # Rows of like length share a pass, so that little is padded.
        rows = sorted(self.ranks.share(self.rows.val), key=lambda row: -len(row.ids))
        network.eval()
        with torch.no_grad():
            size = self.config.batch_size_val
            passes = list(batches(rows, size=size, packed=packed))
            idle = self._idle(len(self.rows.val), size=size, made=len(passes))
            passes += [unsupervised(self.rows.val[0], packed=packed)] * idle
            loss = sum(self.trainee.loss(*self._hidden(batch)).item() for batch in passes)
        network.train()
        loss, count = self.ranks.total(loss, sum(batch.supervised for batch in passes))
        return loss / count
