"""Findings from tables made by hand."""

from cruijff_kit.analysis.findings import find_all
from cruijff_kit.schema.plan import Plan, PlannedRun, Resolved
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import Findings, Interval
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.spec import Analysis
from tests.fakes.experiment import Size, answers, design_of, plan_of

SIZE = Size(words=50, others=4)
SPEC, PLAN = design_of(SIZE), plan_of(SIZE)


def _samples(plan: Plan = PLAN) -> list[Prediction]:
    return [each for run in plan.runs for cell in run.cells for each in answers(run, cell, size=SIZE)]


def _row(run: PlannedRun, task: str, right: int | None, n: int) -> ResultRow:
    return ResultRow(
        run=run.id, type=run.type, model=run.model.name, factors=run.factors, seed=run.seed, task=task,
        epoch=run.cells[0].epoch, metric="match", value=None if right is None else right / n, n=n, successes=right,
        reason="" if right is not None else "lost",
    )  # fmt: skip


def _found(samples: list[Prediction], analysis: Analysis | None = None, plan: Plan = PLAN) -> Findings:
    counts: dict[tuple[str, str], list[bool]] = {}
    for each in samples:
        counts.setdefault((each.run, each.task), []).append(each.correct is True)
    rows = []
    for run in plan.runs:
        for cell in run.cells:
            right = counts.get((run.id, cell.task.name))
            rows.append(_row(run, cell.task.name, sum(right) if right else None, len(right or ())))
    table = ResultTable(experiment=SPEC.name, rows=tuple(rows), runs=(), predictions=tuple(samples))
    spec = SPEC.model_copy(update={"analysis": analysis or SPEC.analysis})
    return find_all(spec, plan, table=table)


def test_each_fine_tuned_run_is_paired_with_its_base_on_every_task() -> None:
    found = _found(_samples())
    assert [(pair.run, pair.task) for pair in found.comparisons] == [
        (run.id, cell.task.name) for run in PLAN.runs[:-1] for cell in run.cells
    ]
    assert all(pair.p_adjusted >= pair.p_value for pair in found.comparisons)
    assert all(pair.difference.value == (pair.gained - pair.lost) / pair.difference.n for pair in found.comparisons)


def test_a_base_evaluated_on_other_data_is_no_base_to_compare_with() -> None:
    control = PLAN.runs[-1].model_copy(update={"dataset": "other"})
    plan = PLAN.model_copy(update={"runs": (*PLAN.runs[:-1], control)})
    assert _found(_samples(), plan=plan).comparisons == ()


def test_an_errored_sample_counts_as_wrong_in_pairs_and_groups() -> None:
    samples = _samples()
    right = next(place for place, each in enumerate(samples) if each.correct and each.task == "capitalization")
    samples[right] = samples[right].model_copy(update={"correct": None, "error": "out of memory", "prediction": None})
    before, after = _found(_samples()), _found(samples)
    assert after.comparisons[0].gained == before.comparisons[0].gained - 1
    assert after.comparisons[0].difference.n == before.comparisons[0].difference.n
    assert after.groups[0].figure.n == before.groups[0].figure.n
    assert after.findings[0].errored == 1


def test_groups_come_in_order_of_size_and_only_those_asked_for() -> None:
    found = _found(_samples())
    lengths = [each.level for each in found.groups if (each.run, each.task) == (PLAN.runs[0].id, "other_lengths")]
    assert lengths == ["3", "4", "6", "7", "8", "9", "10"]
    assert _found(_samples(), Analysis(groups=("nothing",))).groups == ()


def test_runs_that_a_design_lists_are_settings_of_their_own_and_no_seeds_of_one_point() -> None:
    names = ("plain_seed1", "plain_seed2", "softened_seed1", "softened_seed2")
    listed = [
        run.model_copy(update={"id": f"{name}-0123abcd", "factors": {}, "settings": {}, "seed": int(name[-1])})
        for run, name in zip(PLAN.runs, names, strict=False)
    ]
    plan = PLAN.model_copy(update={"runs": tuple(listed)})
    renamed = {run.id: new.id for run, new in zip(PLAN.runs, listed, strict=False)}
    samples = [each.model_copy(update={"run": renamed[each.run]}) for each in _samples() if each.run in renamed]
    found = _found(samples, plan=plan)
    assert [(each.factors, each.figure.n) for each in found.cells] == [({"run": "plain"}, 2), ({"run": "softened"}, 2)]
    assert found.effects == ()
    found = _found([each for each in samples if each.run.startswith("plain")], plan=plan)
    assert [(each.factors, each.figure.n) for each in found.cells] == [({"run": "plain"}, 2)]
    alike = [run.model_copy(update={"id": f"plain_seed{run.seed}-{at}123abcd"}) for at, run in enumerate(listed)]
    renamed = {run.id: new.id for run, new in zip(listed, alike, strict=True)}
    samples = [each.model_copy(update={"run": renamed[each.run]}) for each in samples]
    found = _found(samples, plan=PLAN.model_copy(update={"runs": tuple(alike)}))
    assert [(each.factors, each.figure.n) for each in found.cells] == [({}, 4)]


def test_listed_runs_whose_long_names_are_cut_alike_are_not_taken_for_seeds_of_one() -> None:
    rates = [{"lr": Resolved(value=lr, source="run")} for lr in (1e-4, 1e-4, 2e-4, 2e-4)]
    runs = [
        run.model_copy(update={"id": f"{'long' * 10}_seed{run.seed}-{at}123abcd", "factors": {}, "settings": rates[at]})
        for at, run in enumerate(PLAN.runs[:4])
    ]
    renamed = {run.id: new.id for run, new in zip(PLAN.runs, runs, strict=False)}
    samples = [each.model_copy(update={"run": renamed[each.run]}) for each in _samples() if each.run in renamed]
    found = _found(samples, plan=PLAN.model_copy(update={"runs": tuple(runs)}))
    assert [(each.factors, each.figure.n) for each in found.cells] == [
        ({"run": "long" * 10}, 2), ({"run": f"{'long' * 10} (2)"}, 2),
    ]  # fmt: skip


def test_only_planned_comparisons_are_made() -> None:
    effects = [each.factor for each in _found(_samples(), Analysis(comparisons=("lr",))).effects]
    assert effects == ["lr"]
    only_base = _found(_samples(), Analysis(comparisons=("base",)))
    assert (len(only_base.comparisons), only_base.effects) == (16, ())


def test_a_lost_run_is_incomplete_and_leaves_the_effects_to_the_others() -> None:
    lost = PLAN.runs[0].id
    found = _found([each for each in _samples() if each.run != lost])
    assert {(each.run, each.reason) for each in found.incomplete} == {(lost, "lost")}
    assert (found.complete, found.planned, found.verdict) == (8, 9, "partial")
    assert [each.figure.n for each in found.effects] == [7, 7, 7]


def test_the_level_of_every_interval_follows_alpha() -> None:
    found = _found(_samples(), Analysis(alpha=0.1))
    assert {each.figure.level for each in (*found.findings, *found.effects, *found.cells)} == {0.9}


def test_mean_accuracies_have_no_limits_outside_zero_and_one() -> None:
    limits = [(each.figure.low or 0.0, each.figure.high or 0.0) for each in _found(_samples()).cells]
    assert all(0.0 <= low <= high <= 1.0 for low, high in limits)


def test_unanswered_samples_bound_the_figure_from_both_sides() -> None:
    samples = _samples()
    wrong = [at for at, each in enumerate(samples) if not each.correct and each.run == PLAN.runs[0].id][:3]
    for at, change in zip(wrong, ({"error": "out of memory"}, {"parse_ok": False}, {}), strict=True):
        samples[at] = samples[at].model_copy(update={"correct": None, "prediction": None, **change})
    figure = next(each for each in _found(samples).findings if each.run == PLAN.runs[0].id)
    assert (figure.errored, figure.unparsed) == (1, 1)
    assert figure.at_best == (figure.figure.value or 0) + 2 / figure.figure.n


def test_runs_are_ranked_in_tied_sets_that_hold_each_run_once() -> None:
    ranking = _found(_samples()).ranking
    assert sorted(run for each in ranking for run in each.runs) == sorted(run.id for run in PLAN.runs)
    assert ranking[0].place == 1
    # The base model knows next to nothing, and stands apart at the end.
    assert ranking[-1].runs == (PLAN.runs[-1].id,)
    assert all(each.n == 50 for each in ranking)


def test_clusters_widen_every_interval_and_name_the_test() -> None:
    samples = [
        each.model_copy(update={"groups": {**each.groups, "passage": str(int(each.sample_id.split("-")[1]) // 10)}})
        for each in _samples()
    ]
    plain, clustered = _found(samples), _found(samples, Analysis(groups=("word_length",), cluster="passage"))
    assert {each.figure.method for each in clustered.findings} == {"wilson, clustered"}
    pairs = zip(plain.findings, clustered.findings, strict=True)
    assert all(_width(wide.figure) > _width(each.figure) for each, wide in pairs)
    assert {each.test for each in clustered.comparisons} == {"t-test over clusters"}
    assert {each.test for each in plain.comparisons} == {"exact McNemar test"}
    assert [each.difference.value for each in clustered.comparisons] == [
        each.difference.value for each in plain.comparisons
    ]


def test_clusters_are_no_breakdown_of_their_own() -> None:
    samples = [each.model_copy(update={"groups": {**each.groups, "passage": "1"}}) for each in _samples()]
    assert {each.group for each in _found(samples, Analysis(cluster="passage")).groups} == {"word_length"}


def _width(interval: Interval) -> float:
    return (interval.high or 0.0) - (interval.low or 0.0)
