"""Weights & Biases: an offline run that tells what `metrics.jsonl` tells, whatever became of the job."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cruijff_kit.runtime.train_config import load_train_config
from tests.training_runs import metric_points, write_run
from tests.wandb_files import LocalRun, local_run

RECIPE = "cruijff_kit.recipes.lora_single_device"
SETTINGS = {"epochs": 2, "epochs_to_save": [1], "batch_size": 2, "custom_metrics": "label_format:A,B"}


def start(config: Path, **environment: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", RECIPE, "--config", str(config), "--resume"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(arguments, env=variables, stderr=subprocess.PIPE, text=True)


def tracked(config: Path) -> LocalRun:
    return local_run(Path(load_train_config(config).output_dir))


def test_a_run_of_a_project_is_kept_on_disk_with_all_that_the_metrics_tell(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, wandb_project="words", **SETTINGS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        # What a person has set for other work must neither send anything nor move the files.
        own = {"WANDB_MODE": "online", "WANDB_DIR": str(tmp_path / "elsewhere"), "WANDB_API_KEY": "0" * 40}
        host, port = server.getsockname()
        assert start(config, WANDB_BASE_URL=f"http://{host}:{port}", **own).wait() == 0
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not (tmp_path / "elsewhere").exists()
    found, points = tracked(config), metric_points(config)
    assert (found.run.project, found.run.run_id, found.run.display_name) == (
        "words",
        config.parent.name,
        config.parent.name,
    )
    assert (found.run.run_group, list(found.run.tags)) == (tmp_path.name, [tmp_path.name, "tiny"])
    assert found.config["optimizer"] == {"lr": 1e-3, "weight_decay": 0.01}
    assert found.exit_code == 0
    assert [line["_step"] for line in found.history] == [point.step for point in points] == list(range(1, 17))
    for line, point in zip(found.history, points, strict=True):
        told = {**point.model_dump(exclude_none=True, exclude={"step", "custom"}), **point.custom}
        assert {name: line[name] for name in told} == pytest.approx(told)
    assert {"pA", "pB", "pA_plus_pB"} <= set(found.history[0])


def test_a_killed_run_that_is_resumed_tells_each_step_once(base: Path, tmp_path: Path) -> None:
    config = write_run(
        tmp_path,
        base,
        wandb_project="words",
        wandb_run_name="mine",
        checkpoint_every_n_steps=3,
        **{**SETTINGS, "epochs": 8},
    )
    metrics, process = config.parent / "metrics.jsonl", start(config)
    while process.poll() is None and not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= 8):
        pass
    process.kill()
    process.wait()
    assert start(config).wait() == 0
    found = tracked(config)
    assert (found.run.run_id, found.run.display_name) == (config.parent.name, "mine")
    assert [line["_step"] for line in found.history] == list(range(1, 65))
    assert [line["loss"] for line in found.history] == pytest.approx([point.loss for point in metric_points(config)])
    assert len(list((Path(load_train_config(config).output_dir) / "logs" / "wandb").glob("offline-run-*"))) == 1


def test_a_run_that_fails_is_finished_as_failed(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, wandb_project="words", optimizer={"lr": 1e30}, clip_grad_norm=None, epochs=8)
    assert start(config).wait() == 5
    assert tracked(config).exit_code == 1


def test_a_run_without_a_project_keeps_nothing(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base)
    assert start(config).wait() == 0
    assert not (Path(load_train_config(config).output_dir) / "logs").exists()


def test_a_project_without_the_extra_is_refused_before_training(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cruijff_kit.recipes.lora_single_device import main

    config = write_run(tmp_path, base, wandb_project="words")
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert main(["--config", str(config)]) == 3
    assert "cruijff-kit[tracking]" in capsys.readouterr().err
    assert not (config.parent / "metrics.jsonl").exists()
