"""Panels put figures that belong together on one axis, with their intervals, and lose none."""

from cruijff_kit.analysis.panels import make_panels, plain_name
from cruijff_kit.schema.metric_view import MetricRow
from cruijff_kit.schema.run import MetricPoint


def test_a_figure_and_its_limits_are_one_curve_with_a_band() -> None:
    rows: list[MetricRow] = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "loss": 1.5, "ece": 0.2, "ece_low": 0.1, "ece_high": 0.3},
        {"step": 3, "loss": 1.0, "ece": 0.1},
    ]
    panels = {panel.title: panel for panel in make_panels(rows)}
    assert list(panels) == ["Loss", "Calibration"]
    (ece,) = panels["Calibration"].curves
    assert (ece.steps, ece.values) == ((2, 3), (0.2, 0.1))
    assert (ece.low, ece.high) == ((0.1, None), (0.3, None))
    assert panels["Loss"].curves[0].low == ()


def test_figures_of_a_users_own_making_have_a_panel_each_after_the_known_ones() -> None:
    panels = make_panels([{"step": 1, "zeal": 0.5, "loss": 1.0, "wit": 2.0, "tokens": 9.0}])
    assert [panel.title for panel in panels] == ["Loss", "wit", "zeal"]


def test_memory_is_shown_in_gibibytes() -> None:
    (panel,) = make_panels([{"step": 1, "peak_memory_bytes": 3 * 2.0**30}])
    assert (panel.unit, panel.curves[0].values) == ("GiB", (3.0,))


def test_a_long_training_is_thinned_to_means_that_keep_its_course() -> None:
    (panel,) = make_panels([{"step": float(step), "loss": float(step)} for step in range(1, 10_001)])
    curve = panel.curves[0]
    assert len(curve.steps) == 1_000
    assert curve.steps == curve.values
    assert (curve.steps[0], curve.steps[-1]) == (5.5, 9_995.5)


def test_names_of_the_older_layout_are_those_of_today() -> None:
    older = ("train_loss", "eval_loss", "learning_rate", "brier_score", "conformal_coverage", "average_risk", "ece")
    assert [plain_name(name) for name in older] == [
        "loss", "val_loss", "lr", "brier", "coverage", "expected_risk", "ece",
    ]  # fmt: skip


def test_every_figure_of_our_own_trainings_has_a_panel_that_people_can_name() -> None:
    figures = set(MetricPoint.model_fields) - {"custom"}
    panels = {panel.title: panel for panel in make_panels([dict.fromkeys(figures, 1.0)])}
    assert [curve.title for curve in panels["Classification"].curves] == ["accuracy", "F1"]
    assert plain_name("f1_score") == "f1"
    assert not set(panels) & figures
