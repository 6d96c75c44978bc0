"""No key is accepted and ignored: each one is read back from what a training run left behind."""

import json
import os
import subprocess
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.adapters.sbatch_lines import read_directives
from cruijff_kit.errors import SchedulerError
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.schema.setup_keys import SETUP_KEYS
from cruijff_kit.workflow.setup_finetune import write_finetune
from tests.fakes.designed import world_at
from tests.setup_bench import PLAIN, ROWS, Bench, counted
from tests.training_runs import random_base
from tests.wandb_files import local_run

# Keys that a test below reads back from the run; filled as the tests are collected.
READ: set[str] = set()


def reads(*names: str) -> Any:
    """Mark a test as the one that reads these keys back."""

    def mark(test: Any) -> Any:
        READ.update(names)
        return test

    return mark


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("setup runs")
    base = random_base(root / "models" / "base")
    dated = random_base(root / "models" / "dated")
    config = json.loads((dated / "tokenizer_config.json").read_text(encoding="utf-8"))
    template = dated / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.is_file() else config["chat_template"]
    text = text.replace("{{ bos_token }}", "{{ bos_token }}{{ date_string }}", 1)
    if template.is_file():
        template.write_text(text, encoding="utf-8")
    else:
        (dated / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": text}), encoding="utf-8")
    assert model_sha256(dated) != model_sha256(base)
    for place, rows in (("data/words.json", ROWS), ("data/raw/few.txt", ROWS[:8]), ("other/words.json", ROWS[:4])):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(json.dumps({"train": rows, "validation": ROWS[:4]}), encoding="utf-8")
    return Bench(root, {})


@reads("my_wandb_run_name", "experiment_name", "output_dir_base", "models_dir", "model_checkpoint")
def test_name_and_directories_are_where_the_run_looked_and_wrote(bench: Bench) -> None:
    outputs = str(bench.root / "out")
    ran = bench.run(
        my_wandb_run_name="parity_run", experiment_name="bits", output_dir_base=outputs, model_checkpoint="dated"
    )
    assert (ran.code, ran.manifest.run_id) == (0, "parity_run")
    assert (bench.root / "out" / "bits" / "ck-out-parity_run" / "epoch_0" / "adapter_model.safetensors").is_file()
    assert ran.manifest.inputs["model"] == model_sha256(bench.root / "models" / "dated")
    assert ran.adapter["base_model_name_or_path"] == str(bench.root / "models" / "dated")


@reads("project_dir", "torchtune_model_name")
def test_the_later_forms_names_of_directory_and_model_are_taken(bench: Bench) -> None:
    ran = bench.run(project_dir=str(bench.root / "projects"), torchtune_model_name="dated", model_checkpoint="null")
    assert ran.adapter["base_model_name_or_path"] == str(bench.root / "models" / "dated")
    assert list((bench.root / "projects").glob("ck-out-*/epoch_0/adapter_config.json"))


@reads("input_dir_base", "input_formatting", "dataset_label", "dataset_ext")
def test_the_data_that_was_named_is_what_the_run_hashed(bench: Bench) -> None:
    inner = bench.run(input_formatting="raw", dataset_label="few", dataset_ext=".txt")
    other = bench.run(input_dir_base=str(bench.root / "other"))
    assert inner.manifest.inputs["data"] == file_sha256(bench.root / "data" / "raw" / "few.txt")
    assert other.manifest.inputs["data"] == file_sha256(bench.root / "other" / "words.json")


@reads("input_key", "output_key", "prompt", "system_prompt", "template_date", "max_seq_len", "overlong")
def test_tokens_of_a_conversation_are_those_that_each_key_asks_for(bench: Bench) -> None:
    keys = {
        "input_key": "question",
        "output_key": "answer",
        "prompt": "Say: {input}",
        "system_prompt": "Be brief.",
        "template_date": "the first of January",
        "max_seq_len": 53,
        "overlong": "truncate",
    }
    ran = bench.run(model_checkpoint="dated", **{name: str(value) for name, value in keys.items()})
    assert ran.code == 0
    seen = (ran.points[-1].tokens, ran.points[-1].supervised_tokens)
    count = partial(counted, base=bench.root / "models" / "dated")
    assert count(**keys) == seen
    for name in keys:
        if name != "overlong":
            assert count(**{key: value for key, value in keys.items() if key != name}) != seen, name
    # With the other answer to long rows the same rows are refused.
    said = {name: str(value) for name, value in keys.items()}
    assert bench.run(model_checkpoint="dated", **{**said, "overlong": "refuse"}).code == 2


@reads("template")
def test_tokens_of_a_conversation_are_those_of_the_named_template(bench: Bench) -> None:
    ran = bench.run(template="alpaca")
    seen = (ran.points[-1].tokens, ran.points[-1].supervised_tokens)
    count = partial(counted, base=bench.root / "models" / "base")
    assert count(template="alpaca") == seen != count()


@reads("dataset_type", "train_on_input")
def test_tokens_of_plain_text_are_those_that_each_key_asks_for(bench: Bench) -> None:
    ran = bench.run(dataset_type="text_completion_dataset", train_on_input="yes")
    keys = {"dataset_type": "text_completion", "train_on_input": True}
    seen = (ran.points[-1].tokens, ran.points[-1].supervised_tokens)
    count = partial(counted, base=bench.root / "models" / "base")
    assert count(**keys) == seen
    assert seen not in {count(dataset_type="text_completion"), count(train_on_input=True)}


@reads("epochs", "batch_size", "batch_size_val", "gradient_accumulation_steps", "max_steps_per_epoch")
def test_passes_and_steps_are_as_many_and_as_large_as_asked(bench: Bench) -> None:
    ran = bench.run(
        epochs="2", batch_size="2", batch_size_val="3", gradient_accumulation_steps="3", max_steps_per_epoch="2"
    )
    assert [(point.step, point.epoch) for point in ran.points] == [(1, 0), (2, 0), (3, 1), (4, 1)]
    assert [line["rows"] for line in ran.trace if line["training"]] == [2] * 12
    assert [line["rows"] for line in ran.trace if not line["training"]] == [3, 1] * 2
    plain = bench.run()
    assert [line["rows"] for line in plain.trace] == [4] * 5


@reads("training_samples")
def test_fewer_rows_are_fewer_steps(bench: Bench) -> None:
    ran = bench.run(training_samples="5")
    assert [line["rows"] for line in ran.trace if line["training"]] == [4, 1]


@reads("log_every_n_steps", "run_val_every_n_steps", "checkpoint_every_n_steps")
def test_lines_validations_and_checkpoints_come_when_due(bench: Bench) -> None:
    ran = bench.run(epochs="2", log_every_n_steps="3", run_val_every_n_steps="2", checkpoint_every_n_steps="5")
    assert [point.step for point in ran.points] == [2, 3, 4, 6, 8]
    assert [point.step for point in ran.points if point.val_loss is not None] == [2, 4, 6, 8]
    kept = [line["checkpoints"] for line in ran.trace]
    assert [names for at, names in enumerate(kept) if at == 0 or names != kept[at - 1]] == [[], ["step_5"]]


@reads("lr", "lr_scheduler", "num_warmup_steps")
def test_the_rate_of_each_step_is_the_schedules(bench: Bench) -> None:
    ran = bench.run(lr="0.02", lr_scheduler="get_linear_schedule_with_warmup", num_warmup_steps="1")
    assert [point.lr for point in ran.points] == pytest.approx([0.0, 0.02, 0.02 * 2 / 3, 0.02 / 3])
    assert [point.lr for point in bench.run().points] == pytest.approx([0.0, 5e-4, 1e-3, 5e-4])


@reads("weight_decay", "max_grad_norm", "lora_dropout", "lora_alpha", "seed", "lora_variant")
@pytest.mark.parametrize(
    "flag",
    (
        {"weight_decay": "90"},
        {"max_grad_norm": "1e-7"},
        {"lora_dropout": "0.5"},
        {"lora_alpha": "8"},
        {"lora_variant": "rslora"},
        {"seed": "2"},
    ),
    ids=lambda flag: next(iter(flag)),
)
def test_another_value_is_another_curve(flag: dict[str, str], bench: Bench) -> None:
    fast = {"lr": "0.05", "lr_scheduler": "constant"}
    plain, ran = bench.run(**fast), bench.run(**fast, **flag)
    assert max(abs(old / new - 1) for old, new in zip(plain.losses, ran.losses, strict=True)) > 1e-3
    if "seed" in flag:
        assert set(ran.manifest.seeds.values()) == {2}


@reads("lora_rank", "target_modules")
def test_the_adapter_has_the_form_that_was_asked_for(bench: Bench) -> None:
    ran = bench.run(
        lora_rank="2", lora_alpha="3", lora_dropout="0.25", lora_variant="dora", target_modules="q_proj,v_proj"
    )
    told = {key: ran.adapter[key] for key in ("r", "lora_alpha", "lora_dropout", "use_dora", "target_modules")}
    assert told == {
        "r": 2,
        "lora_alpha": 3.0,
        "lora_dropout": 0.25,
        "use_dora": True,
        "target_modules": ["q_proj", "v_proj"],
    }
    weights = load_file(ran.output / "epoch_0" / "adapter_model.safetensors")
    assert {weight.shape[0] for name, weight in weights.items() if "lora_A" in name} == {2}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in weights if ".lora_A" in name} == {"q_proj", "v_proj"}
    assert bench.run().adapter["lora_alpha"] == 128.0


@reads("packed", "dtype", "activation_checkpointing")
def test_how_it_computes_is_as_asked(bench: Bench) -> None:
    plain, ran = bench.run(), bench.run(packed="true", dtype="bf16", activation_checkpointing="true")
    assert {line["dtype"] for line in plain.trace} == {"torch.float32"}
    assert {line["dtype"] for line in ran.trace} == {"torch.bfloat16"}
    assert [line["rows"] for line in ran.trace] == [1] * 5
    # The first block is computed once a pass, and once more where nothing was kept for the backward pass.
    assert plain.trace[-1]["blocks"] == 4
    assert ran.trace[-1]["blocks"] == 8


@reads("compile")
def test_blocks_are_compiled_where_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether a compiler is at hand is the machine's affair: blocks are handed to it, and run as they are.
    monkeypatch.setattr(import_module("torch._dynamo.config"), "disable", True)
    assert {line["compiled"] for line in bench.run(compile="true").trace} == {True}
    assert {line["compiled"] for line in bench.run().trace} == {False}


@reads("epochs_to_save", "save_last_epoch_only", "keep_best")
def test_the_epochs_that_were_asked_for_are_kept(bench: Bench) -> None:
    def kept(**flags: str) -> list[str]:
        return sorted(
            path.name for path in bench.run(epochs="3", **flags).output.iterdir() if "best_step" not in path.name
        )

    assert kept(epochs_to_save="0,2") == ["best", "epoch_0", "epoch_2"]
    assert kept(save_last_epoch_only="true") == ["best", "epoch_2"]
    assert kept(epochs_to_save="none", keep_best="no") == []


@reads("save_adapter_weights_only", "stash_adapter_weights")
def test_a_merged_model_lies_where_it_was_asked_for(bench: Bench) -> None:
    beside = bench.run(save_adapter_weights_only="false").output / "epoch_0"
    stashed = bench.run(save_adapter_weights_only="false", stash_adapter_weights="true").output / "epoch_0"
    plain = bench.run().output / "epoch_0"
    adapter, model = "adapter_config.json", "model.safetensors"
    assert [(beside / adapter).is_file(), (beside / "merged" / model).is_file()] == [True, True]
    assert [(stashed / "adapter_weights" / adapter).is_file(), (stashed / model).is_file()] == [True, True]
    assert not (stashed / adapter).exists()
    assert not list(plain.rglob(model))


@reads("custom_metrics", "my_wandb_project", "strategy")
def test_what_is_measured_and_tracked_beside_the_loss_is_as_asked(bench: Bench) -> None:
    ran = bench.run(custom_metrics="label_format", my_wandb_project="bits", strategy="fsdp")
    assert set(ran.points[-1].custom) == {"p0", "p1", "p0_plus_p1"}
    tracked = local_run(ran.output).run
    assert (tracked.project, tracked.display_name) == ("bits", ran.manifest.run_id)
    assert {line["strategy"] for line in ran.trace} == {"fsdp"}
    plain = bench.run()
    assert not plain.points[-1].custom
    assert not (plain.output / "logs").exists()
    assert {line["strategy"] for line in plain.trace} == {"ddp"}


@reads("quantization", "custom_recipe")
def test_what_this_recipe_cannot_do_it_refuses_in_words(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    ran = bench.run(quantization="nf4", custom_recipe="lora_finetune_single_device_v1")
    assert ran.code == 3
    assert "4 bits" in capsys.readouterr().err
    assert (
        parse_script((ran.folder / "finetune.slurm").read_text(encoding="utf-8"))
        .command[2]
        .endswith("recipes.lora_single_device")
    )
    assert bench.run().trace


@reads("config_file", "base_recipe")
def test_a_base_recipe_and_another_file_reach_the_run(bench: Bench) -> None:
    ran = bench.run(
        config_file="other.yaml", base_recipe="llama3_2/1B_lora_single_device", seed=None, lr=None, num_warmup_steps="0"
    )
    assert set(ran.manifest.seeds.values()) == {99}
    # That recipe takes eight passes of four rows a step, at 3e-4.
    assert [(point.step, point.lr) for point in ran.points] == [(1, 3e-4)]


@reads("time", "gpus", "gpu_type", "cpus_per_task", "mem", "partition", "account", "qos", "constraint", "exclusive")
def test_what_the_job_was_asked_is_what_the_scheduler_reads(bench: Bench) -> None:
    ran = bench.run(
        time="00:20:00", cpus_per_task="2", mem="4G", partition="short", account="lab", constraint="a100", gpus="1",
        gpu_type="h100", qos="urgent", exclusive="yes",
    )  # fmt: skip
    script = (ran.folder / "finetune.slurm").read_bytes()
    read = read_directives(script, name="finetune.slurm")
    assert (read.seconds, read.gpus, read.cpus) == (1200, 1, 2)
    # The scheduler built in has one partition and counts no memory; Slurm reads these lines.
    asked = ("--mem=4G", "--partition=short", "--account=lab", "--constraint=a100", "--qos=urgent", "--exclusive")
    assert b"#SBATCH --gres=gpu:h100:1\n" in script
    assert {f"#SBATCH {line}" for line in asked} <= set(script.decode().splitlines())
    # Asked for a GPU, the recipe takes one or says that there is none.
    assert (ran.code == 0) == torch.cuda.is_available()


@reads("nodes")
def test_a_job_on_several_nodes_is_written_and_is_no_job_for_one_machine(bench: Bench, tmp_path: Path) -> None:
    world = world_at(tmp_path)._replace(hub=LocalHub(cache=bench.root / "cache"))
    flags = {"models_dir": str(bench.root / "models"), **PLAIN, "input_dir_base": str(bench.root / "data")}
    write_finetune(flags={**flags, "nodes": "2"}, world=world)
    script = (tmp_path / "finetune.slurm").read_bytes()
    assert b"#SBATCH --nodes=2\n" in script
    with pytest.raises(SchedulerError, match="asks for `2` nodes"):
        read_directives(script, name="finetune.slurm")


@reads("venv", "modules", "conda_env")
@pytest.mark.parametrize("kind", ("venv", "conda_env"))
def test_the_job_runs_in_the_environment_that_was_named(kind: str, bench: Bench, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text('#!/bin/bash\necho "$LOADED $OMP_NUM_THREADS $*"\n', encoding="utf-8")
    python.chmod(0o755)
    (environment / "bin" / "activate").write_text(f'PATH="{python.parent}:$PATH"\n', encoding="utf-8")
    (environment / "etc" / "profile.d").mkdir(parents=True)
    profile = f'conda() {{ [ "$1 $2" = "activate {environment}" ] && PATH="{python.parent}:$PATH"; }}\n'
    (environment / "etc" / "profile.d" / "conda.sh").write_text(profile, encoding="utf-8")
    # What a cluster's login shell brings along: `module`, and a `conda` that knows its base.
    login = tmp_path / "login.sh"
    text = f'module() {{ export LOADED="${{*:2}}"; }}\nconda() {{ echo "{environment}"; }}\n'
    login.write_text(text, encoding="utf-8")
    folder = tmp_path / "run"
    folder.mkdir()
    world = world_at(folder)._replace(hub=LocalHub(cache=bench.root / "cache"))
    flags = {"models_dir": str(bench.root / "models"), **PLAIN, "input_dir_base": str(bench.root / "data")}
    named = {kind: str(environment), "modules": "cuda,anaconda3/2025.6", "cpus_per_task": "3"}
    write_finetune(flags={**flags, **named}, world=world)
    done = subprocess.run(
        ["bash", "finetune.slurm"],
        cwd=folder,
        env={**os.environ, "BASH_ENV": str(login)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"cuda anaconda3/2025.6 3 -m tests.probe_recipe --config {folder}/finetune.yaml --resume\n"


def test_no_key_is_left_out_of_this_test() -> None:
    assert set(SETUP_KEYS) == READ
