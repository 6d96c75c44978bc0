"""A trained adapter as it lies on disk: its weights, its base, and what its training's configuration says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.setup_text import read_setup
from cruijff_kit.errors import CruijffError, Problem, SpecError
from cruijff_kit.planning.setup_layers import Layer, default_layer, resolve_layers, site_layer
from cruijff_kit.ports import World
from cruijff_kit.rendering.setup import CONFIG_FILE, data_file, model_folder
from cruijff_kit.runtime.base_record import ADAPTER_CONFIG, ADAPTER_WEIGHTS, find_base, read_record
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.layout import STASH, RunLayout
from cruijff_kit.schema.setup_keys import SETUP_FILE
from cruijff_kit.workflow.setup_inputs import absolute, placed_values

__all__ = ["EPOCH", "Trained", "find_trained"]

EPOCH = re.compile(r"epoch_(\d+)")
"""Name of an epoch's directory."""

_OUTPUT = "ck-out-"
_SHARED = (
    *("dataset_type", "prompt", "system_prompt", "input_key", "output_key"),
    *("template", "template_date", "max_seq_len", "overlong"),
)


class Trained(NamedTuple):
    """What was found of an adapter and its training."""

    values: Mapping[str, Any] = MappingProxyType({})
    """What the training's configuration and the adapter say of the keys."""
    columns: Mapping[str, str] = MappingProxyType({})
    """Columns that training renamed as it read rows."""
    source: Path | None = None
    """The training's configuration; None where there is none."""
    adapter: Path | None = None
    """Directory of the adapter; None for a control."""
    sha256: str | None = None
    """Hash of its weights."""
    base_sha256: str | None = None
    """Hash that its base had in training, where that is recorded."""


def find_trained(asked: Mapping[str, Any], *, world: World) -> tuple[Trained, list[Problem]]:
    """Return an adapter and what its training says of data and prompts, and what is wrong with them.

    Args:
        asked: keys that file and flags say.
        world: the directory that relative paths start at.
    """
    root, problems = world.store.root, list[Problem]()
    folder = Path(absolute(asked["finetune_epoch_dir"], root)) if asked.get("finetune_epoch_dir") else None
    adapter = _adapter(folder, problems) if folder is not None else None
    try:
        source, values, columns = _training(asked, folder, world=world)
    except SpecError as err:
        hint = err.hint or "name the training's configuration with `config_path`"
        problems.append(Problem(str(err).partition("\n")[0], "config_path", hint=hint))
        source, values, columns = None, {}, {}
    if folder is not None:
        values = {**_named(folder), **values}
    if adapter is None:
        return Trained({name: value for name, value in values.items() if name != "run"}, columns, source), problems
    if "base_model_dir" not in asked:
        values |= _base(adapter, values.get("base_model_dir"), problems=problems)
    record = read_record(adapter)
    sha256 = file_sha256(adapter / ADAPTER_WEIGHTS)
    return Trained(values, columns, source, adapter, sha256, record.sha256 if record else None), problems


def _adapter(folder: Path, problems: list[Problem]) -> Path | None:
    """Return where the adapter of an epoch's directory lies: in it, or stashed below its merged model."""
    key = "finetune_epoch_dir"
    found = next((place for place in (folder, folder / STASH) if (place / ADAPTER_CONFIG).is_file()), None)
    if found is None:
        fact = f"`{folder}` holds no adapter: `{ADAPTER_CONFIG}` is missing"
        hint = "name a directory such as `ck-out-RUN/epoch_0`; a merged model is evaluated with `base_model_dir`"
        problems.append(Problem(fact, key, hint=hint))
    elif not (found / ADAPTER_WEIGHTS).is_file():
        hint = "save the adapter as safetensors, which is what is loaded"
        problems.append(Problem(f"`{found}` lacks `{ADAPTER_WEIGHTS}`", key, hint=hint))
        return None
    return found


def _base(adapter: Path, trained_on: str | None, *, problems: list[Problem]) -> dict[str, str]:
    """Return the base that an adapter names, or the one its training names where that is gone."""
    try:
        return {"base_model_dir": str(find_base(adapter))}
    except CruijffError as err:
        if trained_on is not None and Path(trained_on).is_dir():
            return {"base_model_dir": trained_on}
        hint = "name it with `base_model_dir`"
        problems.append(Problem(str(err).partition("\n")[0], "base_model_dir", hint=hint))
        return {}


def _named(folder: Path) -> dict[str, Any]:
    """Return run and epoch as the directories are called."""
    epoch = EPOCH.fullmatch(folder.name)
    output = _output(folder)
    name = output.name.removeprefix(_OUTPUT) if epoch or output.name.startswith(_OUTPUT) else folder.name
    return {
        "run": re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip("._-")[:96] or "run",
        "epoch": int(epoch[1]) if epoch else 0,
    }


def _output(folder: Path) -> Path:
    """Return the run's directory of adapters."""
    return next((place for place in (folder, *folder.parents) if place.name.startswith(_OUTPUT)), folder.parent)


def _training(
    asked: Mapping[str, Any], folder: Path | None, *, world: World
) -> tuple[Path | None, dict[str, Any], Mapping[str, str]]:
    """Return the training's configuration, what it says of the keys, and the columns it renames."""
    root = world.store.root
    if asked.get("config_path"):
        path = Path(absolute(asked["config_path"], root))
        return path, *(_of_config(load_train_config(path)) if path.name != SETUP_FILE else _of_setup(path, world))
    for path in _beside(folder, root):
        config = load_train_config(path) if path.is_file() else None
        if config is not None and (folder is None or Path(config.output_dir).resolve() == _output(folder).resolve()):
            return path, *_of_config(config)
    for path in (folder.parent / SETUP_FILE, folder / SETUP_FILE) if folder is not None else ():
        if path.is_file():
            return path, *_of_setup(path, world)
    return None, {}, {}


def _beside(folder: Path | None, root: Path) -> Iterator[Path]:
    """Yield where the configuration of an adapter's training may lie, nearest first."""
    if folder is None:
        yield root / CONFIG_FILE
        return
    output = _output(folder)
    run = output.name.removeprefix(_OUTPUT)
    yield from (folder / CONFIG_FILE, output / CONFIG_FILE, output.parent / CONFIG_FILE, root / CONFIG_FILE)
    yield from (output.parent.parent / RunLayout(run).config, root / RunLayout(run).config)


def _of_config(config: TrainConfig) -> tuple[dict[str, Any], Mapping[str, str]]:
    data = config.dataset
    said = {name: getattr(data, name) for name in _SHARED}
    said |= {"data_path": data.path, "base_model_dir": config.base_model.path, "dtype": config.dtype}
    return {**said, "run": config.run_id}, dict(data.columns)


def _of_setup(path: Path, world: World) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Read a `setup_finetune.yaml`, of the first system too, whose jobs left no configuration of ours.

    Raises:
        SpecError: keys or values are wrong; lists every problem.
    """
    try:
        given = read_setup(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError) as err:
        raise SpecError(f"`{path}` cannot be read: {err}") from err
    if given.problems:
        raise SpecError(f"`{path}` is no set-up of a training", problems=given.problems)
    found = resolve_layers(default_layer(), site_layer(world.site), Layer("file", given.values))
    plain = placed_values({name: each.value for name, each in found.items()}, root=path.parent)
    said = {name: plain[name] for name in _SHARED}
    if plain["input_dir_base"] is not None:
        said["data_path"] = data_file(plain)
    if plain["models_dir"] is not None:
        said["base_model_dir"] = model_folder(plain)
    return said, {}
