"""Crates and data sets as others' validators see them: sound, and found out where they are not."""

import json
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from cruijff_kit.workflow.croissant import describe_dataset
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at
from tests.validators.conftest import Validators

pytestmark = pytest.mark.validators

# What the profile recommends and nobody here knows: addresses of software, a publisher, where people work. The last is
# asked of three classes themselves instead of their members.
UNKNOWN = {
    "process-run-crate-0.5_3.2",
    "ro-crate-1.1_22.3",
    "ro-crate-1.1_30.2",
    "ro-crate-1.1_30.3",
    "process-run-crate-0.5_5.1",
}


def issues(told: dict[str, Any]) -> set[str]:
    return {each["check"]["identifier"] for each in told["issues"]}


def test_a_crate_meets_all_that_is_required_and_all_recommended_that_we_know(
    validators: Validators, finished_crate: Path
) -> None:
    told = validators.crate(finished_crate)
    assert (told["passed"], told["issues"]) == (True, [])
    assert told["statistics"]["total_checks"] >= 80
    assert issues(validators.crate(finished_crate, severity="recommended")) <= UNKNOWN


def test_a_packed_crate_with_all_that_may_be_in_it_is_as_sound(validators: Validators, whole_crate: Path) -> None:
    told = validators.packed(whole_crate)
    assert told.startswith("0\n")
    assert "RO-Crate is a valid provenance-run-crate-0.5" in told


@pytest.mark.parametrize("fault", ("instrument", "step", "profile", "file"))
def test_a_fault_in_a_crate_is_found(validators: Validators, finished_crate: Path, tmp_path: Path, fault: str) -> None:
    crate = Path(shutil.copytree(finished_crate, tmp_path / "crate"))
    metadata = crate / "ro-crate-metadata.json"
    told = json.loads(metadata.read_bytes())
    for entity in told["@graph"]:
        if fault == "instrument" and entity["@type"] == "CreateAction":
            entity["instrument"] = {"@id": "#person-ada"}
        if fault == "step" and entity["@type"] == "HowToStep":
            del entity["workExample"]
        if fault == "profile" and entity["@id"] == "./":
            del entity["conformsTo"]
    metadata.write_text(json.dumps(told), encoding="utf-8")
    if fault == "file":
        (crate / "plan.json").unlink()
    found = validators.crate(crate)
    assert not found["passed"]


@pytest.mark.parametrize("generator", ("bit_sequences", "capitalization", "reports", "bit_chances"))
def test_a_described_data_set_is_sound_and_its_rows_are_read_by_it(
    validators: Validators, tmp_path: Path, generator: str
) -> None:
    sizes = {"bit_length": 6, "N": 40, "val_size": 8, "test_size": 8} if generator == "bit_sequences" else {}
    training = {"generator": generator, "arguments": sizes}
    put_design(tmp_path, design(data={"training": training, "tier": "green"}, factors={}, runs=[{"name": "tuned"}]))
    world = world_at(tmp_path)
    scaffold_runs(world=world)
    (data,) = [path for path in (tmp_path / "data").glob("*.json") if not path.name.endswith(".meta.json")]
    description = tmp_path / describe_dataset(data.name, licence="CC0-1.0", world=world).path
    assert "WARNING" not in validators.croissant(description)
    for split, rows in json.loads(data.read_bytes()).items():
        found = validators.rows(description, split)
        assert [{name.partition("/")[2]: value for name, value in row.items()} for row in found] == rows


def test_the_description_in_a_crate_is_sound_where_it_lies(
    validators: Validators, whole_crate: Path, tmp_path: Path
) -> None:
    with ZipFile(whole_crate) as packed:
        packed.extractall(tmp_path / "unpacked")
    (description,) = (tmp_path / "unpacked" / "data").glob("*.croissant.json")
    validators.croissant(description)
    assert validators.rows(description, "test")
