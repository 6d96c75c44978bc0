"""`load_results`: the tables of an experiment, hash-checked, as the notebook shows them."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import cruijff_kit
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.data import DataSpec, TrainingData
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.workflow.collect import collect_results
from tests.architecture.source import ROOT
from tests.compared import evaluated, opened
from tests.fakes.experiment import write_training
from tests.notebooks import run_cells

NOTEBOOK = ROOT / "docs" / "notebooks" / "results.ipynb"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project") / "first"
    for run in evaluated(root).runs:
        if run.type == "fine-tuned":
            write_training(root, run)
    collect_results(world=opened(root))
    return root


def loaded(root: Path) -> Any:
    return cruijff_kit.load_results(root)


def test_the_tables_hold_what_was_collected_with_factors_as_columns(collected: Path) -> None:
    tables = loaded(collected)
    match = tables.results[(tables.results.metric == "match") & (tables.results.task == "capitalization")]
    right = tables.predictions[tables.predictions.task == "capitalization"].groupby("run").correct.sum()
    assert {run: int(count) for run, count in right.items()} == dict(zip(match.run, match.successes, strict=True))
    assert sorted(match.factor_lora_rank.dropna().unique()) == [4, 16]
    assert set(tables.runs.run) == set(match.run)
    assert len(tables.metrics) == 8 * 40
    assert tables.metrics.groupby("run").step.max().eq(40).all()
    assert {"group_word_length", "completion", "prompt_token_sha256"} <= set(tables.predictions.columns)
    assert ExperimentLayout.results in tables.hashes
    assert tables.withheld == ""


def test_every_column_is_told_in_the_docstring(collected: Path) -> None:
    from cruijff_kit.bootstrap import load_results

    told = set(re.findall(r"`(\w+)`", load_results.__doc__ or ""))
    families = ("factor_", "group_", "control_", "custom_")
    tables = loaded(collected)
    for frame in (tables.results, tables.predictions, tables.runs):
        plain = {name for name in frame.columns if not name.startswith(families)}
        assert plain <= told, plain - told


@pytest.mark.parametrize(
    "pattern,words",
    (
        ("results.parquet", "is not what was collected last"),
        ("predictions/*.parquet", "is not what was collected last"),
        ("runs/*/eval/*/logs/*.eval", "is not what its figures were read from"),
        ("runs/*/metrics.jsonl", "is not what its figures were read from"),
    ),
)
def test_a_file_that_is_another_than_was_collected_is_refused(
    collected: Path, tmp_path: Path, pattern: str, words: str
) -> None:
    root = Path(shutil.copytree(collected, tmp_path / "copy"))
    victim = min(root.glob(pattern))
    victim.write_bytes(victim.read_bytes() + b" ")
    with pytest.raises(ResultError) as caught:
        loaded(root)
    (problem,) = caught.value.problems
    assert problem.place == victim.relative_to(root).as_posix()
    assert words in problem.message


def test_nothing_is_returned_where_nothing_was_collected(tmp_path: Path) -> None:
    evaluated(tmp_path / "bare")
    with pytest.raises(ResultError, match="nothing was collected yet"):
        loaded(tmp_path / "bare")
    with pytest.raises(PlanError, match="not scaffolded"):
        loaded(tmp_path / "nowhere")


def test_what_a_search_was_told_is_no_collection(collected: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(collected, tmp_path / "copy"))
    world = opened(root)
    told = {"verb": "sweep", "action": Action.COLLECT_RESULTS, "subject": "trial", "outputs": {"match": "0.5"}}
    world.audit.append(AuditEvent.model_validate({"actor": world.actor, **told}))
    assert loaded(root).hashes == loaded(collected).hashes


def test_of_closed_data_figures_are_told_and_texts_are_not(tmp_path: Path) -> None:
    closed = DataSpec(training=TrainingData(generator="words"), tier="red")
    evaluated(tmp_path / "red", spec={"data": closed})
    collect_results(world=opened(tmp_path / "red"))
    tables = loaded(tmp_path / "red")
    assert "red" in tables.withheld
    hidden = ["target", "prediction", "completion", "group_word_length"]
    assert tables.predictions[hidden].isna().all().all()
    assert tables.predictions.sample_id.str.fullmatch("[0-9a-f]{16}").all()
    assert tables.predictions.correct.notna().all()
    assert tables.results.value.notna().any()


def test_the_notebook_shows_what_its_cells_show_and_names_no_place() -> None:
    for cell in run_cells(NOTEBOOK):
        assert "".join(cell.shown.split()) == "".join(cell.stored.split()), cell.source
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.findall(r"(?:/tmp|/home|/root|/Users|/var|/private)\b[^\"\\]*", text)
