"""How long from the command to the first step and to the finished adapter, beside TRL's command and mlx_lm.lora.

Each system trains the demo's base model on the same 800 conversations for one epoch of single rows, rank 8, every
linear layer adapted, no dropout, by the command that its user would type. The clock starts with the command. The first
step counts when its loss is on record or on the screen, the adapter when its file has its last size and the
command, or in ours its `DONE`, vouches for it. What ours does beyond that, two samples and a report, is shown apart.
Rounds run the systems in turn, so that whatever else the machine does meets all alike.

MLX lives in an environment of its own: `--mlx` names its directory, which holds this package and mlx-lm
(`make mlx`). Without it the torch half is measured alone. Where TRL is not installed beside this package, `--trl`
names another environment, or `new` makes one in a temporary folder.

Target: to first step and to adapter at most 1.1 x the faster peer of the same backend.

    python benchmarks/quick.py [--rounds 3] [--mlx DIR] [--trl DIR|new]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.data.bundled import bundled_path

RATE, RANK, EPOCHS = "1e-3", "8", "1"
GOAL = 1.1
_LOOK = 0.02
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Timing(NamedTuple):
    """Seconds since the command was typed."""

    step: float
    """Until the first step was done."""
    adapter: float
    """Until the adapter was finished."""
    end: float
    """Until the command ended."""


class System(NamedTuple):
    """One command that trains."""

    name: str
    """What it is called."""
    backend: str
    """Library that computes."""
    ours: bool
    """Whether it is this package."""
    command: Callable[[Path], Sequence[str]]
    """Folder of a round to program and arguments."""
    started: Callable[[Path, str], bool]
    """Folder and what was printed so far to whether a step is done."""
    finished: Callable[[Path], bool]
    """Folder to whether the adapter is written."""


def main() -> None:
    """Measure every system in turn and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--mlx", type=Path, help="environment with this package and mlx-lm")
    parser.add_argument("--trl", default="", help="environment with TRL, or `new`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ck-quick-") as folder:
        root = Path(folder)
        base = LocalHub().make_tiny().path
        data = prepare(root / "data")
        found = systems(base, data, trl=trl_at(options.trl, root / "trl"), mlx=options.mlx)
        timings: dict[str, list[Timing]] = {each.name: [] for each in found}
        for turn in range(options.rounds):
            for each in found[:: 1 if turn % 2 == 0 else -1]:
                place = root / f"{turn}-{len(timings[each.name])}-{each.name.replace(' ', '_')}"
                place.mkdir()
                timings[each.name].append(measure(each, place))
                print(f"round {turn + 1}/{options.rounds}: {each.name} {timings[each.name][-1]}", file=sys.stderr)
        print(table(found, timings))


def prepare(folder: Path) -> Path:
    """Write the rows as each system wants them: one file of splits, and a folder of split files."""
    splits = json.loads(bundled_path("capitalization").read_text(encoding="utf-8"))
    (folder / "split").mkdir(parents=True)
    for name, split in (("train", "train"), ("valid", "validation")):
        lines = "".join(f"{json.dumps({'messages': row['messages']})}\n" for row in splits[split])
        (folder / "split" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    kept = {split: splits[split] for split in ("train", "validation")}
    (folder / "rows.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def trl_at(named: str, folder: Path) -> Path:
    """Return the directory of TRL's programs, its environment made first where that is asked for."""
    if named != "new":
        return Path(named, "bin") if named else Path(sys.executable).parent
    venv.create(folder, with_pip=True)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "trl>=1.9,<2", "peft>=0.18", "torch>=2.9"]
    subprocess.run([str(each) for each in install], check=True)
    return folder / "bin"


def systems(base: str, data: Path, *, trl: Path, mlx: Path | None) -> list[System]:
    """Return what is measured: each backend's peer and ours."""
    rows = len((data / "split" / "train.jsonl").read_text(encoding="utf-8").splitlines())
    found = [
        _ours("ours, torch", base, data=data, python=Path(sys.executable), backend="torch"),
        System(
            "TRL CLI",
            "torch",
            False,
            lambda place: _trl(trl, base, data=data, place=place),
            _printed(r"'loss'"),
            lambda place: (place / "out" / "adapter_model.safetensors").is_file(),
        ),
    ]
    if mlx is not None:
        python = mlx / "bin" / "python"
        found.append(_ours("ours, mlx", base, data=data, python=python, backend="mlx"))
        found.append(
            System(
                "mlx_lm.lora",
                "mlx",
                False,
                lambda place: _mlx(python, base, data=data, place=place, rows=rows),
                _printed(r"^\s*\d+\s+\d+\.\d+|Train loss"),
                lambda place: (place / "out" / "adapters.safetensors").is_file(),
            )
        )
    return found


def _ours(name: str, base: str, *, data: Path, python: Path, backend: str) -> System:
    def command(place: Path) -> list[str]:
        words = ["--template", "model", "--epochs", EPOCHS, "--lr", RATE, "--lora-rank", RANK, "--tier", "green"]
        start = [str(python), "-m", "cruijff_kit.cli.main", "-C", str(place), "train", "quick", base]
        return [*start, str(data / "rows.json"), *words, "--backend", backend, "--no-evaluate", "--cpus", "1"]

    return System(
        name,
        backend,
        True,
        command,
        lambda place, _: any(path.stat().st_size for path in place.glob("quick_output/runs/*/metrics.jsonl")),
        lambda place: any(place.glob("quick_output/runs/*/DONE")),
    )


def _trl(programs: Path, base: str, *, data: Path, place: Path) -> list[str]:
    lora = ["--use_peft", "--lora_r", RANK, "--lora_alpha", "16", "--lora_dropout", "0"]
    lora += ["--lora_target_modules", "all-linear"]
    steps = ["--num_train_epochs", EPOCHS, "--per_device_train_batch_size", "1", "--gradient_accumulation_steps", "1"]
    steps += ["--learning_rate", RATE, "--warmup_steps", "80", "--logging_steps", "1", "--save_strategy", "no"]
    where = ["--output_dir", str(place / "out"), "--report_to", "none", "--use_cpu", "true", "--bf16", "false"]
    memory = ["--gradient_checkpointing", "false"]
    start = [str(programs / "trl"), "sft", "--model_name_or_path", base, "--dataset_name", str(data / "split")]
    return [*start, *lora, *steps, *where, *memory]


def _mlx(python: Path, base: str, *, data: Path, place: Path, rows: int) -> list[str]:
    config = place / "lora.yaml"
    config.write_text(f"lora_parameters: {{rank: {RANK}, scale: 2.0, dropout: 0.0}}\n", encoding="utf-8")
    words = ["--train", "--mask-prompt", "--num-layers", "-1", "--batch-size", "1", "--iters", str(rows)]
    words += ["--learning-rate", RATE, "--steps-per-report", "1", "--steps-per-eval", str(rows), "--val-batches", "25"]
    places = ["--adapter-path", str(place / "out"), "-c", str(config)]
    start = [str(python), "-m", "mlx_lm", "lora", "--model", base, "--data", str(data / "split")]
    return [*start, *words, *places]


def _printed(pattern: str) -> Callable[[Path, str], bool]:
    """Return whether a line that tells a loss was printed, colours aside."""
    return lambda _, text: re.search(pattern, _COLOUR.sub("", text), re.MULTILINE) is not None


def measure(system: System, place: Path) -> Timing:
    """Run a command and time it; what it prints goes to a file, which is looked at as it grows."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    environment |= {"HF_HUB_OFFLINE": "1", "CRUIJFF_STATE_DIR": str(place / "state")}
    output = place / "printed"
    begun, step, adapter = time.monotonic(), 0.0, 0.0
    with (
        output.open("wb") as file,
        subprocess.Popen(system.command(place), stdout=file, stderr=subprocess.STDOUT, env=environment) as child,
    ):
        while child.poll() is None:
            now = time.monotonic() - begun
            if not step and system.started(place, output.read_text(encoding="utf-8", errors="replace")):
                step = now
            # A peer's file is whole once its process ends; ours is vouched for before that.
            if system.ours and step and not adapter and system.finished(place):
                adapter = now
            time.sleep(_LOOK)
    end = time.monotonic() - begun
    if child.returncode or not step or not system.finished(place):
        raise SystemExit(f"`{system.name}` failed\n{output.read_text(encoding='utf-8', errors='replace')[-3000:]}")
    return Timing(step, adapter or end, end)


def table(found: Sequence[System], timings: dict[str, list[Timing]]) -> str:
    """Return medians as a Markdown table, ours held against the peer of the same backend."""
    medians = {name: Timing(*map(statistics.median, zip(*each, strict=True))) for name, each in timings.items()}
    lines = ["| command | to first step, s | x | to adapter, s | x | to its end, s | target |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for each in found:
        own = medians[each.name]
        peer = next(medians[other.name] for other in found if other.backend == each.backend and not other.ours)
        ratios = own.step / peer.step, own.adapter / peer.adapter
        verdict = f"at most {GOAL} x: {'met' if max(ratios) <= GOAL else 'MISSED'}" if each.ours else ""
        figures = f"{own.step:.1f} | {ratios[0]:.2f} | {own.adapter:.1f} | {ratios[1]:.2f} | {own.end:.1f}"
        lines.append(f"| {each.name} | {figures} | {verdict} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
