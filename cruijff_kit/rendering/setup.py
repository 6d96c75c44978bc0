"""Stage 1: `setup_finetune.yaml`, the few keys a person may edit, under their old names."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import dotted, load_yaml
from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.rendering.configs import render_entries
from cruijff_kit.rendering.sbatch import JobScript
from cruijff_kit.schema.config import TRAIN_PLACES, TrainConfig

__all__ = ["JOB_KEYS", "TRAIN_KEYS", "apply_setup", "render_setup"]

TRAIN_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "input_key": ("dataset", "input_key"),
        "output_key": ("dataset", "output_key"),
        **TRAIN_PLACES,
        "seed": ("seed",),
        "my_wandb_project": ("wandb_project",),
        "my_wandb_run_name": ("wandb_run_name",),
    }
)
"""Key of the file to the place in the training configuration that it sets."""

JOB_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "time": "time",
        "gpus": "gpus",
        "cpus_per_task": "cpus",
        "mem": "mem",
        "partition": "partition",
        "account": "account",
        "constraint": "constraint",
    }
)
"""Key of the file to the field of the training job's script that it sets."""


def render_setup(config: TrainConfig, job: JobScript, *, labels: Mapping[str, Any]) -> str:
    """Return the text of `setup_finetune.yaml`.

    Args:
        config: the training configuration the file stands for.
        job: the training job's script.
        labels: entries that name the experiment; they are told, not set, here.
    """
    data = PurePosixPath(config.dataset.path)
    told = {
        **labels,
        "torchtune_model_name": config.base_model.name,
        "models_dir": str(PurePosixPath(config.base_model.path).parent),
        "input_dir_base": str(data.parent),
        "dataset_label": data.stem,
        "dataset_ext": data.suffix,
    }
    trained = {key: _at(config, place) for key, place in TRAIN_KEYS.items()}
    asked = {key: getattr(job, field) for key, field in JOB_KEYS.items()}
    return render_entries({**told, **trained, **asked})


def apply_setup(text: str, config: TrainConfig, *, job: JobScript, name: str) -> tuple[TrainConfig, JobScript]:
    """Return the configuration and script that an edited `setup_finetune.yaml` asks for.

    Raises:
        PlanError: a key is unknown or gone, or a value does not fit; lists every problem.
    """
    found = load_yaml(text, name=name)
    values = found.value if isinstance(found.value, dict) else {}
    known = set(load_yaml(render_setup(config, job, labels={}), name=name).value) | _LABELS
    problems = [
        Problem(f"unknown key `{key}`", key, found.marks.place((key,)), hint=_nearest(key, known))
        for key in values
        if key not in known
    ]
    problems += [
        Problem(f"`{values[key]}` is no {'whole number' if kind is int else 'text'}", key, found.marks.place((key,)))
        for key, kind in (
            (key, int if isinstance(getattr(job, field), int) else str) for key, field in JOB_KEYS.items()
        )
        if values.get(key) is not None and type(values[key]) is not kind
    ]
    missing = [key for key in (*TRAIN_KEYS, *JOB_KEYS) if key not in values]
    problems += [Problem(f"key `{key}` is missing", key, name, hint="write it back") for key in missing]
    if problems:
        raise PlanError(f"`{name}` cannot be used", problems=problems)
    plain = config.model_dump(mode="json")
    for key, place in TRAIN_KEYS.items():
        *outer, last = place
        holder = plain[outer[0]] if outer else plain
        holder[last] = values[key]
    try:
        edited = TrainConfig.model_validate(plain)
    except ValidationError as err:
        wrong = [Problem(each["msg"].lower(), dotted(each["loc"]), name) for each in err.errors()]
        raise PlanError(f"`{name}` cannot be used", problems=wrong) from err
    return edited, job._replace(**{field: values[key] for key, field in JOB_KEYS.items()})


_LABELS = {"experiment_name", "custom_recipe"}


def _nearest(key: str, known: set[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"did you mean `{near[0]}`?" if near else "remove it"


def _at(config: TrainConfig, place: tuple[str, ...]) -> Any:
    value: Any = config
    for name in place:
        value = getattr(value, name)
    return value
