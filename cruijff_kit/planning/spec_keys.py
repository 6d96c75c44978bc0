"""Keys of a design: which there are, what each means, and where a stray one belongs."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from cruijff_kit.data.yaml_text import YamlPath
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Key", "field_at", "key_help", "keys_below", "remedy_for"]

# What people write, from other tools and from habit, and what it is called here.
_OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "accumulation": "controls.gradient_accumulation_steps",
        "alpha": "analysis.alpha",
        "cpus_per_task": "resources.cpus",
        "dropout": "controls.lora_dropout",
        "experiment": "name",
        "email": "resources.notify",
        "gpu": "resources.gpus",
        "gres": "resources.gpu_type",
        "mail": "resources.notify",
        "num_nodes": "resources.nodes",
        "lr_schedule": "controls.lr_scheduler",
        "learning_rate": "controls.lr",
        "max_new_tokens": "evaluation.generation.max_tokens",
        "memory": "resources.mem",
        "retries": "policy.lost.retries",
        "num_epochs": "controls.epochs",
        "num_train_epochs": "controls.epochs",
        "rank": "controls.lora_rank",
        "scorer": "evaluation.tasks[].scorers",
        "script": "evaluation.tasks[].task",
        "seed": "controls.seeds",
        "split_ratio": "data.training.arguments",
        "time_limit": "resources.time",
        "variables": "factors",
        "vary": "factors",
        "walltime": "resources.time",
        "warmup": "controls.num_warmup_steps",
    }
)
_NEVER = MappingProxyType(
    {
        "matrix_epochs": "write `epochs` in each row of `evaluation.matrix`",
    }
)
_FEW = 12
"""Keys that are listed with every unknown one; ten unknown ones beside fifty keys would fill a reply."""


class Key(NamedTuple):
    """One key that a design may hold."""

    path: str
    """Where it stands, such as `models[].path`."""
    name: str
    """Its last part."""
    field: FieldInfo
    """Its type and what it means."""


@lru_cache(maxsize=1)
def _all_keys() -> tuple[Key, ...]:
    return tuple(_walk(ExperimentSpec, ""))


def _walk(noun: type[Noun], prefix: str) -> Iterator[Key]:
    for name, field in noun.described().items():
        path = f"{prefix}{name}"
        yield Key(path, name, field)
        for inner in _nouns_in(field.annotation):
            yield from _walk(inner, f"{path}{'[]' if get_origin(field.annotation) is tuple else ''}.")


def _nouns_in(annotation: Any) -> Iterator[type[Noun]]:
    """Yield the nouns that a field may hold, one or many of them; none of those under free keys."""
    if isinstance(annotation, type) and issubclass(annotation, Noun):
        yield annotation
    elif get_origin(annotation) is not dict:
        for argument in get_args(annotation):
            yield from _nouns_in(argument)


def _pattern(path: YamlPath) -> str:
    return "".join("[]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def field_at(path: YamlPath) -> FieldInfo | None:
    """Return the field that a path of a design leads to; None for free keys and items."""
    return next((key.field for key in _all_keys() if key.path == _pattern(path)), None)


def key_help(path: YamlPath) -> str:
    """Return what the nearest known key on a path means, on one line."""
    for end in range(len(path), 0, -1):
        field = field_at(path[:end])
        if field is not None and field.description:
            return " ".join(field.description.split())
    return ""


def keys_below(path: YamlPath) -> tuple[str, ...]:
    """Return the keys that may stand directly below a path."""
    prefix = f"{_pattern(path)}." if path else ""
    names = (key.path.removeprefix(prefix) for key in _all_keys() if key.path.startswith(prefix))
    return tuple(name for name in names if "." not in name)


def remedy_for(path: YamlPath) -> str:
    """Return what to do about an unknown key: where it belongs, or what was meant."""
    name, siblings = str(path[-1]), keys_below(path[:-1])
    if name in _NEVER:
        return _NEVER[name]
    near = get_close_matches(name, siblings, n=1, cutoff=0.75)
    # Keys of a kind of design belong to that kind alone, and are nobody's home.
    homes = [key.path for key in _all_keys() if key.name == name and not key.path.startswith("design.")]
    homes = homes or [_OTHER_WORDS.get(name, "")]
    if not near and homes[0]:
        return f"it belongs at `{min(homes, key=lambda home: home.count('.'))}`; move it there"
    near = near or get_close_matches(name, siblings, n=1)
    if near:
        return f"write `{near[0]}`"
    leaves = {key.name: key.path for key in _all_keys()}
    far = get_close_matches(name, leaves, n=1, cutoff=0.75)
    if far:
        return f"did you mean `{leaves[far[0]]}`?"
    if len(siblings) > _FEW:
        return f"remove it; `ck schema` lists the {len(siblings)} keys of `{_pattern(path[:-1]) or 'a design'}`"
    return f"remove it; keys here are {', '.join(f'`{sibling}`' for sibling in siblings)}"
