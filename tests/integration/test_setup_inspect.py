"""`ck setup-inspect`: from an adapter that was trained without a design to an evaluation that runs."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from inspect_ai.log import read_eval_log

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.inspect_keys import INSPECT
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.setup_finetune import write_finetune
from cruijff_kit.workflow.setup_inspect import write_inspect
from tests.fakes.designed import world_at
from tests.integration.test_scaffold import contents
from tests.random_model import random_adapter, random_base

pytestmark = pytest.mark.once
WORDS = ("house", "tree", "apples", "a", "river")
ROWS = [{"input": word, "output": word.title(), "length": str(len(word))} for word in WORDS]
TRAINED = {
    "input_dir_base": "data",
    "input_formatting": "",
    "dataset_label": "words",
    "torchtune_model_name": "base",
    "my_wandb_run_name": "first_run",
    "prompt": "Say: {input}",
    "system_prompt": "Be brief.",
    "gpus": "0",
    "epochs": "2",
}


class Set(NamedTuple):
    """A run that was set up by its keys, with the adapters that its training would have left."""

    root: Path
    adapter: Path
    base: Path

    def world(self, site: Site | None = None) -> World:
        return world_at(self.root, site=site)._replace(hub=LocalHub(cache=self.root.parent / "cache"))

    def write(self, **flags: str) -> EvalConfig:
        receipt = write_inspect(flags={"gpus": "0", "max_tokens": "4", **flags}, world=self.world())
        return self.config(Path(receipt.cell_dir))

    def config(self, cell: Path) -> EvalConfig:
        return read_config(EvalConfig, (cell / "eval.yaml").read_text(encoding="utf-8"), name="eval.yaml")


def run_of(folder: Path) -> Set:
    root, base = folder / "run", folder / "models" / "base"
    random_base(base)
    (root / "data").mkdir(parents=True)
    splits = {"train": ROWS[:3], "validation": ROWS[:2], "test": ROWS}
    (root / "data" / "words.json").write_text(json.dumps(splits), encoding="utf-8")
    (root / "setup_finetune.yaml").write_text(
        dump_yaml({**TRAINED, "models_dir": str(folder / "models")}), encoding="utf-8"
    )
    made = Set(root, root / "ck-out-first_run" / "epoch_1", base)
    write_finetune(world=made.world())
    random_adapter(made.adapter, str(base))
    return made


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Set:
    """Return a run that tests only read, or add cells of their own name to."""
    return run_of(tmp_path_factory.mktemp("inspected"))


@pytest.fixture
def made(tmp_path: Path) -> Set:
    return run_of(tmp_path)


def started(cell: Path, **surroundings: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", str(cell / "inspect.slurm")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **surroundings},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_an_adapter_is_evaluated_with_the_data_and_prompts_of_its_training(kept: Set) -> None:
    config = kept.write(finetune_epoch_dir=str(kept.adapter))
    assert (config.run_id, config.name, config.epoch) == ("first_run", "rows", 1)
    assert (config.base_model.path, config.adapter) == (str(kept.base), str(kept.adapter))
    data = config.dataset
    assert (data.path, data.prompt, data.system_prompt) == (
        str(kept.root / "data" / "words.json"),
        "Say: {input}",
        "Be brief.",
    )
    assert (config.split, config.expected_samples, config.scorers) == ("test", 5, ("match", "includes"))
    assert config.cell_dir == str(kept.root / "eval" / "rows_epoch_1")
    cell = Path(config.cell_dir)
    code, said = started(cell)
    assert code == 0, said
    (path,) = (cell / "logs").glob("*.eval")
    log = read_eval_log(str(path))
    assert (log.status, len(log.samples or [])) == ("success", 5)
    assert log.plan.config.seed == 14
    messages = [(message.role, message.text) for message in (log.samples or [])[0].messages[:2]]
    assert messages == [("system", "Be brief."), ("user", "Say: house")]
    manifest = Manifest.model_validate_json((cell / "manifest.json").read_bytes())
    assert manifest.inputs == {
        "model": config.base_model.sha256,
        "data": file_sha256(kept.root / "data" / "words.json"),
        "checkpoint": file_sha256(kept.adapter / "adapter_model.safetensors"),
        "config": file_sha256(cell / "eval.yaml"),
    }
    assert Done.model_validate_json((cell / "DONE").read_bytes()).samples == 5
    assert JobStatus.model_validate_json((cell / "status.json").read_bytes()).state == "done"
    # The same job again has nothing left to do, and says so.
    before = file_sha256(path)
    code, said = started(cell)
    assert (code, said.endswith("done: every cell was finished already\n")) == (0, True), said
    assert file_sha256(path) == before


def test_the_base_alone_is_a_control_on_the_same_rows_and_prompts(kept: Set) -> None:
    config = kept.write(base_model_dir=str(kept.base), name="plain", samples="2")
    assert (config.run_id, config.epoch, config.adapter) == ("base-base", None, None)
    assert (config.dataset.prompt, config.expected_samples) == ("Say: {input}", 2)
    cell = Path(config.cell_dir)
    assert cell == kept.root / "eval" / "plain_base"
    assert started(cell)[0] == 0
    assert Done.model_validate_json((cell / "DONE").read_bytes()).samples == 2


@pytest.mark.parametrize(
    "damage, code",
    (
        (lambda made: (made.adapter / "adapter_model.safetensors").write_bytes(b"x"), 5),
        (lambda made: (made.root / "data" / "words.json").write_text("{}", encoding="utf-8"), 5),
    ),
)
def test_the_jobs_exit_status_is_that_of_the_evaluation(damage: Any, code: int, made: Set) -> None:
    config = made.write(finetune_epoch_dir=str(made.adapter))
    damage(made)
    assert started(Path(config.cell_dir))[0] == code
    assert not (Path(config.cell_dir) / "DONE").exists()


def test_a_task_that_fails_fails_its_job(made: Set) -> None:
    task = "from inspect_ai import Task, task\n\n@task\ndef broken():\n    raise ValueError('no rows today')\n"
    (made.root / "mine.py").write_text(task, encoding="utf-8")
    config = made.write(finetune_epoch_dir=str(made.adapter), task_script="mine.py@broken")
    assert (config.task, config.name) == ("mine.py@broken", "broken")
    code, said = started(Path(config.cell_dir))
    assert code != 0
    assert "no rows today" in said


def test_flags_outrank_the_file_and_the_file_the_training(made: Set) -> None:
    (made.root / "setup_inspect.yaml").write_text("prompt: 'File: {input}'\nsystem_prompt: ''\n", encoding="utf-8")
    flags = {"finetune_epoch_dir": "ck-out-first_run/epoch_1", "system_prompt": "Flag."}
    receipt = write_inspect(flags=flags, dry_run=True, world=made.world(Site(partition="gpu")))
    found = {name: (each.value, each.source) for name, each in receipt.values.items()}
    assert found["prompt"] == ("File: {input}", "file")
    assert found["system_prompt"] == ("Flag.", "flag")
    assert found["data_path"] == (str(made.root / "data" / "words.json"), "training")
    assert found["partition"] == ("gpu", "site")
    assert found["split"] == ("test", "default")
    assert not (made.root / "eval").exists()


CHANGED = {
    "run": ("second", "run_id", "second"),
    "epoch": ("4", "epoch", 4),
    "name": ("mine", "name", "mine"),
    "task_name": ("mine", "name", "mine"),
    "task": ("capitalization", "task", "capitalization"),
    "split": ("validation", "split", "validation"),
    "samples": ("3", "expected_samples", 3),
    "scorer": ("includes", "scorers", ("includes",)),
    "scorers": ("includes,match", "scorers", ("includes", "match")),
    "options": ("no,yes", "rules.options", ("no", "yes")),
    "ignore_case": ("true", "rules.ignore_case", True),
    "groups": ("length", "groups", ("length",)),
    "dataset_type": ("text_completion_dataset", "dataset.dataset_type", "text_completion"),
    "prompt": ("Q {input}", "dataset.prompt", "Q {input}"),
    "system_prompt": ("", "dataset.system_prompt", ""),
    "input_key": ("length", "dataset.input_key", "length"),
    "output_key": ("length", "dataset.output_key", "length"),
    "template": ("llama", "dataset.template", "llama2"),
    "template_date": ("1 Jan 2026", "dataset.template_date", "1 Jan 2026"),
    "max_seq_len": ("77", "dataset.max_seq_len", 77),
    "overlong": ("truncate", "dataset.overlong", "truncate"),
    "dtype": ("bf16", "dtype", "bf16"),
    "seed": ("3", "generation.seed", 3),
    "max_tokens": ("9", "generation.max_tokens", 9),
    "batch_size": ("2", "generation.batch_size", 2),
    "max_connections": ("7", "generation.max_connections", 7),
    "top_logprobs": ("2", "generation.top_logprobs", 2),
    "dropout_passes": ("4", "generation.dropout_passes", 4),
    "data_path": ("data/other.json", "dataset.path", "other.json"),
    "dataset": ("data/other.json", "dataset.path", "other.json"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_every_key_arrives_in_the_configuration(name: str, kept: Set) -> None:
    (kept.root / "data" / "other.json").write_text(json.dumps({"test": ROWS[:3]}), encoding="utf-8")
    text, place, value = CHANGED[name]
    flags = {"finetune_epoch_dir": str(kept.adapter), "gpus": "0", name: text}
    receipt = write_inspect(flags=flags, dry_run=True, world=kept.world())
    found: Any = read_config(EvalConfig, receipt.changes[0].content, name="eval.yaml")
    for part in place.split("."):
        found = getattr(found, part)
    assert str(found).endswith(value) if name in {"data_path", "dataset"} else found == value


def test_sampling_and_the_jobs_own_keys_arrive(kept: Set) -> None:
    flags = {"finetune_epoch_dir": str(kept.adapter), "do_sample": "yes", "temperature": "0.5", "top_p": "0.9"}
    job = {"gpus": "4", "time": "02:00:00", "cpus_per_task": "3", "mem": "8G", "partition": "p", "account": "a"}
    job |= {"constraint": "c", "conda_env": "kit", "modules": "cuda"}
    job |= {"qos": "q", "gpu_type": "h100", "exclusive": "yes"}
    receipt = write_inspect(flags={**flags, **job}, dry_run=True, world=kept.world())
    config = read_config(EvalConfig, receipt.changes[0].content, name="eval.yaml")
    generation = config.generation
    assert (generation.do_sample, generation.temperature, generation.top_p) == (True, 0.5, 0.9)
    script = parse_script(receipt.changes[1].content)
    # An evaluation computes on one GPU.
    assert (script.gpus, script.time, script.cpus, script.mem) == (1, "02:00:00", 3, "8G")
    assert (script.partition, script.account, script.constraint) == ("p", "a", "c")
    assert (script.qos, script.gpu_type, script.exclusive) == ("q", "h100", True)
    assert (script.conda, script.modules, script.name) == ("kit", ("cuda",), "eval-rows_epoch_1")
    assert script.command[0] == "python"


def test_a_threshold_arrives_where_a_scorer_reads_it(kept: Set) -> None:
    flags = {"finetune_epoch_dir": str(kept.adapter), "scorer": "numeric_risk", "threshold": "0.25"}
    receipt = write_inspect(flags=flags, dry_run=True, world=kept.world())
    config = read_config(EvalConfig, receipt.changes[0].content, name="eval.yaml")
    assert (config.scorers, config.rules.threshold) == (("numeric_risk",), 0.25)


def test_no_key_is_left_out_of_these_tests() -> None:
    elsewhere = {"config_file", "finetune_epoch_dir", "base_model_dir", "config_path", "venv"}
    job = {"gpus", "time", "cpus_per_task", "mem", "partition", "account", "constraint", "conda_env", "modules"}
    job |= {"qos", "gpu_type", "exclusive"}
    sampled = {"do_sample", "temperature", "top_p"}
    alone = {"task_script", "threshold"}
    assert set(INSPECT.keys) | set(INSPECT.renamed) == set(CHANGED) | elsewhere | job | sampled | alone


@pytest.mark.parametrize(
    "flags, words",
    (
        ({}, "nothing to evaluate"),
        ({"finetune_epoch_dir": "nowhere"}, "holds no adapter"),
        ({"finetune_epoch_dir": "data"}, "evaluated with `base_model_dir`"),
        ({"base_model_dir": "nowhere"}, "base_model_dir"),
        ({"temperature": "0.7"}, "nothing is sampled"),
        ({"scorer": "risk"}, "scorer `risk` needs two options at least"),
        ({"threshold": "0.2"}, "only `numeric_risk` reads a threshold"),
        ({"do_sample": "true"}, "needs a `temperature` above 0"),
        ({"epoch": "null"}, "epochs of an adapter count from 0"),
        ({"epoch": "-1"}, "epochs of an adapter count from 0"),
        ({"base_model_dir": "../models/base", "epoch": "1"}, "a base model has none"),
        ({"split": "tset"}, "splits with rows are `train`, `validation`, `test`"),
        ({"split": "train"}, "what was trained on"),
        ({"prompt": "no field"}, "lacks `{input}`"),
        ({"prompt": "{input} {city}"}, "column `city`"),
        ({"groups": "lenght"}, "write `length`"),
        ({"task": "rosw"}, "write `rows`"),
        ({"task": "gone.py@mine"}, "does not exist"),
        ({"scorer": "macth"}, "scorer"),
        ({"max_tokens": "many"}, "whole number"),
        ({"data_path": "gone.json"}, "cannot be read"),
        ({"venv": "/v", "conda_env": "kit"}, "both set"),
        ({"config_file": "gone.yaml"}, "does not exist"),
        ({"dataset": "a.json", "data_path": "b.json"}, "two names of one thing"),
    ),
)
def test_what_cannot_be_set_up_is_refused_in_words(flags: Mapping[str, str], words: str, kept: Set) -> None:
    adapter = {"finetune_epoch_dir": str(kept.adapter)} if flags and "base_model_dir" not in flags else {}
    with pytest.raises((SpecError, PlanError), match=words):
        write_inspect(flags={**adapter, **flags}, dry_run=True, world=kept.world())


@pytest.mark.parametrize("name", INSPECT.refused)
def test_a_key_of_the_first_system_that_is_not_taken_names_ours(name: str, made: Set) -> None:
    text = f"finetune_epoch_dir: {made.adapter}\n{name}: x\n"
    (made.root / "old.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        write_inspect(flags={"config_file": "old.yaml"}, world=made.world())
    (problem,) = caught.value.problems
    assert (problem.path, problem.place, problem.hint) == (name, "old.yaml:2", INSPECT.refused[name])


def test_an_adapter_on_another_base_is_refused(made: Set, tmp_path: Path) -> None:
    other = random_base(tmp_path / "models" / "other", seed=5)
    record = {"name": "base", "path": str(made.base), "sha256": made.write(base_model_dir=other).base_model.sha256}
    (made.adapter / "base_model.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(SpecError, match="not the base that the adapter was trained on"):
        made.write(finetune_epoch_dir=str(made.adapter))
    assert made.write(finetune_epoch_dir=str(made.adapter), base_model_dir=other).base_model.path == other


def test_any_peft_adapter_needs_its_data_named_and_nothing_else(made: Set, tmp_path: Path) -> None:
    lone = Path(random_adapter(tmp_path / "elsewhere" / "checkpoint-500", str(made.base)))
    with pytest.raises(SpecError, match="no training configuration was found"):
        made.write(finetune_epoch_dir=str(lone), config_path="")
    config = made.write(finetune_epoch_dir=str(lone), data_path="data/words.json")
    assert (config.run_id, config.epoch, config.dataset.prompt) == ("checkpoint-500", 0, "{input}")
    assert Path(config.cell_dir).name == "rows-checkpoint-500_epoch_0"
    told = made.write(finetune_epoch_dir=str(lone), config_path="finetune.yaml", name="told")
    assert (told.dataset.prompt, told.dataset.path) == ("Say: {input}", str(made.root / "data" / "words.json"))


def test_the_best_adapter_has_a_cell_of_its_own_beside_the_epochs(made: Set) -> None:
    made.adapter.rename(made.adapter.with_name("best"))
    config = made.write(finetune_epoch_dir="ck-out-first_run/best")
    assert (config.run_id, config.dataset.prompt) == ("first_run", "Say: {input}")
    assert Path(config.cell_dir).name == "rows-best_epoch_0"


def test_the_first_systems_setup_beside_an_adapter_is_read_too(made: Set, tmp_path: Path) -> None:
    output = tmp_path / "old" / "ck-out-blue_owl"
    random_adapter(output / "epoch_0", str(made.base))
    keys = {
        "input_dir_base": str(made.root / "data"),
        "input_formatting": "",
        "dataset_label": "words",
        "dataset_ext": ".json",
        "system_prompt": "Old words.",
        "models_dir": str(made.base.parent),
        "torchtune_model_name": "base",
    }
    (output / "setup_finetune.yaml").write_text(dump_yaml(keys), encoding="utf-8")
    config = made.write(finetune_epoch_dir=str(output / "epoch_0"))
    assert (config.run_id, config.dataset.system_prompt, config.dataset.prompt) == (
        "blue_owl",
        "Old words.",
        "{input}\n",
    )


def test_a_second_time_changes_nothing_and_an_edit_is_kept_until_it_is_forced(made: Set) -> None:
    flags = {"finetune_epoch_dir": str(made.adapter), "gpus": "0"}
    write_inspect(flags=flags, world=made.world())
    before = contents(made.root)
    assert {change.kind for change in write_inspect(flags=flags, world=made.world()).changes} == {"unchanged"}
    assert contents(made.root) == before
    # Another cell does not make this one look edited.
    write_inspect(flags={**flags, "name": "other"}, world=made.world())
    receipt = write_inspect(flags={**flags, "max_tokens": "3"}, world=made.world())
    assert [change.kind for change in receipt.changes] == ["overwrite", "unchanged"]
    path = made.root / "eval" / "rows_epoch_1" / "eval.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("max_tokens: 3", "max_tokens: 8"), encoding="utf-8")
    with pytest.raises(PlanError, match=r"(?s)max_tokens: 8.*--force"):
        write_inspect(flags=flags, world=made.world())
    write_inspect(flags=flags, force=True, world=made.world())
    assert load_yaml(path.read_text(encoding="utf-8"), name="x").value["generation"]["max_tokens"] == 20


def test_the_command_offers_every_key_and_tells_where_data_came_from(
    made: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cruijff_kit.cli.setup_inspect.enter", lambda _: made.world())

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["setup-inspect", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    offered, listing = run("--help"), run("--list-keys")
    assert all(f"--{name} " in offered for name in (*INSPECT.keys, *INSPECT.renamed))
    assert all(name in listing for name in INSPECT.refused)
    adapter = ("--finetune_epoch_dir", str(made.adapter), "--gpus", "0")
    shown = {line.split()[0]: line.split()[-1] for line in run(*adapter, "--show").splitlines()}
    assert (shown["prompt"], shown["gpus"], shown["split"]) == ("training", "flag", "default")
    assert "exec " in run(*adapter, "--dry-run")
    assert not (made.root / "eval").exists()
    said = run(*adapter)
    assert f"data and prompts: {made.root / 'finetune.yaml'}" in said
    assert "sbatch" in said
    assert sys.executable.rpartition("/")[0] in (made.root / "eval/rows_epoch_1/inspect.slurm").read_text("utf-8")
