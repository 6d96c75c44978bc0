"""`ck setup-finetune`: from keys to two files, whatever was said winning by being said."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.setup_keys import DERIVED, REQUIRED, SETUP_KEYS, SITE
from cruijff_kit.schema.site import Environment, Site
from cruijff_kit.workflow.setup_finetune import write_finetune
from tests.fakes.designed import world_at
from tests.integration.test_scaffold import contents, scaffolded
from tests.setups import CHANGED, ROWS, dry, minimal, written

DEFAULTED = [name for name in CHANGED if SETUP_KEYS[name].ours not in {None, DERIVED, REQUIRED, SITE}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "parity_run"
    folder.mkdir()
    return folder


def test_a_named_file_is_read_instead(root: Path) -> None:
    receipt = dry(minimal(root), config_file="other.yaml")
    assert (receipt.values["seed"].value, receipt.values["seed"].source) == (99, "file")
    with pytest.raises(SpecError, match="does not exist"):
        dry(minimal(root), config_file="gone.yaml")


@pytest.mark.parametrize("name", [name for name in DEFAULTED if name != "config_file"])
def test_a_flag_that_equals_the_default_still_wins(name: str, root: Path) -> None:
    default = SETUP_KEYS[name].ours
    text = str(default).lower() if isinstance(default, bool) else str(default)
    receipt = dry(minimal(root, **{name: CHANGED[name]}), **{name: text})
    assert receipt.values[name].source == "flag"
    # An ending of nothing is settled by what lies there.
    assert receipt.values[name].value == {"dataset_ext": ".json", "experiment_name": None}.get(name, default)


def test_each_source_outranks_the_ones_before(root: Path) -> None:
    world = minimal(root, base_recipe="llama3_2/1B_lora_single_device", epochs=5)
    values = dry(world._replace(site=Site(partition="cpu", account="lab")), epochs="1", partition="gpu").values
    found = {
        name: (values[name].value, values[name].source) for name in ("lr", "epochs", "partition", "account", "seed")
    }
    assert found == {
        "lr": (3e-4, "base recipe"),
        "epochs": (1, "flag"),
        "partition": ("gpu", "flag"),
        "account": ("lab", "site"),
        "seed": (14, "default"),
    }
    assert values["gradient_accumulation_steps"].value == 8


def test_a_rank_brings_its_alpha_unless_alpha_is_said(root: Path) -> None:
    world = minimal(root, lora_rank=8)
    assert dry(world).values["lora_alpha"].value == 16.0
    assert dry(world, lora_rank="4").values["lora_alpha"].value == 8.0
    assert dry(world, lora_alpha="16", lora_rank="32").values["lora_alpha"].value == 16.0


def test_a_template_file_is_read_and_its_text_is_what_the_job_is_told(root: Path) -> None:
    (root / "mine.txt").write_text("Q: {input}\nA: {output}\n", encoding="utf-8")
    write_finetune(world=minimal(root, template="mine.txt"))
    assert written(root)[0].dataset.template == "Q: {input}\nA: {output}"
    assert dry(minimal(root, template="llama")).values["template"].value == "llama2"


def test_a_second_run_changes_no_byte(root: Path) -> None:
    world = minimal(root)
    write_finetune(world=world)
    before = contents(root)
    receipt = write_finetune(world=world)
    assert contents(root) == before
    assert {change.kind for change in receipt.changes} == {"unchanged"}


def test_a_changed_key_replaces_what_this_command_wrote(root: Path) -> None:
    write_finetune(world=minimal(root, my_wandb_run_name="a"))
    receipt = write_finetune(world=minimal(root, my_wandb_run_name="a", lr=0.5))
    assert [change.kind for change in receipt.changes] == ["overwrite", "unchanged"]
    assert "+  lr: 0.5" in receipt.changes[0].diff


def test_an_edited_file_is_shown_and_kept_until_it_is_forced(root: Path) -> None:
    world = minimal(root, my_wandb_run_name="a")
    write_finetune(world=world)
    path = root / "finetune.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("lr: 0.0001", "lr: 0.7"), encoding="utf-8")
    before = contents(root)
    with pytest.raises(PlanError, match=r"(?s)finetune\.yaml.*-  lr: 0\.7.*--force"):
        write_finetune(flags={"time": "02:00:00"}, world=world)
    assert contents(root) == before
    write_finetune(force=True, world=world)
    assert written(root)[0].optimizer.lr == 1e-4


def test_every_problem_is_told_at_once_with_its_line_and_nothing_is_written(root: Path) -> None:
    world = minimal(root, epochs="three", lora_rnk=4, lr_scheduler="exponential", time="10:00", prompt="no field")
    before = contents(root)
    with pytest.raises(SpecError) as caught:
        write_finetune(flags={"gpus": "-1", "train_on_input": "maybe", "models_dir": "/nowhere"}, world=world)
    places = {problem.path: problem.place for problem in caught.value.problems}
    assert set(places) == {
        *("epochs", "lora_rnk", "lr_scheduler", "time", "prompt", "gpus", "train_on_input", "models_dir"),
    }
    assert places["lora_rnk"].startswith("setup_finetune.yaml:")
    assert places["gpus"] == "command line"
    text = str(caught.value)
    assert "did you mean `lora_rank`?" in text
    assert "jobs then crashed" in text
    assert contents(root) == before


@pytest.mark.parametrize(
    "changes,words",
    (
        ({"dataset_label": "gone"}, "cannot be read"),
        ({"input_formatting": "rwa"}, "leaves out the folder `rwa`"),
        ({"models_dir": "/nowhere"}, "does not exist"),
        ({"input_key": "qestion"}, "column `qestion` is missing"),
        ({"training_samples": 10}, "there are 9|has 9 training rows"),
        ({"prompt": "{input} {city}"}, "column `city`"),
        ({"template": "alpca"}, "did you mean `alpaca`"),
        ({"template": "Q: {input}"}, "it names no answer"),
        ({"template": "chatml", "dataset_type": "text_completion"}, "writes no conversations"),
        ({"venv": "/v", "conda_env": "kit"}, "both set"),
        ({"project_dir": "/a", "output_dir_base": "/b"}, "two names of one thing"),
        ({"save_last_epoch_only": True, "epochs_to_save": "all", "epochs": 3}, "different things"),
        ({"epochs_to_save": "0,3", "epochs": 3}, "epoch `3` cannot be saved"),
        ({"stash_adapter_weights": "true"}, "none is written"),
        ({"config_file": "x.yaml"}, "cannot name the file"),
        ({"custom_recipe": "lora_singel_device"}, "lora_single_device"),
        ({"custom_recipe": "nobody.has.this"}, "no module of this name"),
        ({"base_recipe": "llama3_2/1B_lora_singel_device"}, "write `llama3_2/1B_lora_single_device`"),
        ({"dataset_type": "chat_dataset_v2"}, "chat_completion"),
        ({"my_wandb_run_name": "a b"}, "my_wandb_run_name"),
        ({"system_prompt": None}, "null is no text"),
        ({"experiment_name": "../other"}, "experiment_name"),
        ({"venv": "envs/kit"}, "not absolute"),
    ),
)
def test_what_cannot_be_set_up_is_refused_in_words(changes: Mapping[str, Any], words: str, root: Path) -> None:
    world = minimal(root, **changes)
    before = contents(root)
    with pytest.raises((SpecError, PlanError), match=words):
        write_finetune(world=world)
    assert contents(root) == before


def test_data_without_rows_for_training_or_validation_is_refused(root: Path) -> None:
    world = minimal(root, run_val_every_n_steps=2)
    (root / "data" / "bits.json").write_text(json.dumps({"test": ROWS["train"]}), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        write_finetune(world=world)
    assert {problem.path for problem in caught.value.problems} == {"dataset_label", "run_val_every_n_steps"}


def test_a_file_that_is_missing_is_no_matter_where_flags_say_it_all(root: Path) -> None:
    world = minimal(root)
    (root / "setup_finetune.yaml").unlink()
    with pytest.raises(SpecError, match="does not exist"):
        write_finetune(world=world)
    flags = {"input_dir_base": "data", "input_formatting": "", "dataset_label": "bits", "models_dir": "/models"}
    assert dry(world, **flags).values["input_formatting"].source == "flag"


def test_relative_directories_start_at_the_run_and_take_no_detours(root: Path) -> None:
    world = minimal(root, input_dir_base="../parity_run/data", output_dir_base="out", my_wandb_run_name="a")
    write_finetune(world=world)
    config = written(root)[0]
    assert (config.dataset.path, config.output_dir) == (f"{root}/data/bits.json", f"{root}/out/ck-out-a")


def test_a_run_without_a_name_gets_the_same_one_again_and_another_run_another(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    names = [dry(minimal(folder)).run_id for folder in (first, first, second)]
    names += [dry(minimal(first), lr="0.5").run_id, dry(minimal(first), mem="8G").run_id]
    assert names[0] == names[1] == names[4]
    assert len(set(names)) == 3
    assert dry(minimal(first)).values["my_wandb_run_name"].source == "derived"


def test_a_name_whose_outputs_are_another_runs_is_refused(tmp_path: Path) -> None:
    same = {"my_wandb_run_name": "twin", "output_dir_base": str(tmp_path / "out")}
    write_finetune(flags=same, world=minimal(tmp_path / "a"))
    with pytest.raises(PlanError, match="another `my_wandb_run_name`"):
        write_finetune(flags=same, world=minimal(tmp_path / "b"))
    (tmp_path / "out" / "ck-out-third").mkdir(parents=True)
    with pytest.raises(PlanError, match="did not make it"):
        write_finetune(flags={**same, "my_wandb_run_name": "third"}, world=minimal(tmp_path / "b"))
    (tmp_path / "out" / "ck-out-twin").mkdir()
    write_finetune(flags=same, world=minimal(tmp_path / "a"))


@pytest.mark.parametrize(
    "site,flags,python,activated",
    (
        (Site(), {}, "/", (None, None)),
        (Site(environment=Environment(kind="venv", name="/v")), {}, "python", ("/v", None)),
        (Site(environment=Environment(kind="venv", name="/v")), {"conda_env": "kit"}, "python", (None, "kit")),
        (Site(environment=Environment(kind="conda", name="kit")), {"conda_env": ""}, "/", (None, None)),
        (Site(environment=Environment(kind="none")), {}, "python", (None, None)),
    ),
)
def test_the_job_starts_the_python_of_its_environment(
    site: Site, flags: dict[str, str], python: str, activated: tuple[str | None, str | None], root: Path
) -> None:
    write_finetune(flags=flags, world=minimal(root)._replace(site=site))
    job = written(root)[1]
    assert job.command[0].startswith(python)
    assert (job.venv, job.conda) == activated


@pytest.mark.parametrize(
    "changes,site",
    (
        ({}, Site()),
        ({"output": {"output_dir_base": "/scratch/x"}}, Site()),
        ({"controls": {"seeds": [1], "prompt": "Q: {input}\nA:", "system_prompt": "yes", "epochs": 3}}, Site()),
        ({"controls": {"seeds": [3], "recipe": "mine.py", "target_modules": ["q_proj"]}}, Site()),
        ({"resources": {"gpus": 1, "mem": "8G", "time": "1-00:00:00", "cpus": 3, "constraint": "a100"}}, Site()),
        ({}, Site(environment=Environment(kind="venv", name="/v", modules=("cuda",)), partition="gpu")),
        ({}, Site(environment=Environment(kind="conda", name="kit"))),
        ({}, Site(environment=Environment(kind="none"))),
    ),
)
def test_what_scaffolding_writes_is_set_up_to_the_same_bytes(
    changes: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    root = tmp_path / "parity"
    root.mkdir()
    (root / "mine.py").write_text("a = 1\n", encoding="utf-8")
    _, receipt = scaffolded(root, site=site, **changes)
    folder = root / RunLayout(receipt.runs[0]).folder
    before = contents(folder)
    again = write_finetune(world=world_at(folder, site=site))
    assert {change.kind for change in again.changes} == {"unchanged"}
    assert contents(folder) == before
    for name in ("finetune.yaml", "finetune.slurm"):
        (folder / name).unlink()
    write_finetune(world=world_at(folder, site=site))
    assert {name: contents(folder)[name] for name in before} == before


def test_the_command_lists_every_key_and_offers_each_as_a_flag() -> None:
    listed, offered = (CliRunner().invoke(cli, ["setup-finetune", flag]).output for flag in ("--list-keys", "--help"))
    assert [line.split()[0] for line in listed.splitlines()[2:]] == list(SETUP_KEYS)
    assert all(f"--{name} " in offered for name in SETUP_KEYS)


def test_the_command_shows_who_said_what_and_writes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = minimal(root, lora_rank="8")
    monkeypatch.setattr("cruijff_kit.cli.setup_finetune.enter", lambda _: world)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["-C", str(root), "setup-finetune", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    before = contents(root)
    shown = {line.split()[0]: line.split()[1:] for line in run("--show", "--epochs", "1").splitlines()}
    assert (shown["lora_rank"], shown["lora_alpha"]) == (["8", "file"], ["16.0", "derived"])
    assert (shown["epochs"], shown["seed"]) == (["1", "flag"], ["14", "default"])
    assert "#SBATCH --gres=gpu:1" in run("--dry-run")
    assert contents(root) == before
    receipt = json.loads(run("--json"))
    assert receipt["values"]["lora_rank"] == {"value": 8, "source": "file"}
    assert "unchanged finetune.yaml, unchanged finetune.slurm" in run()
    assert [record.verb for record in world.audit.records()] == ["setup-finetune"]
