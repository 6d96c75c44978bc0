"""How many samples a second are evaluated, beside inspect-ai's own local provider and lm-evaluation-harness.

All read the same prompts as the same token ids (checked), on the demo's tiny model in 32 bits, in batches of 64, with
one thread. *Generation* is greedy, 16 tokens at most. *Options* scores four labels of several tokens each:

- ours, through inspect-ai: every label's log-probability, with and without a leading blank, and the token the
  model would say; logs with ids and log-probabilities are written, as in every evaluation;
- inspect-ai's provider `hf`, through inspect-ai set up like ours: it cannot score labels, so it generates one
  token and keeps its 20 most likely candidates, which tells less than was asked;
- lm-evaluation-harness by its Python interface: `generate_until`, and `multiple_choice`, which scores every label as a
  row of its own, in one spelling, and writes no log.

Two shapes of prompt: `short`, a sentence alone, and `few-shot`, the same sentence behind 16 examples that all prompts
share. Model loading, imports and a first evaluation of eight samples are not timed. Every figure comes from a process
of its own; the systems of one round run in turn. Seconds are those of the processor, since others may use this
machine; so what a system waits for is not in them (`hf` polls once a second). Samples a second of the clock on the
wall stand beside.

Target: at least 2 x the faster of the others, on generation and on options.

    python benchmarks/evaluation.py [--rounds 3] [--shape short|few-shot] [--task generation|options] [--samples 256]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from evaluated.job import Job

Figures = dict[str, list[dict[str, Any]]]
"""What every process of each system measured."""

OURS = "ours, inspect-ai"
SYSTEMS = {OURS: "ours.py", "inspect-ai `hf`": "inspect_hf.py", "lm-evaluation-harness": "lm_eval_harness.py"}
"""What is measured, and the script beside this one that evaluates."""

GOAL = 2.0


def measure(job: Job) -> dict[str, Any]:
    """Run a job in a fresh process and return its figures."""
    script = Path(__file__).parent / "evaluated" / SYSTEMS[job.system]
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    environment = {**os.environ, **dict.fromkeys(names, "1"), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "figures.json")
        command = [sys.executable, "-W", "ignore", str(script), json.dumps(job), str(told)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"`{job.system}` failed\n{done.stderr[-4000:]}")
        return json.loads(told.read_text(encoding="utf-8"))


def compare(model: str, options: argparse.Namespace, *, shape: str, task: str) -> Figures:
    """Measure every system in turn, for some rounds, and prove that all read the same ids."""
    found: Figures = {name: [] for name in SYSTEMS}
    for turn in range(options.rounds):
        for name in list(SYSTEMS)[:: 1 if turn % 2 else -1]:
            found[name].append(measure(Job(name, model, shape, task, options.samples)))
            print(
                f"\r{shape}, {task}: round {turn + 1}/{options.rounds}, {name:24}", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    if len({tuple(each["ids"]) for runs in found.values() for each in runs}) > 1:
        raise RuntimeError("the systems read different prompts, so their figures cannot be compared")
    return found


def table(found: Figures, *, title: str) -> str:
    """Return medians as a Markdown table, ours held against the best of the others."""
    medians = {
        name: {key: statistics.median(each[key] for each in runs) for key in ("processor", "wall", "peak")}
        for name, runs in found.items()
    }
    fastest = max(each["processor"] for name, each in medians.items() if name != OURS)
    heads = ("samples/s of the processor", "range", "x faster peer", "samples/s of the clock", "peak MB")
    lines = [f"| {title} | {' | '.join(heads)} | target |", f"| --- |{' ---: |' * len(heads)} --- |"]
    for name, each in medians.items():
        speeds = [run["processor"] for run in found[name]]
        figures = (
            f"{each['processor']:,.0f}",
            f"{min(speeds):,.0f}-{max(speeds):,.0f}",
            f"{each['processor'] / fastest:.2f}",
            f"{each['wall']:,.0f}",
            f"{each['peak'] / 1e6:,.0f}",
        )
        met = "met" if each["processor"] >= GOAL * fastest else "MISSED"
        lines.append(f"| {name} | {' | '.join(figures)} | {f'at least {GOAL} x: {met}' if name == OURS else ''} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    from cruijff_kit.adapters.model_hub import LocalHub

    parser = argparse.ArgumentParser(description="How many samples a second are evaluated.")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes a figure")
    parser.add_argument("--samples", type=int, default=256, help="samples an evaluation")
    parser.add_argument("--shape", choices=("few-shot", "short"), help="one shape of prompt; both where absent")
    parser.add_argument("--task", choices=("generation", "options"), help="one task; both where absent")
    options = parser.parse_args()
    model = LocalHub().make_tiny().path
    shapes = [options.shape] if options.shape else ["few-shot", "short"]
    tasks = [options.task] if options.task else ["generation", "options"]
    for shape, task in product(shapes, tasks):
        found = compare(model, options, shape=shape, task=task)
        print(table(found, title=f"{shape}, {task}, {options.samples} samples") + "\n", flush=True)


if __name__ == "__main__":
    main()
