"""Stage 1: `setup_finetune.yaml`, the keys a person may edit, made into what a training job reads."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.recipe_names import Recipe, resolve_recipe, training_command
from cruijff_kit.data.setup_text import read_setup
from cruijff_kit.data.yaml_text import dotted
from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.rendering.configs import render_entries
from cruijff_kit.rendering.sbatch import JobScript
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.setup_keys import SETUP_KEYS

__all__ = [
    "CONFIG_FILE",
    "JOB_KEYS",
    "TRAIN_KEYS",
    "Ground",
    "apply_setup",
    "data_file",
    "model_folder",
    "output_folder",
    "render_setup",
    "training_files",
]

CONFIG_FILE = "finetune.yaml"
"""Name of the training configuration in the run's directory."""

TRAIN_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: key.place for name, key in SETUP_KEYS.items() if key.place}
)
"""Key of the file to the place in the training configuration that it sets."""

JOB_KEYS: Mapping[str, str] = MappingProxyType(
    {name: key.target for name, key in SETUP_KEYS.items() if key.way == "job"}
)
"""Key of the file to the field of the training job's script that it sets."""

# Made of a run's name, which is no key of the training configuration.
_RUN = "ck-out-"

# What the machine gives every job; no key of the file sets it.
_GIVEN = ("variables", "wandb", "sampling")

# Keys that a scaffolded file, in which every value is written, leaves no room for.
_IDLE = {
    "base_recipe": "every key that it would set is written in this file",
    "project_dir": "`output_dir_base` says where the outputs go",
}


class Ground(NamedTuple):
    """What the keys do not say: where the files go, and what was found on disk."""

    folder: str
    """Absolute directory of the run."""
    interpreter: str
    """Python that the job starts."""
    recipe: Recipe
    """What trains."""
    model_sha256: str
    """Hash of the base model."""
    data_sha256: str
    """Hash of the data set."""
    validates: bool
    """Whether the data has rows for validation."""


def training_files(values: Mapping[str, Any], ground: Ground) -> tuple[TrainConfig, JobScript]:
    """Return what a training job reads and asks for; the one function that makes it of the keys.

    Args:
        values: every key with its value.
        ground: what was found for them.

    Raises:
        PlanError: a value does not fit its place; lists every problem.
    """
    run = values["my_wandb_run_name"]
    plain: dict[str, Any] = {
        "run_id": run,
        "run_dir": ground.folder,
        "output_dir": output_folder(values),
        "base_model": {
            "name": values["torchtune_model_name"],
            "path": model_folder(values),
            "sha256": ground.model_sha256,
        },
        "dataset": {"path": data_file(values), "sha256": ground.data_sha256},
        "split_val": "validation" if ground.validates else None,
        "device": "cuda" if values["gpus"] else "cpu",
    }
    for key, (*outer, last) in TRAIN_KEYS.items():
        holder = plain.setdefault(outer[0], {}) if outer else plain
        holder[last] = values[key]
    plain["epochs_to_save"] = _epochs(values)
    try:
        config = TrainConfig.model_validate(plain)
    except ValidationError as err:
        raise PlanError("the keys make no training configuration", problems=_problems(err)) from err
    command = training_command(ground.recipe, interpreter=ground.interpreter, config=f"{ground.folder}/{CONFIG_FILE}")
    asked = {field: values[key] for key, field in JOB_KEYS.items()}
    asked["modules"] = tuple(values["modules"] or ())
    return config, JobScript(name=run, folder=ground.folder, command=command, **asked)


def output_folder(values: Mapping[str, Any]) -> str:
    """Return the directory of a run's adapters: `<base>[/<experiment>]/ck-out-<run>`."""
    return _joined(values["output_dir_base"], values["experiment_name"], f"{_RUN}{values['my_wandb_run_name']}")


def data_file(values: Mapping[str, Any]) -> str:
    """Return the data set: `<base>[/<formatting>]/<label><ending>`."""
    name = f"{values['dataset_label']}{values['dataset_ext']}"
    return _joined(values["input_dir_base"], values["input_formatting"], name)


def model_folder(values: Mapping[str, Any]) -> str:
    """Return the directory of the base model; an absolute `model_checkpoint` stands for itself."""
    return str(PurePosixPath(values["models_dir"] or "/", values["model_checkpoint"]))


def render_setup(config: TrainConfig, job: JobScript, *, labels: Mapping[str, Any]) -> str:
    """Return the text of the `setup_finetune.yaml` that makes this configuration and script.

    Args:
        config: the training configuration the file stands for.
        job: the training job's script.
        labels: `experiment_name` and `custom_recipe`.
    """
    trained = {key: _at(config, place) for key, place in TRAIN_KEYS.items()}
    asked = {key: getattr(job, field) for key, field in JOB_KEYS.items()}
    return render_entries({**_made(config, labels), **trained, **asked})


def apply_setup(
    text: str, config: TrainConfig, *, job: JobScript, recipe: Recipe, name: str
) -> tuple[TrainConfig, JobScript]:
    """Return the configuration and script that an edited `setup_finetune.yaml` asks for.

    Args:
        text: the edited file.
        config: the training configuration as planned.
        job: the training job's script as planned.
        recipe: what trains, as planned.
        name: the file, as shown in problems.

    Raises:
        PlanError: a key is unknown or gone, or a value does not fit; lists every problem.
        SpecError: the text is not plain YAML.
    """
    given = read_setup(text, name=name)
    wrong = {problem.path for problem in given.problems}
    missing = [key for key in (*TRAIN_KEYS, *JOB_KEYS) if key not in given.values and key not in wrong]
    gone = [Problem(f"key `{key}` is missing", key, name, hint="write it back") for key in missing]
    made = _made(config, {})
    # Null says nothing, so what was planned stands.
    values = {**made, **{key: each for key, each in given.values.items() if each is not None or key not in made}}
    idle = [
        Problem(f"`{key}` has nothing to say here", key, given.marks.place((key,)), hint="remove it; " + hint)
        for key, hint in _IDLE.items()
        if values.get(key) is not None
    ]
    problems = [*given.problems, *gone, *idle]
    try:
        recipe = resolve_recipe(values["custom_recipe"]) if values["custom_recipe"] else recipe
    except ValueError as err:
        problems.append(Problem(str(err), "custom_recipe", name))
    if problems:
        raise PlanError(f"`{name}` cannot be used", problems=problems)
    found = Ground(
        config.run_dir,
        job.command[0],
        recipe,
        config.base_model.sha256,
        config.dataset.sha256,
        config.split_val is not None,
    )
    made, asked = training_files(values, found)
    # The first system had one loss: what a design says of it has no key here and stands.
    made = made.model_copy(update={each: getattr(config, each) for each in LossControls.model_fields})
    return made, asked._replace(**{field: getattr(job, field) for field in _GIVEN})


def _joined(base: str, *parts: str | None) -> str:
    return "/".join((base.rstrip("/"), *(part.strip("/") for part in parts if part)))


def _made(config: TrainConfig, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that a configuration's name, directories and inputs are made of."""
    data, model = PurePosixPath(config.dataset.path), PurePosixPath(config.base_model.path)
    outputs = config.output_dir.removesuffix(f"/{_RUN}{config.run_id}")
    experiment = labels.get("experiment_name") or ""
    below = bool(experiment) and outputs.endswith(f"/{experiment}")
    return {
        "my_wandb_run_name": config.run_id,
        "experiment_name": experiment if below else "",
        "output_dir_base": outputs.removesuffix(f"/{experiment}") if below else outputs,
        "torchtune_model_name": config.base_model.name,
        "models_dir": str(model.parent),
        "model_checkpoint": model.name,
        "input_dir_base": str(data.parent),
        "input_formatting": "",
        "dataset_label": data.stem,
        "dataset_ext": data.suffix,
        "custom_recipe": labels.get("custom_recipe"),
    }


def _epochs(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the epochs whose adapter is kept."""
    every = tuple(range(values["epochs"]))
    if values.get("save_last_epoch_only"):
        return every[-1:]
    kept = values["epochs_to_save"]
    named = {"all": every, "last": every[-1:], "none": ()}
    return named[kept] if isinstance(kept, str) else tuple(sorted(set(kept)))


def _problems(err: ValidationError) -> list[Problem]:
    """Return what a configuration refuses, at the key that set it."""
    keys = {".".join(place): key for key, place in TRAIN_KEYS.items()}
    keys |= {"run_id": "my_wandb_run_name", "base_model.name": "torchtune_model_name"}
    hint = "`ck setup-finetune --list-keys` tells what it takes"
    return [
        Problem(each["msg"].lower(), keys.get(where, where), hint=hint)
        for each in err.errors()
        for where in [dotted(each["loc"])]
    ]


def _at(config: TrainConfig, place: tuple[str, ...]) -> Any:
    value: Any = config
    for name in place:
        value = getattr(value, name)
    return value
