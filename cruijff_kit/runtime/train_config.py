"""Reading a job's configuration, and proving that its inputs are what it says."""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import dotted, load_yaml
from cruijff_kit.errors import Problem, RunError, SpecError
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.runtime.model_files import model_config, model_sha256
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.noun import fact_of

__all__ = ["check_inputs", "load_config", "load_train_config", "training_identity"]

_Config = TypeVar("_Config", TrainConfig, EvalConfig)

# Where a training is done, how a step is split, what is told of it: its weights come out the same.
_HOW = {
    "run_dir": ...,
    "output_dir": ...,
    "base_model": {"name", "path", "api", "base_url"},
    "dataset": {"path"},
    "batch_size": ...,
    "batch_size_val": ...,
    "gradient_accumulation_steps": ...,
    "device": ...,
    "log_every_n_steps": ...,
    "checkpoint_every_n_steps": ...,
    "packed": ...,
    "enable_activation_checkpointing": ...,
    "compile": ...,
    "strategy": ...,
    "custom_metrics": ...,
}


def load_train_config(path: Path) -> TrainConfig:
    """Read a training configuration.

    Raises:
        SpecError: the file is missing, is no YAML, or breaks the form; all problems at once.
    """
    return load_config(path, TrainConfig)


def load_config(path: Path, kind: type[_Config]) -> _Config:
    """Read a job's configuration of one kind.

    Raises:
        SpecError: the file is missing, is no YAML, or breaks the form; all problems at once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise SpecError(f"configuration `{path}` cannot be read: {err.strerror}", hint="run `ck scaffold`") from err
    document = load_yaml(text, name=str(path))
    try:
        return kind.model_validate(document.value)
    except ValidationError as err:
        problems = [Problem(fact_of(error["msg"]), path=dotted(error["loc"])) for error in err.errors()]
        stage = "a training" if kind is TrainConfig else "an evaluation"
        raise SpecError(f"`{path}` is not {stage} configuration", problems=problems) from err


def training_identity(config: TrainConfig) -> str:
    """Return a hash of what decides a training's results; its checkpoints are good for no other.

    Batch size and accumulation count as their product: a step that did not fit into
    memory may be split otherwise, and the training goes on from its checkpoint.
    """
    content = config.model_dump(mode="json", exclude=_HOW)
    content["effective_batch"] = config.batch_size * config.gradient_accumulation_steps
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_inputs(config: TrainConfig | EvalConfig) -> None:
    """Compare the data set's and the base model's content with the hashes that were planned.

    What answers behind an API cannot be looked at.

    Raises:
        RunError: either is not what the plan was made with.
        SiteError: the model directory is unreadable.
    """
    data = Path(config.dataset.path)
    if not data.exists():
        raise _mismatch(config, f"data set `{data}` does not exist", hint="run `ck scaffold`, or bring the file back")
    if data_sha256(data) != config.dataset.sha256:
        raise _mismatch(config, f"data set `{data}` is not the one that was planned", hint="restore it, or design anew")
    if config.base_model.api is not None:
        return
    folder = Path(config.base_model.path)
    model_config(folder)
    if model_sha256(folder) != config.base_model.sha256:
        hint = "restore the directory, or write the design again with this model"
        raise _mismatch(config, f"base model `{folder}` is not the one that was planned", hint=hint)


def _mismatch(config: TrainConfig | EvalConfig, fact: str, *, hint: str) -> RunError:
    return RunError(fact, run_id=config.run_id, hint=hint)
