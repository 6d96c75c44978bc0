"""Rows to batches: read, subset, encode, shuffle, pad."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding, Row, encode_row
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.seeding import shuffled

if TYPE_CHECKING:
    import torch

__all__ = ["Batch", "encode_rows", "padded", "read_split", "steps_of_epoch", "subset"]

_SHOWN_PROBLEMS = 20


class Batch(NamedTuple):
    """Rows of one forward pass, padded on their right."""

    ids: "torch.Tensor"
    """Token ids, shape (rows, longest row)."""
    labels: "torch.Tensor"
    """Labels shifted to the position that predicts them, same shape; `IGNORE` elsewhere."""
    tokens: int
    """Tokens without padding."""
    supervised: int
    """Tokens with a label."""


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


def padded(rows: Sequence[Encoded], *, size: int) -> Iterator[Batch]:
    """Yield batches of up to `size` rows, in order, each padded to its own longest row.

    Padding is on the right and unsupervised, so under causal attention no real token
    sees it; its id is therefore of no consequence.
    """
    import torch

    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        width = max(len(row.ids) for row in chosen)
        ids = [[*row.ids, *(0,) * (width - len(row.ids))] for row in chosen]
        labels = [[*row.labels[1:], *(IGNORE,) * (width - len(row.labels) + 1)] for row in chosen]
        supervised = sum(label != IGNORE for line in labels for label in line)
        tokens = sum(len(row.ids) for row in chosen)
        yield Batch(torch.tensor(ids), torch.tensor(labels), tokens, supervised)
