"""Training reads every format: the same rows give the same losses, and conversations are learnt answer by answer."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, disable_progress_bars

from cruijff_kit.data.converters import write_dataset
from cruijff_kit.recipes.lora_single_device import main
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_rows import load_rows
from tests.training_runs import capital_rows, metric_points, random_base, write_run

disable_progress_bars()

SPLITS = {"train": capital_rows(), "validation": capital_rows(4)}


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("random base"))


def put(path: Path, splits: Mapping[str, list[dict[str, Any]]]) -> Path:
    content = write_dataset(splits, name=path.name)
    files = {path / name: each for name, each in content.items()} if isinstance(content, Mapping) else {path: content}
    for file, each in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each)
    return path


def saved(path: Path, splits: Mapping[str, list[dict[str, Any]]]) -> Path:
    DatasetDict({split: Dataset.from_list(rows) for split, rows in splits.items()}).save_to_disk(path)
    return path


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "a folder of parquet": lambda folder: put(folder / "words", SPLITS),
    "JSON Lines": lambda folder: put(folder / "words.jsonl", SPLITS),
    "a saved data set": lambda folder: saved(folder / "words", SPLITS),
}


def trained_on(data: Path, folder: Path, base: Path, **dataset: Any) -> Path:
    block = {"path": str(data), "sha256": data_sha256(data), **dataset}
    config = write_run(folder, base, dataset=block, batch_size=8, max_steps_per_epoch=2)
    assert main(["--config", str(config)]) == 0
    return config


def test_the_same_rows_train_alike_in_every_format(base: Path, tmp_path: Path) -> None:
    plain = tmp_path / "words.json"
    plain.write_text(json.dumps(SPLITS), encoding="utf-8")
    expected = metric_points(trained_on(plain, tmp_path / "json", base))
    assert len(expected) == 2
    for number, (name, write) in enumerate(WRITERS.items()):
        found = metric_points(trained_on(write(tmp_path / f"{number}"), tmp_path / f"{number}", base))
        losses = [[(point.loss, point.val_loss) for point in points] for points in (found, expected)]
        assert losses[0] == losses[1], name


def test_every_answer_of_a_conversation_is_trained_on(base: Path, tmp_path: Path) -> None:
    def talk(word: str) -> list[dict[str, str]]:
        turns = (word, word.capitalize(), f"{word} again", word.capitalize())
        return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)]

    rows = [{"dialogue": talk(row["input"])} for row in capital_rows()]
    data = put(tmp_path / "talks.parquet", {"train": rows, "validation": rows[:4]})
    kind = {"dataset_type": "chat", "columns": [["messages", "dialogue"]], "max_seq_len": 128}
    config = trained_on(data, tmp_path, base, **kind)
    assert len(metric_points(config)) == 2
    for encoded in load_rows(load_train_config(config)).train:
        assert len(encoded.answers) == 2
        (start, end), (again, last) = encoded.answers
        assert encoded.ids[start:end] == encoded.ids[again:last] == encoded.labels[start:end]


def test_a_data_folder_that_changed_since_it_was_planned_stops_the_job(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = put(tmp_path / "words", SPLITS)
    block = {"path": str(data), "sha256": data_sha256(data)}
    config = write_run(tmp_path, base, dataset=block)
    put(data, {"validation": capital_rows(3)})
    assert main(["--config", str(config)]) != 0
    assert "is not the one that was planned" in capsys.readouterr().err


def test_a_row_that_would_be_learnt_wrongly_stops_the_job_before_its_first_step(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    end = load_rows(load_train_config(write_run(tmp_path / "sound", base))).train[0].ids[-1]
    from transformers import AutoTokenizer

    spelled = AutoTokenizer.from_pretrained(base).decode([end])
    rows = [*capital_rows(), {"input": "word", "output": f"Wo{spelled}rd"}]
    config = write_run(tmp_path, base, splits={"train": rows, "validation": rows[:2]})
    assert main(["--config", str(config)]) != 0
    told = capsys.readouterr().err
    assert "1 of 17 rows of split `train` cannot be learnt" in told
    assert "train[16]: an answer holds an end token before its end" in told
    assert not (config.parent / "metrics.jsonl").exists()
