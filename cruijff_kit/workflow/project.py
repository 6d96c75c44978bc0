"""Project: a directory to train in, with places for data, models, configurations and profiles."""

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.machine import ProjectReceipt
from cruijff_kit.schema.train_keys import TRAIN_KEYS

__all__ = ["CONFIG", "make_project"]

CONFIG = "configs/train.yml"
"""Configuration that a project begins with."""

_SITE = "site.yaml"
_MODELS = "models"
_TOLD = {
    "data/README.md": "Rows to learn lie here, as .json, .jsonl or .parquet; `ck data validate FILE` checks them.\n",
    f"{_MODELS}/README.md": "Base models lie here, a directory each; `ck models pull OWNER/NAME` brings one.\n",
    "profiles/README.md": "Profiles lie here; `ck train profiles create NAME --set lora_rank=16` makes one.\n",
}
_WRITTEN = ("template", "max_seq_len", "val_split", "lora_rank", "lora_dropout", "epochs", "batch_size")
_WRITTEN += ("gradient_accumulation_steps", "lr", "lr_scheduler", "weight_decay", "seed", "backend")


def make_project(*, world: World) -> ProjectReceipt:
    """Write what a project begins with; whatever is there already stays as it is.

    Adapters, metrics and logs of a training lie in its own directory, so there are no
    empty places for them.

    Args:
        world: the project's directory; its `site.yaml` says where models lie.

    Raises:
        PlanError: the directory is an experiment.
    """
    if world.store.read(ExperimentLayout.summary) is not None:
        fact = f"`{world.store.root}` is an experiment, and those lie in a project"
        raise PlanError(fact, hint="run `ck init` in the directory around it")
    models = world.site.models_dir or str(world.store.root / _MODELS)
    files = {**_TOLD, CONFIG: _config()}
    if world.site.models_dir is None:
        files[_SITE] = dump_yaml({"models_dir": models})
    there = [path for path in files if world.store.read(path) is not None]
    for path, text in files.items():
        if path not in there:
            world.store.write(path, text)
    written = tuple(path for path in files if path not in there)
    return ProjectReceipt(root=str(world.store.root), written=written, kept=tuple(there), models_dir=models)


def _config() -> str:
    """Return a configuration with the usual keys at their defaults, each with what it means."""
    lines = [
        "# For `ck train start -c configs/train.yml`; flags count over it, and `ck train validate` shows every value.",
        "model: tiny  # a directory, or a name of `ck models list`; `tiny` is made on this machine",
        "data: capitalization  # a file or folder, or a name of `ck train list-data`",
    ]
    for name in _WRITTEN:
        key = TRAIN_KEYS[name]
        value = "model" if name == "template" else key.start
        lines.append(f"{dump_yaml({name: value}).rstrip()}  # {key.meaning}")
    return "\n".join([*lines, ""])
