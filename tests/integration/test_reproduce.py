"""`ck reproduce`: the same bytes wherever the experiment lies by now, and a name for all that is another."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import front_matter
from cruijff_kit.runtime.provenance import git_state, package_versions
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.reproduction import Reproduction
from cruijff_kit.schema.run import Manifest
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.design import write_design
from cruijff_kit.workflow.reproduce import reproduce_run
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from tests.fakes.designed import DESIGN, design, put_design, world_at
from tests.fakes.model_hub import model_facts

pytestmark = pytest.mark.once

SMALL: dict[str, Any] = {"factors": {"lora_rank": [4, 16]}, "controls": {"seeds": [1], "batch_size": 4}}
ROWS = {"train": [{"input": str(n), "output": "ab"[n % 2]} for n in range(24)], "test": [{"input": "x", "output": "a"}]}


def sealed_in(root: Path, **changes: Any) -> str:
    """Seal an experiment and return its first run, of which a job left a manifest."""
    root.mkdir(parents=True)
    write_design(front_matter(design(**{**SMALL, **changes})), reason="a test", world=world_at(root))
    run = scaffold_runs(world=world_at(root)).runs[0]
    leave_manifest(root, run)
    return run


def leave_manifest(root: Path, run: str, **changes: Any) -> None:
    plan, lock = recorded_plan(world=world_at(root))
    planned = next(each for each in plan.runs if each.id == run)
    commit, patch = git_state()
    told: dict[str, Any] = {
        "git_sha": commit,
        "git_patch_sha256": patch,
        "packages": package_versions(),
        "inputs": {
            "model": planned.model.sha256,
            "data": plan.dataset(planned.dataset).sha256,
            "config": lock.files[RunLayout(run).config],
        },
        "seeds": {"subset": 1},
        "device": "cpu",
        "threads": 1,
        **changes,
    }
    moment = datetime(2026, 11, 27, tzinfo=UTC)
    manifest = Manifest(run_id=run, host="node1", job_ids=("1",), started=moment, ended=moment, **told)
    (root / RunLayout(run).manifest).write_text(manifest.model_dump_json(), encoding="utf-8")


def standing(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def whole(found: Reproduction) -> bool:
    return not found.faults and not found.planned and all(each.identical for each in found.files)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project" / "parity"


def test_a_run_is_made_again_byte_for_byte_and_the_original_is_only_read(root: Path) -> None:
    run = sealed_in(root)
    before = standing(root)
    found = reproduce_run(run[:8], world=world_at(root))
    assert whole(found)
    layout = RunLayout(run)
    made = {each.path for each in found.files}
    assert {layout.config, layout.setup, layout.train_script, layout.eval_script, layout.run_yaml} <= made
    assert layout.cell_config("bits_epoch_0") in made
    assert sum(path.startswith("data/") for path in made) == 2
    assert (found.places, found.environment) == ((), ())
    assert standing(root) == before


@pytest.mark.parametrize("name", ("elsewhere", "with space; $(echo no)"))
def test_an_experiment_that_was_copied_elsewhere_gives_the_same_bytes(root: Path, tmp_path: Path, name: str) -> None:
    run = sealed_in(root)
    copy = tmp_path / name / "renamed"
    shutil.copytree(root, copy)
    shutil.rmtree(root)
    found = reproduce_run(run, world=world_at(copy))
    assert whole(found)
    places = {each.what: (each.then, each.here) for each in found.places}
    assert places == {
        "experiment": (str(root), str(copy)),
        "outputs": (f"{root}/outputs", f"{copy}/outputs"),
    }


def test_generated_data_are_made_again_though_they_are_gone(root: Path) -> None:
    run = sealed_in(root)
    shutil.rmtree(root / "data")
    found = reproduce_run(run, world=world_at(root))
    assert whole(found)
    assert {each.found for each in found.files if each.path.startswith("data/")} == {"missing"}


def test_a_fresh_place_gets_the_same_experiment_with_directories_of_its_own(root: Path, tmp_path: Path) -> None:
    run = sealed_in(root)
    before = standing(root)
    place = tmp_path / "project" / "again"
    found = reproduce_run(run, fresh=world_at(place), world=world_at(root))
    assert whole(found)
    assert found.into == str(place)
    for path in (RunLayout(run).config, RunLayout(run).train_script, RunLayout(run).cell_config("bits_epoch_0")):
        text = (place / path).read_text(encoding="utf-8")
        assert text.replace(str(place), str(root)) == (root / path).read_text(encoding="utf-8")
        assert str(place) in text
    assert [path for path in standing(place) if path.startswith("data/")]
    assert standing(root) == before
    # Again, it is the same experiment; from there, the first one is reproduced as well.
    assert whole(reproduce_run(run, fresh=world_at(place), world=world_at(root)))
    assert whole(reproduce_run(run, world=world_at(place)))


@pytest.mark.parametrize("where", ("", "inside", "..", "taken", "other"))
def test_no_place_is_taken_that_holds_something_else(root: Path, where: str) -> None:
    run = sealed_in(root)
    taken = root.parent / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    put_design(root.parent / "other", design(**{**SMALL, "question": "Another?"}))
    place = (root.parent / where if where in {"taken", "other"} else root / where).resolve()
    with pytest.raises(PlanError):
        reproduce_run(run, fresh=world_at(place), world=world_at(root))
    assert (taken / "mine.txt").read_text() == "mine"


def test_an_altered_model_is_named_and_the_sealed_plan_stands_in(root: Path) -> None:
    run = sealed_in(root)
    found = reproduce_run(run, world=world_at(root, model_facts(sha256="b" * 64)))
    (model,) = [each for each in found.inputs if each.kind == "model"]
    assert (model.name, model.sealed, model.found) == ("tiny", "a" * 64, "b" * 64)
    assert "model `tiny` is not what it was" in found.faults
    assert "the design says" in found.planned
    assert all(each.identical for each in found.files if each.path.startswith("runs/"))


def test_a_missing_model_is_named(root: Path) -> None:
    run = sealed_in(root)
    found = reproduce_run(run, world=world_at(root, model_facts("/elsewhere")))
    (model,) = [each for each in found.inputs if each.kind == "model"]
    assert model.found is None
    assert "/models/tiny" in model.reason


def _user_data(root: Path) -> dict[str, Any]:
    (root.parent / "rows.json").parent.mkdir(parents=True, exist_ok=True)
    (root.parent / "rows.json").write_text(json.dumps(ROWS), encoding="utf-8")
    return {"data": {"training": {"path": "../rows.json"}, "tier": "green"}}


@pytest.mark.parametrize("change", ("missing", "altered"))
def test_data_that_are_missing_or_altered_are_named_and_nothing_is_written(root: Path, change: str) -> None:
    run = sealed_in(root, **_user_data(root))
    assert whole(reproduce_run(run, world=world_at(root)))
    rows = root.parent / "rows.json"
    if change == "missing":
        rows.unlink()
    else:
        rows.write_text(json.dumps({**ROWS, "train": ROWS["train"][::-1]}), encoding="utf-8")
    place = root.parent / "again"
    found = reproduce_run(run, fresh=world_at(place), world=world_at(root))
    (data,) = [each for each in found.inputs if each.kind == "data"]
    assert (data.found is None) == (change == "missing")
    assert any("rows.json" in fault for fault in found.faults)
    assert not place.exists()
    assert found.into is None


def test_data_beside_the_experiment_are_found_beside_its_copy(root: Path, tmp_path: Path) -> None:
    run = sealed_in(root, **_user_data(root))
    shutil.copytree(root.parent, tmp_path / "clone")
    found = reproduce_run(run, world=world_at(tmp_path / "clone" / "parity"))
    assert whole(found)
    assert {each.what for each in found.places} == {"experiment", "outputs", "data rows"}


def test_other_versions_commit_device_and_threads_are_named(root: Path) -> None:
    run = sealed_in(root)
    packages = {**package_versions(), "torch": "1.13.1", "flash-attn": "2.0"}
    leave_manifest(root, run, packages=packages, git_sha="0" * 40, device="cuda:0 NVIDIA H200", threads=9)
    found = reproduce_run(run, world=world_at(root))
    told = {each.what: (each.then, each.here) for each in found.environment}
    assert told["torch"] == ("1.13.1", package_versions()["torch"])
    assert told["flash-attn"] == ("2.0", "none")
    assert told["commit"][0] == "0" * 40
    assert told["device"] == ("cuda:0 NVIDIA H200", "cpu")
    assert told["threads"] == ("9", "1")
    assert set(told) == {"torch", "flash-attn", "commit", "device", "threads"}
    assert not found.faults


@pytest.mark.parametrize("name", ("model", "data", "config"))
def test_what_the_job_read_is_named_where_it_was_not_what_was_sealed(root: Path, name: str) -> None:
    run = sealed_in(root)
    plan, lock = recorded_plan(world=world_at(root))
    told = {"model": "a" * 64, "data": plan.datasets[0].sha256, "config": lock.files[RunLayout(run).config]}
    leave_manifest(root, run, inputs={**told, name: "c" * 64})
    (found,) = reproduce_run(run, world=world_at(root)).environment
    assert (found.what, found.then) == (f"{name} that the job read", "c" * 64)


def test_a_run_that_left_no_manifest_says_so(root: Path) -> None:
    run = sealed_in(root)
    (root / RunLayout(run).manifest).unlink()
    assert "manifest" in reproduce_run(run, world=world_at(root)).notes[0]


def test_an_edited_file_is_made_again_as_it_was_sealed(root: Path) -> None:
    run = sealed_in(root)
    path = root / RunLayout(run).config
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    found = reproduce_run(run, world=world_at(root))
    (edited,) = [each for each in found.files if each.path == RunLayout(run).config]
    assert (edited.identical, edited.found) == (True, "changed")


def test_another_site_shows_in_the_scripts_alone_and_line_by_line(root: Path) -> None:
    run = sealed_in(root)
    found = reproduce_run(
        run, world=world_at(root, site=Site.model_validate({"environment": {"modules": ["cuda/12"]}}))
    )
    changed = [each for each in found.files if not each.identical]
    assert {each.path for each in changed} == {
        RunLayout(run).setup,
        RunLayout(run).train_script,
        RunLayout(run).eval_script,
    }
    assert all("cuda/12" in each.detail for each in changed)


def test_a_design_that_was_changed_since_gives_nothing(root: Path) -> None:
    run = sealed_in(root)
    put_design(root, design(**{**SMALL, "question": "Another?"}))
    with pytest.raises(PlanError, match="changed since it was sealed"):
        reproduce_run(run, world=world_at(root))


@pytest.mark.parametrize("asked", ({"execute": True}, {"tolerance": -1.0}, {"tolerance": float("nan")}))
def test_what_cannot_be_asked_is_refused(root: Path, asked: dict[str, Any]) -> None:
    run = sealed_in(root)
    with pytest.raises(SpecError):
        reproduce_run(run, **asked, world=world_at(root))


def test_red_data_are_not_made_again_outside_the_project(root: Path, tmp_path: Path) -> None:
    run = sealed_in(root, data={**DESIGN["data"], "tier": "red"})
    with pytest.raises(PlanError, match="red"):
        reproduce_run(run, fresh=world_at(tmp_path / "outside" / "again"), world=_world(root))
    assert not (tmp_path / "outside").exists()


def _world(root: Path) -> World:
    return world_at(root)


def test_the_seal_of_a_copy_is_the_seal_of_the_original(root: Path, tmp_path: Path) -> None:
    run = sealed_in(root)
    place = tmp_path / "project" / "again"
    reproduce_run(run, fresh=world_at(place), world=world_at(root))
    hashes = [
        {each.path: each.rebuilt for each in reproduce_run(run, world=world_at(where)).files} for where in (root, place)
    ]
    same = {path for path, digest in hashes[0].items() if hashes[1][path] == digest}
    assert {path for path in same if path.startswith(f"{ExperimentLayout.data}/")} == {
        path for path in hashes[0] if path.startswith(f"{ExperimentLayout.data}/")
    }
