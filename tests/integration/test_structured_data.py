"""`ck data structure`: labelled texts as rows of structured answers, counted, and multiplied where they train."""

import json
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.tokens import Encoding, encode_row
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.dataset_report import Division
from cruijff_kit.schema.structured_rows import Augmentation, Structuring
from cruijff_kit.scoring.json_decision import read_decision
from cruijff_kit.workflow import split_data, structure_data
from tests.fakes.designed import world_at
from tests.tokenizer_zoo import byte_level

LABELS = ("HIGH_RISK", "LOW_RISK", None)
ALL = Augmentation(
    methods=("synonym_replacement", "random_insertion", "random_swap", "random_deletion"), copies=4, aug_p=0.3
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    put(tmp_path / "raw.jsonl", [row(at) for at in range(90)])
    return world_at(tmp_path)


def row(at: int) -> dict[str, Any]:
    return {
        "words": f"The big storm {at} may kill many people, leave the house quickly.",
        "risk": LABELS[at % 3], "why": "it says so", "station": f"s{at % 4}", "key": at,
    }  # fmt: skip


def put(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")


def got(world: World, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world.store.root / name).read_text(encoding="utf-8").splitlines()]


def asked(**changes: Any) -> Structuring:
    told = {"text_column": "words", "label_column": "risk", "rationale_column": "why", "id_column": "key"}
    return Structuring.model_validate({**told, "metadata_columns": ("station",), **changes})


def test_rows_hold_text_label_answer_metadata_and_id_and_those_without_label_abstain(world: World) -> None:
    receipt = structure_data("raw.jsonl", "rows.jsonl", asked=asked(options=LABELS[:2]), world=world)
    rows = got(world, "rows.jsonl")
    assert [each["example_id"] for each in rows] == [str(at) for at in range(90)]
    for at, each in enumerate(rows):
        found = read_decision(each["output"])
        assert (found.valid, found.decision, found.rationale) == (True, LABELS[at % 3], "it says so")
        assert (each["text"], each["label"]) == (row(at)["words"], LABELS[at % 3])
        assert json.loads(each["metadata"]) == {"station": f"s{at % 4}"}
        assert (each["station"], each["augmented"]) == (f"s{at % 4}", False)
    assert (receipt.rows, receipt.original, receipt.augmented) == (90, 90, 0)
    assert receipt.labels == {"HIGH_RISK": 30, "LOW_RISK": 30, "null": 30}
    assert (receipt.words.mean, receipt.words.least, receipt.words.greatest) == (12, 12, 12)
    encoding = Encoding(dataset_type="chat_completion", input_key="text", prompt="{metadata}: {text}")
    assert encode_row(rows[0], encoding=encoding, tokenizer=byte_level()).ids


def test_training_rows_alone_are_multiplied_marked_and_never_a_text_of_another_split(world: World) -> None:
    split_data("raw.jsonl", "parts.jsonl", division=Division(stratify="risk", seed=4), world=world)
    counts = {(each["split"], each["risk"]) for each in got(world, "parts.jsonl")}
    assert len(counts) == 9
    first = structure_data("parts.jsonl", "rows.jsonl", asked=asked(augmentation=ALL), world=world)
    rows = got(world, "rows.jsonl")
    copies = [each for each in rows if each["augmented"]]
    assert {each["split"] for each in copies} == {"train"}
    assert first.augmented == len(copies) > 150
    assert first.rows == len(rows) == first.original + first.augmented
    origins = {each["text"]: each for each in rows if not each["augmented"]}
    others = {each["text"] for each in rows if each["split"] != "train"}
    for each in copies:
        origin = origins[each["augmented_from"]]
        assert origin["split"] == "train"
        assert each["text"] not in others | {origin["text"]}
        assert (each["label"], each["output"]) == (origin["label"], origin["output"])
    assert len({each["example_id"] for each in rows}) == len(rows)
    again = structure_data("parts.jsonl", "again.json", asked=asked(augmentation=ALL), world=world)
    assert (again.augmented, again.splits) == (first.augmented, first.splits)
    other = structure_data("parts.jsonl", "other.jsonl", asked=asked(augmentation=ALL, seed=1), world=world)
    assert other.sha256 != first.sha256
    with pytest.raises(SpecError, match="nothing is written") as caught:
        split_data("rows.jsonl", "again.jsonl", world=world)
    assert "may not be tested on" in caught.value.problems[0].message


def test_what_is_not_divided_is_not_multiplied(world: World) -> None:
    with pytest.raises(SpecError, match="is not divided") as caught:
        structure_data("raw.jsonl", "rows.jsonl", asked=asked(augmentation=ALL), world=world)
    assert "ck data split raw.jsonl --stratify risk" in caught.value.hint
    assert not (world.store.root / "rows.jsonl").exists()


def test_all_that_is_wrong_with_rows_and_methods_is_told_at_once(world: World) -> None:
    bad = [row(0), {**row(1), "risk": "MEDIUM"}, {**row(2), "words": " "}, {"words": "a"}, {**row(4), "risk": [1]}]
    put(world.store.root / "bad.jsonl", bad)
    with pytest.raises(SpecError, match="nothing is written") as caught:
        structure_data("bad.jsonl", "rows.jsonl", asked=asked(options=LABELS[:2]), world=world)
    assert [problem.place for problem in caught.value.problems] == [f"bad.jsonl:{line}" for line in (2, 3, 4, 5)]
    methods = Augmentation(methods=("contextual_embedding", "unheard_of"))
    with pytest.raises(SpecError) as refused:
        structure_data("raw.jsonl", "rows.jsonl", asked=asked(augmentation=methods), world=world)
    assert len(refused.value.problems) == 2
    assert not (world.store.root / "rows.jsonl").exists()


def test_synonyms_of_ones_own_are_used(world: World) -> None:
    (world.store.root / "own.txt").write_text("storm typhoon\n", encoding="utf-8")
    split_data("raw.jsonl", "parts.jsonl", world=world)
    own = Augmentation(methods=("synonym_replacement",), synonyms="own.txt")
    structure_data("parts.jsonl", "rows.jsonl", asked=asked(augmentation=own), world=world)
    copies = [each["text"] for each in got(world, "rows.jsonl") if each["augmented"]]
    assert copies
    assert all("typhoon" in text and "storm" not in text for text in copies)
