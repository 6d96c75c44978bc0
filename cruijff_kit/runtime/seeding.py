"""Randomness of a job: every source seeded, every shuffle reproducible."""

import hashlib
import os
import random
from collections.abc import Sequence
from typing import Any, TypeVar

__all__ = ["seed_everything", "shuffled"]

_Item = TypeVar("_Item")


def seed_everything(seed: int) -> dict[str, int]:
    """Seed Python, NumPy and torch, ask for deterministic kernels, and return what was seeded."""
    import numpy as np
    import torch

    # cuBLAS is deterministic only with a fixed workspace, set before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling memory that is about to be written costs time and changes nothing here.
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    random.seed(seed)
    # Libraries that draw from NumPy's global generator are reached in no other way.
    np.random.seed(seed)
    torch.manual_seed(seed)
    return dict.fromkeys(("initialisation", "dropout", "shuffling", "subset"), seed)


def shuffled(items: Sequence[_Item], *, seed: int, purpose: str) -> list[_Item]:
    """Return the items in an order that depends on seed and purpose alone.

    Args:
        items: what to shuffle.
        seed: seed of the run.
        purpose: what the order is for, such as `epoch 0`; other purposes give other orders.
    """
    name = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    order = list(items)
    random.Random(int.from_bytes(name[:8], "little")).shuffle(order)
    return order
