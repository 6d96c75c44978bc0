"""Generators by name: arguments checked, keys derived, data sets made."""

import hashlib
import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.generators import (
    bit_chances,
    bit_sequences,
    capitalization,
    four_splits,
    number_sequences,
    reports,
    tabular,
)
from cruijff_kit.data.splits import Splits, overlaps, write_splits
from cruijff_kit.data.tabular.arguments import argument_problems
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.data import DatasetFacts, Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.table import Tabular

__all__ = [
    "GENERATORS",
    "Files",
    "Generated",
    "Generator",
    "check_arguments",
    "dataset_facts",
    "dataset_key",
    "dataset_meta",
    "make_dataset",
    "named_files",
]


Files = Mapping[str, bytes]
"""Content of the files that arguments name, by argument."""

_NO_FILES: Files = MappingProxyType({})


def _no_problems(_: Any) -> list[Problem]:
    return []


def _never(_: Any) -> bool:
    return False


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
    problems: Callable[[Any], list[Problem]] = _no_problems
    """What is wrong with arguments taken together."""
    shares: Callable[[Any], bool] = _never
    """Whether two splits may hold the same question on purpose."""
    stem: Callable[[Any], str] | None = None
    """Start of a data set's key; the generator's name and a hyphen where None."""


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "bit_chances": Generator(
            bit_chances.BitChances,
            bit_chances.generate,
            bit_chances.VERSION,
            four_splits.SPLITS,
            problems=bit_chances.argument_problems,
        ),
        "bit_sequences": Generator(
            bit_sequences.BitSequences,
            bit_sequences.generate,
            bit_sequences.VERSION,
            ("train", "validation", "test"),
            problems=bit_sequences.argument_problems,
        ),
        "capitalization": Generator(
            capitalization.Capitalization,
            capitalization.generate,
            capitalization.VERSION,
            ("train", "validation", "test", "other_lengths"),
            files=("words",),
        ),
        "number_sequences": Generator(
            number_sequences.NumberSequences,
            number_sequences.generate,
            number_sequences.VERSION,
            number_sequences.SPLITS,
            problems=number_sequences.argument_problems,
        ),
        "reports": Generator(
            reports.Reports,
            reports.generate,
            reports.VERSION,
            four_splits.SPLITS,
            problems=reports.size_problems,
        ),
        "tabular": Generator(
            Tabular,
            tabular.generate,
            tabular.VERSION,
            tabular.SPLITS,
            files=tabular.FILES,
            problems=argument_problems,
            shares=tabular.shares_text,
            stem=tabular.stem,
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
        typed = known.arguments.model_validate(dict(arguments))
    except ValidationError as err:
        return [_argument_problem(found, known) for found in err.errors()]
    return known.problems(typed)


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
    shared = [] if known.shares(typed) else overlaps(splits)
    if shared:
        raise AssertionError(f"generator `{generator}` repeats `{shared[0].example}` in two splits")
    content = write_splits(splits)
    hashes = {name: _sha256(each) for name, each in files.items()}
    key = dataset_key(generator, arguments, hashes=hashes)
    counts = {name: len(rows) for name, rows in splits.items()}
    facts = dataset_facts(generator, arguments, key=key, splits=counts, written=(_sha256(content), len(content)))
    return Generated(facts.model_copy(update={"inputs": hashes}), content, splits)


def dataset_key(generator: str, arguments: Mapping[str, Any], *, hashes: Mapping[str, str]) -> str:
    """Return a data set's key, from what fixes its rows; whoever makes or looks for it asks here.

    Args:
        generator: name in `GENERATORS`.
        arguments: valid ones; defaults count as if written.
        hashes: SHA-256 of the files the arguments name, by argument; they count by content, not by path.
    """
    known = GENERATORS[generator]
    typed = known.arguments.model_validate(dict(arguments))
    full = {**typed.model_dump(mode="json"), **dict(sorted(hashes.items()))}
    identity = {"generator": generator, "version": known.version, "arguments": full}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{known.stem(typed) if known.stem else f'{generator}-'}{_sha256(text.encode())[:8]}"


def dataset_facts(
    generator: str, arguments: Mapping[str, Any], *, key: str, splits: Mapping[str, int], written: tuple[str, int]
) -> DatasetFacts:
    """Return the facts of a generated data set.

    Args:
        generator: name in `GENERATORS`.
        arguments: valid ones; defaults are filled in.
        key: what `dataset_key` says.
        splits: rows by split.
        written: hash and size of its file.
    """
    known = GENERATORS[generator]
    return DatasetFacts(
        key=key,
        path=ExperimentLayout.dataset(key),
        sha256=written[0],
        bytes=written[1],
        splits=dict(splits),
        generator=generator,
        generator_version=known.version,
        arguments=known.arguments.model_validate(dict(arguments)).model_dump(mode="json"),
    )


def dataset_meta(facts: DatasetFacts, *, tier: Tier | None = None) -> bytes:
    """Return the sidecar of a generated data set: how to make it again, its hashes, and how freely it may be shown."""
    told = {"schema_version": 1, **facts.model_dump(mode="json"), **({"tier": tier} if tier else {})}
    return (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _argument_problem(found: Any, known: Generator) -> Problem:
    name = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] == "missing":
        doc = known.arguments.model_fields[name].description or ""
        return Problem(f"argument `{name}` is missing", path=name, hint=f"add it. {' '.join(doc.split())}")
    if found["type"] != "extra_forbidden":
        text = f"`{found['input']}` is not a valid `{name}`: {found['msg'][:1].lower()}{found['msg'][1:]}"
        doc = known.arguments.model_fields[name].description if name in known.arguments.model_fields else ""
        return Problem(text, path=name, hint=(doc or "").replace("\n", " "))
    names = list(known.arguments.model_fields)
    near = get_close_matches(name, names, n=1)
    hint = f"write `{near[0]}`" if near else f"remove it; arguments are {', '.join(f'`{each}`' for each in names)}"
    return Problem(f"unknown argument `{name}`", path=name, hint=hint)
