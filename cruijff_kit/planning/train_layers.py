"""Layers of a training: defaults, profile, file, flags; whose word counts, and who said each value."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from cruijff_kit.data.plain_values import as_written
from cruijff_kit.errors import Problem
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.spec import Controls, Resources
from cruijff_kit.schema.train_keys import TRAIN_KEYS, TrainMode
from cruijff_kit.schema.training import TrainValue

__all__ = ["TrainLayer", "lay_over", "value_problems", "with_machine", "with_steps"]

_WARMUP = 100
_FORMS: Mapping[str, Any] = {
    "backend": TypeAdapter(str),
    "evaluate": TypeAdapter(bool | None),
    "format": TypeAdapter(str),
    "tier": TypeAdapter(Tier | None),
    "val_split": TypeAdapter(float),
}


_KINDS: Mapping[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "truth": (bool,)}
_NOUNS = {"integer": "no whole number", "number": "no number", "truth": "neither true nor false"}


class TrainLayer(NamedTuple):
    """Values from one source; whatever is here was said, also where it equals the default."""

    source: str
    """Who says them."""
    values: Mapping[str, Any]
    """Key to value."""
    places: Mapping[str, str] = {}
    """Key to where it stands, where that can be told."""


def lay_over(mode: TrainMode, *layers: TrainLayer) -> dict[str, TrainValue]:
    """Return every key with its value: a later layer counts, because it was said.

    Args:
        mode: whose defaults stand below the layers.
        layers: profile, file and flags, weakest first; keys without a value are not said.
    """
    found = {name: TrainValue(value=getattr(key, mode), source="default") for name, key in TRAIN_KEYS.items()}
    for layer in layers:
        found |= {
            name: TrainValue(value=value, source=layer.source) for name, value in layer.values.items() if name in found
        }
    return found


def with_machine(values: Mapping[str, TrainValue], *, cpus: int, gpus: int, half: bool = True) -> dict[str, TrainValue]:
    """Return the values with what this machine decides filled in where nobody said it.

    Args:
        values: every key with its value, as its key takes it.
        cpus: CPUs that this process may use.
        gpus: GPUs that there are for it.
        half: whether those are computed with in bf16 where nobody says.
    """
    found = dict(values)
    derived = {"cpus": cpus, "gpus": min(1, gpus), "lora_alpha": 2.0 * values["lora_rank"].value}
    for name, value in derived.items():
        if found[name].value is None:
            found[name] = TrainValue(value=value, source="derived")
    if found["dtype"].value is None:
        found["dtype"] = TrainValue(value="bf16" if half and found["gpus"].value else "fp32", source="derived")
    return found


def with_steps(values: Mapping[str, TrainValue], *, steps: int) -> dict[str, TrainValue]:
    """Return the values with a warm-up that leaves most steps to training, where nobody said how long it is."""
    if values["num_warmup_steps"].value is not None:
        return dict(values)
    return {**values, "num_warmup_steps": TrainValue(value=min(_WARMUP, steps // 10), source="derived")}


def value_problems(values: Mapping[str, TrainValue], *layers: TrainLayer) -> Iterator[Problem]:
    """Yield every value that its key does not take, with who said it and where."""
    for name, each in values.items():
        fact = next(_facts(name, each.value), None)
        if fact is not None:
            place = next((layer.places.get(name, "") for layer in reversed(layers) if layer.source == each.source), "")
            said = f"`{as_written(each.value)}` is not a valid `{name}`: {fact}"
            yield Problem(said, name, place or each.source, TRAIN_KEYS[name].meaning)


def _facts(name: str, value: Any) -> Iterator[str]:
    """Yield what the noun that holds a key elsewhere refuses of a value."""
    kind = _KINDS.get(TRAIN_KEYS[name].kind)
    if value is None and TRAIN_KEYS[name].start is None:
        # What is filled in later may be absent.
        return
    if kind is not None and value is not None and type(value) not in kind:
        yield f"it is {_NOUNS[TRAIN_KEYS[name].kind]}"
    else:
        try:
            _check(name, value)
        except ValidationError as err:
            # A seed is checked as one of several; that there is none left follows from what is wrong with it.
            yield " and ".join(
                dict.fromkeys(fact_of(each["msg"]) for each in err.errors() if each["type"] != "too_short")
            )
    if name == "val_split" and isinstance(value, float | int) and not 0 <= value < 1:
        yield "it is a share, at least 0 and below 1"


def _check(name: str, value: Any) -> None:
    """Let the noun that holds a key elsewhere take a value.

    Raises:
        ValidationError: it does not.
    """
    home, _, field = TRAIN_KEYS[name].home.partition(".")
    if name in _FORMS:
        _FORMS[name].validate_python(value, strict=True)
    elif home == "resources":
        Resources.model_validate({field: value})
    else:
        Controls.model_validate({field: (value,) if name == "seed" else value})
