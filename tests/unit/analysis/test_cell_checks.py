"""Looks across all cells: each finds what is planted, and says nothing where nothing is."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from cruijff_kit.analysis.cell_checks import check_cells
from cruijff_kit.analysis.findings import find_all
from cruijff_kit.analysis.traces import trace_all
from cruijff_kit.schema.plan import Plan, PlannedRun, Resolved
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.report import CellCheck
from cruijff_kit.schema.result import ResultRow, ResultTable
from tests.fakes.experiment import Size, design_of, plan_of

SIZE = Size(words=100, seeds=(1, 2, 3))
SPEC, PLAN = design_of(SIZE), plan_of(SIZE)
TUNED = [run for run in PLAN.runs if run.factors]


def checked(right: Mapping[str, int], *, plan: Plan = PLAN, targets: Sequence[str] = ()) -> dict[str, CellCheck]:
    """Return the looks by kind, where of 100 samples a run so many are right."""
    table = table_of(right, plan=plan, targets=targets)
    found = check_cells(SPEC, plan, table=table, findings=find_all(SPEC, plan, table=table))
    return {each.kind: each for each in found}


def table_of(right: Mapping[str, int], *, plan: Plan, targets: Sequence[str] = ()) -> ResultTable:
    """Return what was collected, where of 100 samples a run so many are right."""
    rows, samples = [], []
    for run in plan.runs:
        for cell in run.cells:
            value = right.get(run.id, 1)
            rows.append(
                ResultRow(
                    run=run.id,
                    type=run.type,
                    model="tiny",
                    factors=run.factors,
                    seed=run.seed,
                    task=cell.task.name,
                    epoch=cell.epoch,
                    metric="match",
                    value=value / 100,
                    n=100,
                    successes=value,
                )
            )
            samples += [_answer(run, cell.task.name, epoch=cell.epoch, target=each) for each in targets]
    return ResultTable(experiment=SPEC.name, rows=tuple(rows), runs=(), predictions=tuple(samples))


def _answer(run: PlannedRun, task: str, *, epoch: int | None, target: str) -> Prediction:
    return Prediction(
        sample_id=target, run=run.id, epoch=epoch, task=task, split="test", target=target, prediction="x",
        correct=False, completion="x", prompt_token_sha256="12" * 32, checkpoint_sha256="34" * 32,
    )  # fmt: skip


def by_setting(value: Callable[[PlannedRun], int]) -> dict[str, int]:
    return {run.id: value(run) for run in PLAN.runs}


def test_runs_that_are_all_near_the_ceiling_are_flagged() -> None:
    assert checked(by_setting(lambda run: 97 + run.seed % 3))["saturation"].flagged
    apart = checked(by_setting(lambda run: 97 if run.factors.get("lora_rank") == 16 else 60))["saturation"]
    assert not apart.flagged
    assert "between 0.600 and 0.970" in apart.words


def test_runs_that_do_no_better_than_the_commonest_answer_are_flagged() -> None:
    targets = ["yes"] * 6 + ["no"] * 4
    low = checked(by_setting(lambda run: 58 + run.seed), targets=targets)["floor"]
    assert low.flagged
    assert "better than 0.600" in low.words
    assert low.figures == {"chance": 0.6}
    assert "yes" not in low.words
    assert not checked(by_setting(lambda run: 90), targets=targets)["floor"].flagged


def three_levels(values: Mapping[int, int]) -> tuple[Plan, dict[str, int]]:
    """Return a plan of three ranks, and a count of right answers for each of its runs."""
    runs, right = [], {}
    for place, (rank, value) in enumerate(values.items()):
        for run in TUNED[:3]:
            name = f"rank{rank}_seed{run.seed}-0123abc{place}"
            settings = {**run.settings, "lora_rank": Resolved(value=rank, source="factor")}
            runs.append(run.model_copy(update={"id": name, "factors": {"lora_rank": rank}, "settings": settings}))
            right[name] = value + run.seed
    return PLAN.model_copy(update={"runs": tuple(runs)}), right


@pytest.mark.parametrize(
    "values,flagged,words",
    (
        ((20, 50, 80), False, "rises or falls throughout"),
        ((20, 80, 50), True, "beyond the noise between seeds"),
        ((50, 51, 50), False, "within the noise between seeds"),
    ),
)
def test_an_outcome_that_turns_along_an_ordered_factor_is_flagged(
    values: tuple[int, int, int], flagged: bool, words: str
) -> None:
    plan, right = three_levels(dict(zip((4, 16, 64), values, strict=True)))
    found = checked(right, plan=plan)["monotonicity"]
    assert (found.flagged, words in found.words) == (flagged, True), found.words
    assert set(found.figures) == {"lora_rank/4", "lora_rank/16", "lora_rank/64"}
    assert found.words.endswith(
        ", ".join(f"{mean:.3f} at {name.partition('/')[2]}" for name, mean in found.figures.items())
    )


def test_means_along_one_of_two_factors_lead_to_the_results_that_they_were_computed_from() -> None:
    one, right = three_levels({4: 20, 16: 50, 64: 80})
    runs = [
        run.model_copy(
            update={"id": f"lr{rate}_{run.id}", "factors": {**run.factors, "lr": rate}, "settings": run.settings}
        )
        for run in one.runs
        for rate in (1, 2)
    ]
    plan = PLAN.model_copy(update={"runs": tuple(runs)})
    table = table_of({run.id: right[run.id[4:]] + int(run.id[2]) for run in runs}, plan=plan)
    findings = find_all(SPEC, plan, table=table)
    found = findings.model_copy(update={"checks": check_cells(SPEC, plan, table=table, findings=findings)})
    _, traces = trace_all(table, found, hashes={"results.parquet": "ab" * 32})
    means = {each.figure: each for each in traces if each.figure.startswith("check/monotonicity/")}
    assert {name: each.value for name, each in means.items()} == {
        "check/monotonicity/lora_rank/4": pytest.approx(0.235),
        "check/monotonicity/lora_rank/16": pytest.approx(0.535),
        "check/monotonicity/lora_rank/64": pytest.approx(0.835),
    }
    assert {each.references for each in means.values()} == {("r1",)}


@pytest.mark.parametrize("other,flagged", ((72, False), (30, True)))
def test_two_evaluations_of_one_configuration_must_agree(other: int, flagged: bool) -> None:
    first = TUNED[0]
    # What was edited into the configuration of another run, its factors still say otherwise.
    twin = first.model_copy(update={"id": "twin_seed1-0123abcd", "factors": {"lora_rank": 16, "lr": 3e-4}})
    plan = PLAN.model_copy(update={"runs": (first, twin)})
    found = checked({first.id: 70, twin.id: other}, plan=plan)["equal cells"]
    assert found.flagged is flagged, found.words
    assert "equal cells" not in checked({})


def test_seeds_that_differ_by_more_than_their_samples_explain_are_named() -> None:
    odd = next(run for run in TUNED if run.factors == {"lora_rank": 16, "lr": 1e-3} and run.seed == 2)
    assert not checked(by_setting(lambda run: 50 + run.seed))["seeds"].flagged
    found = checked({**by_setting(lambda run: 50 + run.seed), odd.id: 5})["seeds"]
    assert found.flagged
    assert found.words.endswith("lora_rank 16, lr 0.001 (0.050 to 0.530)")
    assert odd.id in found.runs


def test_losses_have_neither_ceiling_nor_chance() -> None:
    plan = plan_of(SIZE._replace(evaluated=False))
    spec = design_of(SIZE._replace(evaluated=False))
    rows = tuple(
        ResultRow(
            run=run.id, type=run.type, model="tiny", factors=run.factors, seed=run.seed, task="training", epoch=None,
            metric="val_loss", value=0.99, n=1,
        )
        for run in plan.runs
    )  # fmt: skip
    table = ResultTable(experiment=spec.name, rows=rows, runs=(), predictions=())
    assert check_cells(spec, plan, table=table, findings=find_all(spec, plan, table=table)) == ()
