"""One training that is measured: what it is, and how it is measured in a process of its own."""

import json
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["IGNORE", "LINEAR", "RANK", "SIZES", "Job", "Size", "run"]

IGNORE = -100
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK = 8


class Size(NamedTuple):
    """A model and how much of it is trained."""

    form: dict[str, int]
    """What `LlamaConfig` takes."""
    batch: int
    """Rows of an optimiser step."""
    steps: int
    """Steps of an epoch."""


def form(width: int, layers: int, *, heads: int, inner: int, vocabulary: int) -> dict[str, int]:
    """Return the dimensions of a Llama with half as many heads for keys as for queries."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "head_dim": width // heads,
    }


SIZES = {
    "tiny": Size(form(128, 2, heads=4, inner=256, vocabulary=262), batch=16, steps=6),
    "middle": Size(form(512, 8, heads=8, inner=1536, vocabulary=8192), batch=8, steps=3),
    "1b": Size(form(2048, 16, heads=32, inner=8192, vocabulary=128256), batch=16, steps=12),
}


class Job(NamedTuple):
    """One training of one system in one process."""

    system: str
    """Which one."""
    folder: str
    """Where model and rows lie."""
    shape: str
    """`short` or `ragged`."""
    size: str
    """Name of the model's size."""
    epochs: int
    """Epochs; the first is not timed."""
    device: str
    """`cpu` or `cuda`."""
    live: bool
    """Whether live bytes are counted, which takes time."""

    @property
    def batch(self) -> int:
        """Return the rows of a step."""
        return SIZES[self.size].batch

    @property
    def dtype(self) -> str:
        """Return the arithmetic."""
        return "bf16" if self.device == "cuda" else "fp32"

    def now(self) -> float:
        """Return seconds: of the processor where that does the work, since it may be shared, else of the wall."""
        return time.process_time() if self.device == "cpu" else time.perf_counter()

    def rows(self) -> list[dict[str, list[int]]]:
        """Return ids and labels of every row."""
        return json.loads(Path(self.folder, f"{self.shape}.json").read_text(encoding="utf-8"))


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of every storage made while it is on, from making to freeing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, *given: Any) -> Any:
        args, kwargs = (*given, {}, {})[:2] if given else ((), {})
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(each, torch.Tensor):
                self._note(each.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def run(train: Callable[[Job], Iterator[float]]) -> None:
    """Train the job on the command line and print its figures as the last line.

    Args:
        train: trains a job and yields the moment at which each epoch ended.
    """
    from cruijff_kit.runtime.memory_use import peak_memory

    job = Job(*json.loads(sys.argv[1]))
    if job.live:
        with LiveBytes() as live:
            list(train(job))
        print("\n" + json.dumps({"live": live.peak}))
        return
    tokens = sum(len(each["input_ids"]) for each in job.rows())
    moments = list(train(job))
    speed = tokens * (len(moments) - 1) / (moments[-1] - moments[0])
    print("\n" + json.dumps({"speed": speed, "peak": peak_memory(torch.device(job.device))}))
