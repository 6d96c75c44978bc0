"""Plots of probabilities: bounded, legible, and honest about what they leave out."""

from collections.abc import Iterator

import pytest

from cruijff_kit.analysis.diagnosis import diagnose_run
from cruijff_kit.rendering.drawing import Dot, Drawing, Label, Stroke
from cruijff_kit.rendering.plots import report_plots
from cruijff_kit.rendering.score_plots import score_plots
from cruijff_kit.rendering.score_tables import calibration_table, score_table
from cruijff_kit.schema.audit import AuditVerdict
from cruijff_kit.schema.diagnosis import Diagnosis
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.plan import Cell, Plan
from cruijff_kit.schema.report import AuditState, Dossier, Finding, Findings
from tests.binary_run import binary_answers
from tests.fakes.experiment import Size, design_of, plan_of

# What a character of the widest font in use takes, and how high it is.
CHARACTER, HEIGHT = 7.3, 9.0
TASK = EvalTask(name="opinions", task="rows")


def dossier_of(*, seeds: int, n: int = 300, tasks: tuple[str, ...] = ("opinions",), **changes: object) -> Dossier:
    """Return what a report is made of, as far as these plots and tables look at it."""
    size = Size(seeds=tuple(range(seeds)))
    plan = plan_of(size)
    found = tuple(each for task in tasks for each in diagnoses(plan, n=n, task=task))
    findings = Findings(
        experiment="e", bottom_line=(), losses=(), findings=(), effects=(), comparisons=(), groups=(), task=tasks[0],
        diagnoses=tuple(each.model_copy(update=changes) for each in found), incomplete=(), complete=0, planned=0,
        verdict="complete",
    )  # fmt: skip
    return Dossier(
        spec=design_of(size), plan=plan, plan_id="0" * 64, findings=findings, histories=(), statuses=(),
        audit=AuditState(verdict=AuditVerdict(ok=True, lines=1, anchored=True), head=None), references=(), traces=(),
        version="1",
    )  # fmt: skip


def diagnoses(plan: Plan, *, n: int, task: str) -> Iterator[Diagnosis]:
    for run in plan.runs:
        cell = Cell(task=EvalTask(name=task, task="rows"), epoch=0 if run.type == "fine-tuned" else None)
        found = diagnose_run(list(binary_answers(run, cell, n=n)), level=0.95)
        assert found is not None
        yield found


@pytest.fixture(scope="module")
def drawings() -> dict[str, Drawing]:
    return {each.name: each for each in score_plots(dossier_of(seeds=2))}


def labels(drawing: Drawing) -> list[Label]:
    return [mark for mark in drawing.marks if isinstance(mark, Label)]


def boxes(drawing: Drawing) -> list[tuple[float, float, float, float, str]]:
    """Return left, top, right, bottom and text of every label."""
    found = []
    for each in labels(drawing):
        width = CHARACTER * len(each.text)
        left = each.x - {"start": 0.0, "middle": width / 2, "end": width}[each.anchor]
        found.append((left, each.y - HEIGHT, left + width, each.y, each.text))
    return found


def test_three_plots_are_drawn(drawings: dict[str, Drawing]) -> None:
    assert list(drawings) == ["reliability", "roc", "risk_coverage"]


@pytest.mark.parametrize("name", ("reliability", "roc", "risk_coverage"))
def test_no_mark_lies_outside_and_no_label_over_another(name: str, drawings: dict[str, Drawing]) -> None:
    drawing = drawings[name]
    for mark in drawing.marks:
        points = mark.points if isinstance(mark, Stroke) else ((mark.x, mark.y),)
        assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in points), mark
    assert_apart(boxes(drawing), width=drawing.width)


@pytest.mark.parametrize("metric", ("match", "continuous/mae", "risk/balanced_accuracy"))
def test_the_name_of_the_outcome_stands_beside_the_head_of_its_intervals(metric: str) -> None:
    dossier = dossier_of(seeds=1, n=60)
    figure = Interval(value=2.05, low=1.6, high=2.5, n=60, level=0.95, method="t over a jackknife")
    shown = tuple(
        Finding(run=run.id, task="opinions", epoch=0, metric=metric, figure=figure) for run in dossier.plan.runs
    )
    findings = dossier.findings.model_copy(update={"findings": shown, "metric": metric})
    drawing = report_plots(dossier.model_copy(update={"findings": findings}))[0]
    assert drawing.name == "accuracy"
    assert metric in [each.text for each in labels(drawing)]
    assert_apart([box for box in boxes(drawing) if box[3] == 10], width=drawing.width)


def assert_apart(placed: list[tuple[float, float, float, float, str]], *, width: float) -> None:
    for at, (left, top, right, bottom, text) in enumerate(placed):
        assert left >= -24, text
        assert right <= width + 24, text
        over = [b[4] for b in placed[at + 1 :] if left < b[2] and b[0] < right and top < b[3] and b[1] < bottom]
        assert not over, (text, over)


def test_every_dot_tells_its_figures(drawings: dict[str, Drawing]) -> None:
    dots = [mark for drawing in drawings.values() for mark in drawing.marks if isinstance(mark, Dot)]
    assert len(dots) > 100
    assert all("rank" in each.title or "base" in each.title for each in dots)


def test_a_panel_names_its_run_and_its_figure(drawings: dict[str, Drawing]) -> None:
    texts = [each.text for each in labels(drawings["roc"])]
    assert "base model" in texts
    assert "lora_rank 16, lr 0.001, seed 1" in texts
    assert sum(text.startswith("AUC 0.") and "[" in text for text in texts) == 9


def test_of_many_runs_one_of_each_setting_comes_first_and_the_rest_is_said_to_be_left_out() -> None:
    (first, *_) = score_plots(dossier_of(seeds=20, n=60))
    texts = [each.text for each in labels(first)]
    assert "opinions; 12 of 81 runs, one of each setting first" in texts
    names = [text for text in texts if text.startswith("lora_rank")]
    assert len(names) == 11
    assert {name.rpartition(", seed")[0] for name in names} == {
        f"lora_rank {rank}, lr {lr}" for rank in (4, 16) for lr in (0.0003, 0.001)
    }


def test_one_task_is_drawn_and_the_others_are_said_to_be_in_the_tables() -> None:
    (first, *_) = score_plots(dossier_of(seeds=1, n=60, tasks=("opinions", "beliefs", "hopes")))
    assert "opinions; 2 more tasks in the tables" in [each.text for each in labels(first)]


def test_a_single_further_task_is_said_to_be_one() -> None:
    (first, *_) = score_plots(dossier_of(seeds=1, n=60, tasks=("opinions", "beliefs")))
    assert "opinions; 1 more task in the tables" in [each.text for each in labels(first)]


def test_more_than_two_options_have_no_roc() -> None:
    assert [each.name for each in score_plots(dossier_of(seeds=1, n=60, roc=()))] == ["reliability", "risk_coverage"]


def test_without_probabilities_nothing_is_drawn_or_tabled() -> None:
    bare = dossier_of(seeds=1, n=60)
    bare = bare.model_copy(update={"findings": bare.findings.model_copy(update={"diagnoses": ()})})
    assert list(score_plots(bare)) == []
    assert (calibration_table(bare).rows, calibration_table(bare).note) == ((), "")


def test_long_tables_are_cut_and_say_where_the_rest_is() -> None:
    table = score_table(dossier_of(seeds=55, n=20))
    assert len(table.rows) == 200
    assert table.note.endswith("The first 200 of 221 rows; report/trace.json holds all.")


def test_a_reason_for_missing_figures_stands_below_the_table() -> None:
    lost = dossier_of(seeds=1, n=60, reason="1 predictions cannot be used together", figures=(), bins=())
    table = calibration_table(lost)
    assert "Not shown: 1 predictions cannot be used together." in table.note
    assert {row[5] for row in table.rows} == {"-"}


def test_a_single_figure_that_is_missing_has_its_reason_in_its_own_table() -> None:
    run = plan_of(Size()).runs[0]
    ones = [each for each in binary_answers(run, Cell(task=TASK, epoch=0), n=60) if each.target == "yes"]
    found = diagnose_run(ones, level=0.95)
    assert found is not None
    lost = dossier_of(seeds=1, n=60, figures=found.figures)
    assert "Not shown: AUC, where all outcomes are the same." in score_table(lost).note
    assert "Not shown" not in calibration_table(lost).note
