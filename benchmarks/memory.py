"""Predicted against measured peak memory of training, cell by cell, each part of the prediction shown.

A cell is a random Llama made on the fly, trained for two optimiser steps by the real recipe and loop in a process of
its own. Measured is the peak of live tensor bytes, each storage counted once from the operation that makes it until it
is freed; the resident size of the process stands beside it, libraries, allocator and loading included. That is the CPU.
With `--device cuda` the measured figure is what torch's allocator held at most, kernels' own scratch included. With
`--device mlx`, in the environment of MLX, other cells are trained by its recipe, and MLX's own count is measured.

    python benchmarks/memory.py [--device cuda|mlx] [--only N …]
"""

import argparse
import os
import statistics
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cruijff_kit.adapters.model_hub import LocalHub  # the path is set above
from cruijff_kit.data.mlx_limits import MLX_RECIPE  # the path is set above
from cruijff_kit.schema.estimate import MemoryParts  # the path is set above
from tests.memory_cells import Cell, Measurement, measure, measure_mlx, predict, save_model  # the path is set above

MEDIAN, P95 = 10.0, 20.0
"""Targets in per cent."""
SMALLEST = 256 * 2**20
"""Bytes that a cell has to need at least to count."""


def on(**controls: object) -> tuple[tuple[str, object], ...]:
    """Return controls that are set."""
    return tuple(controls.items())


AGAIN, PACKED, HALF = {"activation_checkpointing": True}, {"packed": True}, {"dtype": "bf16"}
CELLS = (
    Cell(256, 8, 4, 4, 1024, 2000, 8, 8, 256),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 8, 256),
    Cell(256, 12, 8, 1, 704, 8000, 64, 4, 384),
    Cell(384, 6, 6, 2, 1024, 32000, 8, 4, 512),
    Cell(384, 8, 6, 6, 1536, 50000, 32, 4, 320),
    Cell(512, 4, 8, 8, 2048, 16000, 8, 4, 512),
    Cell(512, 4, 8, 2, 2048, 32000, 256, 2, 512),
    Cell(512, 6, 4, 1, 1376, 128256, 16, 2, 512),
    Cell(512, 6, 8, 2, 1376, 64000, 16, 2, 512, tied=False),
    Cell(640, 4, 10, 5, 1792, 32000, 4, 4, 256),
    Cell(768, 4, 12, 12, 2048, 50257, 16, 2, 512),
    Cell(768, 4, 12, 4, 3072, 32000, 64, 1, 1024),
    Cell(1024, 2, 16, 8, 4096, 32000, 8, 2, 384),
    Cell(1024, 3, 8, 8, 2816, 32000, 16, 1, 768),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 1, 2048),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 32, 64),
    Cell(256, 24, 4, 4, 1024, 32000, 16, 4, 1024, controls=on(**AGAIN)),
    Cell(512, 8, 8, 2, 2048, 32000, 32, 4, 640, controls=on(**AGAIN)),
    Cell(1024, 4, 16, 8, 2816, 64000, 128, 2, 256, controls=on(**AGAIN)),
    Cell(384, 12, 6, 2, 1024, 128256, 8, 4, 512, controls=on(**AGAIN)),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 8, 256, ragged=0.5),
    Cell(384, 6, 6, 6, 1536, 16000, 16, 8, 192, ragged=0.5, accumulation=2),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 8, 256, controls=on(**PACKED)),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 12, 256, ragged=0.5, controls=on(**PACKED)),
    Cell(384, 6, 6, 6, 1536, 16000, 64, 8, 256, ragged=0.7, controls=on(**PACKED)),
    Cell(512, 6, 8, 2, 1376, 32000, 8, 8, 256, ragged=0.5, controls=on(**PACKED, **AGAIN)),
    Cell(512, 4, 8, 4, 2048, 32000, 256, 2, 384, accumulation=4),
    Cell(768, 2, 12, 4, 2048, 50257, 512, 2, 384, accumulation=2),
    Cell(512, 8, 8, 2, 1376, 32000, 16, 4, 384, controls=on(**HALF)),
    Cell(384, 8, 6, 2, 1024, 64000, 8, 8, 256, tied=False, controls=on(**HALF)),
    Cell(512, 12, 8, 2, 1376, 128256, 32, 4, 384, controls=on(**HALF, **AGAIN)),
    Cell(256, 8, 4, 2, 1024, 16000, 8, 4, 256, controls=on(lora_variant="dora")),
    Cell(512, 4, 8, 8, 1376, 16000, 16, 2, 384, controls=on(lora_variant="dora")),
    Cell(256, 8, 4, 2, 1024, 32000, 16, 8, 192, controls=on(lora_dropout=0.1)),
    Cell(384, 8, 6, 2, 1536, 32000, 16, 4, 384, controls=on(target_modules=("q_proj", "v_proj"))),
    Cell(512, 4, 8, 2, 2048, 32000, 16, 4, 384, controls=on(target_modules=("q_proj", "k_proj", "v_proj", "o_proj"))),
)
"""Trainings over width, depth, heads, vocabulary, rank, pass and form."""

BY_MLX = {"recipe": MLX_RECIPE}
MLX_CELLS = (
    Cell(256, 4, 4, 2, 1024, 32000, 16, 8, 256, controls=on(**BY_MLX)),
    Cell(512, 4, 8, 2, 1376, 16000, 16, 4, 512, controls=on(**BY_MLX)),
    Cell(256, 6, 8, 4, 1024, 4096, 8, 4, 1024, controls=on(**BY_MLX)),
    Cell(384, 4, 6, 2, 1536, 50257, 64, 6, 384, tied=False, controls=on(**BY_MLX)),
    Cell(256, 8, 4, 2, 1024, 16000, 8, 8, 256, ragged=0.5, accumulation=2, controls=on(**BY_MLX)),
    Cell(512, 6, 8, 2, 1376, 32000, 8, 8, 256, controls=on(**BY_MLX, **AGAIN)),
    Cell(256, 8, 8, 4, 1024, 4096, 8, 4, 1024, controls=on(**BY_MLX, **AGAIN)),
    Cell(256, 6, 4, 2, 1024, 16000, 16, 8, 256, controls=on(**BY_MLX, lora_variant="dora")),
    Cell(384, 4, 6, 2, 1536, 32000, 16, 8, 256, controls=on(**BY_MLX, lora_dropout=0.1)),
    Cell(256, 4, 4, 2, 1024, 32000, 8, 4, 512, controls=on(**BY_MLX, **HALF)),
)
"""Trainings in MLX, of half a GB to three: wide, long, of many words, in each form that its recipe has."""


class Result(NamedTuple):
    """One cell, predicted and measured."""

    cell: Cell
    """The training."""
    predicted: MemoryParts
    """What was predicted."""
    measured: Measurement
    """What was measured."""

    def error(self, device: str) -> float:
        """Return the error of the prediction in per cent."""
        found = _allocated(self.predicted) if device == "cuda" else self.predicted.tensors
        return 100 * (found / self.measured.tensors - 1)


def _allocated(parts: MemoryParts) -> int:
    """Return what torch's allocator is predicted to hold at most: tensors, and logits once more inside a kernel."""
    return parts.tensors + parts.logits


def taken(cell: Cell, device: str) -> Result:
    """Predict and measure one cell, in fresh processes."""
    # What MLX has begun does not outlive a fork.
    context = get_context("spawn" if device == "mlx" else "fork")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        with context.Pool(1, maxtasksperchild=1) as pool:
            pool.apply(save_model, (cell, base))
            if device == "mlx":
                measured = pool.apply(measure_mlx, (cell, base))
            else:
                measured = pool.apply(measure, (cell, base), {"device": device})
        facts = LocalHub(cache=Path(folder) / "cache").facts(str(base))
        return Result(cell, predict(cell, facts, gpu=device == "cuda"), measured)


def table(results: list[Result], device: str) -> str:
    """Return the cells as a Markdown table, in MiB."""
    parts = [name for name in MemoryParts.model_fields if name != "overhead"]
    heads = ["cell", *parts, "predicted", "measured", "error %", "resident predicted", "resident"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for each in results:
        mine = [each.predicted.model_dump()[name] for name in parts]
        found = _allocated(each.predicted) if device == "cuda" else each.predicted.tensors
        sizes = [f"{size / 2**20:.0f}" for size in (*mine, found, each.measured.tensors)]
        resident = [f"{size / 2**20:.0f}" for size in (each.predicted.total, each.measured.resident)]
        lines.append(f"| {' | '.join([each.cell.name, *sizes, f'{each.error(device):+.1f}', *resident])} |")
    return "\n".join(lines)


def verdict(results: list[Result], device: str) -> str:
    """Return median and 95th percentile of the errors against their targets."""
    counted = [each for each in results if each.measured.tensors >= SMALLEST]
    errors = sorted(abs(each.error(device)) for each in counted)
    median, high = statistics.median(errors), errors[min(len(errors) - 1, int(0.95 * len(errors)))]
    where = "CPU, live tensor bytes; `--device cuda` measures what a GPU's allocator holds"
    if device == "cuda":
        where = "GPU, torch's allocator"
    if device == "mlx":
        where = "MLX's own count, on its default device"
    return "\n".join(
        (
            f"{len(counted)} of {len(results)} cells of at least 256 MiB; {where}",
            f"median error {median:.1f} %, at most {MEDIAN:g} %: {'met' if median <= MEDIAN else 'MISSED'}",
            f"95th percentile {high:.1f} %, at most {P95:g} %: {'met' if high <= P95 else 'MISSED'}",
        )
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Predicted against measured peak memory of training.")
    parser.add_argument("--device", choices=("cpu", "cuda", "mlx"), default="cpu", help="what trains")
    parser.add_argument("--only", type=int, nargs="*", metavar="N", help="numbers of cells to take, from 1")
    options = parser.parse_args()
    cells = MLX_CELLS if options.device == "mlx" else CELLS
    if options.device != "mlx":
        _load_once()
    results = []
    chosen = [cells[number - 1] for number in options.only] if options.only else cells
    for count, cell in enumerate(chosen, start=1):
        results.append(taken(cell, options.device))
        print(
            f"\r{count}/{len(chosen)} {results[-1].error(options.device):+.1f} %", end="", file=sys.stderr, flush=True
        )
    print(file=sys.stderr)
    print(table(results, options.device), verdict(results, options.device), sep="\n\n")


def _load_once() -> None:
    """Load what every cell needs: its process is a copy of this one."""
    import torch
    import torchtune.models.llama3_2
    import transformers.models.llama

    assert torch
    assert torchtune
    assert transformers
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
