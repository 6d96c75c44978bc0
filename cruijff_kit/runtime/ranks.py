"""The processes of one training: which of them this one is, and what they tell each other."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

    from cruijff_kit.runtime.trainee import Trainee

__all__ = ["Ranks"]

_Item = TypeVar("_Item")


class Ranks:
    """One process by itself; a group of several overrides what they exchange."""

    rank = 0
    """Number of this process, from 0."""
    size = 1
    """Processes in all."""

    @property
    def main(self) -> bool:
        """Return whether this process writes the files."""
        return self.rank == 0

    def share(self, rows: Sequence[_Item]) -> Sequence[_Item]:
        """Return the rows of an optimiser step that are this process's own."""
        return rows[self.rank :: self.size]

    def most(self, rows: int) -> int:
        """Return the rows of the process that has most of them, of so many in all."""
        return -(-rows // self.size)

    def total(self, *values: float) -> tuple[float, ...]:
        """Return each value summed over all processes."""
        return values

    def everyone(self, value: Any) -> list[Any]:
        """Return a value of every process, in order of rank."""
        return [value]

    def shares_base(self, strategy: str) -> bool:
        """Return whether `spread` will share the frozen weights of blocks out."""
        return self.size > 1 and strategy == "fsdp"

    def sum_gradients(self, parameters: "Iterable[torch.nn.Parameter]") -> None:
        """Make every process's gradients the sum over all of them."""

    def spread(self, trainee: "Trainee", *, strategy: str) -> None:
        """Make a model, built alike in every process, ready to be trained by all of them."""

    def whole(self, tensor: "torch.Tensor") -> "torch.Tensor":
        """Return a tensor as it would be in one process; every process has to call it."""
        return tensor

    def like(self, weight: "torch.Tensor", whole: "torch.Tensor") -> "torch.Tensor":
        """Return a whole tensor on the device, and cut in the way, of one of this process's weights."""
        return whole.to(weight.device)

    def wait(self) -> None:
        """Return once every process has come here."""

    def told(self, run_id: str) -> AbstractContextManager[None]:
        """Return a context in which the loss of other processes is told in words."""
        return nullcontext()
