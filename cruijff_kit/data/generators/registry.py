"""Generators by name: arguments checked, keys derived, data sets made."""

import hashlib
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.generators import bit_sequences, capitalization
from cruijff_kit.data.splits import Splits, overlaps, write_splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Noun

__all__ = [
    "GENERATORS",
    "Files",
    "Generated",
    "Generator",
    "check_arguments",
    "dataset_meta",
    "make_dataset",
    "named_files",
]


Files = Mapping[str, bytes]
"""Content of the files that arguments name, by argument."""

_NO_FILES: Files = MappingProxyType({})


class Generator(NamedTuple):
    """A registered generator."""

    arguments: type[Noun]
    """Its typed arguments."""
    generate: Callable[[Any, Files], Splits]
    """Pure: arguments and the content of the files they name, to splits."""
    version: str
    """Changed whenever the same arguments would give other rows."""
    splits: tuple[str, ...]
    """Splits it makes."""
    files: tuple[str, ...] = ()
    """Arguments that name a file."""


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "bit_sequences": Generator(
            bit_sequences.BitSequences,
            bit_sequences.generate,
            bit_sequences.VERSION,
            ("train", "validation", "test"),
        ),
        "capitalization": Generator(
            capitalization.Capitalization,
            capitalization.generate,
            capitalization.VERSION,
            ("train", "validation", "test", "other_lengths"),
            files=("words",),
        ),
    }
)
"""Name in a design to generator."""


class Generated(NamedTuple):
    """A data set made by a generator."""

    facts: DatasetFacts
    """Key, size, hash, splits and arguments."""
    content: bytes
    """The file's bytes."""
    splits: Splits
    """The rows."""


def named_files(generator: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths that arguments name, by argument."""
    known = GENERATORS.get(generator)
    paths = {name: arguments.get(name) for name in (known.files if known else ())}
    return {name: path for name, path in paths.items() if isinstance(path, str)}


def check_arguments(generator: str, arguments: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with a generator's name and arguments; paths are argument names."""
    known = GENERATORS.get(generator)
    if known is None:
        names = ", ".join(f"`{name}`" for name in GENERATORS)
        near = get_close_matches(generator, GENERATORS, n=1)
        hint = f"write `{near[0]}`" if near else "name one of them, or give the rows as a file with `path`"
        return [Problem(f"unknown generator `{generator}`; generators are {names}", hint=hint)]
    try:
        known.arguments.model_validate(dict(arguments))
    except ValidationError as err:
        return [_argument_problem(found, known) for found in err.errors()]
    return []


def make_dataset(generator: str, arguments: Mapping[str, Any], *, files: Files = _NO_FILES) -> Generated:
    """Generate a data set: the same bytes for the same arguments and files, always.

    Args:
        generator: name in `GENERATORS`.
        arguments: those that differ from the defaults.
        files: content of the files the arguments name, by argument.

    Raises:
        SpecError: the arguments are wrong or ask for more than there is; problems are
            placed at argument names.
    """
    problems = check_arguments(generator, arguments)
    missing = sorted(set(named_files(generator, arguments)) - set(files))
    problems += [Problem(f"file `{arguments[name]}` is missing", name, hint="mend the path") for name in missing]
    if problems:
        raise SpecError(f"generator `{generator}` cannot run", problems=problems)
    known = GENERATORS[generator]
    typed = known.arguments.model_validate(dict(arguments))
    splits = known.generate(typed, files)
    shared = overlaps(splits)
    if shared:
        raise AssertionError(f"generator `{generator}` repeats `{shared[0].example}` in two splits")
    content = write_splits(splits)
    key = _key(generator, typed, files=files)
    return Generated(_facts(generator, typed, key=key, content=content, splits=splits), content, splits)


def dataset_meta(facts: DatasetFacts) -> bytes:
    """Return the sidecar of a generated data set: how to make it again, and its hashes."""
    return (
        json.dumps({"schema_version": 1, **facts.model_dump(mode="json")}, indent=2, ensure_ascii=False) + "\n"
    ).encode()


def _facts(generator: str, typed: Noun, *, key: str, content: bytes, splits: Splits) -> DatasetFacts:
    return DatasetFacts(
        key=key,
        path=ExperimentLayout.dataset(key),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        splits={name: len(rows) for name, rows in splits.items()},
        generator=generator,
        generator_version=GENERATORS[generator].version,
        arguments=typed.model_dump(mode="json"),
    )


def _key(generator: str, typed: Noun, *, files: Files) -> str:
    """Derive a key from what fixes the rows; a file counts by content, not by path."""
    known = GENERATORS[generator]
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    arguments = {**typed.model_dump(mode="json"), **hashes}
    identity = {"generator": generator, "version": known.version, "arguments": arguments}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{generator}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _argument_problem(found: Any, known: Generator) -> Problem:
    name = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] != "extra_forbidden":
        text = f"`{found['input']}` is not a valid `{name}`: {found['msg'][:1].lower()}{found['msg'][1:]}"
        doc = known.arguments.model_fields[name].description if name in known.arguments.model_fields else ""
        return Problem(text, path=name, hint=(doc or "").replace("\n", " "))
    names = list(known.arguments.model_fields)
    near = get_close_matches(name, names, n=1)
    hint = f"write `{near[0]}`" if near else f"remove it; arguments are {', '.join(f'`{each}`' for each in names)}"
    return Problem(f"unknown argument `{name}`", path=name, hint=hint)
