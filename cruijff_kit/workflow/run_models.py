"""What a run's own files say of its model: its configurations, its rows, and the adapters that its training kept."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cruijff_kit.data.formats import content_sha256
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.tokens import Row
from cruijff_kit.data.yaml_text import dotted
from cruijff_kit.errors import PlanError, Problem, RunError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS, read_record
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.schema.config import DatasetConfig, EvalConfig, TrainConfig
from cruijff_kit.schema.layout import RunLayout, adapter_in
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.plan import Cell, PlannedRun
from cruijff_kit.schema.site import ModelFacts

__all__ = ["adapter_digest", "edited_config", "eval_config", "kept_adapter", "planned_rows", "train_config"]

_Config = TypeVar("_Config", EvalConfig, TrainConfig)


def train_config(run: PlannedRun, world: World) -> TrainConfig:
    """Return the configuration of a run's training as it lies on disk.

    Raises:
        PlanError: it was edited to what is no configuration.
        RunError: it is missing.
    """
    return _on_disk(TrainConfig, RunLayout(run.id).config, run=run, world=world)


def eval_config(run: PlannedRun, cell: Cell, *, world: World) -> EvalConfig:
    """Return the configuration of one of a run's evaluations as it lies on disk.

    Raises:
        PlanError: it was edited to what is no configuration.
        RunError: it is missing.
    """
    return _on_disk(EvalConfig, RunLayout(run.id).cell_config(cell.name), run=run, world=world)


def edited_config(kind: type[_Config], text: str, *, path: str) -> _Config:
    """Return the configuration that a text holds which somebody may have edited.

    Raises:
        PlanError: keys or values are not those of the configuration; all of them are told.
    """
    try:
        return read_config(kind, text, name=path)
    except ValidationError as err:
        problems = [Problem(fact_of(found["msg"]), dotted(found["loc"]), path) for found in err.errors()]
        raise PlanError(f"`{path}` cannot be used", problems=problems) from err


def kept_adapter(config: TrainConfig, label: str) -> str:
    """Return where the adapter of a training lies that is called `best`, or `epoch_N`."""
    folder = f"{config.output_dir}/{label}"
    if label == "best":
        return folder
    return adapter_in(folder, adapter_only=config.save_adapter_weights_only, stash=config.stash_adapter_weights)


def adapter_digest(adapter: str, facts: ModelFacts, *, of_run: bool, world: World) -> tuple[str, bool]:
    """Return the hash of an adapter's weights, and whether its record proves that it is this base's.

    Args:
        adapter: its directory.
        facts: the base that it is to be put on.
        of_run: whether a run was named, which may not have come so far.
        world: what reads files.

    Raises:
        SiteError: it has no weights, or was trained on another base.
    """
    digest = world.store.digest(f"{adapter}/{ADAPTER_WEIGHTS}")
    if digest is None:
        hint = "see `ck status`: the run may not have come so far" if of_run else "mend the path"
        raise SiteError(f"`{adapter}` holds no `{ADAPTER_WEIGHTS}`", hint=hint)
    record = read_record(Path(adapter))
    if record is not None and record.sha256 != facts.sha256:
        fact = f"`{adapter}` was trained on another base than `{facts.path}`"
        raise SiteError(fact, hint=f"name `{record.path}`, or wherever that model lies now, with `--model`")
    return digest, record is not None


def planned_rows(data: DatasetConfig, split: str, *, run: PlannedRun) -> list[Row]:
    """Return the rows of a split, from a file that is still the one planned.

    Raises:
        RunError: the file is missing, changed, or has no such split.
    """
    try:
        content = read_data(Path(data.path))
    except OSError as err:
        raise RunError(f"data set `{data.path}` cannot be read: {err.strerror}", run_id=run.id) from err
    if content_sha256(content) != data.sha256:
        hint = "restore it, or design anew"
        raise RunError(f"data set `{data.path}` is not the one that was planned", run_id=run.id, hint=hint)
    splits = load_splits(content, name=data.path, columns=Columns.of(data))
    if split not in splits:
        known = ", ".join(f"`{name}`" for name in splits)
        raise RunError(f"data set `{data.path}` has no split `{split}`; it has {known}", run_id=run.id)
    return list(splits[split])


def _on_disk(kind: type[_Config], path: str, *, run: PlannedRun, world: World) -> _Config:
    text = world.store.read_text(path)
    if text is None:
        raise RunError(f"`{path}` of run `{run.id}` is missing", run_id=run.id, hint="`ck scaffold` writes it again")
    return edited_config(kind, text, path=path)
