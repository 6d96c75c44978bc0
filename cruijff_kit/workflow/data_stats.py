"""Measure data: what a file holds by form and split, and how long its rows are; no row is quoted."""

from array import array
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, median
from typing import NamedTuple

from cruijff_kit.data.items import item_form, item_turns
from cruijff_kit.data.streams import Streamed
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.dataset_report import Bin, DataStats, Spread, TextTokens, TokenCounts
from cruijff_kit.workflow.item_rows import (
    Measure,
    item_problems,
    measure_of,
    opened_rows,
    reported,
    source_bytes,
    text_of,
)

__all__ = ["measure_data", "spread"]

_UNREADABLE = "unreadable"


class _Lengths(NamedTuple):
    """Lengths of rows, in order."""

    turns: "array[int]"
    questions: "array[int]"
    answers: "array[int]"
    characters: "array[int]"
    tokens: "array[int]"


class _Texts(NamedTuple):
    """Tokens of questions and answers by themselves, and words of both."""

    questions: Counter[int]
    answers: Counter[int]
    words: Counter[str]
    longer: Counter[int]


def measure_data(
    path: str,
    *,
    template: str = "model",
    model: str | None = None,
    bins: int = 10,
    progress: Progress | None = None,
    world: World,
) -> DataStats:
    """Return counts and lengths of a data file's rows; those of no form are counted too.

    Args:
        path: file or folder; relative paths start at the experiment.
        template: template that tokens are counted in: a name, a text or a file.
        model: model whose tokens are counted beside characters; none where None.
        bins: how many to sort the rows into by length, from 1 to 50.
        progress: told of rows read.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the file is missing or torn, or a model's tokens cannot be counted.
        SiteError: the model's tokenizer cannot be read.
    """
    if not 1 <= bins <= 50:
        raise SpecError(f"`bins` is `{bins}`; it goes from 1 to 50")
    rows, measure = opened_rows(path, world=world), measure_of(template, model, world=world)
    forms: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    lengths = _Lengths(*(array("L") for _ in _Lengths._fields))
    texts = _Texts(Counter(), Counter(), Counter(), Counter())
    for each in reported(rows(), progress):
        splits[each.split] += 1
        form = _UNREADABLE if item_problems(each) else str(item_form(each.row))
        forms[form] += 1
        if form != _UNREADABLE:
            _note(lengths, each, measure=measure, texts=texts)
    spreads = {name: spread(found) if found else None for name, found in lengths._asdict().items()}
    return DataStats(
        path=path,
        bytes=source_bytes(path, world=world),
        rows=forms.total(),
        splits=dict(splits),
        forms=dict(forms.most_common()),
        **spreads,
        unit=measure.unit,
        bins=_bins(getattr(lengths, measure.unit), bins),
        texts=_told(texts),
    )


def _note(lengths: _Lengths, each: Streamed, *, measure: Measure, texts: _Texts) -> None:
    form = item_form(each.row)
    lengths.characters.append(len(text_of(each.row, joint=measure.joint)))
    if form != "text":
        turns = item_turns(each.row, joint=measure.joint)
        lengths.questions.append(sum(len(turn["content"]) for turn in turns[:-1]))
        lengths.answers.append(len(turns[-1]["content"]))
        if form == "messages":
            lengths.turns.append(len(turns))
        _note_texts(texts, [turn["content"] for turn in turns], measure=measure)
    if measure.tokenizer is not None:
        lengths.tokens.append(measure.length(each))


def _note_texts(texts: _Texts, contents: Sequence[str], *, measure: Measure) -> None:
    """Count the tokens of a question and its answer, as words are cut before anything is written around them."""
    if measure.tokenizer is None:
        return
    counts = [len(measure.tokenizer.encode(content, add_special_tokens=False)) for content in contents]
    question, answer = sum(counts[:-1]), counts[-1]
    texts.questions[question] += 1
    texts.answers[answer] += 1
    texts.words["questions"] += sum(len(content.split()) for content in contents[:-1])
    texts.words["answers"] += len(contents[-1].split())
    texts.longer[(answer > question) - (answer < question)] += 1


def _told(texts: _Texts) -> TextTokens | None:
    if not texts.questions:
        return None
    return TextTokens(
        questions=_counted(texts.questions, texts.words["questions"]),
        answers=_counted(texts.answers, texts.words["answers"]),
        more=texts.longer[1],
        fewer=texts.longer[-1],
    )


def _counted(counts: Counter[int], words: int) -> TokenCounts:
    lengths = array("L", counts.elements())
    return TokenCounts(
        spread=spread(lengths), per_word=sum(lengths) / max(words, 1), counts=dict(sorted(counts.items()))
    )


def spread(lengths: Sequence[int]) -> Spread:
    """Return how lengths are spread; there is one at least."""
    return Spread(mean=fmean(lengths), median=float(median(lengths)), least=min(lengths), greatest=max(lengths))


def _bins(lengths: Sequence[int], count: int) -> tuple[Bin, ...]:
    """Return bins of one width that hold every length."""
    if not lengths:
        return ()
    least, greatest = min(lengths), max(lengths)
    width = -(-(greatest - least + 1) // count)
    found = Counter((length - least) // width for length in lengths)
    return tuple(
        Bin(low=least + at * width, high=least + (at + 1) * width - 1, count=found[at]) for at in range(max(found) + 1)
    )
