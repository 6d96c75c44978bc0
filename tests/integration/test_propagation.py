"""No field is lost: each one of a design, changed, is seen in a file that somebody reads."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.ports import World
from cruijff_kit.schema.data import TrainingData
from cruijff_kit.schema.evaluation import EvalTask, Evaluation, Generation
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.policy import DesignPolicy, DesignRule, Ending
from cruijff_kit.schema.site import Environment, Partition, Site
from cruijff_kit.schema.spec import (
    Analysis,
    Controls,
    EvalResources,
    ExperimentSpec,
    ModelRef,
    Output,
    Pilot,
    Resources,
    RunSpec,
    Tools,
)
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import model_facts

BASE: dict[str, Any] = {
    **DESIGN,
    "factors": {},
    "runs": [{"name": "tuned"}, {"name": "base", "type": "control"}],
    "controls": {"seeds": [1], "epochs": 2},
    "models": [{"name": "tiny", "path": "/models/tiny"}],
}
TRAIN, EVAL, RUN, SCRIPT, EVAL_SCRIPT = "finetune.yaml", "eval.yaml", "run.yaml", "finetune.slurm", "inspect.slurm"

CONTROLS = {
    "seeds": ([2], TRAIN),
    "recipe": ("tests.e2e.quick_recipe", SCRIPT),
    "dataset_type": ("text_completion", EVAL),
    "prompt": ("Q: {input}", EVAL),
    "system_prompt": ("Be brief.", EVAL),
    "template": ("alpaca", EVAL),
    "template_date": ("1 Jan 2026", EVAL),
    "epochs": (3, TRAIN),
    "batch_size": (8, TRAIN),
    "batch_size_val": (2, TRAIN),
    "gradient_accumulation_steps": (2, TRAIN),
    "lr": (0.5, TRAIN),
    "lr_scheduler": ("linear", TRAIN),
    "num_warmup_steps": (3, TRAIN),
    "weight_decay": (0.5, TRAIN),
    "max_grad_norm": (2.0, TRAIN),
    "lora_rank": (2, TRAIN),
    "lora_alpha": (2.0, TRAIN),
    "lora_dropout": (0.5, TRAIN),
    "train_on_input": (True, TRAIN),
    "max_seq_len": (64, EVAL),
    "overlong": ("truncate", EVAL),
    "max_steps_per_epoch": (2, TRAIN),
    "training_samples": (9, TRAIN),
    "dtype": ("bf16", EVAL),
    "log_every_n_steps": (2, TRAIN),
    "run_val_every_n_steps": (2, TRAIN),
    "epochs_to_save": ("last", TRAIN),
    "lora_variant": ("dora", TRAIN),
    "target_modules": (["q_proj"], TRAIN),
    "quantization": ("nf4", TRAIN),
    "packed": (True, TRAIN),
    "activation_checkpointing": (True, TRAIN),
    "compile": (True, TRAIN),
    "strategy": ("fsdp", TRAIN),
    "keep_best": (False, TRAIN),
    "save_adapter_weights_only": (False, TRAIN),
    "stash_adapter_weights": (True, TRAIN),
    "checkpoint_every_n_steps": (7, TRAIN),
    "custom_metrics": ("label_format", TRAIN),
    "loss": ("focal", TRAIN),
    "greater_is_better": (True, TRAIN),
    "early_stopping_patience": (2, TRAIN),
}
# What is told to a loss or to the monitor, with what reads it.
TOLD_TO = {"loss": "harm_weighted", "options": ["0", "1"], "harm_weights": {"1": 2.0}}
WATCHED = {"options": ["0", "1"], "calibration_monitor": {"enabled": True}}
TOLD_TO_LOSSES = {
    "options": (WATCHED, ["0", "1", "none"]),
    "loss_options": (TOLD_TO, {"cost_weight": 0.5}),
    "harm_weights": (TOLD_TO, {"1": 3.0}),
    "critical_errors": (TOLD_TO, [{"true": "1", "predicted": "0", "weight": 9.0}]),
    "calibration_monitor": (WATCHED, {"enabled": True, "adjust_lr": True}),
    "metric_for_best_model": (WATCHED, "ece"),
}
RESOURCES = {
    "time": ("00:10:00", SCRIPT),
    "eval_time": ("00:10:00", EVAL_SCRIPT),
    "gpus": (1, SCRIPT),
    "cpus": (3, SCRIPT),
    "mem": ("8G", SCRIPT),
    "partition": ("gpu", SCRIPT),
    "account": ("lab", SCRIPT),
    "constraint": ("a100", SCRIPT),
    "qos": ("urgent", SCRIPT),
    "nodes": (2, SCRIPT),
    "exclusive": (True, SCRIPT),
}
EVAL_RESOURCES = {
    "gpus": (0, EVAL_SCRIPT),
    "gpu_type": ("a100", EVAL_SCRIPT),
    "cpus": (3, EVAL_SCRIPT),
    "mem": ("8G", EVAL_SCRIPT),
    "partition": ("cpu", EVAL_SCRIPT),
    "account": ("lab", EVAL_SCRIPT),
    "qos": ("urgent", EVAL_SCRIPT),
    "constraint": ("a100", EVAL_SCRIPT),
    "exclusive": (True, EVAL_SCRIPT),
}
RULE = {"reaction": ("stop", "plan.json"), "retries": (1, "plan.json"), "wait": (3.0, "plan.json")}
POLICY = {
    **{ending.value: ({"retries": 1}, "plan.json") for ending in Ending if ending is not Ending.ORPHANED},
    "max_retries": (1, "plan.json"),
    "max_gpu_hours": (1.0, "plan.json"),
}
OUTPUT = {"output_dir_base": ("/scratch", TRAIN), "wandb_project": ("words", TRAIN)}
GENERATION = {
    "temperature": (0.0, EVAL),
    "seed": (3, EVAL),
    "max_tokens": (3, EVAL),
    "batch_size": (3, EVAL),
    "max_connections": (3, EVAL),
    "top_logprobs": (3, EVAL),
}
SAMPLED = {"do_sample": True, "temperature": 0.7, "top_p": 0.9}
TASK = {
    "name": ("other", EVAL),
    "task": ("mine.py@words", EVAL),
    "split": ("validation", EVAL),
    "dataset": ("other.json", EVAL),
    "scorers": (["includes"], EVAL),
    "options": (["no", "yes"], EVAL),
    "ignore_case": (True, EVAL),
    "threshold": (0.7, EVAL),
    "costs": ({"no": {"yes": 1.0}, "yes": {"no": 5.0}}, EVAL),
    "abstain_cost": (0.5, EVAL),
    "samples": (3, EVAL),
}
EVALUATION = {
    "epochs": ("all", EVAL_SCRIPT),
    "matrix": ([{"run": "tuned", "tasks": ["bits"], "epochs": [0]}], EVAL),
}
TRAINING = {
    "arguments": ({"bit_length": 6, "N": 44, "val_size": 8, "test_size": 8}, TRAIN),
    "input_key": ("question", EVAL),
    "output_key": ("answer", EVAL),
}
MODEL = {"name": ("llama", TRAIN), "path": ("/models/other", TRAIN), "revision": ("abc", RUN)}
NAMED = {"model": ("tiny", "plan.json"), "parameters": ({"lr": 0.5}, TRAIN), "seeds": ([5], TRAIN)}
TOOLS = {"evaluation": ("none", "plan.json")}

# What a design says of itself, or to the report: the plan, the summary or `report` carries it.
TOLD = {
    ExperimentSpec: {
        "schema_version", "name", "type", "question", "hypothesis", "created", "tools", "models", "data", "design",
        "factors", "runs", "controls", "evaluation", "analysis", "resources", "output", "policy",
    },
    Analysis: {"primary_metric", "primary_task", "comparisons", "alpha", "power", "pilot", "claims"},
    Pilot: {"accuracy", "discordance", "icc", "cluster_size", "seed_sd"},
    Evaluation: {"tasks", "generation"},
    # `columns` belongs to a file, and has a test of its own below.
    TrainingData: {"path", "generator", "format", "splits", "columns"},
    # What lies behind an API has tests of its own, against a server.
    ModelRef: {"sha256", "trust_remote_code", "api", "base_url"},
    # Which runs there are, and what they are called: the tests of the grid.
    RunSpec: {"name", "type"},
    Output: {"naming"},
    Tools: {"preparation"},
    # A kind of GPU needs a GPU, and a mail is asked for at submission: tests of their own below and of submission.
    Resources: {"gpu_type", "notify", "evaluation"},
}  # fmt: skip


GPUS = Partition(name="gpu", account="shared", qos="urgent")


def cases() -> list[tuple[str, dict[str, Any], str]]:
    found = []
    for section, fields in (("controls", CONTROLS), ("resources", RESOURCES), ("output", OUTPUT), ("tools", TOOLS)):
        for name, (value, file) in fields.items():
            found.append((f"{section}.{name}", {section: {**BASE.get(section, {}), name: value}}, file))
    tasks, task = {"tasks": [dict(BASE["evaluation"]["tasks"][0])]}, dict(BASE["evaluation"]["tasks"][0])
    for name, (value, file) in EVALUATION.items():
        found.append((f"evaluation.{name}", {"evaluation": {**tasks, name: value}}, file))
    for name, (value, file) in GENERATION.items():
        found.append((f"generation.{name}", {"evaluation": {**tasks, "generation": {name: value}}}, file))
    sampled = {"evaluation": {**tasks, "generation": SAMPLED}}
    found.append(("generation.do_sample", sampled, EVAL))
    found.append(("generation.top_p", {"evaluation": {**tasks, "generation": {**SAMPLED, "top_p": 0.5}}}, EVAL))
    optioned = {"tasks": [{**task, "options": ["no", "yes"]}], "generation": {"dropout_passes": 3}}
    dropping = {"evaluation": optioned, "controls": {**BASE["controls"], "lora_dropout": 0.1}}
    found.append(("generation.dropout_passes", dropping, EVAL))
    for name, (value, file) in TASK.items():
        changed = {**task, **({"options": ["no", "yes"]} if name == "costs" else {}), name: value}
        found.append((f"task.{name}", {"evaluation": {"tasks": [changed]}}, file))
    for name, (value, file) in TRAINING.items():
        found.append((f"data.{name}", {"data": {"training": {**BASE["data"]["training"], name: value}}}, file))
    for name, (value, file) in MODEL.items():
        found.append((f"model.{name}", {"models": [{**BASE["models"][0], name: value}]}, file))
    for name, (value, file) in NAMED.items():
        found.append((f"run.{name}", {"runs": [{**BASE["runs"][0], name: value}, BASE["runs"][1]]}, file))
    found.append(("analysis.groups", {"analysis": {"groups": ["length"]}}, EVAL))
    found.append(("analysis.audit", {"analysis": {"audit": {"groups": ["length"]}}}, EVAL))
    found.append(("analysis.cluster", {"analysis": {"cluster": "length"}}, EVAL))
    return [*found, *job_cases()]


def job_cases() -> list[tuple[str, dict[str, Any], str]]:
    own = {name: {"gpus": 1, "evaluation": {name: value}} for name, (value, _) in EVAL_RESOURCES.items()}
    apart = [(f"resources.evaluation.{name}", {"resources": asked}, EVAL_SCRIPT) for name, asked in own.items()]
    budgets = [(f"policy.{name}", {"policy": {name: value}}, file) for name, (value, file) in POLICY.items()]
    rules = [(f"policy.lost.{name}", {"policy": {"lost": {name: value}}}, file) for name, (value, file) in RULE.items()]
    return [*apart, *budgets, *rules]


@pytest.fixture
def world(tmp_path: Any) -> World:
    root = tmp_path / "parity"
    root.mkdir()
    rows = '{"train": [{"input": "0", "output": "1"}], "test": [{"input": "1", "output": "0"}]}'
    (root / "other.json").write_text(rows, encoding="utf-8")
    return world_at(root, model_facts(), model_facts("/models/other"))


def written(spec: ExperimentSpec, world: World) -> dict[str, str]:
    """Return the text of each kind of file of the trained run, ids and paths of the run taken out."""
    put_design(world.store.root, spec)
    receipt = scaffold_runs(dry_run=True, world=world)
    run = receipt.runs[0]
    found: dict[str, str] = {}
    for change in receipt.changes:
        name = change.path.rpartition("/")[2]
        if change.path.startswith(RunLayout(run).folder) or name == "plan.json":
            found[name] = found.get(name, "") + change.content.replace(run, "RUN")
    return found


@pytest.mark.parametrize("name,changes,file", cases(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_changed_field_changes_the_file_that_carries_it(
    name: str, changes: Mapping[str, Any], file: str, world: World
) -> None:
    # A GPU that the evaluation does without needs one that it would have had.
    base = {**BASE, "resources": {"gpus": 1}} if name.startswith("resources.evaluation") else BASE
    before, after = written(design(**base), world), written(design(**{**base, **changes}), world)
    if file == EVAL_SCRIPT and "resources.evaluation" in name:
        assert before[SCRIPT] == after[SCRIPT]
    assert before[file] != after.get(file), name


@pytest.mark.parametrize("name", TOLD_TO_LOSSES)
def test_what_a_loss_or_the_monitor_is_told_reaches_the_training_and_its_record(name: str, world: World) -> None:
    ground, value = TOLD_TO_LOSSES[name]
    texts = [
        written(design(**{**BASE, "controls": {**BASE.get("controls", {}), **told}}), world)
        for told in (ground, {**ground, name: value})
    ]
    assert texts[0][TRAIN] != texts[1][TRAIN]
    found = load_yaml(texts[1][TRAIN], name=TRAIN).value[name]
    assert found == ({**found, **value} if isinstance(value, dict) else value)
    assert texts[0][RUN] != texts[1][RUN]


@pytest.mark.parametrize(
    "noun,fields",
    (
        (Controls, {**CONTROLS, **TOLD_TO_LOSSES}),
        (Resources, RESOURCES),
        (EvalResources, EVAL_RESOURCES),
        (DesignPolicy, POLICY),
        (DesignRule, RULE),
        (Output, OUTPUT),
        (Generation, {**GENERATION, **SAMPLED, "dropout_passes": ()}),
        (EvalTask, TASK),
        (Evaluation, EVALUATION),
        (TrainingData, TRAINING),
        (ModelRef, MODEL),
        (RunSpec, NAMED),
        (Tools, TOOLS),
        (Analysis, {"groups": (), "cluster": (), "audit": ()}),
        (ExperimentSpec, {}),
    ),
)
def test_no_field_is_left_out_of_this_test(noun: type[BaseModel], fields: Mapping[str, Any]) -> None:
    assert set(noun.model_fields) == set(fields) | TOLD.get(noun, set())


def test_renamed_columns_change_run_and_evaluation_and_their_ids(world: World) -> None:
    def files(columns: Mapping[str, str]) -> dict[str, str]:
        training = {"path": "other.json", "columns": columns}
        return written(design(**{**BASE, "data": {"training": training, "tier": "green"}}), world)

    before, after = files({}), files({"output": "input", "input": "output"})
    for file in (TRAIN, EVAL):
        found = [load_yaml(text[file], name=file).value["dataset"]["columns"] for text in (before, after)]
        assert found == [[], [["input", "output"], ["output", "input"]]]
    ids = [json.loads(text["plan.json"].replace("RUN", "x"))["runs"][1]["id"] for text in (before, after)]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "site,file,words",
    (
        (Site(partition="gpu"), SCRIPT, "--partition=gpu"),
        (Site(account="lab"), EVAL_SCRIPT, "--account=lab"),
        (Site(output_dir_base="/scratch"), TRAIN, "/scratch/parity/ck-out-RUN"),
        (Site(environment=Environment(kind="modules", modules=("py/3",))), SCRIPT, "module load py/3\nexec python -m"),
        (Site(environment=Environment(kind="venv", name="/v")), SCRIPT, "source /v/bin/activate\nexec python -m"),
        (Site(environment=Environment(kind="conda", name="kit")), EVAL_SCRIPT, "conda activate kit\nexec python -m"),
        (Site(environment=Environment(kind="none")), SCRIPT, "\nexec python -m"),
        (Site(environment=Environment(variables={"NCCL_DEBUG": "a b"})), EVAL_SCRIPT, "export NCCL_DEBUG='a b'\n"),
        (Site(qos="urgent"), SCRIPT, "--qos=urgent"),
        (Site(constraint="a100"), EVAL_SCRIPT, "--constraint=a100"),
        (Site(wandb_mode="disabled"), SCRIPT, "export WANDB_MODE=disabled\n"),
        (Site(account="lab", partition="gpu", partitions=(GPUS,)), SCRIPT, "--account=shared"),
        (Site(qos="low", partition="gpu", partitions=(GPUS,)), EVAL_SCRIPT, "--qos=urgent"),
    ),
)
def test_a_setting_of_the_site_arrives_in_the_files(site: Site, file: str, words: str, world: World) -> None:
    assert words in written(design(**BASE), world._replace(site=site))[file]


@pytest.mark.parametrize(
    "asked,site,words",
    (
        ({"gpus": 2, "gpu_type": "h100"}, Site(), ("--gres=gpu:h100:2", "read -rt 30 ", "--nproc-per-node 2")),
        ({"gpus": 1}, Site(gpu_type="a100", gpu_sampling=5), ("--gres=gpu:a100:1", "read -rt 5 ")),
        ({"gpus": 2, "nodes": 3}, Site(), ("--nodes=3", "exec srun ", "--nnodes 3", "--nproc-per-node 2")),
    ),
)
def test_gpus_of_a_kind_and_on_several_nodes_are_asked_for_and_sampled(
    asked: dict[str, Any], site: Site, words: tuple[str, ...], world: World
) -> None:
    files = written(design(**{**BASE, "resources": asked}), world._replace(site=site))
    assert [word for word in words if word not in files[SCRIPT]] == []
    # An evaluation takes one GPU of one node.
    assert "--nodes=1\n" in files[EVAL_SCRIPT]
    assert "srun" not in files[EVAL_SCRIPT]
    assert ":1\n" in files[EVAL_SCRIPT]


def test_without_gpus_nothing_is_sampled_and_no_kind_is_asked_for(world: World) -> None:
    files = written(design(**BASE), world._replace(site=Site(gpu_type="a100")))
    assert "nvidia-smi" not in files[SCRIPT]
    assert "--gres" not in files[SCRIPT]
