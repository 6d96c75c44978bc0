"""The keys of a set-up, in a file or as flags, as typed values with the place of all that is wrong."""

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import Marks, dotted, load_yaml
from cruijff_kit.errors import Problem
from cruijff_kit.schema.setup_keys import FINETUNE, KeyTable, SetupKey
from cruijff_kit.schema.spec import Controls, Resources

__all__ = ["DATASET_TYPES", "SCHEDULES", "Given", "read_flags", "read_setup", "setup_value"]

DATASET_TYPES = MappingProxyType(
    {"instruct_dataset": "chat_completion", "text_completion_dataset": "text_completion", "chat_dataset": "chat"}
)
"""The first system's data set types, by what they are called here."""

SCHEDULES = MappingProxyType(
    {
        "get_cosine_schedule_with_warmup": "cosine",
        "get_linear_schedule_with_warmup": "linear",
        "get_constant_schedule_with_warmup": "constant_with_warmup",
        "get_constant_schedule": "constant",
    }
)
"""The first system's schedules, by what they are called here."""

_EXPONENTIAL = {"exponential", "get_exponential_schedule_with_warmup"}
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NULLS = {"", "null", "none", "~"}
# Kinds of which no text but null itself could be meant.
_QUOTED = ("integer?", "number?")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_EPOCHS = ("all", "last", "none")
# A key that another noun knows by another name.
_RESOURCES = MappingProxyType({"cpus_per_task": "cpus"})


class Given(NamedTuple):
    """What one file or one command line says."""

    values: dict[str, Any]
    """Typed value of each key that was written, also where it equals the default."""
    marks: Marks
    """Where each stands."""
    problems: tuple[Problem, ...]
    """All that is wrong with the rest."""


def read_setup(text: str, *, name: str, table: KeyTable = FINETUNE) -> Given:
    """Return the values of a `setup_finetune.yaml`, or of the file of another table of keys.

    Raises:
        SpecError: the text is not plain YAML.
    """
    document = load_yaml(text, name=name)
    if document.value is not None and not isinstance(document.value, dict):
        problem = Problem("the file does not hold `key: value` lines", place=name, hint="write `epochs: 3`, for one")
        return Given({}, document.marks, (problem,))
    found = {str(key): value for key, value in (document.value or {}).items()}
    if "config_file" in found:
        hint = f"remove the key, or use `ck {table.verb} --config_file FILE`"
        place = document.marks.place(("config_file",))
        own = Problem("a file cannot name the file to read", "config_file", place, hint)
        del found["config_file"]
        given = _given(found, document.marks, table=table)
        return given._replace(problems=(own, *given.problems))
    return _given(found, document.marks, table=table)


def read_flags(flags: Mapping[str, str], *, table: KeyTable = FINETUNE) -> Given:
    """Return the values of command-line flags, given by key without the dashes."""
    marks = Marks("command line", {})
    # A text of nothing, or `null`, is how a shell says null.
    plain = {
        name: None if key is not None and key.optional and text.lower() in _NULLS else text
        for name, text in flags.items()
        for key in [table.keys.get(table.renamed.get(name, name))]
    }
    return _given(plain, marks, table=table)


def setup_value(key: SetupKey, raw: Any) -> Any:
    """Return a value in the form that its key takes.

    Raises:
        ValueError: it has another form; the message says which was expected.
    """
    if key.optional and (raw in (None, "") or (key.kind in _QUOTED and str(raw).lower() in _NULLS)):
        return None
    if raw is None:
        raise ValueError(f"null is no {_words(key)}")
    read = _FORMS.get(key.kind.removesuffix("?"), _text)
    return _checked(key, read(raw))


def _given(found: Mapping[str, Any], marks: Marks, *, table: KeyTable) -> Given:
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, raw in found.items():
        place = marks.place((name,))
        own = table.renamed.get(name, name)
        key = table.keys.get(own)
        if key is None:
            problems.append(_unknown(name, place, table=table))
            continue
        if own != name and own in found:
            fact = f"`{name}` and `{own}` are two names of one thing"
            problems.append(Problem(fact, name, place, "keep one of them"))
            continue
        try:
            values[own] = setup_value(key, raw)
        except ValueError as err:
            problems.append(Problem(f"`{_shown(raw)}` is not a valid `{name}`: {err}", name, place, key.meaning))
    return Given(values, marks, tuple(problems))


def _unknown(name: str, place: str, *, table: KeyTable) -> Problem:
    if name in table.refused:
        return Problem(f"`{name}` is not taken", name, place, table.refused[name])
    near = get_close_matches(name, [*table.keys, *table.renamed], n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"`ck {table.verb} --list-keys` lists what there is"
    return Problem(f"unknown key `{name}`", name, place, hint)


def _checked(key: SetupKey, value: Any) -> Any:
    """Return a value as the noun that holds it elsewhere takes it, its range checked.

    Raises:
        ValueError: the noun refuses it.
    """
    field = _RESOURCES.get(key.name, key.name)
    try:
        if key.name == "seed" and value is not None:
            return Controls.model_validate({"seeds": (value,)}).seeds[0]
        if field in Controls.model_fields:
            return getattr(Controls.model_validate({field: value}), field)
        if field in Resources.model_fields:
            return getattr(Resources.model_validate({field: value}), field)
    except ValidationError as err:
        raise ValueError(" and ".join(dict.fromkeys(_facts(err)))) from err
    return value


def _facts(err: ValidationError) -> Iterator[str]:
    for each in err.errors():
        within = dotted(each["loc"][1:])
        yield f"{within}: {each['msg'].lower()}" if within.startswith("[") else each["msg"].lower()


def _truth(raw: Any) -> bool:
    known = _TRUTHS.get(str(raw).strip().lower())
    if known is None:
        raise ValueError("write true or false")
    return known


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
        return int(raw)
    raise ValueError("it is no whole number")


def _number(raw: Any) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        return float(raw)
    raise ValueError("it is no number")


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("it is no text; put it in quotes")
    return raw


def _name(raw: Any) -> str:
    if not isinstance(raw, str) or not _NAME.fullmatch(raw):
        raise ValueError(
            "a name has letters, digits, dots, hyphens and underscores, and starts with one of the first two"
        )
    return raw


def _list(raw: Any) -> tuple[str, ...]:
    """Return words that stand in a list, or in a text with commas or blanks between them."""
    words = raw if isinstance(raw, list | tuple) else [raw]
    return tuple(word for text in words for word in re.split(r"[,\s]+", _text(text)) if word)


def _epochs(raw: Any) -> str | tuple[int, ...]:
    if isinstance(raw, str) and raw.strip().lower() in _EPOCHS:
        return raw.strip().lower()
    words = [word.strip() for word in raw.split(",")] if isinstance(raw, str) else raw
    try:
        return tuple(_integer(word) for word in (words if isinstance(words, list | tuple) else [words]))
    except ValueError as err:
        raise ValueError("write `all`, `last`, `none`, or epochs from 0 such as `0,2,4`") from err


def _dataset_type(raw: Any) -> str:
    return DATASET_TYPES.get(_text(raw), raw)


def _schedule(raw: Any) -> str:
    if raw in _EXPONENTIAL:
        raise ValueError("the first system accepted it and its jobs then crashed; no recipe has it: use `cosine`")
    return SCHEDULES.get(_text(raw), raw)


_FORMS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "truth": _truth,
        "integer": _integer,
        "number": _number,
        "name": _name,
        "words": _list,
        "epochs": _epochs,
        "dataset type": _dataset_type,
        "schedule": _schedule,
    }
)
"""Form of a key to its reader; everything else is text."""


def _words(key: SetupKey) -> str:
    return {"truth": "truth value", "integer": "whole number", "epochs": "choice of epochs"}.get(key.kind, key.kind)


def _shown(raw: Any) -> str:
    return str(raw).lower() if isinstance(raw, bool) else str(raw)
