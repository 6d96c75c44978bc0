"""Generators by name: arguments checked, keys derived, data sets made."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from cruijff_kit.data.acs import arguments as acs_arguments
from cruijff_kit.data.generators import (
    acs,
    bit_chances,
    bit_sequences,
    capitalization,
    four_splits,
    known_ceilings,
    model_organisms,
    number_sequences,
    organism_checks,
    reports,
    tabular,
    twins,
)
from cruijff_kit.data.splits import Splits, overlaps, write_splits
from cruijff_kit.data.table_rows import TableRows
from cruijff_kit.data.tabular.arguments import argument_problems
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.data import DatasetFacts, Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.noun import Noun, fact_of
from cruijff_kit.schema.organism import ModelOrganisms
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
    "packed",
]


Files = Mapping[str, bytes]
"""Content of the files that arguments name, by argument."""

_NO_FILES: Files = MappingProxyType({})


def _no_problems(_: Any) -> list[Problem]:
    return []


def _never(_: Any) -> bool:
    return False


def _unknown(_: Any, __: Splits) -> dict[str, Ceiling]:
    return {}


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
    ceilings: Callable[[Any, Splits], dict[str, Ceiling]] = _unknown
    """What can be known of each split's answers; nothing where the generator cannot tell."""
    draw: Callable[..., TableRows] | None = None
    """The same rows from files opened anew as often as they are read, beside the table they tell; None without one."""
    ceiling: Callable[[Any], float | None] | None = None
    """Accuracy that nothing can surpass, from the arguments alone; None where nobody knows it."""


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        "acs": Generator(
            acs_arguments.Acs,
            acs.generate,
            acs.VERSION,
            acs.SPLITS,
            files=acs.FILES,
            problems=acs_arguments.argument_problems,
            stem=acs.stem,
            draw=acs.draw,
        ),
        "acs_stand_in": Generator(
            acs_arguments.AcsStandIn,
            acs.generate_stand_in,
            acs.VERSION,
            acs.SPLITS,
            problems=acs_arguments.argument_problems,
            stem=acs.stem,
            ceilings=known_ceilings.told_ceilings,
            draw=acs.draw_stand_in,
        ),
        "bit_chances": Generator(
            bit_chances.BitChances,
            bit_chances.generate,
            bit_chances.VERSION,
            four_splits.SPLITS,
            problems=bit_chances.argument_problems,
            ceilings=known_ceilings.told_ceilings,
        ),
        "bit_sequences": Generator(
            bit_sequences.BitSequences,
            bit_sequences.generate,
            bit_sequences.VERSION,
            ("train", "validation", "test"),
            problems=bit_sequences.argument_problems,
            ceilings=bit_sequences.ceilings,
        ),
        "capitalization": Generator(
            capitalization.Capitalization,
            capitalization.generate,
            capitalization.VERSION,
            ("train", "validation", "test", "other_lengths"),
            files=("words",),
            problems=capitalization.argument_problems,
        ),
        "model_organisms": Generator(
            ModelOrganisms,
            model_organisms.generate,
            model_organisms.VERSION,
            model_organisms.SPLITS,
            problems=organism_checks.argument_problems,
            shares=model_organisms.repeats_rows,
            ceilings=model_organisms.ceilings,
        ),
        "number_sequences": Generator(
            number_sequences.NumberSequences,
            number_sequences.generate,
            number_sequences.VERSION,
            number_sequences.SPLITS,
            problems=number_sequences.argument_problems,
            ceilings=number_sequences.ceilings,
        ),
        "reports": Generator(
            reports.Reports,
            reports.generate,
            reports.VERSION,
            four_splits.SPLITS,
            problems=reports.size_problems,
            ceilings=known_ceilings.told_ceilings,
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
        "synthetic_twins": Generator(
            twins.SyntheticTwins,
            twins.generate,
            twins.VERSION,
            twins.SPLITS,
            problems=twins.model_problems,
            ceilings=twins.ceilings,
            draw=twins.draw,
            ceiling=twins.ceiling,
        ),
        "twins": Generator(
            twins.Twins,
            twins.generate_from_file,
            twins.VERSION,
            twins.SPLITS,
            files=twins.FILES,
            problems=twins.argument_problems,
            draw=twins.draw_from_file,
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
    splits = known.generate(known.arguments.model_validate(dict(arguments)), files)
    return packed(generator, arguments, splits=splits, hashes={name: _sha256(each) for name, each in files.items()})


def packed(generator: str, arguments: Mapping[str, Any], *, splits: Splits, hashes: Mapping[str, str]) -> Generated:
    """Return rows that a generator gave as the data set they are.

    Args:
        generator: name in `GENERATORS`.
        arguments: those that gave them.
        splits: the rows.
        hashes: SHA-256 of the files the arguments name, by argument.
    """
    known = GENERATORS[generator]
    typed = known.arguments.model_validate(dict(arguments))
    shared = [] if known.shares(typed) else overlaps(splits, column=_column(splits))
    if shared:
        raise AssertionError(f"generator `{generator}` repeats `{shared[0].example}` in two splits")
    content = write_splits(splits)
    key = dataset_key(generator, arguments, hashes=hashes)
    counts = {name: len(rows) for name, rows in splits.items()}
    facts = dataset_facts(generator, arguments, key=key, splits=counts, written=(_sha256(content), len(content)))
    told = {"inputs": dict(hashes), "ceilings": known.ceilings(typed, splits)}
    return Generated(facts.model_copy(update=told), content, splits)


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


def _column(splits: Splits) -> str | None:
    """Return the column that tells questions apart; None where rows are conversations."""
    return None if any("input" not in row for rows in splits.values() for row in rows[:1]) else "input"


def _argument_problem(found: Any, known: Generator) -> Problem:
    name = str(found["loc"][0]) if found["loc"] else ""
    field = known.arguments.described().get(name)
    doc = " ".join(((field and field.description) or "").split())
    if found["type"] == "missing":
        return Problem(f"argument `{name}` is missing", path=name, hint=f"add it. {doc}")
    if found["type"] != "extra_forbidden":
        return Problem(
            f"`{found['input']}` is not a valid `{_dotted(found['loc'])}`: {fact_of(found['msg'])}", name, hint=doc
        )
    inner = len(found["loc"]) > 1 and field is not None
    names = list(_parts(field.annotation) if inner and field else known.arguments.model_fields)
    last = str(found["loc"][-1])
    near = get_close_matches(last, names, n=1)
    what = f"key `{last}` in `{name}`" if inner else f"argument `{name}`"
    kinds = "keys" if inner else "arguments"
    hint = f"write `{near[0]}`" if near else f"remove it; {kinds} are {', '.join(f'`{each}`' for each in names)}"
    return Problem(f"unknown {what}", path=name, hint=hint)


def _dotted(places: tuple[str | int, ...]) -> str:
    return ".".join(map(str, places))


def _parts(annotation: Any) -> Iterator[str]:
    """Yield the keys of the nouns that an argument is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Noun):
        for name, field in annotation.model_fields.items():
            yield name
            yield from _parts(field.annotation)
    for each in get_args(annotation):
        yield from _parts(each)
