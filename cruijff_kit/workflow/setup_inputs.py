"""Inputs of setup-finetune: the data, the model and the recipe that the keys name, looked at and hashed."""

from collections.abc import Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.loaders import Columns
from cruijff_kit.data.prompts import asks
from cruijff_kit.data.recipe_names import Recipe, resolve_recipe
from cruijff_kit.errors import CruijffError, Problem, SpecError
from cruijff_kit.planning.data_checks import Used, check_columns
from cruijff_kit.planning.grid import Variant
from cruijff_kit.ports import World
from cruijff_kit.rendering.setup import data_file, model_folder
from cruijff_kit.schema.data import DatasetFacts, TrainingData
from cruijff_kit.workflow.chat_templates import read_template, template_problems
from cruijff_kit.workflow.datasets import Dataset, read_datasets
from cruijff_kit.workflow.recipes import recipe_hash

__all__ = ["SetupInputs", "absolute", "find_inputs", "placed_values"]


class SetupInputs(NamedTuple):
    """What was found on disk for the keys."""

    data: DatasetFacts
    """The data set."""
    model_sha256: str
    """Hash of the base model."""
    recipe: Recipe
    """What trains."""
    recipe_sha256: str | None
    """Hash of a recipe of the user's."""


def placed_values(values: Mapping[str, Any], *, root: Path) -> dict[str, Any]:
    """Return the values with directories absolute and the ending of the data settled.

    Args:
        values: every key with its value.
        root: directory of the run, where relative paths start.
    """
    placed = {**values, "output_dir_base": values["output_dir_base"] or str(root)}
    for name in ("output_dir_base", "input_dir_base", "models_dir"):
        if placed[name] is not None:
            placed[name] = absolute(placed[name], root)
    if placed["input_dir_base"] is not None and not placed["dataset_ext"]:
        placed["dataset_ext"] = "" if Path(data_file({**placed, "dataset_ext": ""})).exists() else ".json"
    if not template_problems(placed, root=root):
        placed["template"] = read_template(placed["template"], root=root)
    if placed["custom_recipe"].endswith(".py"):
        placed["custom_recipe"] = absolute(placed["custom_recipe"], root)
    return placed


def absolute(path: str, root: Path) -> str:
    """Return a path as it stands where it is absolute, else from the run's directory and without detours."""
    plain = Path(path).expanduser()
    return str(plain) if plain.is_absolute() else normpath(root / plain)


def find_inputs(values: Mapping[str, Any], *, world: World) -> tuple[SetupInputs | None, list[Problem]]:
    """Return what data, model and recipe were found to be, and all that is wrong with them.

    Args:
        values: every key with its value, as `placed_values` returns them.
        world: the run's directory and its surroundings.
    """
    problems: list[Problem] = []
    data = _data(values, problems, world=world) if values["input_dir_base"] is not None else None
    model = _model(values, problems, world=world)
    problems += template_problems(values, root=world.store.root)
    recipe = digest = None
    try:
        recipe = resolve_recipe(values["custom_recipe"], gpus=values["gpus"])
        digest = recipe_hash(values["custom_recipe"], root=world.store.root)
    except ValueError as err:
        hint = err.hint if isinstance(err, CruijffError) else "`ck recipe list` shows those of this package"
        problems.append(Problem(str(err).partition("\n")[0], "custom_recipe", hint=hint))
    if data is None or model is None or recipe is None:
        return None, problems
    return SetupInputs(data.facts, model, recipe, digest), problems


def _model(values: Mapping[str, Any], problems: list[Problem], *, world: World) -> str | None:
    absolute = values["model_checkpoint"].startswith("/")
    if values["models_dir"] is None and not absolute:
        return None
    try:
        return world.hub.facts(model_folder(values)).sha256
    except CruijffError as err:
        key = "model_checkpoint" if absolute else "models_dir"
        keys = "mend `models_dir`, `torchtune_model_name` or `model_checkpoint`"
        # The hub speaks to whoever wrote a design.
        hint = keys if "`models`" in err.hint else err.hint or keys
        problems.append(Problem(str(err).partition("\n")[0], key, hint=hint))
        return None


def _data(values: Mapping[str, Any], problems: list[Problem], *, world: World) -> Dataset | None:
    path = data_file(values)
    training = TrainingData(path=path, input_key=values["input_key"], output_key=values["output_key"])
    variant = Variant(path, None, "{}")
    try:
        asked = Columns.read_as(values["dataset_type"], (training.input_key, training.output_key))
        data = read_datasets([variant], training, columns=asked, world=world)[variant]
    except SpecError as err:
        problems += _told(err, values)
        return None
    problems += _row_problems(data, values, training=training)
    return data


def _told(err: SpecError, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a data file in terms of the keys that name it."""
    folder = values["input_formatting"]
    hint = "mend `input_dir_base`, `dataset_label` or `dataset_ext`"
    hint += f"; `input_formatting: ''` leaves out the folder `{folder}`" if folder else ""
    for problem in err.problems:
        whole = problem.path == "data.training"
        yield problem._replace(path="dataset_label", hint=hint) if whole else problem


def _row_problems(data: Dataset, values: Mapping[str, Any], *, training: TrainingData) -> Iterator[Problem]:
    """Yield what the keys ask of the rows in vain."""
    splits, path = data.facts.splits, data.facts.path
    wanted, every = values["training_samples"], values["run_val_every_n_steps"]
    if not splits.get("train"):
        names = ", ".join(f"`{name}`" for name in splits) or "none"
        fact = f"`{path}` has no rows in split `train`; its splits are {names}"
        yield Problem(fact, "dataset_label", hint="name the split to train on `train`")
    elif wanted is not None and wanted > splits["train"]:
        fact = f"`training_samples` is `{wanted}`, and `{path}` has {splits['train']} training rows"
        yield Problem(fact, "training_samples", hint="lower it")
    if every and not splits.get("validation"):
        fact = f"`run_val_every_n_steps` is `{every}`, and `{path}` has no split `validation`"
        yield Problem(fact, "run_val_every_n_steps", hint="set it to 0, or give the data such a split")
    if values["dataset_type"] in {"chat", "auto"}:
        return
    if not asks(values["prompt"], input_key=values["input_key"]):
        hint = "put `{input}` where the question belongs"
        yield Problem(f"prompt `{values['prompt']}` lacks `{{input}}`", "prompt", hint=hint)
    yield from check_columns({"prompt": values["prompt"]}, Used(path, data.splits), training=training)
