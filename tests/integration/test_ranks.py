"""Two processes of one training do what one does: the same curve, the same adapter, killed or not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cruijff_kit.adapters.processes import children, family, send_signal
from cruijff_kit.recipes import lora_single_device, peft_lora
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.job import JobState
from cruijff_kit.schema.run import JobStatus, Manifest
from tests.local_bench import LocalBench, local_bench, until
from tests.training_runs import capital_rows, metric_points, write_run

RECIPE = "cruijff_kit.recipes.lora_distributed"
# Thirteen rows in steps of six: the last step of an epoch leaves one process without a row.
ROWS = {"train": capital_rows(13), "validation": capital_rows(5)}
SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "epochs_to_save": [0, 1],
    "batch_size": 3,
    "batch_size_val": 2,
    "gradient_accumulation_steps": 2,
    "run_val_every_n_steps": 2,
}
# What each of thirteen words is answered by, and a way out of them.
WATCHED: dict[str, Any] = {
    "options": [*(row["output"] for row in ROWS["train"]), "None"],
    "loss": "gambler",
    "loss_options": {"payoff": 3.0, "abstain": "None"},
    "calibration_monitor": {"enabled": True, "adjust_lr": True, "adjustment_threshold": 0.0, "draws": 50, "bins": 2},
}
WAYS: dict[str, dict[str, Any]] = {
    "ddp": {"strategy": "ddp"},
    "fsdp": {"strategy": "fsdp"},
    "fsdp, packed, recomputed": {"strategy": "fsdp", "packed": True, "enable_activation_checkpointing": True},
    "ddp, bf16": {"strategy": "ddp", "dtype": "bf16"},
    "fsdp, bf16": {"strategy": "fsdp", "dtype": "bf16"},
    "peft, ddp": {"strategy": "ddp"},
    "peft, fsdp, packed, watched": {"strategy": "fsdp", "packed": True, **WATCHED},
    "peft, fsdp, packed, recomputed": {"strategy": "fsdp", "packed": True, "enable_activation_checkpointing": True},
}
LONG: dict[str, Any] = {
    **SETTINGS,
    "epochs": 12,
    "epochs_to_save": [11],
    "strategy": "fsdp",
    "checkpoint_every_n_steps": 2,
    "model": {"lora_dropout": 0.1},
}


def start(*program: str) -> subprocess.Popen[str]:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, *launcher, *program], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def runs(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train every way in two processes, and what is killed elsewhere undisturbed; one start for all."""
    root = tmp_path_factory.mktemp("runs")
    settings = {**{way: SETTINGS | changes for way, changes in WAYS.items()}, "long": LONG}
    configs = {way: write_run(root / way, base, splits=ROWS, **each) for way, each in settings.items()}
    process = start("-m", "tests.many_runs", *map(str, configs.values()))
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return configs


def adapter(config: Path, folder: str) -> dict[str, torch.Tensor]:
    return load_file(Path(load_train_config(config).output_dir) / folder / "adapter_model.safetensors")


def steps(config: Path) -> int:
    metrics = config.parent / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0


def assert_same(config: Path, other: Path, *, within: float) -> None:
    points, expected = metric_points(config), metric_points(other)
    assert [point.step for point in points] == [point.step for point in expected]
    for point, whole in zip(points, expected, strict=True):
        assert point.loss == pytest.approx(whole.loss, rel=within)
        assert point.grad_norm == pytest.approx(whole.grad_norm, rel=10 * within)
        assert (point.val_loss is None) == (whole.val_loss is None)
        assert (point.val_loss or 0) == pytest.approx(whole.val_loss or 0, rel=within)
        assert (point.ece is None) == (whole.ece is None) == ("watched" not in str(config) or point.val_loss is None)
        for name in ("ece", "ece_debiased_low", "brier_high", "set_size", "abstention_rate", "lr_scale"):
            assert getattr(point, name) == pytest.approx(getattr(whole, name), abs=1e-4)
        assert (point.tokens, point.supervised_tokens, point.lr) == (whole.tokens, whole.supervised_tokens, whole.lr)


@pytest.mark.parametrize("way", WAYS)
def test_two_processes_train_as_one_does(way: str, base: Path, runs: dict[str, Path], tmp_path: Path) -> None:
    half = WAYS[way].get("dtype") == "bf16"
    alone = write_run(tmp_path, base, splits=ROWS, **SETTINGS | WAYS[way])
    recipe = peft_lora if "peft" in way else lora_single_device
    assert recipe.main(["--config", str(alone)]) == 0
    assert_same(runs[way], alone, within=1e-3 if half else 1e-5)
    for folder in ("epoch_0", "epoch_1", "best"):
        within = 5e-3 if half else 2e-6
        torch.testing.assert_close(adapter(runs[way], folder), adapter(alone, folder), atol=within, rtol=1e-4)
    outputs = [Path(load_train_config(config).output_dir) for config in (runs[way], alone)]
    assert names(outputs[0]) == names(outputs[1])
    manifest = Manifest.model_validate_json((runs[way].parent / "manifest.json").read_bytes())
    assert manifest.processes == 2
    if "peft" not in way:
        share = float((runs[way].parent / "share.txt").read_text(encoding="utf-8"))
        assert share == pytest.approx(0.5 if "fsdp" in way else 1.0, abs=0.01)


def names(output: Path) -> set[str]:
    return {path.relative_to(output).as_posix() for path in output.rglob("*")}


@pytest.mark.soak
def test_two_processes_killed_at_once_resume_to_the_same_curve(
    base: Path, runs: dict[str, Path], tmp_path: Path
) -> None:
    config = write_run(tmp_path, base, splits=ROWS, **LONG)
    process = start("-m", RECIPE, "--config", str(config), "--resume")
    until(lambda: steps(config) >= 7 or process.poll() is not None, "the seventh step")
    workers = family(process.pid).keys() - {process.pid}
    process.kill()
    process.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and _runs(pid) for pid in workers), "the workers' end")
    assert 7 <= steps(config) < 36
    again = start("-m", RECIPE, "--config", str(config), "--resume")
    _, told = again.communicate(timeout=120)
    assert again.returncode == 0, told
    assert "training from step" in told
    # Dropout is drawn in each process by itself, and goes on where it stood.
    assert_same(config, runs["long"], within=1e-6)
    torch.testing.assert_close(adapter(config, "epoch_11"), adapter(runs["long"], "epoch_11"), atol=1e-6, rtol=1e-6)


def _runs(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/cmdline").read_bytes())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    with local_bench(tmp_path) as opened:
        yield opened


def test_a_notice_reaches_every_process_and_the_job_is_queued_again(
    base: Path, runs: dict[str, Path], bench: LocalBench, tmp_path: Path
) -> None:
    settings = {**LONG, "checkpoint_every_n_steps": 1000}
    config = write_run(tmp_path, base, splits=ROWS, **settings)
    command = (sys.executable, "-m", RECIPE, "--config", str(config), "--resume")
    job = JobScript("two", str(config.parent), "00:10:00", 2, command, processes=2, notice=60)
    script = config.parent / "train.slurm"
    script.write_text(render_script(job), encoding="utf-8")
    job_id = bench.submit_script(script)
    until(lambda: steps(config) >= 4, "the fourth step")
    send_signal(signal.SIGUSR1, to=children(bench.leader(job_id)))
    output = config.parent / f"slurm-{job_id}.out"
    for words in ("turn 2", "training from step", "step 36/36"):
        until(lambda words=words: words in output.read_text(encoding="utf-8"), words)
    (report,) = bench.ended(job_id)
    said = output.read_text(encoding="utf-8")
    assert (report.state, report.exit_code) == (JobState.SUCCEEDED, 0), said
    assert said.index("asks to be queued again") < said.index("turn 2") < said.index("training from step")
    assert JobStatus.model_validate_json((config.parent / "status.json").read_bytes()).state == "done"
    assert_same(config, runs["long"], within=1e-6)
