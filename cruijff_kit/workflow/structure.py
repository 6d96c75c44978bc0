"""Structure data: labelled texts written as rows of structured answers, and training rows multiplied."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from cruijff_kit.data.augmentation import augment, method_problem
from cruijff_kit.data.question_lines import question_of
from cruijff_kit.data.splits import AUGMENTED_FROM, row_text, split_lines
from cruijff_kit.data.streams import Streamed
from cruijff_kit.data.structured import LABEL_KEY, METADATA_KEY, NO_LABEL, TEXT_KEY, answer_json, metadata_text
from cruijff_kit.data.words.synonyms import Synonyms, load_synonyms, parse_synonyms
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.answer import Question
from cruijff_kit.schema.structured_rows import Augmentation, StructureReceipt, Structuring
from cruijff_kit.scoring.json_decision import read_decision
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.data_stats import spread
from cruijff_kit.workflow.item_rows import Gathered, opened_rows, reported, source_sha256, unchanged

__all__ = ["structure_data"]

_AS_IT_IS = Structuring()
_TRAIN = "train"
_EXAMPLES = "abstain_examples"
_HINT = "mend the row, or name other columns"


class _Look(NamedTuple):
    """What the first reading found; of texts that no copy may equal it keeps hashes alone."""

    splits: Counter[str]
    labels: Counter[str]
    lengths: "array[int]"
    others: set[bytes]


class _Made(NamedTuple):
    """What is counted while rows are written."""

    rows: Counter[str]
    copies: Counter[bool]


def structure_data(
    source: str,
    target: str,
    *,
    asked: Structuring = _AS_IT_IS,
    force: bool = False,
    progress: Progress | None = None,
    world: World,
) -> StructureReceipt:
    """Write labelled texts as rows of `text`, `label`, `output`, `metadata` and `example_id`, splits as they are.

    Rows without a label become abstain examples. Only rows of the split `train` are multiplied: a copy is marked,
    keeps the text it was made of, and is never a text of another split. Other columns are kept.

    Args:
        source: file or folder of rows; relative paths start at the experiment.
        target: `.json` or `.jsonl` file inside the experiment.
        asked: columns, labels and augmentation.
        force: replace what is there.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: rows, labels or methods are wrong, all listed; or the data is not divided and is to be multiplied.
    """
    name = _target(target, source=source, force=force, world=world)
    rows, synonyms = opened_rows(source, world=world), _synonyms(asked.augmentation, world)
    digest, made = source_sha256(source, world=world), _Made(Counter(), Counter())
    look = _look(rows, source, asked=asked, progress=progress)
    told = _told(rows, asked=asked, look=look, made=made, synonyms=synonyms)
    write = _lines if name.endswith(".jsonl") else split_lines
    parts = unchanged(write(list(look.splits), told), source, sha256=digest, world=world)
    sha256, _ = world.store.write_parts(name, parts)
    record_written("structure", name, inputs={source: digest}, outputs={name: sha256}, world=world)
    return StructureReceipt(
        source=source,
        source_sha256=digest,
        target=name,
        sha256=sha256,
        rows=made.rows.total(),
        original=look.splits.total(),
        augmented=made.copies[True],
        not_augmented=made.copies[False],
        splits=dict(made.rows),
        labels=dict(look.labels.most_common()),
        words=spread(look.lengths),
    )


def _target(target: str, *, source: str, force: bool, world: World) -> str:
    if PurePosixPath(target).suffix not in {".json", ".jsonl"}:
        raise SpecError(f"`{target}` names no format of rows", hint="end it in `.json` or `.jsonl`")
    return own_target(target, source=source, force=force, world=world)


def _synonyms(asked: Augmentation | None, world: World) -> Synonyms:
    """Return the synonyms asked for, its methods checked.

    Raises:
        SpecError: a method is none of ours, or the file is no list of synonyms.
    """
    if asked is None:
        return {}
    hint = "leave it out"
    problems = [Problem(fact, "methods", hint=hint) for fact in map(method_problem, asked.methods) if fact]
    if problems or not asked.methods:
        raise SpecError("rows cannot be multiplied so", problems=problems, hint="name a method at least")
    if asked.synonyms is None:
        return load_synonyms()
    place = world.store.root / asked.synonyms
    if not place.is_file():
        raise SpecError(f"`{asked.synonyms}` is no file", hint="name a file of synonyms, a group a line")
    return parse_synonyms(place.read_bytes(), name=asked.synonyms)


def _look(
    rows: Callable[[], Iterator[Streamed]], source: str, *, asked: Structuring, progress: Progress | None
) -> _Look:
    """Read every row once: count it, measure it, and gather what is wrong.

    Raises:
        SpecError: rows cannot be used, there are none, or what is to be multiplied is not divided.
    """
    look, gathered = _Look(Counter(), Counter(), array("L"), set()), Gathered()
    for each in reported(rows(), progress):
        problems = list(_row_problems(each, asked))
        if problems:
            gathered.add(*problems)
            continue
        text = str(each.row[asked.text_column])
        look.splits[each.split] += 1
        look.labels[_label(each.row, asked) or NO_LABEL] += 1
        look.lengths.append(len(text.split()))
        if each.split != _TRAIN:
            look.others.add(_hash(text))
    if gathered.count:
        raise SpecError(f"`{source}` cannot be used: nothing is written", problems=gathered.listed(source))
    if not look.splits:
        raise SpecError(f"`{source}` holds no rows", hint="name other data")
    if asked.augmentation is not None and not (look.splits[_TRAIN] and len(look.splits) > 1):
        fact = f"`{source}` is not divided, so copies of a row could be tested on what they were made of"
        raise SpecError(fact, hint=f"divide it first: `ck data split {source} --stratify {asked.label_column}`")
    return look


def _row_problems(each: Streamed, asked: Structuring) -> Iterator[Problem]:
    if each.problem is not None:
        yield each.problem
        return
    row = each.row
    wanted = {"text_column": asked.text_column, "label_column": asked.label_column}
    wanted |= {"rationale_column": asked.rationale_column or "", "id_column": asked.id_column or ""}
    missing = [column for column in (*wanted.values(), *asked.metadata_columns) if column and column not in row]
    if missing:
        known = ", ".join(f"`{column}`" for column in row) or "none"
        yield Problem(f"column `{missing[0]}` is missing; the row has {known}", missing[0], each.place, _HINT)
        return
    if AUGMENTED_FROM in row:
        yield Problem("the row is a copy already", AUGMENTED_FROM, each.place, "start from the rows it was made of")
    question = _question(row, asked)
    if question.problem:
        yield Problem(question.problem, asked.text_column, each.place, _HINT)
    if not isinstance(row[asked.label_column], str | int | float | None):
        yield Problem("the label is no text", asked.label_column, each.place, _HINT)
        return
    label = _label(row, asked)
    if label is not None and asked.options and label not in asked.options:
        named = ", ".join(f"`{option}`" for option in asked.options)
        yield Problem(f"the label is none of {named}", asked.label_column, each.place, "mend it, or name it too")


def _label(row: Mapping[str, Any], asked: Structuring) -> str | None:
    value = row[asked.label_column]
    return str(value).strip() or None if value is not None else None


def _question(row: Mapping[str, Any], asked: Structuring) -> Question:
    if asked.metadata_columns:
        return question_of(row[asked.text_column], {column: row[column] for column in asked.metadata_columns})
    return question_of(row[asked.text_column], row.get(METADATA_KEY))


def _told(
    rows: Callable[[], Iterator[Streamed]], *, asked: Structuring, look: _Look, made: _Made, synonyms: Synonyms
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the rows split by split, the source read once for each; a training row has its copies behind it."""
    for split, each in ((name, each) for name in look.splits for each in _of(name, rows, asked=asked)):
        row = _structured(each, asked)
        made.rows[split] += 1
        yield split, row
        if asked.augmentation is None or split != _TRAIN or each.place == _EXAMPLES:
            continue
        for copy in _copies(row, asked.augmentation, seed=asked.seed, look=look, synonyms=synonyms):
            made.copies[copy is not None] += 1
            if copy is not None:
                made.rows[split] += 1
                yield split, copy


def _of(split: str, rows: Callable[[], Iterator[Streamed]], *, asked: Structuring) -> Iterator[Streamed]:
    """Yield the rows of a split, and behind those to train on the further examples."""
    yield from (each for each in rows() if each.split == split)
    for at, example in enumerate(asked.abstain_examples if split == _TRAIN else ()):
        row = {asked.text_column: example.text, asked.label_column: None, **dict.fromkeys(asked.metadata_columns)}
        yield Streamed(row, _EXAMPLES, split, at)


def _structured(each: Streamed, asked: Structuring) -> dict[str, Any]:
    row, question, label = each.row, _question(each.row, asked), _label(each.row, asked)
    read = {asked.text_column, asked.label_column, asked.rationale_column, asked.id_column, METADATA_KEY}
    if each.place == _EXAMPLES:
        rationale, own = asked.abstain_examples[each.number].rationale, f"abstain-{each.number}"
    else:
        rationale = _reason(row[asked.rationale_column] if asked.rationale_column else "")
        own = str(row[asked.id_column]) if asked.id_column else f"{each.split}-{each.number}"
    return {
        **{column: value for column, value in row.items() if column not in read},
        TEXT_KEY: question.text,
        LABEL_KEY: label,
        "output": answer_json(label, rationale=rationale),
        METADATA_KEY: metadata_text(question.metadata),
        "example_id": own,
        "augmented": False,
    }


def _reason(value: Any) -> str:
    """Return a reason, also where it stands in a structured answer."""
    found = read_decision(value) if isinstance(value, str) and value.lstrip().startswith("{") else None
    return str(value or "") if found is None or found.rationale is None else found.rationale


def _copies(
    row: Mapping[str, Any], asked: Augmentation, *, seed: int, look: _Look, synonyms: Synonyms
) -> Iterator[dict[str, Any] | None]:
    """Yield the copies of a row, marked; None for one that could not be made."""
    text, seen = str(row[TEXT_KEY]), {_hash(str(row[TEXT_KEY]))}
    for number in range(asked.copies):
        method = asked.methods[number % len(asked.methods)]
        changed = augment(text, method, share=asked.aug_p, seed=seed, copy=number, synonyms=synonyms)
        key = _hash(changed)
        if key in seen or key in look.others or not changed.strip():
            yield None
            continue
        seen.add(key)
        own = f"{row['example_id']}+{number}"
        yield {**row, TEXT_KEY: changed, "example_id": own, "augmented": True, AUGMENTED_FROM: text}


def _lines(_: Sequence[str], rows: Iterator[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    for split, row in rows:
        yield f"{row_text({'split': split, **row})}\n".encode()


def _hash(text: str) -> bytes:
    return hashlib.sha256(" ".join(text.split()).encode()).digest()
