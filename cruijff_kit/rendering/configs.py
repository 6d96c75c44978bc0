"""Configurations as YAML: each distinct entry is rendered, and read back, once."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.plan import PlannedRun, Resolved

__all__ = ["read_config", "render_config", "render_entries", "render_run", "render_settings"]

# Longer than any word that YAML reads as something else than text.
_SAFE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]{5,}", re.ASCII)

_Config = TypeVar("_Config", TrainConfig, EvalConfig)


def render_config(config: TrainConfig | EvalConfig) -> str:
    """Return the text of `finetune.yaml` or `eval.yaml`; it reads back to an equal configuration."""
    # What is as it always was may be left out. What a training says of its loss are nested mappings and lists.
    told = config.model_dump(mode="json")
    names = (name for name in type(config).model_fields if name in told)
    nested = LossControls.model_fields
    return render_entries({name: told[name] if name in nested else getattr(config, name) for name in names})


def read_config(kind: type[_Config], text: str, *, name: str) -> _Config:
    """Return the configuration that a text holds.

    Raises:
        SpecError: the text is not plain YAML.
        ValueError: keys or values are not those of the configuration; pydantic's error lists all.
    """
    return kind.model_validate(load_yaml(text, name=name).value)


def render_run(run: PlannedRun, fixed: Mapping[str, Any], *, asked: str) -> str:
    """Return `run.yaml`: the whole of a resolved run, each value with its source.

    Args:
        run: the planned run.
        fixed: entries that stand first, such as the experiment's name and the data set.
        asked: what all runs ask of the scheduler, as `render_settings` wrote it.
    """
    head: dict[str, Any] = {
        "schema_version": 1,
        "id": run.id,
        "type": run.type,
        "seed": run.seed,
        **fixed,
        "model": run.model,
        "model_path": run.model_path,
        "factors": run.factors,
        "total_steps": run.total_steps,
        "epochs_saved": run.epochs_saved,
        "cells": tuple(cell.name for cell in run.cells),
    }
    return render_entries(head) + render_settings("settings", run.settings) + asked


def render_settings(title: str, settings: Mapping[str, Resolved]) -> str:
    """Return settings as YAML below a title, each with its value and its source."""
    return f"{title}:\n" + "".join([_setting(name, setting) for name, setting in settings.items()])


def render_entries(values: Mapping[str, Any]) -> str:
    """Return a mapping of plain data and nouns as YAML, the same text as `dump_yaml` of it gives.

    Raises:
        AssertionError: an entry does not read back to what was put in.
    """
    parts = []
    for name, value in values.items():
        kind = type(value)
        # Ids and paths differ from run to run; most need no quotes, and then nothing can be lost.
        if kind is str and _SAFE.fullmatch(value):
            parts.append(f"{name}: {value}\n")
        else:
            parts.append(dump_yaml({name: value}) if kind in {dict, list} else _cached(name, (kind, value)))
    return "".join(parts)


@lru_cache(maxsize=16_384)
def _cached(name: str, typed: tuple[type, Any]) -> str:
    """Render an entry that many runs share; the type keeps `1`, `1.0` and `true` apart."""
    value = typed[1]
    plain = value.model_dump(mode="json") if isinstance(value, Noun) else value
    entry = dump_yaml({name: plain})
    _check(entry, {name: plain})
    return entry


def _setting(name: str, setting: Resolved) -> str:
    value = tuple(setting.value) if isinstance(setting.value, list) else setting.value
    # Mappings have no hash to be kept by.
    held = isinstance(value, dict) or (isinstance(value, tuple) and any(isinstance(each, dict) for each in value))
    render = _sourced.__wrapped__ if held else _sourced
    return render(name, (type(value), value, setting.source))


@lru_cache(maxsize=16_384)
def _sourced(name: str, typed: tuple[type, Any, str]) -> str:
    _, value, source = typed
    values = {"settings": {name: {"value": value, "source": source}}}
    entry = dump_yaml(values)
    _check(entry, values)
    return entry.partition("\n")[2]


def _check(entry: str, values: Mapping[str, Any]) -> None:
    found = load_yaml(entry, name="entry").value
    if found != json.loads(json.dumps(values)):
        raise AssertionError(f"{values!r} was rendered as {entry!r}, which reads back as {found!r}")
