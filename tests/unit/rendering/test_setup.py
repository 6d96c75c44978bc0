"""Stage 1: what a person edits there arrives in the configuration and the script."""

import pytest

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError
from cruijff_kit.rendering.setup import JOB_KEYS, TRAIN_KEYS, apply_setup, render_setup
from cruijff_kit.schema.spec import Controls
from tests.unit.rendering.test_configs import TRAIN
from tests.unit.rendering.test_sbatch import PLAIN

TEXT = render_setup(TRAIN, PLAIN, labels={"experiment_name": "parity"})


def test_an_untouched_file_changes_nothing() -> None:
    assert apply_setup(TEXT, TRAIN, job=PLAIN, name="setup_finetune.yaml") == (TRAIN, PLAIN)


@pytest.mark.parametrize(
    "old,new,found",
    (
        ("lr: 0.0003", "lr: 0.5", lambda config, _: config.optimizer.lr == 0.5),
        ("lora_rank: 4", "lora_rank: 32", lambda config, _: config.model.lora_rank == 32),
        ('system_prompt: "yes"', "system_prompt: no", lambda config, _: config.dataset.system_prompt == "no"),
        ("batch_size: 4", "batch_size: 2", lambda config, _: config.batch_size == 2),
        ("mem: null", "mem: 80G", lambda _, job: job.mem == "80G"),
        ("my_wandb_run_name: null", "my_wandb_run_name: mine", lambda config, _: config.wandb_run_name == "mine"),
        ("cpus_per_task: 4", "cpus_per_task: 8", lambda _, job: job.cpus == 8),
    ),
)
def test_an_edit_arrives_where_the_job_reads_it(old: str, new: str, found) -> None:  # noqa: ANN001 - a lambda a case
    assert old in TEXT
    config, job = apply_setup(TEXT.replace(old, new, 1), TRAIN, job=PLAIN, name="setup_finetune.yaml")
    assert found(config, job)


def test_every_control_of_training_has_its_key() -> None:
    elsewhere = {"seeds", "recipe"}
    others = {"seed", "input_key", "output_key", "my_wandb_project", "my_wandb_run_name"}
    assert set(Controls.model_fields) - elsewhere == set(TRAIN_KEYS) - others


def test_the_names_people_know_are_kept() -> None:
    keys = set(load_yaml(TEXT, name="x").value)
    assert {"my_wandb_run_name", "dataset_label", "dataset_ext", "input_dir_base", "torchtune_model_name"} <= keys
    assert {*TRAIN_KEYS, *JOB_KEYS} <= keys


def test_unknown_and_missing_keys_are_refused_together() -> None:
    text = TEXT.replace("lora_rank:", "lora_rnk:").replace("dtype:", "dtyp:")
    with pytest.raises(PlanError) as caught:
        apply_setup(text, TRAIN, job=PLAIN, name="setup_finetune.yaml")
    assert {problem.path for problem in caught.value.problems} == {"lora_rnk", "lora_rank", "dtyp", "dtype"}
    assert "did you mean `lora_rank`?" in str(caught.value)


def test_a_value_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PlanError, match="lora_rank"):
        apply_setup(TEXT.replace("lora_rank: 4", "lora_rank: four"), TRAIN, job=PLAIN, name="setup_finetune.yaml")


@pytest.mark.parametrize(
    "old,new", (("mem: null", "mem: 80"), ("gpus: 0", "gpus: two"), ("cpus_per_task: 4", "cpus_per_task: 4.5"))
)
def test_what_the_scheduler_is_asked_for_keeps_its_kind(old: str, new: str) -> None:
    with pytest.raises(PlanError, match=new.split(":", maxsplit=1)[0]):
        apply_setup(TEXT.replace(old, new), TRAIN, job=PLAIN, name="setup_finetune.yaml")
