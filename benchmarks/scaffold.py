"""How long a grid of runs takes to scaffold, beside Hydra's multirun of the same grid.

Ours: one call of the verb on a design of n fine-tuned runs (two factors, seeds), every run with its
configurations, scripts and evaluation, all files flushed to the disk before the seal is renamed into place, and
the audit log appended. Hydra's: `--multirun` with its basic launcher over the same grid, a job that does nothing,
its own configuration and log files a job, nothing flushed. Each round is a fresh process and a fresh directory;
the time is that of the whole process, interpreter and imports included.

    python benchmarks/scaffold.py [--rounds 5] [--hydra 100] [--large]

Hydra takes seconds per hundred points, so by default it is measured on 100 and its 1,000 are stated as ten times
that; `--hydra 1000` measures them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RANKS, RATES = (4, 16), (3e-4, 1e-3)
MODEL = {
    "path": "/models/tiny",
    "architecture": "LlamaForCausalLM",
    "parameters": 329_344,
    "bytes": 1_317_376,
    "sha256": "a" * 64,
    "hidden_size": 128,
    "layers": 2,
    "vocab_size": 262,
    "max_positions": 131_072,
    "has_chat_template": True,
    "modified": "2026-01-01",
}
"""Facts of the base model; its weights are never read, so none are needed."""

OURS = """
import json, sys, time
from pathlib import Path
from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.clock import SystemClock
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Actor
from cruijff_kit.schema.site import ModelFacts, Site
from cruijff_kit.workflow.scaffold import scaffold_runs

class Models:
    def facts(self, path):
        return ModelFacts.model_validate_json(sys.argv[2])

root, clock = Path(sys.argv[1]), SystemClock()
store, audit, actor = DiskRunStore(root), DiskAuditLog(root, clock=clock), Actor(kind="human", name="benchmark")
world = World(store=store, audit=audit, scheduler=None, clock=clock, hub=Models(),
              adapters=None, evaluations=None, site=Site(), actor=actor)
start = time.perf_counter()
receipt = scaffold_runs(world=world)
print(json.dumps({"verb": time.perf_counter() - start, "runs": len(receipt.runs), "files": len(receipt.changes)}))
"""

HYDRA = """
import hydra
from omegaconf import DictConfig

@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config: DictConfig) -> None:
    pass

main()
"""


class Figure(NamedTuple):
    """What one round took."""

    whole: float
    """Seconds of the whole process."""
    verb: float
    """Seconds of the verb alone; the same for Hydra, which has no such part."""
    told: str
    """What was made."""


def design(count: int) -> str:
    """Return the summary of a design with this many fine-tuned runs and one control."""
    seeds = list(range(1, count // (len(RANKS) * len(RATES)) + 1))
    spec = {
        "name": "grid",
        "question": "How long does it take?",
        "created": "2026-11-20",
        "models": [{"name": "tiny", "path": MODEL["path"]}],
        "data": {"training": {"generator": "capitalization"}, "tier": "green"},
        "factors": {"lora_rank": RANKS, "lr": RATES},
        "runs": [{"name": "base", "type": "control"}],
        "controls": {"seeds": seeds},
        "evaluation": {"tasks": [{"name": "capitalization", "task": "capitalization"}]},
    }
    # JSON is YAML, and needs no library here.
    return f"---\n{json.dumps(spec)}\n---\n"


def ours(count: int) -> Figure:
    """Scaffold a grid in a fresh process and directory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "grid"
        root.mkdir()
        (root / "experiment_summary.md").write_text(design(count), encoding="utf-8")
        environment = {**os.environ, "CRUIJFF_STATE_DIR": f"{folder}/state", "PYTHONPATH": str(ROOT)}
        start = time.perf_counter()
        done = run([sys.executable, "-c", OURS, str(root), json.dumps(MODEL)], folder, environment=environment)
        whole = time.perf_counter() - start
    told = json.loads(done)
    return Figure(whole, told["verb"], f"{told['runs']} runs, {told['files']} files")


def hydra(count: int) -> Figure:
    """Run Hydra's multirun of the same grid with a job that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "config.yaml").write_text("lora_rank: 4\nlr: 0.1\nseed: 1\n", encoding="utf-8")
        (home / "job.py").write_text(HYDRA, encoding="utf-8")
        axes = {"lora_rank": RANKS, "lr": RATES, "seed": range(1, count // (len(RANKS) * len(RATES)) + 1)}
        overrides = [f"{name}={','.join(map(str, levels))}" for name, levels in axes.items()]
        start = time.perf_counter()
        run([sys.executable, "job.py", "--multirun", *overrides], folder, environment=dict(os.environ))
        whole = time.perf_counter() - start
        files = sum(path.is_file() for path in (home / "multirun").rglob("*"))
    return Figure(whole, whole, f"{count} jobs, {files} files")


def run(command: list[str], folder: str, *, environment: dict[str, str]) -> str:
    """Return the output of a child process; its errors are shown where it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"`{command[0]}` failed\n{done.stderr}")
    return done.stdout


def measure(rounds: int, tools: dict[str, Callable[[], Figure]]) -> dict[str, list[Figure]]:
    """Measure each tool in turn for some rounds, after one of ours that warms the file cache."""
    ours(4)
    figures: dict[str, list[Figure]] = {name: [] for name in tools}
    for turn in range(rounds):
        for name, tool in tools.items():
            print(f"\rround {turn + 1}/{rounds}: {name:40}", end="", file=sys.stderr, flush=True)
            figures[name].append(tool())
    print(f"\r{'':60}\r", end="", file=sys.stderr)
    return figures


def table(figures: dict[str, list[Figure]], limits: dict[str, float]) -> str:
    """Return medians and ranges as a Markdown table."""
    rows = []
    for name, found in figures.items():
        verb, whole = (statistics.median(column) for column in list(zip(*found, strict=True))[1::-1])
        spread = f"{min(each.whole for each in found):.2f}-{max(each.whole for each in found):.2f}"
        limit = limits.get(name)
        verdict = f"at most {limit:g} s: {'met' if verb <= limit else 'MISSED'}" if limit else ""
        rows.append(f"| {name} | {found[0].told} | {verb:.2f} | {whole:.2f} | {spread} | {verdict} |")
    head = "| what | made | verb s | process s | range | target for the verb |\n| --- | --- | ---: | ---: | --- | --- |"
    return "\n".join([head, *rows])


def compared(figures: dict[str, list[Figure]], points: int) -> str:
    """Return the ratio of Hydra's 1,000 points to ours, saying what was measured."""
    theirs = statistics.median(each.whole for each in figures[f"Hydra, {points:,} points"])
    mine = statistics.median(each.whole for each in figures["cruijff-kit, 1,000 runs"])
    how = "measured" if points == 1000 else f"{1000 // points} x its {points} points"
    return f"Hydra takes {theirs * 1000 / points / mine:.0f} x as long for 1,000 points ({how}; whole processes)."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long scaffolding a grid takes.")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes a figure")
    parser.add_argument("--hydra", type=int, default=100, choices=(100, 1000), help="points that Hydra is measured on")
    parser.add_argument("--large", action="store_true", help="scaffold 10,000 runs as well, once a round")
    options = parser.parse_args()
    tools = {
        "cruijff-kit, 1,000 runs": lambda: ours(1000),
        f"Hydra, {options.hydra:,} points": lambda: hydra(options.hydra),
    }
    if options.large:
        tools["cruijff-kit, 10,000 runs"] = lambda: ours(10_000)
    figures = measure(options.rounds, tools)
    print(table(figures, {"cruijff-kit, 1,000 runs": 2.0, "cruijff-kit, 10,000 runs": 20.0}))
    print(f"\n{compared(figures, options.hydra)}")


if __name__ == "__main__":
    main()
