"""Edits: what a hand edit of a run's configuration means for its plan."""

from collections.abc import Iterator
from typing import Any

from cruijff_kit.errors import Problem
from cruijff_kit.planning.runs import total_steps
from cruijff_kit.schema.config import TRAIN_PLACES, EvalConfig, TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.plan import PlannedRun, Resolved

__all__ = ["edit_problems", "eval_problems", "with_edit"]

# Epochs decide which adapters and evaluations there are, so they are part of what a run is.
# What losses are told holds together only as a whole, which the design checks.
_FIXED = {"epochs", "epochs_to_save", *LossControls.model_fields}
_EDITABLE = {name: place for name, place in TRAIN_PLACES.items() if name not in _FIXED}


def edit_problems(run: PlannedRun, planned: TrainConfig, *, edited: TrainConfig, place: str) -> list[Problem]:
    """Return why an edit cannot be adopted: it changes what the run is, or what the design varies."""
    editable = set(_EDITABLE.values())
    problems = []
    for where, (old, new) in _differences(planned.model_dump(), edited.model_dump()):
        if where not in editable:
            fact = f"`{old}` became `{new}`, and it is part of what the run is"
            hint = "set it back; change the design if the run itself shall be another"
            problems.append(Problem(fact, ".".join(where), place, hint))
    for name, where in _EDITABLE.items():
        if name in run.factors and _at(planned, where) != _at(edited, where):
            hint = f"set it back to `{_at(planned, where)}`; `ck design amend` adds levels"
            problems.append(Problem(f"`{name}` is a factor of the design", ".".join(where), place, hint))
    return problems


def eval_problems(planned: EvalConfig, edited: EvalConfig, *, place: str) -> list[Problem]:
    """Return why an edited evaluation cannot be adopted: only its batch size is a person's to choose."""
    return [
        Problem(
            f"`{old}` became `{new}`, so that runs would no longer be measured alike",
            ".".join(where),
            place,
            hint="set it back; what training and evaluation share is edited in `finetune.yaml`",
        )
        for where, (old, new) in _differences(planned.model_dump(), edited.model_dump())
        if where != ("generation", "batch_size")
    ]


def with_edit(run: PlannedRun, config: TrainConfig, *, rows: int) -> PlannedRun:
    """Return a run with the settings of an edited configuration, each marked as an edit.

    Args:
        run: the run as designed.
        config: its training configuration as edited.
        rows: rows of its training split.
    """
    settings = {
        **run.settings,
        **{
            name: Resolved(value=_at(config, where), source="edit")
            for name, where in _EDITABLE.items()
            if run.settings[name].value != _at(config, where)
        },
    }
    return run.model_copy(update={"settings": settings, "total_steps": total_steps(settings, rows)})


def _at(config: TrainConfig, where: tuple[str, ...]) -> Any:
    value: Any = config
    for name in where:
        value = getattr(value, name)
    return value


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple[Any, Any]]]:
    """Yield the path of every value that differs, and both values."""
    for name in {**old, **new}:
        value, other = old.get(name), new.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            yield from (((name, *where), pair) for where, pair in _differences(value, other))
        elif value != other:
            yield (name,), (value, other)
