"""Validate data: every row of a file looked at, what is wrong told by line, and what is worth a second look."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.data.items import item_form
from cruijff_kit.data.splits import row_question
from cruijff_kit.data.streams import Streamed
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.dataset_report import Advice, DataCheck
from cruijff_kit.workflow.item_rows import Gathered, Measure, item_problems, measure_of, opened_rows, reported

__all__ = ["validate_data"]

_FEW, _MANY = 10, 100
_LONG = 8192


class _Seen(NamedTuple):
    """What was seen of the rows, none of them held."""

    forms: Counter[str]
    splits: Counter[str]
    rows: Counter[bytes]
    questions: dict[str, set[bytes]]
    leaks: Counter[tuple[str, str]]
    long: list[str]


def validate_data(
    path: str,
    *,
    template: str = "model",
    model: str | None = None,
    max_length: int | None = None,
    progress: Progress | None = None,
    world: World,
) -> DataCheck:
    """Check that every row of a data file can be learnt; nothing is written, no row is quoted.

    Args:
        path: file or folder; relative paths start at the experiment.
        template: template that tokens are counted in: a name, a text or a file.
        model: model whose tokens are counted; characters are where None.
        max_length: length above which a row counts as long; 8,192 characters where None.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the file is missing or torn, or there is no such template.
        SiteError: the model's tokenizer cannot be read.
    """
    rows, measure = opened_rows(path, world=world), measure_of(template, model, world=world)
    limit = max_length or (None if model else _LONG)
    seen, gathered, total = _Seen(Counter(), Counter(), Counter(), {}, Counter(), []), Gathered(), 0
    for each in reported(rows(), progress):
        total += 1
        problems = item_problems(each, hint="mend the row")
        length, unmeasured = (0, []) if problems else _measured(each, measure, needed=bool(limit or model))
        gathered.add(*problems, *unmeasured)
        if not problems and not unmeasured:
            _note(seen, each)
            seen.long.extend([each.place] if limit is not None and length > limit else [])
    return DataCheck(
        path=path,
        rows=total,
        splits=dict(seen.splits),
        forms=dict(seen.forms.most_common()),
        problems=tuple(map(str, gathered.listed(path))),
        problem_count=gathered.count,
        advice=tuple(_advice(seen, limit=limit, measure=measure)),
    )


def _measured(each: Streamed, measure: Measure, *, needed: bool) -> tuple[int, Sequence[Problem]]:
    """Return the length of a row, or why it has none."""
    try:
        return (measure.length(each) if needed else 0), []
    except SpecError as err:
        return 0, err.problems


def _note(seen: _Seen, each: Streamed) -> None:
    row, split = each.row, each.split
    seen.forms[str(item_form(row))] += 1
    seen.splits[split] += 1
    seen.rows[_digest(json.dumps(dict(row), sort_keys=True, default=str))] += 1
    question = _digest(row_question(row))
    for other, questions in seen.questions.items():
        if other != split and question in questions:
            seen.leaks[other, split] += 1
    seen.questions.setdefault(split, set()).add(question)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:12]


def _advice(seen: _Seen, *, limit: int | None, measure: Measure) -> Iterator[Advice]:
    """Yield what is worth a second look."""
    total = seen.splits.get("train", 0) or seen.splits.total()
    if 0 < total < _FEW:
        fact = f"{_rows(total)} to learn from {_are(total)} very few: a model learns them by heart"
        yield Advice(fact=fact, hint=f"gather at least {_FEW}")
    elif 0 < total < _MANY:
        yield Advice(fact=f"{total} rows to learn from are few", hint=f"{_MANY} and more are advisable")
    if seen.long:
        shown = ", ".join(f"`{place}`" for place in seen.long[:3])
        fact = f"{_rows(len(seen.long))} {_are(len(seen.long))} longer than {limit:,} {measure.unit}, such as {shown}"
        yield Advice(fact=fact, hint="shorten them, or leave them out with `ck data prepare --max-length`")
    repeated = sum(count - 1 for count in seen.rows.values())
    if repeated:
        fact = f"{_rows(repeated)} {'repeats another' if repeated == 1 else 'repeat others'}"
        yield Advice(fact=fact, hint="keep one of each, unless it is to weigh more")
    for (first, second), count in seen.leaks.items():
        asks = "asks" if count == 1 else "ask"
        fact = f"{_rows(count)} of `{second}` {asks} what is asked in `{first}` too"
        yield Advice(fact=fact, hint="divide the data with `ck data split`, which keeps such rows together")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
