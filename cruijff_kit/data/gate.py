"""The mask gate: proof on real rows that what is learnt of them is their answers, whole, and nothing else.

Of a split with more rows than `BOUND`, as many are drawn by seed: a wrong mask is a matter
of model, template and form of the data, and shows in any row. A job proves the answers of
each of its rows before its first step.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.data.draws import ordered
from cruijff_kit.data.encoding import Encoded, Encoding, Row
from cruijff_kit.data.mask import check_mask
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tokens import (
    answer_text,
    conversation,
    encode_prompt,
    encode_row,
    encoding_problems,
    is_whole,
    stop_ids,
)
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer

__all__ = ["BOUND", "Proof", "prove_mask", "row_problems"]

BOUND = 1000
"""Rows of a split that are proven at most, before a job is submitted."""

_LOST = "the supervised tokens do not read back as the answer: the tokenizer loses some of it"
_HINT = "look at the row with `ck data show`; another `dataset_type` or model may take it"


class Proof(NamedTuple):
    """What was proven of a data set as one model reads it."""

    rows: Mapping[str, int]
    """Rows by split."""
    proven: Mapping[str, int]
    """Rows by split that were encoded and found sound."""
    problems: tuple[Problem, ...] = ()
    """What is wrong: of each split the first fact, the row, and how many more there are."""


def prove_mask(splits: Splits, *, encoding: Encoding, tokenizer: Tokenizer, bound: int = BOUND) -> Proof:
    """Return what real rows prove of their masks.

    Args:
        splits: rows that are trained on, by split.
        encoding: how rows become tokens.
        tokenizer: the base model's tokenizer.
        bound: rows of a split to look at.
    """
    unfit = encoding_problems(encoding, tokenizer=tokenizer)
    rows = {split: len(each) for split, each in splits.items()}
    if unfit:
        return Proof(rows, dict.fromkeys(rows, 0), tuple(unfit))
    proven, problems = {}, []
    for split, each in splits.items():
        found = []
        chosen = _chosen(len(each), split, bound=bound)
        for index in chosen:
            found += _first(each[index], f"{split}[{index}]", encoding=encoding, tokenizer=tokenizer)
        proven[split] = len(chosen) - len(found)
        if found:
            problems.append(_counted(found, split, looked_at=len(chosen)))
    return Proof(rows, proven, tuple(problems))


def row_problems(
    row: Row, encoded: Encoded, *, encoding: Encoding, tokenizer: Tokenizer, place: str = ""
) -> list[Problem]:
    """Return what is wrong with a row as it was encoded, all at once; empty when sound."""
    problems = check_mask(encoded, encoding=encoding, tokenizer=tokenizer, place=place)
    facts = [] if problems else list(_lost(row, encoded, encoding=encoding, tokenizer=tokenizer))
    return [*problems, *(Problem(fact, place=place, hint=_HINT) for fact in facts)]


def _chosen(count: int, split: str, *, bound: int) -> list[int]:
    if count <= bound:
        return list(range(count))
    return sorted(int(index) for index in ordered(map(str, range(count)), seed=0, label=split)[:bound])


def _first(row: Row, place: str, *, encoding: Encoding, tokenizer: Tokenizer) -> list[Problem]:
    """Return the first thing that is wrong with a row."""
    try:
        encoded = encode_row(row, encoding=encoding, tokenizer=tokenizer, place=place)
    except SpecError as err:
        return [(err.problems or [Problem(str(err), hint=err.hint)])[0]._replace(place=place)]
    problems = row_problems(row, encoded, encoding=encoding, tokenizer=tokenizer, place=place)
    if is_whole(row, encoding):
        return problems[:1]
    if not problems and encoded.ids[: encoded.prompt_length] != encode_prompt(
        row, encoding=encoding, tokenizer=tokenizer
    ):
        fact = "training would not read the ids that an evaluation sends"
        problems.append(Problem(fact, place=place, hint=_HINT))
    return problems[:1]


def _counted(found: Sequence[Problem], split: str, *, looked_at: int) -> Problem:
    first, more = found[0], len(found) - 1
    counted = f"; so have {more} more of {looked_at} rows of `{split}` looked at" if more else ""
    return Problem(f"{first.place}: {first.message}{counted}", first.path or "data.training", hint=first.hint)


def _lost(row: Row, encoded: Encoded, *, encoding: Encoding, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield how supervised ids and the answers they were made of differ."""
    if is_whole(row, encoding):
        yield from _lost_of_text(row, encoded, encoding=encoding, tokenizer=tokenizer)
        return
    ends = stop_ids(encoding=encoding, tokenizer=tokenizer)
    earlier = [turn["content"] for turn in conversation(row, encoding=encoding) if turn["role"] == "assistant"]
    for text, (start, end) in zip([*earlier, answer_text(row, encoding=encoding)], encoded.answers, strict=True):
        cut = encoded.truncated and end == len(encoded.ids)
        ids = encoded.ids[start:end]
        if any(token in ends for token in ids[:-1]):
            yield "an answer holds an end token before its end"
        elif not _reads_back(tokenizer.decode(ids, skip_special_tokens=False), text, cut=cut):
            yield _LOST


def _lost_of_text(row: Row, encoded: Encoded, *, encoding: Encoding, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the fact that a plain text does not read back, with or without the BOS it may spell out itself."""
    text = answer_text(row, encoding=encoding)
    ids = (encoded.ids, encoded.ids[encoded.prompt_length :])
    shown = [tokenizer.decode(each, skip_special_tokens=False) for each in ids]
    if not any(_reads_back(each, text, cut=encoded.truncated) for each in shown):
        yield _LOST


def _reads_back(decoded: str, text: str, *, cut: bool) -> bool:
    """Return whether ids hold an answer; blanks and forms of a character may differ."""
    found, wanted = _plain(decoded), _plain(text)
    if not cut:
        return found.startswith(wanted)
    # A cut may fall inside a character.
    return wanted.startswith(found.rstrip("\ufffd"))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())
