"""The pages, without a browser: what they show of a made-up experiment, and what they never show."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cruijff_kit.analysis.high_stakes import AdvancedHighStakesAuditor
from cruijff_kit.bootstrap import open_world
from cruijff_kit.schema.calibration import CalibrationSettings
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.model_audit import AuditFile
from cruijff_kit.schema.pages import Opening
from cruijff_kit.schema.plan import Plan
from cruijff_kit.ui import audit, sight
from cruijff_kit.ui.asked import costs_of, matrix_of
from cruijff_kit.ui.decide import NO_GUARANTEE
from cruijff_kit.ui.export import csv_text, json_text
from cruijff_kit.ui.shell import DEMO, pages_of
from cruijff_kit.workflow.calibrate import calibrate_run
from cruijff_kit.workflow.exhibit import make_exhibit

PROMISED, RISK, PLAIN, RUNNING = 0, 1, 2, -1
"""Runs of the exhibit: one whose calibrator makes sets, one whose abstains, one without, one under way."""
WAIT = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with the exhibit, and the state directory that its record is anchored in."""
    project = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRUIJFF_STATE_DIR", str(project.parent / "state"))
        (project / "triage").mkdir()
        world = open_world(project / "triage", root=project, kind="human", name="ada", client="ck")
        make_exhibit(world=world)
    return project


@pytest.fixture(autouse=True)
def _anchored(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRUIJFF_STATE_DIR", str(made.parent / "state"))


@pytest.fixture
def opening(made: Path) -> Opening:
    return Opening(project=str(made), experiment="triage", demo=True)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Opening:
    """Return the exhibit copied to where a test may change it."""
    shutil.copytree(made, tmp_path / "project")
    return Opening(project=str(tmp_path / "project"), experiment="triage")


@pytest.fixture
def runs(made: Path) -> list[str]:
    plan = Plan.model_validate_json((made / "triage" / ExperimentLayout.plan).read_bytes())
    return [run.id for run in plan.runs]


def page(path: str, opening: Opening, *, run: str | None = None) -> AppTest:
    """Return one page as it is first shown."""

    def script(path: str, opening: str) -> None:
        from cruijff_kit.schema.pages import Opening
        from cruijff_kit.ui.shell import show_one

        show_one(path, Opening.model_validate_json(opening))

    app = AppTest.from_function(script, args=(path, opening.model_dump_json()), default_timeout=WAIT)
    if run is not None:
        app.session_state["seen_run"] = run
    app.run()
    assert not app.exception, app.exception
    return app


def headings(app: AppTest) -> list[str]:
    return [each.value for each in app.subheader]


def everything(app: AppTest) -> str:
    """Return every word of a page."""
    words = [str(getattr(each, "value", "")) for each in app.main]
    tables = [each.value.to_csv() for each in app.dataframe]
    return "\n".join((*words, *tables, *(each.value for each in (*app.markdown, *app.caption, *app.info, *app.code))))


def test_every_page_of_a_demo_says_so_first(opening: Opening) -> None:
    for _, path, _ in pages_of(opening):
        assert page(path, opening).warning[0].value == DEMO


def test_runs_are_listed_with_their_states_and_narrowed_by_words_and_states(opening: Opening, runs: list[str]) -> None:
    app = page("experiments", opening)
    assert headings(app) == ["1 experiment", "8 of 8 runs"]
    app.text_input(key="filter_words").set_value("RANK32 seed1").run()
    assert headings(app)[1] == "2 of 8 runs"
    app.text_input(key="filter_words").set_value("").run()
    app.multiselect(key="filter_states").set_value(["running"]).run()
    assert headings(app)[1] == "1 of 8 runs"
    assert list(app.dataframe[1].value["run"]) == [runs[RUNNING]]
    assert float(app.dataframe[1].value["loss"].iloc[0]) > 0


def test_a_run_is_followed_while_its_training_appends(copied: Opening, runs: list[str]) -> None:
    app = page("run", copied, run=runs[RUNNING])
    metrics = Path(copied.project) / "triage" / RunLayout(runs[RUNNING]).metrics
    assert {each.label: each.value for each in app.metric}["step"] == "150"
    with metrics.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 151, "epoch": 0, "loss": 0.125}) + "\n")
    app.run()
    shown = {each.label: each.value for each in app.metric}
    assert (shown["step"], shown["loss"]) == ("151", "0.125")


def test_lights_of_a_run_name_the_target_that_its_own_sets_were_made_for(opening: Opening, runs: list[str]) -> None:
    app = page("run", opening, run=runs[PROMISED])
    assert any("target 0.9" in each.value for each in app.caption)
    assert any("ECE, debiased" in each.label for each in app.metric)


def test_runs_stand_side_by_side_with_the_intervals_of_the_report(opening: Opening, runs: list[str]) -> None:
    app = page("compare", opening)
    differing, figures = app.dataframe[0].value, app.dataframe[1].value
    assert set(differing["setting"]) == {"model", "lr", "seed"}
    assert list(figures.columns)[1:] == runs[:3]
    reported = json.loads((Path(opening.project) / "triage" / ExperimentLayout.traces).read_text(encoding="utf-8"))
    name = f"accuracy/{runs[0]}/triage_test/0/match"
    figure = next(each for each in reported["figures"] if each["figure"] == name)
    cell = figures.set_index("figure").loc["accuracy/triage_test/0/match", runs[0]]
    assert cell == f"{figure['value']:.4g} [{figure['low']:.3g}, {figure['high']:.3g}], n = {figure['n']}"


def test_a_guarantee_names_its_alpha_and_moves_with_the_slider(opening: Opening, runs: list[str]) -> None:
    app = page("decide", opening, run=runs[PROMISED])
    before = [each.value for each in app.success]
    assert any("alpha 0.1" in words and "n = 400" in words for words in before)
    app.slider[0].set_value(0.3).run()
    after = [each.value for each in app.success]
    assert any("alpha 0.3" in words for words in after)
    assert not any("alpha 0.1\\)" in words for words in after)


def test_a_slider_tells_the_alpha_that_is_promised_whatever_digits_it_has(copied: Opening, runs: list[str]) -> None:
    root = Path(copied.project)
    world = open_world(root / "triage", root=root, kind="human", name="ada", client="ck")
    calibrate_run(runs[PLAIN], settings=CalibrationSettings(alpha=0.025), world=world)
    app = page("decide", copied, run=runs[PLAIN])
    assert any("alpha 0.025\\)" in each.value for each in app.success)
    assert app.slider[0].proto.format % app.slider[0].value == "0.025"


def test_what_is_offered_holds_no_control_character_however_deep_it_lies() -> None:
    rows = [{"outputs": {"note": "a\x1b[31m", "more": ["b\x1b"]}, "n": 3}]
    (found,) = json.loads(json_text(rows))
    assert found["n"] == 3
    assert all(text.isprintable() for text in (found["outputs"]["note"], *found["outputs"]["more"]))
    assert "x1b[" not in csv_text(rows).decode()


def test_records_beyond_those_a_page_holds_are_told_of(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST", 5)
    app = page("audit", opening.model_copy(update={"site": None, "demo": False}))
    assert headings(app)[0] == "5 of 5 records"
    (told,) = [each.value for each in app.caption if "are left out" in each.value]
    assert told.startswith("The first ")


def test_experiments_beyond_those_that_pages_hold_are_told_of(copied: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(copied.project) / "triage", Path(copied.project) / "later")
    monkeypatch.setattr(sight, "MOST", 1)
    app = page("experiments", copied)
    assert headings(app)[0] == "1 experiment"
    assert any(each.value.startswith("Of 2 experiments the latest are here") for each in app.caption)


def test_a_stored_sample_gets_a_verdict_with_its_costs(opening: Opening, runs: list[str]) -> None:
    app = page("decide", opening, run=runs[RISK])
    app.radio(key="kind").set_value("a stored sample").run()
    assert not app.exception
    assert app.selectbox[2].options[0].startswith("test-0")
    verdicts = [each.value for each in app.markdown if each.value.startswith("## ")]
    assert any(word in verdicts[0] for word in ("PROCEED", "ADJUST", "ABSTAIN"))


def test_without_a_calibrator_nothing_is_ever_called_guaranteed(opening: Opening, runs: list[str]) -> None:
    app = page("decide", opening, run=runs[PLAIN])
    for kind in ("typed probabilities", "a stored sample"):
        app.radio(key="kind").set_value(kind).run()
        assert not app.exception
        assert not app.success
        assert any(each.value.startswith(NO_GUARANTEE) for each in app.warning)
        assert "Nothing." in [each.value for each in app.markdown]


def test_the_record_is_verified_and_filtered(opening: Opening) -> None:
    app = page("audit", opening)
    assert "chain and anchors hold" in app.success[0].value
    app.multiselect(key="audit_actions").set_value(["CALIBRATE"]).run()
    assert headings(app)[0].startswith("2 of ")
    app.text_input(key="audit_words").set_value("ltt").run()
    assert headings(app)[0].startswith("1 of ")


def test_a_record_that_was_changed_is_shown_as_such(copied: Opening) -> None:
    log = Path(copied.project) / "triage" / ExperimentLayout.audit
    log.write_text(log.read_text(encoding="utf-8").replace("made up for a demo", "made up by hand"), encoding="utf-8")
    app = page("audit", copied)
    assert app.error[0].value.startswith("The log does not hold at line")
    assert not app.success


def test_the_audit_of_a_model_is_shown_part_by_part(copied: Opening) -> None:
    chances, truth = [[0.9, 0.1]] * 150 + [[0.1, 0.9]] * 150, [0, 1] * 150
    audit = AdvancedHighStakesAuditor().run_comprehensive_audit(
        predictions=[0] * 150 + [1] * 150, ground_truth=truth, probabilities=chances, metadata=None
    )
    (Path(copied.project) / "triage" / "audit.json").write_text(
        AuditFile(audits=(audit,)).model_dump_json(), encoding="utf-8"
    )
    told = everything(page("audit", copied))
    (calibration,) = (each for each in audit.components if each.name == "calibration")
    assert (audit.verdict, calibration.verdict) == ("fail", "fail")
    assert "✗ fail" in told
    assert all(each.reason in told for each in calibration.checks)
    assert "n = 300" in told


def test_of_red_data_neither_samples_nor_words_of_jobs_are_shown(copied: Opening, runs: list[str]) -> None:
    data = Path(copied.project) / "triage" / "data"
    data.mkdir(exist_ok=True)
    (data / "TIER").write_text("red\n", encoding="utf-8")
    decided = page("decide", copied, run=runs[PROMISED])
    decided.radio(key="kind").set_value("a stored sample").run()
    assert any("the data is red" in each.value for each in decided.info)
    assert "test-0" not in everything(decided)
    run = page("run", copied, run=runs[PROMISED])
    run.toggle(key="log_shown").set_value(True).run()
    assert any("the data is red" in each.value for each in run.info)
    assert not run.code
    assert "withheld" in everything(page("experiments", copied))


def test_a_bare_file_of_metrics_has_one_page_in_either_layout(tmp_path: Path) -> None:
    older = tmp_path / "training_metrics.json"
    older.write_text(json.dumps([{"step": 1, "train_loss": 2.0}, {"step": 2, "train_loss": 1.5}]), encoding="utf-8")
    opening = Opening(project=str(tmp_path), metrics=str(older))
    assert [path for _, path, _ in pages_of(opening)] == ["run"]
    assert {each.label: each.value for each in page("run", opening).metric} == {"step": "2", "loss": "1.5"}


def test_an_empty_project_says_how_to_begin(tmp_path: Path) -> None:
    for _, path, _ in pages_of(Opening(project=str(tmp_path))):
        assert "Traceback" not in everything(page(path, Opening(project=str(tmp_path))))


def test_costs_keep_their_order_and_are_one_each_where_none_are_named() -> None:
    options = ("no", "yes")
    assert matrix_of({}, options) == [[0, 1], [1, 0]]
    costs = {"no": {"no": 0.0, "yes": 1.0}, "yes": {"no": 5.0, "yes": 0.0}}
    assert costs_of(matrix_of(costs, options), options) == costs


def test_an_exported_cell_can_be_no_formula() -> None:
    assert csv_text([{"run": "=1+1", "value": -2.5}, {"run": "a", "why": "b"}]).decode().splitlines() == [
        "run,value,why",
        "'=1+1,-2.5,",
        "a,,b",
    ]
