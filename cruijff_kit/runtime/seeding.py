"""Randomness of a job: every source seeded, every shuffle reproducible."""

import hashlib
import json
import os
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

__all__ = [
    "plain_states",
    "random_states",
    "restore_plain_states",
    "restore_random_states",
    "seed_everything",
    "seed_plain",
    "shuffled",
]

_Item = TypeVar("_Item")


def seed_everything(seed: int) -> dict[str, int]:
    """Seed Python, NumPy and torch, ask for deterministic kernels, and return what was seeded."""
    import torch

    # cuBLAS is deterministic only with a fixed workspace, set before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling memory that is about to be written costs time and changes nothing here.
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False
    seed_plain(seed)
    torch.manual_seed(seed)
    return dict.fromkeys(("initialisation", "dropout", "shuffling", "subset"), seed)


def seed_plain(seed: int) -> None:
    """Seed Python and NumPy alone."""
    import numpy as np

    random.seed(seed)
    # Libraries that draw from NumPy's global generator are reached in no other way.
    np.random.seed(seed)


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


def random_states() -> "tuple[dict[str, str], dict[str, torch.Tensor]]":
    """Return the state of every generator: Python's and NumPy's as text, torch's as bytes."""
    import torch

    tensors = {"random.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        tensors["random.mps"] = torch.mps.get_rng_state()
    return plain_states(), tensors


def plain_states() -> dict[str, str]:
    """Return the states of Python's generator and of NumPy's."""
    import numpy as np

    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": json.dumps(random.getstate()),
        "numpy": json.dumps([name, [int(key) for key in keys], *rest]),
    }


def restore_random_states(texts: Mapping[str, str], tensors: "Mapping[str, torch.Tensor]") -> None:
    """Put every generator back into a state that `random_states` returned."""
    import torch

    restore_plain_states(texts)
    torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    if "random.mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["random.mps"])


def restore_plain_states(texts: Mapping[str, str]) -> None:
    """Put Python's generator and NumPy's back into states that `plain_states` returned."""
    import numpy as np

    version, keys, gauss = json.loads(texts["python"])
    random.setstate((version, tuple(keys), gauss))
    name, words, *rest = json.loads(texts["numpy"])
    np.random.set_state((name, np.array(words, dtype=np.uint32), *rest))
