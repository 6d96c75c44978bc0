"""Blocks computed again on Apple's GPU: the same draws the second time.

Dropout of a block that is computed again has to drop what it dropped before, or gradients are
those of another network. `torch.utils.checkpoint` sees to it on CPUs and on GPUs of CUDA; on
Apple's it puts no state back (as of torch 2.13) and says nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor

__all__ = ["same_draws"]

_Contexts = tuple[AbstractContextManager[None], AbstractContextManager[None]]


def same_draws(device: torch.device) -> Callable[[], _Contexts]:
    """Return what `torch.utils.checkpoint` takes as `context_fn`: both passes draw the same on a device.

    Args:
        device: whose generator draws: Apple's GPU, or the CPU.
    """
    read, write = (
        (torch.mps.get_rng_state, torch.mps.set_rng_state)
        if device.type == "mps"
        else (torch.get_rng_state, torch.set_rng_state)
    )

    @contextmanager
    def first(kept: list[Tensor]) -> Iterator[None]:
        kept.append(read())
        yield

    @contextmanager
    def again(kept: list[Tensor]) -> Iterator[None]:
        present = read()
        write(kept[0])
        try:
            yield
        finally:
            write(present)

    def contexts() -> _Contexts:
        kept: list[Tensor] = []
        return first(kept), again(kept)

    return contexts
