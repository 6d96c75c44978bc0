"""What every embedder does, the fake one as the real one."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.embedder import LocalEmbedder
from cruijff_kit.errors import CruijffError, PlanError, ResultError, SpecError
from cruijff_kit.ports import Embedder
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.embedding import EmbedJob, EmbedTarget, EmbedWork
from tests.fakes.embedder import FakeEmbedder
from tests.random_model import random_adapter, random_base

ROWS = {"train": [{"input": word} for word in ("a", "tree", "river bank")], "test": [{"input": "house"}]}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base = random_base(tmp_path_factory.mktemp("embedder") / "base")
    return base, random_adapter(tmp_path_factory.mktemp("embedder") / "adapter", base)


@pytest.fixture(params=("fake", "real"))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return LocalEmbedder() if request.param == "real" else FakeEmbedder()


def job(tmp_path: Path, folders: tuple[str, str], *, rows: Any = ROWS, both: bool = False, **changes: Any) -> EmbedJob:
    base, adapter = folders
    data = tmp_path / "words.json"
    data.write_text(json.dumps(rows), encoding="utf-8")
    dataset = DatasetConfig(
        path=str(data), sha256=file_sha256(data), dataset_type="text_completion", prompt="{input}",
        system_prompt="", template_date="26 Jul 2024", max_seq_len=256,
    )  # fmt: skip
    bare = EmbedTarget(label="base", out=str(tmp_path / "out" / "base.h5"))
    sha256 = file_sha256(Path(adapter) / "adapter_model.safetensors")
    tuned = EmbedTarget(label="adapter", out=str(tmp_path / "out" / "tuned.h5"), adapter=adapter, adapter_sha256=sha256)
    told = {"model": base, "model_sha256": model_sha256(Path(base)), "max_positions": 256, "dataset": dataset}
    own = {"split": None, "id_column": None, "tier": "green", "work": EmbedWork(device="cpu")}
    return EmbedJob.model_validate({**told, **own, "targets": (bare, tuned)[: 1 + both], **changes})


def test_each_model_of_a_job_leaves_one_file_of_every_text(
    embedder: Embedder, tmp_path: Path, folders: tuple[str, str]
) -> None:
    files = embedder.embed(job(tmp_path, folders, both=True, work=EmbedWork(layers="all", device="cpu")))
    assert [(file.label, file.rows, file.shape, file.embedded) for file in files] == [
        ("base", 4, (4, 3, 32), 4),
        ("adapter", 4, (4, 3, 32), 4),
    ]
    assert files[0].sha256 != files[1].sha256


def test_one_split_may_be_embedded_by_itself_and_progress_is_told(
    embedder: Embedder, tmp_path: Path, folders: tuple[str, str]
) -> None:
    told: list[tuple[int, int]] = []
    (file,) = embedder.embed(
        job(tmp_path, folders, split="train"), progress=lambda done, total, _: told.append((done, total))
    )
    assert file.rows == 3
    assert told[-1] == (3, 3)


def test_a_finished_file_stays_as_it_is_whatever_the_batches(
    embedder: Embedder, tmp_path: Path, folders: tuple[str, str]
) -> None:
    (first,) = embedder.embed(job(tmp_path, folders))
    (again,) = embedder.embed(job(tmp_path, folders, work=EmbedWork(batch_size=1, device="cpu")))
    assert again == first.model_copy(update={"embedded": 0})


@pytest.mark.parametrize(
    "change",
    (
        {"model_sha256": "b" * 64},
        {"rows": {"train": [{"input": "other"}]}},
        {"split": "test"},
        {"tier": "red"},
        {"work": EmbedWork(pool="median", device="cpu")},
        {"work": EmbedWork(layers=(0,), device="cpu")},
        {"work": EmbedWork(dtype="bf16", device="cpu")},
        {"work": EmbedWork(truncate=True, device="cpu")},
    ),
)
def test_a_file_of_other_settings_is_refused_and_replaced_only_when_asked(
    embedder: Embedder, tmp_path: Path, folders: tuple[str, str], change: dict[str, Any]
) -> None:
    embedder.embed(job(tmp_path, folders))
    with pytest.raises(ResultError, match="other embeddings"):
        embedder.embed(job(tmp_path, folders, **change))
    (file,) = embedder.embed(job(tmp_path, folders, force=True, **change))
    assert file.embedded == file.rows


def test_data_that_cannot_be_used_and_layers_that_are_not_there_leave_nothing(
    embedder: Embedder, tmp_path: Path, folders: tuple[str, str]
) -> None:
    faults: tuple[tuple[dict[str, Any], type[CruijffError]], ...] = (
        ({"rows": {"train": [{"input": "a"}, {"text": "b"}]}}, SpecError),
        ({"split": "dev"}, SpecError),
        ({"work": EmbedWork(layers=(3,), device="cpu")}, PlanError),
    )
    for changes, error in faults:
        with pytest.raises(error):
            embedder.embed(job(tmp_path, folders, **changes))
        assert not list((tmp_path / "out").glob("*"))
