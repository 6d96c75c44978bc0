"""Rows of a run: read, subset, encode."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.gate import row_problems
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.tokens import Encoded, Encoding, Row, encode_row
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.seeding import shuffled
from cruijff_kit.schema.config import DatasetConfig, TrainConfig

__all__ = ["Rows", "encode_rows", "load_rows", "read_splits", "steps_of_epoch", "subset"]

_SHOWN_PROBLEMS = 20


class Rows(NamedTuple):
    """Tokenised rows of a run."""

    train: list[Encoded]
    """Training rows."""
    val: list[Encoded]
    """Validation rows; empty where there is no such split."""


def load_rows(config: TrainConfig) -> Rows:
    """Read, tokenise and prove the splits of a run; all over-long rows are told at once.

    Raises:
        SpecError: a split is missing, or rows cannot be tokenised or have wrong masks.
        SiteError: the extra that reads the data is not installed.
    """
    encoding = Encoding.of(config.dataset)
    tokenizer = load_tokenizer(Path(config.base_model.path))
    wanted = (config.split, config.split_val) if config.split_val else (config.split,)
    train, *others = read_splits(config.dataset, *wanted)
    chosen = subset(train, config.training_samples, seed=config.seed)
    val = others[0] if others else []
    return Rows(
        encode_rows(chosen, split=config.split, encoding=encoding, tokenizer=tokenizer),
        encode_rows(val, split=config.split_val or "", encoding=encoding, tokenizer=tokenizer),
    )


def read_splits(config: DatasetConfig, *splits: str) -> list[list[Row]]:
    """Return the rows of some splits of a job's data set, in whatever format it lies.

    Raises:
        SpecError: the data set is torn, or has no rows under one of the names.
        SiteError: the extra that reads the format is not installed.
    """
    path = Path(config.path)
    found = load_splits(read_data(path), name=str(path), columns=Columns.of(config))
    missing = [split for split in splits if not found.get(split)]
    if missing:
        known = ", ".join(f"`{name}`" for name in found)
        raise SpecError(
            f"data set `{path}` has no rows in split `{missing[0]}`; it has {known}", hint="name one of them"
        )
    return [list(found[split]) for split in splits]


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
    """Return ids and labels of every row, each proven to teach its answers and nothing else.

    Raises:
        SpecError: rows cannot be tokenised or are wrongly masked; the first are listed, all are counted.
    """
    encoded, problems = [], []
    for at, row in enumerate(rows):
        place = f"{split}[{at}]"
        try:
            made = encode_row(row, encoding=encoding, tokenizer=tokenizer, place=place)
        except SpecError as err:
            problems.extend(err.problems or [Problem(str(err), place=place)])
            continue
        wrong = row_problems(row, made, encoding=encoding, tokenizer=tokenizer, place=place)
        problems.extend(wrong)
        if not wrong:
            encoded.append(made)
    if problems:
        fact = f"{len(rows) - len(encoded)} of {len(rows)} rows of split `{split}` cannot be learnt"
        raise SpecError(fact, problems=problems[:_SHOWN_PROBLEMS])
    return encoded


def steps_of_epoch(rows: int, *, batch_size: int, accumulation: int, limit: int | None) -> int:
    """Return the optimiser steps of one epoch; the last one may be smaller."""
    steps = -(-rows // (batch_size * accumulation))
    return steps if limit is None else min(steps, limit)
