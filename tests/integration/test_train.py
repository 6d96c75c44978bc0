"""`ck train` for real: a small model learns, every flag reaches its run, Ctrl-C loses nothing."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.cli.train_flags import TrainCommand
from cruijff_kit.cli.train_watch import bar_line, follow
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import RunError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.train_keys import TRAIN_KEYS
from cruijff_kit.workflow import collect_results, grow_design, read_status, recorded_plan, verify_audit
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.submit import submit_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler
from tests.training_runs import capital_rows, metric_points, random_base

pytest_plugins = ["tests.tiny_base"]


def ck(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project), *arguments])


def world_of(project: Path, name: str = "quick_output") -> World:
    return open_world(project / name, root=project, kind="human", name="ada", client=None)


def trained(project: Path, name: str) -> tuple[str, Path]:
    """Return the run of an experiment that trains, and its directory."""
    run = next(each.id for each in recorded_plan(world=world_of(project, name))[0].runs if each.type == "fine-tuned")
    return run, project / name / RunLayout(run).folder


def weights(project: Path, name: str, folder: str) -> dict[str, Any]:
    run, _ = trained(project, name)
    return load_file(project / name / "outputs" / RunLayout(run).output / folder / "adapter_model.safetensors")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return random_base(tmp_path / "base")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in capital_rows()), encoding="utf-8")
    return path


def test_a_small_model_learns_unseen_words_and_leaves_a_whole_experiment(tiny_base: Path, tmp_path: Path) -> None:
    asked = ("capitalization", "--template", "model", "--epochs", "2", "--lr", "1e-3", "--cpus", "1")
    done = ck(tmp_path, "train", "quick", str(tiny_base), *asked)
    assert done.exit_code == 0, done.output
    world = world_of(tmp_path)
    accuracy = {row.type: row.value for row in collect_results(world=world).rows if row.metric == "match"}
    assert accuracy["control"] == 0
    assert (accuracy["fine-tuned"] or 0) >= 0.9
    # What training changes begins at zero.
    changed = {
        name: tensor for name, tensor in weights(tmp_path, "quick_output", "epoch_1").items() if "lora_B" in name
    }
    assert changed
    assert all(tensor.abs().max() > 0 for tensor in changed.values())
    _tells_what_changed(done.output, tmp_path)
    assert verify_audit(world=world).ok
    run, folder = trained(tmp_path, "quick_output")
    for path in ("run.yaml", "finetune.yaml", "finetune.slurm", "metrics.jsonl", "DONE", "manifest.json"):
        assert (folder / path).is_file(), path
    for path in ("summary.md", "report/index.html", "design.lock.json", "logs/audit.jsonl", "results.parquet"):
        assert (tmp_path / "quick_output" / path).is_file(), path
    _is_not_trained_twice(tmp_path, str(tiny_base), *asked)
    _grows(run, world=world, target=world_of(tmp_path, "grown"))


def _tells_what_changed(output: str, project: Path) -> None:
    answers = re.findall(r"before  (\S+)\n  after   (\S+)\n  wanted  (\S+)", output)
    assert len(answers) == 3
    assert all(before == wanted.lower() for before, _, wanted in answers)
    assert any(after == wanted for _, after, wanted in answers)
    adapter = re.search(r"adapter  (.*)", output)
    assert adapter is not None
    assert Path(adapter[1], "adapter_config.json").is_file()
    assert f"ck chat --adapter {adapter[1]}" in output
    assert "design from-run" in output


def _is_not_trained_twice(project: Path, base: str, *asked: str) -> None:
    before = len(list(project.rglob("intent.json")))
    again = ck(project, "train", "quick", base, *asked)
    assert again.exit_code == 0
    assert "wanted" in again.output
    assert len(list(project.rglob("intent.json"))) == before
    other = json.loads(ck(project, "train", "quick", base, *asked, "--seed", "1", "--dry-run", "--json").stdout)
    assert other["output"].endswith("quick_output-2")


def _grows(run: str, *, world: World, target: World) -> None:
    levels = {"lora_rank": (4, 8), "lr": (1e-4,)}
    grown = grow_design(run, levels=levels, seeds=(7,), reason="more of it", worlds=(world, target))
    assert grown.same is not None
    assert grown.same.rpartition("-")[2] == run.rpartition("-")[2]
    # Two ranks, the run's own rate beside the other, two seeds, and the base model.
    assert len(grown.runs) == 2 * 2 * 2 + 1
    assert scaffold_runs(world=target).runs == grown.runs


FLAGS: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "template": (("-t", "chatml"), "dataset.template", "chatml"),
    "format": (("--format", "prompt"), "", None),
    "system_prompt": (("--system-prompt", "Be brief."), "dataset.system_prompt", "Be brief."),
    "max_seq_len": (("--max-seq-len", "96"), "dataset.max_seq_len", 96),
    "overlong": (("--overlong", "truncate"), "dataset.overlong", "truncate"),
    "val_split": (("--val-split", "0.25"), "", None),
    "training_samples": (("--training-samples", "11"), "training_samples", 11),
    "train_on_input": (("--train-on-input",), "dataset.train_on_input", True),
    "lora_rank": (("-r", "2"), "model.lora_rank", 2),
    "lora_alpha": (("-a", "3"), "model.lora_alpha", 3.0),
    "lora_dropout": (("--lora-dropout", "0.25"), "model.lora_dropout", 0.25),
    "lora_variant": (("--lora-variant", "rslora"), "model.variant", "rslora"),
    "target_modules": (("--target-modules", "q_proj,v_proj"), "model.target_modules", ["q_proj", "v_proj"]),
    "quantization": (("--quantization", "none"), "model.quantization", "none"),
    "epochs": (("-e", "2"), "epochs", 2),
    "batch_size": (("-b", "3"), "batch_size", 3),
    "batch_size_val": (("--batch-size-val", "2"), "batch_size_val", 2),
    "gradient_accumulation_steps": (("--gradient-accumulation-steps", "2"), "gradient_accumulation_steps", 2),
    "lr": (("--lr", "0.02"), "optimizer.lr", 0.02),
    "lr_scheduler": (("--lr-scheduler", "cosine"), "lr_scheduler.name", "cosine"),
    "num_warmup_steps": (("--num-warmup-steps", "1"), "lr_scheduler.num_warmup_steps", 1),
    "weight_decay": (("--weight-decay", "0.5"), "optimizer.weight_decay", 0.5),
    "max_grad_norm": (("--max-grad-norm", "2"), "clip_grad_norm", 2.0),
    "seed": (("--seed", "7"), "seed", 7),
    "activation_checkpointing": (("--activation-checkpointing",), "enable_activation_checkpointing", True),
    "dtype": (("--dtype", "bf16"), "dtype", "bf16"),
    "log_every_n_steps": (("--log-every-n-steps", "2"), "log_every_n_steps", 2),
    "run_val_every_n_steps": (("--run-val-every-n-steps", "1"), "run_val_every_n_steps", 1),
    "checkpoint_every_n_steps": (("--checkpoint-every-n-steps", "1"), "checkpoint_every_n_steps", 1),
    "max_steps_per_epoch": (("--max-steps-per-epoch", "2"), "max_steps_per_epoch", 2),
    "epochs_to_save": (("--epochs-to-save", "1"), "epochs_to_save", [1]),
    "keep_best": (("--no-keep-best",), "keep_best", False),
    "backend": (("--backend", "torchtune"), "", None),
    "tier": (("--tier", "red"), "", None),
    "evaluate": (("--no-evaluate",), "", None),
    "cpus": (("--cpus", "2"), "", None),
    "gpus": (("--gpus", "0"), "device", "cpu"),
}
"""Key to its flag, its place in `finetune.yaml`, and what it says there; those without a place are read elsewhere."""


def test_every_flag_is_read_back_from_the_files_of_a_finished_run(base: Path, rows: Path, tmp_path: Path) -> None:
    assert set(FLAGS) == set(TRAIN_KEYS)
    words = [word for flag, _, _ in FLAGS.values() for word in flag]
    done = ck(tmp_path, "train", "start", str(base), "--data", str(rows), "-o", "told", *words)
    assert done.exit_code == 0, done.output
    _, folder = trained(tmp_path, "told")
    config = load_yaml((folder / "finetune.yaml").read_text(encoding="utf-8"), name="finetune.yaml").value
    assert {name: _at(config, place) for name, (_, place, _) in FLAGS.items() if place} == {
        name: said for name, (_, place, said) in FLAGS.items() if place
    }
    script = (folder / "finetune.slurm").read_text(encoding="utf-8")
    assert "cruijff_kit.recipes.lora_single_device" in script
    assert "--cpus-per-task=2" in script
    plan, _ = recorded_plan(world=world_of(tmp_path, "told"))
    assert (plan.tier, plan.datasets[0].splits) == ("red", {"train": 12, "validation": 4})
    assert "no sample shown" in done.output
    points = metric_points(folder / "finetune.yaml")
    assert [point.step for point in points if point.loss is not None][-1] == 4
    adapter = json.loads(
        (tmp_path / "told" / "outputs" / f"ck-out-{folder.name}" / "epoch_1" / "adapter_config.json").read_text()
    )
    assert (adapter["r"], adapter["lora_alpha"], adapter["use_rslora"]) == (2, 3.0, True)
    assert sorted(adapter["target_modules"]) == ["q_proj", "v_proj"]


def _at(value: Any, place: str) -> Any:
    for key in place.split("."):
        value = value[key]
    return list(value) if isinstance(value, tuple) else value


def test_a_file_named_by_its_place_or_by_a_flag_is_the_same_training(base: Path, rows: Path, tmp_path: Path) -> None:
    by_place, by_flag, by_both = (
        ck(tmp_path, "train", "quick", str(base), *words, "--dry-run", "--json").stdout
        for words in ((str(rows),), ("--data", str(rows)), (str(rows), "--data", str(rows)))
    )
    assert by_place == by_flag == by_both
    assert json.loads(by_place)["splits"] == {"train": 14, "validation": 2}
    differing = ck(tmp_path, "train", "quick", str(base), str(rows), "--data", "other.jsonl")
    assert differing.exit_code == 1
    assert "named twice" in differing.stderr


def test_a_dry_run_shows_every_value_with_its_source_and_writes_nothing(base: Path, rows: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = ck(tmp_path, "train", "start", str(base), str(rows), "-r", "16", "-p", "chat", "--dry-run")
    assert shown.exit_code == 0
    assert re.search(r"lora_rank +16 +← flag", shown.output)
    assert re.search(r"template +chatml +← profile chat", shown.output)
    assert re.search(r"seed +42 +← default", shown.output)
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_ends_with_130_and_resuming_gives_what_no_interruption_would_have(
    tiny_base: Path, tmp_path: Path
) -> None:
    asked = ("capitalization", "--template", "model", "--epochs", "2", "--training-samples", "400", "--lr", "1e-3")
    words = (
        "train",
        "quick",
        str(tiny_base),
        *asked,
        "--cpus",
        "1",
        "--no-evaluate",
        "--checkpoint-every-n-steps",
        "50",
    )
    command = [sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(tmp_path), *words, "-o", "stopped"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8") as child:
        assert child.stderr is not None
        seen = next(line for line in child.stderr if line.startswith("training "))
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130, seen + rest
    assert "`--resume` goes on" in rest
    refused = ck(tmp_path, *words, "-o", "stopped")
    assert (refused.exit_code, "--resume" in refused.stderr) == (1, True)
    resumed = ck(tmp_path, *words, "-o", "stopped", "--resume")
    assert resumed.exit_code == 0, resumed.output
    whole = ck(tmp_path, *words, "-o", "whole")
    assert whole.exit_code == 0, whole.output
    first, second = (weights(tmp_path, name, "epoch_1") for name in ("stopped", "whole"))
    assert all(first[name].equal(second[name]) for name in second)
    actions = [record.action for record in world_of(tmp_path, "stopped").audit.records()]
    assert Action.CANCEL in actions
    assert Action.RETRY in actions


def test_ctrl_c_before_or_after_a_training_claims_nothing_of_what_was_begun() -> None:
    def pressed() -> None:
        raise KeyboardInterrupt

    found = CliRunner().invoke(TrainCommand("quick", callback=pressed), [])
    assert (found.exit_code, found.stderr) == (130, "\ninterrupted; the same command goes on with whatever was begun\n")


def test_there_is_nothing_to_resume_where_nothing_was_begun(base: Path, rows: Path, tmp_path: Path) -> None:
    found = ck(tmp_path, "train", "start", str(base), str(rows), "--resume", "-o", "none")
    assert (found.exit_code, "no training to resume" in found.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


def test_a_directory_that_holds_another_training_is_not_touched(base: Path, rows: Path, tmp_path: Path) -> None:
    put_design(tmp_path / "taken", design())
    before = (tmp_path / "taken" / "experiment_summary.md").read_bytes()
    found = ck(tmp_path, "train", "start", str(base), str(rows), "-o", "taken")
    assert found.exit_code == 1
    assert "holds another training" in found.stderr
    assert (tmp_path / "taken" / "experiment_summary.md").read_bytes() == before


def test_paths_are_those_that_were_typed_in_an_experiment_s_own_directory_too(base: Path, tmp_path: Path) -> None:
    put_design(tmp_path / "own", design())
    (tmp_path / "own" / "rows.jsonl").write_text(json.dumps(capital_rows()[0]) + "\n", encoding="utf-8")
    words = ("train", "quick", "../base", "rows.jsonl", "--val-split", "0", "--dry-run", "--json")
    template = ("--template", "so " * 1000 + "{input} {output}")
    shown = json.loads(ck(tmp_path / "own", *words, *template, "-o", ".").output)
    assert (shown["data_path"], shown["output"]) == (str(tmp_path / "own" / "rows.jsonl"), str(tmp_path / "own"))
    assert json.loads(ck(tmp_path / "own", *words).output)["output"] == str(tmp_path / "quick_output")


@pytest.mark.parametrize("columns,cells", ((0, 28), (200, 28), (50, 20), (30, 0)))
def test_figures_of_a_training_are_whole_however_narrow_the_terminal(columns: int, cells: int) -> None:
    line = bar_line("training", "150/200  loss 0.213", share=0.5, columns=columns)
    assert line.startswith("training ")
    assert line.endswith("150/200  loss 0.213")
    assert (line.count("█") + line.count("·"), line.count("█")) == (cells, cells // 2)
    assert len(line) < (columns or 80)


@pytest.mark.parametrize(
    "words",
    (
        ("quick", "nowhere", "rows.jsonl"),
        ("quick", "base", "gone.jsonl"),
        ("quick", "base", "rows.jsonl", "--backend", "mlx"),
        ("quick", "base", "rows.jsonl", "--lr", "fast"),
        ("quick", "base", "rows.jsonl", "--no-such-flag"),
        ("start", "base", "rows.jsonl", "-c", "gone.yml"),
        ("start",),
        ("validate", "gone.yml"),
        ("nothing",),
        ("profiles", "show", "gone"),
    ),
)
def test_whatever_cannot_be_begun_ends_with_1_in_words(
    words: tuple[str, ...], base: Path, rows: Path, tmp_path: Path
) -> None:
    found = ck(tmp_path, "train", *words)
    assert found.exit_code == 1
    assert "rror: " in found.stderr
    assert "Traceback" not in found.output
    assert not (tmp_path / "quick_output").exists()


def test_a_job_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    root = tmp_path / "parity"
    alone = {"factors": {}, "runs": [{"name": "tuned"}], "controls": {"seeds": [1]}, "evaluation": {}}
    put_design(root, design(**alone, tools={"evaluation": "none"}))
    scheduler = FakeScheduler()
    world = world_at(root)._replace(scheduler=scheduler)
    receipt = scaffold_runs(world=world)
    (job,) = submit_jobs(receipt.plan_id, world=world).jobs
    (root / RunLayout(job.run_id).job_output(job.job_id)).write_text("error: it went wrong\n", encoding="utf-8")
    scheduler.start(job.job_id)
    scheduler.finish(job.job_id, 5)
    with pytest.raises(RunError, match="it went wrong") as caught:
        follow(job.run_id, world=world)
    assert "--resume" in caught.value.hint


def test_on_a_cluster_s_machine_a_training_runs_here_all_the_same(base: Path, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("scheduler: slurm\npartition: gpu\n", encoding="utf-8")
    words = ("--template", "model", "--tier", "green", "-e", "1", "--cpus", "1", "--prompt", "mango")
    done = ck(tmp_path, "train", "quick", str(base), str(rows), *words)
    assert done.exit_code == 0, done.output
    assert "prompt  mango" in done.output
    # Later looks find the same queue by the experiment's own record.
    assert all(entry.phase.value == "completed" for entry in read_status(world=world_of(tmp_path)).steps)
    shown = ck(tmp_path / "quick_output", "status")
    assert "completed" in shown.output
