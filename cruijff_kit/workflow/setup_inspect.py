"""Setup-inspect: from an adapter, or a base model, to `eval.yaml` and `inspect.slurm`, without a design."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.loaders import Columns
from cruijff_kit.data.prompts import asks
from cruijff_kit.data.tasks import parse_task
from cruijff_kit.errors import CruijffError, Problem, SpecError
from cruijff_kit.planning.data_checks import Used, check_columns, check_groups
from cruijff_kit.planning.grid import Variant
from cruijff_kit.planning.setup_cell import CellGround, cell_config
from cruijff_kit.planning.setup_layers import Layer, default_layer, laid_over, site_layer
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import render_config
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.rendering.setup import JOB_KEYS
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.data import TrainingData
from cruijff_kit.schema.inspect_keys import INSPECT
from cruijff_kit.schema.receipt import InspectReceipt, SetupValue
from cruijff_kit.schema.spec import Analysis
from cruijff_kit.workflow.chat_templates import read_template, template_problems
from cruijff_kit.workflow.datasets import Dataset, read_datasets
from cruijff_kit.workflow.run_files import equipped, evaluation_command, job_interpreter
from cruijff_kit.workflow.setup_inputs import absolute
from cruijff_kit.workflow.setup_sheet import Order, Said, lay_files, read_said, refused
from cruijff_kit.workflow.trained_adapter import EPOCH, Trained, find_trained

__all__ = ["write_inspect"]

_NO_FLAGS: Mapping[str, str] = MappingProxyType({})


class _Found(NamedTuple):
    """What was found on disk for the keys."""

    trained: Trained
    """The adapter and its training."""
    data: Dataset
    """The data set."""
    model_sha256: str
    """Hash of the base model."""


def write_inspect(
    *, flags: Mapping[str, str] = _NO_FLAGS, force: bool = False, dry_run: bool = False, world: World
) -> InspectReceipt:
    """Write `eval.yaml` and `inspect.slurm` of one evaluation of an adapter or a base model; safe to repeat.

    Data, prompts and base model are those of the adapter's own training, where its
    configuration is found; file and flags say otherwise by saying so. Data, model and
    adapter are read and hashed now, and the job refuses others. A file that somebody
    edited since is not replaced.

    Args:
        flags: keys to text, as given on the command line.
        force: replace files that were edited.
        dry_run: write nothing and return the text of every file.
        world: the directory that `eval/` lies in, and its surroundings.

    Raises:
        SpecError: keys, values, adapter or data are wrong; lists every problem, and nothing is written.
        PlanError: a file was edited since it was written.
    """
    said, trained = _said(flags, world)
    values, found = _found(said, trained, world=world)
    root = str(world.store.root)
    adapter = None if found.trained.adapter is None else str(found.trained.adapter)
    renamed = trained.columns if said.values["data_path"].source == "training" else {}
    ground = CellGround(root, found.model_sha256, found.data.facts, renamed, adapter, trained.sha256)
    config = cell_config(values, ground)
    inputs = {**said.inputs, "data": config.dataset.sha256, "model": found.model_sha256}
    inputs |= {"adapter": trained.sha256} if trained.sha256 else {}
    folder = Path(config.cell_dir).relative_to(world.store.root).as_posix()
    files = {
        f"{folder}/eval.yaml": render_config(config),
        f"{folder}/inspect.slurm": render_script(_job(config, values, world=world)),
    }
    changes = lay_files(Order(INSPECT, config.run_id, files, inputs, force, dry_run), world=world)
    return InspectReceipt(
        run_id=config.run_id,
        cell_dir=config.cell_dir,
        trained_by=None if trained.source is None else str(trained.source),
        values=said.values,
        dry_run=dry_run,
        changes=changes,
    )


def _said(flags: Mapping[str, str], world: World) -> tuple[Said, Trained]:
    """Read file, flags and the adapter's own training, and lay them over the defaults."""
    read = read_said(flags, INSPECT, optional=True, world=world)
    asked = {**read.file.values, **read.line.values}
    trained, problems = find_trained(asked, world=world)
    if not any(asked.get(key) for key in ("finetune_epoch_dir", "base_model_dir")):
        hint = "name an adapter with `--finetune_epoch_dir DIR`, or a base model with `--base_model_dir DIR`"
        problems.append(Problem("there is nothing to evaluate", "finetune_epoch_dir", hint=hint))
    site = site_layer(world.site)
    site = site._replace(values={name: each for name, each in site.values.items() if name in INSPECT.keys})
    layers = (default_layer(INSPECT), site, Layer("training", trained.values))
    values = laid_over(*layers, Layer("file", read.file.values), Layer("flag", read.line.values))
    return Said(_derived(values, world), read.file.marks, read.inputs, [*read.problems, *problems]), trained


def _derived(values: dict[str, SetupValue], world: World) -> dict[str, SetupValue]:
    """Fill in what follows from other keys, and place relative paths."""
    said = {name: each.value for name, each in values.items()}
    base = Path(said["base_model_dir"] or "base").name
    derived = {
        "name": _cell_name(said["task"], said["finetune_epoch_dir"]),
        "run": f"{base}-base",
        "dtype": "bf16" if said["gpus"] else "fp32",
    }
    for name, value in derived.items():
        if said[name] is None:
            values[name] = SetupValue(value=value, source="derived")
    root = world.store.root
    if not template_problems(said, root=root):
        told = read_template(said["template"], root=root)
        values["template"] = SetupValue(value=told, source=values["template"].source)
    for name in ("base_model_dir", "data_path", "finetune_epoch_dir", "config_path"):
        if said[name] is not None:
            values[name] = SetupValue(value=absolute(said[name], world.store.root), source=values[name].source)
    return values


def _cell_name(task: str, adapter: str | None) -> str:
    """Return the task's name, with that of an adapter's directory where it tells no epoch apart."""
    name, folder = task.rpartition("@")[2], Path(adapter or "").name
    return name if not folder or EPOCH.fullmatch(folder) else f"{name}-{folder}"


def _found(said: Said, trained: Trained, *, world: World) -> tuple[dict[str, Any], _Found]:
    """Return the values and what was found on disk for them.

    Raises:
        SpecError: something is wrong; lists every problem.
    """
    values = {name: each.value for name, each in said.values.items()}
    problems: list[Problem] = []
    model = _model(values, trained, problems=problems, world=world)
    data = _data(said, trained, problems=problems, world=world)
    problems += [*_task_problems(values, world), *_epoch_problems(values)]
    problems += template_problems(values, root=world.store.root)
    if values["venv"] and values["conda_env"]:
        problems.append(Problem("`venv` and `conda_env` are both set", "conda_env", hint="set one of them"))
    wrong = {problem.path for problem in said.problems}
    # What a wrong value has caused is not told a second time.
    problems = [*said.problems, *(problem for problem in problems if problem.path not in wrong)]
    if problems or model is None or data is None:
        raise refused(problems, said, verb=INSPECT.verb)
    return values, _Found(trained, data, model)


def _model(values: Mapping[str, Any], trained: Trained, *, problems: list[Problem], world: World) -> str | None:
    key = "base_model_dir"
    if values[key] is None:
        problems.append(Problem("the base model is not known", key, hint="name it with `base_model_dir`"))
        return None
    try:
        sha256 = world.hub.facts(values[key]).sha256
    except CruijffError as err:
        problems.append(Problem(str(err).partition("\n")[0], key, hint="mend `base_model_dir`"))
        return None
    if trained.base_sha256 not in {None, sha256}:
        fact = f"`{values[key]}` is not the base that the adapter was trained on: their hashes differ"
        problems.append(Problem(fact, key, hint="name the directory that it was trained on"))
    return sha256


def _data(said: Said, trained: Trained, *, problems: list[Problem], world: World) -> Dataset | None:
    values = {name: each.value for name, each in said.values.items()}
    if values["data_path"] is None:
        hint = "name the rows with `data_path`, or the training's configuration with `config_path`"
        problems.append(
            Problem("no training configuration was found, so the data is not known", "data_path", hint=hint)
        )
        return None
    renamed = trained.columns if said.values["data_path"].source == "training" else {}
    training = TrainingData(
        path=values["data_path"],
        input_key=values["input_key"],
        output_key=values["output_key"],
        columns=dict(renamed),
    )
    variant = Variant(values["data_path"], None, "{}")
    asked = (training.input_key, training.output_key)
    columns = Columns.read_as(values["dataset_type"], asked, renamed=renamed)
    try:
        data = read_datasets([variant], training, columns=columns, world=world)[variant]
    except SpecError as err:
        problems += [each._replace(path="data_path", hint="mend `data_path`") for each in err.problems]
        return None
    problems += _row_problems(data, said, training=training)
    return data


def _row_problems(data: Dataset, said: Said, *, training: TrainingData) -> Iterator[Problem]:
    values = {name: each.value for name, each in said.values.items()}
    split, splits = values["split"], data.facts.splits
    if not splits.get(split):
        named = ", ".join(f"`{name}`" for name, count in splits.items() if count) or "none"
        hint = f"splits with rows are {named}; name one with `split`"
        yield Problem(f"`{data.facts.path}` has no rows in split `{split}`", "split", hint=hint)
    elif split == "train" and said.values["data_path"].source == "training":
        yield Problem("split `train` is what was trained on", "split", hint="evaluate another split")
    used = Used(data.facts.path, {split: data.splits.get(split, [])})
    if values["dataset_type"] not in {"chat", "auto"}:
        if not asks(values["prompt"], input_key=values["input_key"]):
            hint = "put `{input}` where the question belongs"
            yield Problem(f"prompt `{values['prompt']}` lacks `{{input}}`", "prompt", hint=hint)
        yield from check_columns({"prompt": values["prompt"]}, used, training=training)
    groups = check_groups(Analysis(groups=tuple(values["groups"] or ())), used)
    yield from (problem._replace(path="groups") for problem in groups)


def _task_problems(values: Mapping[str, Any], world: World) -> Iterator[Problem]:
    try:
        task = parse_task(values["task"])
    except SpecError as err:
        yield Problem(str(err).partition("\n")[0], "task", hint=err.hint)
        return
    if task.file is not None and not (world.store.root / task.file).is_file():
        fact = f"task file `{world.store.root / task.file}` does not exist"
        yield Problem(fact, "task", hint="mend `task`; relative paths start at this directory")


def _epoch_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    epoch, adapter = values["epoch"], values["finetune_epoch_dir"]
    if adapter is None and epoch is not None:
        yield Problem(f"`epoch` is `{epoch}`, and a base model has none", "epoch", hint="remove it")
    elif adapter is not None and (epoch is None or epoch < 0):
        shown = "null" if epoch is None else epoch
        yield Problem(f"`epoch` is `{shown}`; epochs of an adapter count from 0", "epoch", hint="write its number")


def _job(config: EvalConfig, values: Mapping[str, Any], *, world: World) -> JobScript:
    asked = {field: values[key] for key, field in JOB_KEYS.items() if key in values}
    # One process computes, on one GPU where there are any.
    asked |= {"modules": tuple(values["modules"] or ()), "gpus": min(1, values["gpus"])}
    command = evaluation_command(job_interpreter(values, world.site), (f"{config.cell_dir}/eval.yaml",))
    name = f"eval-{Path(config.cell_dir).name}"
    return equipped(JobScript(name=name, folder=config.cell_dir, command=command, **asked), world.site)
