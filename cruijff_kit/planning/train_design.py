"""The design of one training: what a few words at a terminal come to, as anybody would have written it."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.schema.train_keys import TRAIN_KEYS

__all__ = ["DesignParts", "design_text", "renamed_design", "total_steps"]

# The embedded queue holds jobs to their limit, and a laptop may take its time.
_TIME = "7-00:00:00"
_SHORTEST, _LONGEST = 16, 256
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class DesignParts(NamedTuple):
    """What the keys of a training do not say."""

    name: str
    """Name of the experiment's directory."""
    command: str
    """The words it was asked for with."""
    created: str
    """Date, ISO-8601."""
    model: tuple[str, str]
    """The model as it was named, and its directory."""
    data: str
    """File or folder of the rows, as the design names it."""
    backend: str
    """Engine that trains."""


def design_text(parts: DesignParts, values: Mapping[str, Any], *, answers: int = 0) -> str:
    """Return the design as YAML: one run, and the base model beside it where something is evaluated.

    Args:
        parts: names and places.
        values: every key of a training.
        answers: bytes of the longest answer that is evaluated.
    """
    named, path = parts.model
    design: dict[str, Any] = {
        "name": _name(parts.name, "training"),
        "question": f"What does `{' '.join(parts.command.split())}` teach the model?",
        "created": parts.created,
        "tools": {"preparation": parts.backend, "evaluation": "inspect-ai" if values["evaluate"] else "none"},
        "models": [{"name": _name(named.rstrip("/").rpartition("/")[2], "base"), "path": path}],
        "data": {"training": {"path": parts.data}, "tier": values["tier"]},
        "runs": [{"name": "tuned"}],
        "controls": {"dataset_type": "auto", **_controls(values)},
        "resources": {"time": _TIME, "eval_time": _TIME, "cpus": values["cpus"], "gpus": values["gpus"]},
    }
    if values["evaluate"]:
        design["runs"].append({"name": "base", "type": "control"})
        longest = min(max(_SHORTEST, answers + 1), _LONGEST)
        tasks = [{"name": "test", "task": "rows", "split": "test"}]
        design["evaluation"] = {"tasks": tasks, "generation": {"max_tokens": longest}}
    return dump_yaml(design)


def renamed_design(text: str, name: str) -> str:
    """Return the design of a training that lies in a directory of another name."""
    return dump_yaml({**load_yaml(text, name="design.yaml").value, "name": _name(name, "training")})


def total_steps(values: Mapping[str, Any], rows: int) -> int:
    """Return the optimiser steps of a training over so many rows."""
    used = min(rows, values["training_samples"] or rows)
    steps = -(-used // (values["batch_size"] * values["gradient_accumulation_steps"]))
    return values["epochs"] * min(steps, values["max_steps_per_epoch"] or steps)


def _controls(values: Mapping[str, Any]) -> dict[str, Any]:
    controls = {
        key.home.partition(".")[2]: values[name]
        for name, key in TRAIN_KEYS.items()
        if key.home.startswith("controls.") and values[name] is not None
    }
    controls["seeds"] = [controls["seeds"]]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in controls.items()}


def _name(text: str, fallback: str) -> str:
    return _UNSAFE.sub("-", text).lstrip("._-")[:64].rstrip("-") or fallback
