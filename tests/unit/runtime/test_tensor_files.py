from pathlib import Path

import h5py
import pytest
import torch

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.tensor_files import load_tensor_with_ids, save_tensor_with_ids

TENSOR = torch.arange(24, dtype=torch.float32).reshape(4, 3, 2)


@pytest.mark.parametrize("ids", (["a", "ünï—cödé", "c, d", ""], [3, 1, 2, 10**12]))
def test_a_tensor_comes_back_with_its_ids_and_mask(tmp_path: Path, ids: list[str] | list[int]) -> None:
    mask = torch.tensor([[1, 1, 0]] * 4)
    save_tensor_with_ids(tmp_path / "x.h5", TENSOR, ids=ids, attention_mask=mask)
    found = load_tensor_with_ids(tmp_path / "x.h5")
    assert torch.equal(found.tensor, TENSOR)
    assert found.ids == ids
    assert found.attention_mask is not None
    assert torch.equal(found.attention_mask, mask)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


def test_some_rows_are_read_by_themselves(tmp_path: Path) -> None:
    save_tensor_with_ids(tmp_path / "x.h5", TENSOR, ids=[0, 1, 2, 3])
    found = load_tensor_with_ids(tmp_path / "x.h5", rows=slice(1, 3))
    assert torch.equal(found.tensor, TENSOR[1:3])
    assert found.ids == [1, 2]


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16, torch.int64, torch.bool))
def test_other_kinds_of_numbers_keep_their_values(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    save_tensor_with_ids(tmp_path / "x.h5", tensor, ids=["a", "b"], dataset_name="states", ids_name="words")
    found = load_tensor_with_ids(tmp_path / "x.h5", dataset_name="states", ids_name="words")
    assert found.tensor.dtype == (torch.float32 if dtype == torch.bfloat16 else dtype)
    assert torch.equal(found.tensor.to(dtype), tensor)


def test_ids_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="`ids` has 3 entries, and the tensor 4 rows"):
        save_tensor_with_ids(tmp_path / "x.h5", TENSOR, ids=["a", "b", "c"])
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_missing_torn_or_of_other_names_is_refused(tmp_path: Path) -> None:
    for content in (None, b"\x89HDF\r\n\x1a\n torn"):
        if content:
            (tmp_path / "x.h5").write_bytes(content)
        with pytest.raises(ResultError, match="cannot be read"):
            load_tensor_with_ids(tmp_path / "x.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["words"] = [1]
    with pytest.raises(ResultError, match="holds no `tensor`, but `words`"):
        load_tensor_with_ids(tmp_path / "other.h5")
