"""The estimate of memory is near what MLX counts in the recipe's own steps, and what is told not to fit does not."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import resource
import statistics
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.data.mlx_limits import MLX_RECIPE
from tests.memory_cells import Cell, measure_mlx, predict, save_model


def cell(*shape: Any, **controls: Any) -> Cell:
    return Cell(*shape, controls=(("recipe", MLX_RECIPE), *controls.items()))


SMALL = (128, 3, 4, 2, 384, 512, 8, 2, 64)
CELLS = (
    cell(*SMALL),
    cell(128, 6, 4, 2, 344, 512, 32, 4, 64),
    cell(128, 3, 4, 2, 344, 4096, 8, 2, 128),
    cell(*SMALL, activation_checkpointing=True),
    cell(*SMALL, lora_variant="dora"),
    cell(*SMALL, dtype="bf16"),
    cell(*SMALL, quantization="int4"),
    cell(*SMALL, target_modules=("q_proj", "v_proj")),
)
LARGE = cell(128, 4, 4, 2, 688, 4096, 8, 2, 512)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cells")


def test_the_sum_of_the_parts_is_near_what_mlx_counts(folder: Path) -> None:
    errors = []
    for at, each in enumerate(CELLS):
        base = save_model(each, folder / str(at))
        predicted = predict(each, LocalHub(cache=folder / "cache").facts(str(base)))
        errors.append(abs(predicted.tensors / measure_mlx(each, base).tensors - 1))
    assert statistics.median(errors) < 0.1
    assert max(errors) < 0.2


def test_the_smallest_batch_told_not_to_fit_fails_and_the_largest_told_to_fit_does_not(folder: Path) -> None:
    base, _ = save_model(LARGE, folder / "large"), save_model(CELLS[0], folder / "small")
    facts = LocalHub(cache=folder / "cache").facts(str(base))
    fits, more = (LARGE._replace(rows=rows) for rows in (2, 3))
    low, high = (predict(each, facts).tensors for each in (fits, more))
    assert trained_within((low + high) // 2, fits, base=base)
    assert not trained_within((low + high) // 2, more, base=base)


def trained_within(limit: int, each: Cell, *, base: Path) -> bool:
    """Return whether a training ends that may take so many bytes more than its process with its libraries does."""
    # A process of its own: what MLX cannot allocate while it computes ends the process.
    child = get_context("spawn").Process(target=_train_within, args=(limit, each, base))
    child.start()
    child.join()
    return child.exitcode == 0


def _train_within(limit: int, each: Cell, base: Path) -> None:
    import mlx.core as mx

    # A small one first, so that what is loaded with the first step is loaded.
    measure_mlx(CELLS[0], base.parent / "small")
    mx.set_cache_limit(0)
    mx.clear_cache()
    told = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    held = next(line for line in told if line.startswith("VmData"))
    most = int(held.split()[1]) * 1024 + limit
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    measure_mlx(each, base)
