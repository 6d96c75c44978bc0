"""Rows of a run: read, subset, encode."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.tokens import Encoded, Encoding, Row, encode_row
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.seeding import shuffled
from cruijff_kit.schema.config import TrainConfig

__all__ = ["Rows", "encode_rows", "load_rows", "read_split", "steps_of_epoch", "subset"]

_SHOWN_PROBLEMS = 20


class Rows(NamedTuple):
    """Tokenised rows of a run."""

    train: list[Encoded]
    """Training rows."""
    val: list[Encoded]
    """Validation rows; empty where there is no such split."""


def load_rows(config: TrainConfig) -> Rows:
    """Read and tokenise the splits of a run; all over-long rows are told at once.

    Raises:
        SpecError: a split is missing, or rows cannot be tokenised.
    """
    encoding = Encoding.of(config.dataset)
    tokenizer = load_tokenizer(Path(config.base_model.path))
    data = Path(config.dataset.path)
    chosen = subset(read_split(data, config.split), config.training_samples, seed=config.seed)
    val = read_split(data, config.split_val) if config.split_val else []
    return Rows(
        encode_rows(chosen, split=config.split, encoding=encoding, tokenizer=tokenizer),
        encode_rows(val, split=config.split_val or "", encoding=encoding, tokenizer=tokenizer),
    )


def read_split(path: Path, split: str) -> list[Row]:
    """Read one split of a JSON data file: split name to list of rows.

    Raises:
        SpecError: the file is no such object, or has no rows under that name.
    """
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise SpecError(f"data set `{path}` is not JSON: {err}", hint="mend the file, or generate it again") from err
    rows = splits.get(split) if isinstance(splits, dict) else None
    if not rows or not isinstance(rows, list):
        known = ", ".join(f"`{name}`" for name in splits) if isinstance(splits, dict) else "no splits"
        raise SpecError(f"data set `{path}` has no rows in split `{split}`; it has {known}", hint="name one of them")
    return rows


def subset(rows: Sequence[Row], size: int | None, *, seed: int) -> list[Row]:
    """Return a seeded random subset of rows; all of them, as they stand, where `size` is None.

    Raises:
        SpecError: there are fewer rows than asked for.
    """
    if size is None:
        return list(rows)
    if size > len(rows):
        raise SpecError(f"`training_samples` is `{size}`, and the split has `{len(rows)}` rows", hint="lower it")
    return shuffled(rows, seed=seed, purpose="subset")[:size]


def encode_rows(rows: Sequence[Row], *, split: str, encoding: Encoding, tokenizer: Tokenizer) -> list[Encoded]:
    """Return ids and labels of every row.

    Raises:
        SpecError: rows cannot be tokenised; the first of them are listed, all are counted.
    """
    encoded, problems = [], []
    for at, row in enumerate(rows):
        try:
            encoded.append(encode_row(row, encoding=encoding, tokenizer=tokenizer, place=f"{split}[{at}]"))
        except SpecError as err:
            problems.extend(err.problems or [Problem(str(err), place=f"{split}[{at}]")])
    if problems:
        fact = f"{len(rows) - len(encoded)} of {len(rows)} rows of split `{split}` cannot be tokenised"
        raise SpecError(fact, problems=problems[:_SHOWN_PROBLEMS])
    return encoded


def steps_of_epoch(rows: int, *, batch_size: int, accumulation: int, limit: int | None) -> int:
    """Return the optimiser steps of one epoch; the last one may be smaller."""
    steps = -(-rows // (batch_size * accumulation))
    return steps if limit is None else min(steps, limit)
