"""Stage 1: what a person edits there arrives in the configuration and the script."""

import pytest

from cruijff_kit.data.recipe_names import Recipe, training_command
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError
from cruijff_kit.rendering.sbatch import JobScript
from cruijff_kit.rendering.setup import JOB_KEYS, TRAIN_KEYS, apply_setup, render_setup
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.spec import Controls
from tests.unit.rendering.test_configs import TRAIN
from tests.unit.rendering.test_sbatch import PLAIN

RECIPE = Recipe("lora_single_device", "ours")
JOB = PLAIN._replace(
    name=TRAIN.run_id,
    folder=TRAIN.run_dir,
    command=training_command(RECIPE, interpreter="/opt/python", config=f"{TRAIN.run_dir}/finetune.yaml"),
)
LABELS = {"experiment_name": "parity", "custom_recipe": "lora_single_device"}
TEXT = render_setup(TRAIN, JOB, labels=LABELS)


def applied(text: str) -> tuple[TrainConfig, JobScript]:
    return apply_setup(text, TRAIN, job=JOB, recipe=RECIPE, name="setup_finetune.yaml")


def test_an_untouched_file_changes_nothing() -> None:
    assert applied(TEXT) == (TRAIN, JOB)


@pytest.mark.parametrize("name", ("my_wandb_run_name", "output_dir_base", "models_dir", "model_checkpoint"))
def test_null_in_place_of_a_name_or_directory_says_nothing(name: str) -> None:
    lines = [f"{name}: null" if line.startswith(f"{name}: ") else line for line in TEXT.splitlines()]
    assert f"{name}: null" in lines
    assert applied("\n".join(lines)) == (TRAIN, JOB)


@pytest.mark.parametrize("experiment", ("parity", "", "x"))
@pytest.mark.parametrize("outputs", ("/scratch/x", "/scratch/parity", "/outputs"))
def test_the_output_directory_is_told_by_base_and_experiment_and_comes_back(outputs: str, experiment: str) -> None:
    config = TRAIN.model_copy(update={"output_dir": f"{outputs}/ck-out-{TRAIN.run_id}"})
    assert applied(render_setup(config, JOB, labels={**LABELS, "experiment_name": experiment})) == (config, JOB)


@pytest.mark.parametrize(
    "old,new,found",
    (
        ("lr: 0.0003", "lr: 0.5", lambda config, _: config.optimizer.lr == 0.5),
        ("lora_rank: 4", "lora_rank: 32", lambda config, _: config.model.lora_rank == 32),
        ('system_prompt: "yes"', "system_prompt: no", lambda config, _: config.dataset.system_prompt == "no"),
        ("batch_size: 4", "batch_size: 2", lambda config, _: config.batch_size == 2),
        ("mem: null", "mem: 80G", lambda _, job: job.mem == "80G"),
        ("my_wandb_project: null", "my_wandb_project: bits", lambda config, _: config.wandb_project == "bits"),
        ("cpus_per_task: 4", "cpus_per_task: 8", lambda _, job: job.cpus == 8),
    ),
)
def test_an_edit_arrives_where_the_job_reads_it(old: str, new: str, found) -> None:  # noqa: ANN001 - a lambda a case
    assert old in TEXT
    config, job = applied(TEXT.replace(old, new, 1))
    assert found(config, job)


def test_every_control_of_training_has_its_key() -> None:
    elsewhere = {"seeds", "recipe"}
    others = {"seed", "input_key", "output_key", "my_wandb_project"}
    # The first system had one loss; what a design says of it stands beside an edited file.
    controls = set(Controls.model_fields) - set(LossControls.model_fields)
    assert controls - elsewhere == set(TRAIN_KEYS) - others


def test_the_names_people_know_are_kept() -> None:
    keys = set(load_yaml(TEXT, name="x").value)
    assert {"my_wandb_run_name", "dataset_label", "dataset_ext", "input_dir_base", "torchtune_model_name"} <= keys
    assert {*TRAIN_KEYS, *JOB_KEYS} <= keys


def test_unknown_and_missing_keys_are_refused_together() -> None:
    text = TEXT.replace("lora_rank:", "lora_rnk:").replace("dtype:", "dtyp:")
    with pytest.raises(PlanError) as caught:
        applied(text)
    assert {problem.path for problem in caught.value.problems} == {"lora_rnk", "lora_rank", "dtyp", "dtype"}
    assert "did you mean `lora_rank`?" in str(caught.value)


def test_a_value_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(PlanError, match="lora_rank"):
        applied(TEXT.replace("lora_rank: 4", "lora_rank: four"))


@pytest.mark.parametrize(
    "old,new", (("mem: null", "mem: 80"), ("gpus: 0", "gpus: two"), ("cpus_per_task: 4", "cpus_per_task: 4.5"))
)
def test_what_the_scheduler_is_asked_for_keeps_its_kind(old: str, new: str) -> None:
    with pytest.raises(PlanError, match=new.split(":", maxsplit=1)[0]):
        applied(TEXT.replace(old, new))
