"""Tensors beside the ids of their rows, in HDF5 files that any other tool reads."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.files import sync_file, sync_folder

__all__ = ["IDS", "LENGTHS", "MASK", "TENSOR", "TensorWithIds", "load_tensor_with_ids", "save_tensor_with_ids"]

TENSOR, IDS, MASK, LENGTHS = "tensor", "ids_dim0", "attention_mask", "lengths"
"""Names of the data sets in a file."""


class TensorWithIds(NamedTuple):
    """What a file holds."""

    tensor: Tensor
    """The tensor."""
    ids: list[str] | list[int]
    """Ids of its rows; of its texts where every token has a row."""
    attention_mask: Tensor | None = None
    """The mask saved with it."""
    lengths: list[int] | None = None
    """Tokens of each text, in files of `ck embed`: `tensor.split(lengths)` is one tensor a text."""


def save_tensor_with_ids(
    path: str | Path,
    tensor: Tensor,
    *,
    ids: Sequence[str] | Sequence[int],
    attention_mask: Tensor | None = None,
    dataset_name: str = TENSOR,
    ids_name: str = IDS,
) -> None:
    """Write a tensor, the ids of its rows and a mask to one HDF5 file, whole or not at all.

    HDF5 has no bf16: such a tensor is written as fp32, which loses nothing.

    Args:
        path: file to write; one of that name is replaced.
        tensor: shape (N, …).
        ids: N texts, or N whole numbers.
        attention_mask: shape (N, W).
        dataset_name: name of the tensor in the file.
        ids_name: name of the ids in the file.

    Raises:
        SpecError: there are not as many ids, or rows of the mask, as rows of the tensor.
    """
    counts = {"ids": len(ids), "attention_mask": len(tensor if attention_mask is None else attention_mask)}
    for name, count in counts.items():
        if count != len(tensor):
            raise SpecError(
                f"`{name}` has {count} entries, and the tensor {len(tensor)} rows", hint="give one for each"
            )
    aside = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
    aside.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(aside, "w") as file:
        file[dataset_name] = _array(tensor)
        file.create_dataset(ids_name, data=list(ids), dtype=None if _numbers(ids) else h5py.string_dtype())
        if attention_mask is not None:
            file[MASK] = _array(attention_mask)
    sync_file(aside)
    aside.replace(path)
    sync_folder(aside.parent)


def load_tensor_with_ids(
    path: str | Path, *, rows: slice | None = None, dataset_name: str = TENSOR, ids_name: str = IDS
) -> TensorWithIds:
    """Return a tensor with the ids of its rows, or a part of the rows; files of `ck embed` are read too.

    Args:
        path: the file.
        rows: which texts; all where None. Only these are read.
        dataset_name: name of the tensor in the file.
        ids_name: name of the ids in the file.

    Raises:
        ResultError: the file is missing, torn or holds no such names.
    """
    chosen = slice(None) if rows is None else rows
    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in (dataset_name, ids_name) if name not in file]
            if missing:
                known = ", ".join(f"`{name}`" for name in file) or "nothing"
                raise ResultError(f"`{path}` holds no `{missing[0]}`, but {known}", hint="name one of these")
            return _loaded(file, chosen, dataset_name=dataset_name, ids_name=ids_name)
    except OSError as err:
        fact = str(err).partition(",")[0].lower()
        raise ResultError(f"`{path}` cannot be read: {fact}", hint="write it again, or name another file") from err


def _loaded(file: Any, rows: slice, *, dataset_name: str, ids_name: str) -> TensorWithIds:
    stored = file[ids_name]
    ids = (stored.asstr() if h5py.check_string_dtype(stored.dtype) else stored)[rows].tolist()
    lengths, taken = None, rows
    if LENGTHS in file:
        every = file[LENGTHS][:]
        lengths = every[rows].tolist()
        if len(file[dataset_name]) != len(every):
            taken = _span(every, rows)
    mask = torch.from_numpy(file[MASK][rows]) if MASK in file else None
    return TensorWithIds(torch.from_numpy(file[dataset_name][taken]), ids, mask, lengths)


def _span(lengths: np.ndarray, rows: slice) -> slice:
    """Return where the tokens of some texts lie."""
    start, stop, step = rows.indices(len(lengths))
    if step != 1:
        raise SpecError("texts of unpooled embeddings are read in one piece", hint="leave out the step of `rows`")
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return slice(int(ends[start]), int(ends[max(start, stop)]))


def _numbers(ids: Sequence[str] | Sequence[int]) -> bool:
    return all(isinstance(each, int) for each in ids)


def _array(tensor: Tensor) -> np.ndarray:
    plain = tensor.detach().cpu()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
