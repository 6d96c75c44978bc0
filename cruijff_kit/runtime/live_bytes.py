"""Bytes of tensors that are alive, and the most of them there were: what a training step really needs."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["LiveBytes"]


class LiveBytes(TorchDispatchMode):
    """Counts every storage once from the operation that makes it until it is freed.

    Enter it around the work to be measured. What one operation allocates and frees
    inside itself is not seen: a kernel's scratch is no tensor. Operations of a GPU's
    backward pass are seen too, but there `torch.cuda.max_memory_allocated` says more.
    """

    def __init__(self, existing: Iterable[torch.Tensor] = ()) -> None:
        """Take the tensors that are there before: weights and buffers."""
        super().__init__()
        self.now = 0
        self.peak = 0
        self._known: dict[int, weakref.ref[Any]] = {}
        self.count(existing)

    def count(self, tensors: Iterable[torch.Tensor]) -> None:
        """Count tensors made outside of the mode."""
        for tensor in tensors:
            self._count(tensor)

    def restart(self) -> None:
        """Forget the peak so far."""
        self.peak = self.now

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it made."""
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf)
        return made

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata
        known = self._known.get(address)
        if known is not None and known() is storage:
            return
        size = storage.nbytes()

        def freed(_: Any) -> None:
            self.now -= size
            if self._known.get(address) is reference:
                del self._known[address]

        reference = weakref.ref(storage, freed)
        self._known[address] = reference
        self.now += size
        self.peak = max(self.peak, self.now)
