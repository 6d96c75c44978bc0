"""How fast a LoRA training is and how much memory it takes, beside torchtune's stock recipe and TRL's trainer.

All train the same random model on the same token ids with the same labels, effective batch, adapted layers, optimiser,
schedule and clipping, without any copy of the code of one in another. Every figure comes from a process of its own;
the systems of one round run in turn, so that whatever else the machine does meets all alike. Tokens are those of the
rows, prompts included and padding excluded; time runs from the end of the first epoch to the end of the last, on
a CPU in seconds of the one processor used, so that what others do there is not in it. Peak
memory is what the process has resident, imports included; live bytes are those of the tensors alone, the model's own
among them, from an epoch that is not timed.

Targets: at least 1.0 x the fastest peer and at most 1.0 x the least memory; on ragged rows, which we pack, 1.5 x.

    python benchmarks/training.py [--model tiny|middle|1b] [--rounds 3] [--device cuda]
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from trained.job import IGNORE, SIZES, Job, Size

Figures = dict[str, dict[str, list[float]]]
"""Every figure of each system: `speed` in tokens a second, `peak` and `live` in bytes."""

OURS = "ours.py"
SYSTEMS = {
    "ours, torchtune": OURS,
    "ours, peft": OURS,
    "torchtune stock": "torchtune_stock.py",
    "TRL SFTTrainer": "trl_sft.py",
}
"""What is measured, and the script beside this one that trains it."""

PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16 peaks of GPUs, by a part of their name."""


def prepare(folder: Path, size: Size, *, dtype: torch.dtype) -> None:
    """Save a random model and both data sets."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config: dict[str, Any] = {**size.form, "tie_word_embeddings": True, "max_position_embeddings": 8192}
    model: Any = LlamaForCausalLM(LlamaConfig(**config))
    model.to(dtype).save_pretrained(folder / "model")
    draw = random.Random(0)
    count = size.batch * size.steps
    lengths = {
        "short": [draw.randint(40, 48) for _ in range(count)],
        "ragged": [min(512, max(16, round(draw.lognormvariate(math.log(90), 0.8)))) for _ in range(count)],
    }
    for name, each in lengths.items():
        rows = [row(length, draw, vocabulary=size.form["vocab_size"]) for length in each]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def row(length: int, draw: random.Random, *, vocabulary: int) -> dict[str, list[int]]:
    """Return random ids of which the last third is taught."""
    ids = [draw.randrange(vocabulary) for _ in range(length)]
    prompt = 2 * length // 3
    return {"input_ids": ids, "labels": [IGNORE] * prompt + ids[prompt:]}


def measure(job: Job) -> dict[str, float]:
    """Run a job in a fresh process and return what it printed last."""
    script = Path(__file__).parent / "trained" / SYSTEMS[job.system]
    command = [sys.executable, str(script), json.dumps(job)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_MODE": "disabled"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"`{job.system}` failed\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, options: argparse.Namespace, *, shape: str) -> Figures:
    """Measure every system in turn, once for live bytes and then for some rounds."""
    found: Figures = {name: {"speed": [], "peak": [], "live": []} for name in SYSTEMS}
    # A GPU counts its own bytes, so that no round is needed for them.
    for turn in range(int(options.device == "cuda"), options.rounds + 1):
        for name in list(SYSTEMS)[:: 1 if turn % 2 else -1]:
            epochs = options.epochs + 1 if turn else 1
            job = Job(name, str(folder), shape, options.model, epochs, options.device, live=turn == 0)
            for key, value in measure(job).items():
                found[name][key].append(value)
            print(f"\r{shape}: round {turn}/{options.rounds}, {name:20}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def table(found: Figures, *, shape: str, flops: float) -> str:
    """Return medians as a Markdown table, ours held against the best of the others."""
    medians = {
        name: {key: statistics.median(values or [math.nan]) for key, values in each.items()}
        for name, each in found.items()
    }
    others = [name for name, script in SYSTEMS.items() if script != OURS]
    fastest = max(medians[name]["speed"] for name in others)
    least = {key: min(medians[name][key] for name in others) for key in ("peak", "live")}
    padded, goal = medians["TRL SFTTrainer"]["speed"], 1.5 if shape == "ragged" else 1.0
    heads = ("tokens/s", "range", "x fastest peer", "x TRL", "peak MB", "x least", "live MB", "x least", "MFU")
    lines = [f"| {shape} rows | {' | '.join(heads)} | target |", f"| --- |{' ---: |' * len(heads)} --- |"]
    for name, each in medians.items():
        # To two decimals: a page more or less of a process is nobody's doing.
        met = each["speed"] >= goal * fastest and round(each["peak"] / least["peak"], 2) <= 1
        figures = (
            f"{each['speed']:,.0f}",
            f"{min(found[name]['speed']):,.0f}-{max(found[name]['speed']):,.0f}",
            f"{each['speed'] / fastest:.2f}",
            f"{each['speed'] / padded:.2f}",
            *(f"{each[key] / 1e6:,.1f} | {each[key] / least[key]:.2f}" for key in ("peak", "live")),
            f"{each['speed'] * flops:.1%}" if flops else "",
        )
        verdict = "" if name in others else f"at least {goal} x, at most 1 x: {'met' if met else 'MISSED'}"
        lines.append(f"| {name} | {' | '.join(figures)} | {verdict} |")
    return "\n".join(lines)


def share_of_peak(size: Size, rows: Sequence[dict[str, list[int]]]) -> float:
    """Return the part of this GPU's bf16 peak that one token a second takes; 0 where its peak is unknown.

    Frozen weights are multiplied forward and for the gradient of their input: 4 operations a weight and token, the
    output layer at supervised tokens only. Causal attention takes 6 a layer, token, width and token of its row.
    """
    name = torch.cuda.get_device_name()
    peak = next((flops for part, flops in PEAK_FLOPS.items() if part in name), math.inf)
    width, inner, layers = (size.form[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    tokens = sum(len(each["labels"]) for each in rows)
    supervised = sum(label != IGNORE for each in rows for label in each["labels"]) / tokens
    length = sum(len(each["labels"]) ** 2 for each in rows) / tokens
    linear = layers * (3 * width * width + 3 * width * inner) + supervised * width * size.form["vocab_size"]
    return (4 * linear + 6 * layers * width * length) / peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast training is, and how much memory it takes.")
    parser.add_argument("--model", choices=SIZES, default=None, help="size of the random model")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes a figure")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are timed")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    parser.add_argument("--shape", choices=("short", "ragged"), help="one data shape; both where absent")
    options = parser.parse_args()
    cuda = options.device == "cuda"
    options.model = options.model or ("1b" if cuda else "tiny")
    size = SIZES[options.model]
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), size, dtype=torch.bfloat16 if cuda else torch.float32)
        for shape in [options.shape] if options.shape else ["short", "ragged"]:
            rows = json.loads(Path(name, f"{shape}.json").read_text(encoding="utf-8"))
            found = compare(Path(name), options, shape=shape)
            print(f"{options.model} model, {len(rows)} rows an epoch\n")
            print(table(found, shape=shape, flops=share_of_peak(size, rows) if cuda else 0) + "\n", flush=True)


if __name__ == "__main__":
    main()
