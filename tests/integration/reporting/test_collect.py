"""Collecting results: only what its job vouches for, and a reason for all else."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pyarrow import parquet

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.run import Done, JobStatus, Phase
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.evaluation_results import read_cell
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.training_results import read_history, training_rows
from tests.fakes.eval_logs import write_log
from tests.fakes.experiment import SMALL, STARTED, Size, answers, write_training

ENDED_BADLY = b'{"exit_code": 3, "artefacts": {}, "finished": "2026-11-20T09:00:00.000Z"}'


def test_a_finished_experiment_has_a_row_for_every_planned_figure(world: World, plan: Plan) -> None:
    table = collect_results(world=world)
    planned = [(run.id, cell.task.name, cell.epoch) for run in plan.runs for cell in run.cells]
    rows = Counter((row.run, row.task, row.epoch) for row in table.rows if row.task != "training")
    assert rows == dict.fromkeys(planned, 2)
    assert all(row.value is not None and row.source_sha256 for row in table.rows)
    assert {row.metric for row in table.rows if row.task == "training"} == {"train_loss", "val_loss"}


def test_every_value_is_traced_to_the_hash_of_its_file(world: World, root: Path) -> None:
    for row in collect_results(world=world).rows:
        assert hashlib.sha256((root / row.source).read_bytes()).hexdigest() == row.source_sha256


def test_the_result_files_hold_the_rows_and_the_samples(world: World) -> None:
    table = collect_results(world=world)
    rows = _read(world, "results.parquet")
    assert [(row["run"], row["metric"], row["value"]) for row in rows] == [
        (row.run, row.metric, row.value) for row in table.rows
    ]
    assert dict(rows[0]["factors"]) == {"lora_rank": "4", "lr": "0.0003"}
    run = table.rows[0].run
    samples = _read(world, f"predictions/{run}.parquet")
    assert sum(row["correct"] for row in samples if row["task"] == "capitalization") == _match(table, run).successes


def test_collecting_again_changes_no_byte_and_records_nothing_new(world: World) -> None:
    first = collect_results(world=world)
    files, head = _bytes(world), world.audit.head()
    assert collect_results(world=world) == first
    assert (_bytes(world), world.audit.head()) == (files, head)


def test_collecting_is_recorded_with_the_hashes_of_what_went_in_and_came_out(world: World) -> None:
    table = collect_results(world=world)
    (event,) = [record for record in world.audit.records() if record.action is Action.COLLECT_RESULTS]
    assert event.inputs[table.rows[0].source] == table.rows[0].source_sha256
    assert event.outputs["results.parquet"] == world.store.digest("results.parquet")


def test_a_log_changed_after_its_evaluation_is_not_used(world: World, root: Path, plan: Plan) -> None:
    run = plan.runs[0]
    (log,) = (root / RunLayout(run.id).cell_logs(run.cells[0].name)).glob("*.eval")
    log.write_bytes(log.read_bytes() + b"\0")
    row = _match(collect_results(world=world), run.id)
    assert (row.value, row.n) == (None, 0)
    assert "was changed after the evaluation; it is not used" in row.reason


def test_a_newer_log_that_nobody_vouches_for_is_passed_over(world: World, root: Path, plan: Plan) -> None:
    run = plan.runs[0]
    folder = root / RunLayout(run.id).cell_logs(run.cells[0].name)
    before = _match(collect_results(world=world), run.id)
    shutil.copy(next(folder.glob("*.eval")), folder / "2026-12-31T00-00-00_newer.eval")
    (folder / "2026-12-31T00-00-00_newer.eval").write_bytes(b"torn")
    assert _match(collect_results(world=world), run.id) == before


def test_the_log_of_another_run_is_refused_even_with_a_matching_hash(world: World, root: Path, plan: Plan) -> None:
    run, other = plan.runs[0], plan.runs[1]
    name = run.cells[0].name
    for target in (RunLayout(run.id).cell(name),):
        shutil.rmtree(root / target)
        shutil.copytree(root / RunLayout(other.id).cell(name), root / target)
    row = _match(collect_results(world=world), run.id)
    assert row.value is None
    assert f"belongs to `{other.id}`" in row.reason


@pytest.mark.parametrize("status", ("error", "cancelled"))
def test_a_log_that_did_not_succeed_has_no_value(world: World, root: Path, plan: Plan, status: str) -> None:
    _rewrite(root, plan, status=status)
    assert f"has status {status}" in _match(collect_results(world=world), plan.runs[0].id).reason


def test_errored_samples_count_as_wrong_and_stay_in_the_denominator(world: World, root: Path, plan: Plan) -> None:
    before = _match(collect_results(world=world), plan.runs[0].id)
    right = next(each for each in answers(plan.runs[0], plan.runs[0].cells[0], size=SMALL) if each.correct)
    _rewrite(root, plan, errored=(right.sample_id,))
    row = _match(collect_results(world=world), plan.runs[0].id)
    assert (row.n, row.successes) == (before.n, (before.successes or 0) - 1)


def test_a_log_with_fewer_samples_than_its_job_counted_has_no_value(world: World, root: Path, plan: Plan) -> None:
    _rewrite(root, plan, claimed=SMALL.words + 1)
    assert _match(collect_results(world=world), plan.runs[0].id).reason == (
        f"its `.eval` log holds {SMALL.words} samples instead of {SMALL.words + 1}"
    )


def test_an_evaluation_that_failed_says_so_in_its_own_words(world: World, root: Path, plan: Plan) -> None:
    layout = RunLayout(plan.runs[0].id)
    (root / layout.cell_done(plan.runs[0].cells[0].name)).unlink()
    own = JobStatus(state="failed", step=3, total=96, message="out of memory", started=STARTED, updated=STARTED)
    (root / layout.status("eval")).write_text(own.model_dump_json(), encoding="utf-8")
    row = _match(collect_results(world=world), plan.runs[0].id)
    assert row.reason == "its evaluation failed at 3 of 96: out of memory"


def test_a_torn_last_line_of_the_metrics_is_left_out_and_told(world: World, root: Path, plan: Plan) -> None:
    layout = RunLayout(plan.runs[0].id)
    (root / layout.done("train")).unlink()
    with (root / layout.metrics).open("ab") as file:
        file.write(b'{"step":41,"lo')
    table = collect_results(world=world)
    history = next(each for each in table.runs if each.run == plan.runs[0].id)
    assert (len(history.points), history.finished) == (SMALL.steps, False)
    assert "the last line of `metrics.jsonl` is torn and left out" in history.reason


def test_metrics_changed_after_training_are_not_used(world: World, root: Path, plan: Plan) -> None:
    path = root / RunLayout(plan.runs[0].id).metrics
    path.write_bytes(path.read_bytes().replace(b'"epoch":0', b'"epoch": 0', 1))
    table = collect_results(world=world)
    assert next(each for each in table.runs if each.run == plan.runs[0].id).points == ()
    assert {row.value for row in table.rows if (row.run, row.task) == (plan.runs[0].id, "training")} == {None}


@pytest.mark.parametrize(
    "content,why",
    (
        (b'{"exit_code": 0, "artefa', "its `DONE` cannot be read: it is torn, or was changed by hand"),
        (b"\xff\xfe", "its `DONE` cannot be read: it is torn, or was changed by hand"),
        (b'{"schema_version": 2}', "its `DONE` cannot be read: another version of cruijff-kit wrote it"),
        (ENDED_BADLY, "ended with exit code 3"),
    ),
)
def test_markers_mean_the_same_to_trainings_evaluations_and_status(
    content: bytes, why: str, world: World, plan: Plan
) -> None:
    run = plan.runs[0]
    layout, cell = RunLayout(run.id), run.cells[0]
    paths = (layout.done("train"), layout.cell_done(cell.name))
    for path in paths:
        world.store.write(path, content)
    history = read_history(run, world=world)
    assert (history.finished, len(history.points)) == (False, SMALL.steps)
    assert all(row.value is None for row in training_rows(run, history, plan=plan))
    for reason in (history.reason, read_cell(run, cell, world=world).reason):
        assert reason.endswith(why)
    assert read_status(world=world).steps[0].phase is Phase.NOT_SUBMITTED


def test_a_training_under_way_has_a_curve_and_no_final_loss(world: World, root: Path, plan: Plan) -> None:
    layout = RunLayout(plan.runs[0].id)
    (root / layout.done("train")).unlink()
    write_training(root, plan.runs[0], upto=12)
    table = collect_results(world=world)
    assert len(next(each for each in table.runs if each.run == plan.runs[0].id).points) == 12
    reasons = {row.reason for row in table.rows if (row.run, row.task) == (plan.runs[0].id, "training")}
    assert reasons == {f"training has not finished: 12 of {SMALL.steps} steps are on record"}


def test_nothing_having_run_leaves_every_planned_row_with_a_reason(make_world: Callable[[Size], World]) -> None:
    table = collect_results(world=make_world(SMALL))
    assert len(table.rows) == 8 * 2 + 9 * 2 * 2
    assert {(row.value, bool(row.reason)) for row in table.rows} == {(None, True)}


def test_a_design_without_evaluation_has_losses_alone(make_world: Callable[[Size], World]) -> None:
    table = collect_results(world=make_world(Size(evaluated=False)))
    assert {row.task for row in table.rows} == {"training"}


def _match(table: ResultTable, run: str) -> ResultRow:
    return next(row for row in table.rows if (row.run, row.task, row.metric) == (run, "capitalization", "match"))


def _read(world: World, path: str) -> list[dict]:
    return parquet.read_table(BytesIO(world.store.read(path) or b"")).to_pylist()


def _bytes(world: World) -> dict[str, bytes | None]:
    paths = ["results.parquet", *world.store.glob("predictions", "*.parquet")]
    return {path: world.store.read(path) for path in paths}


def _rewrite(
    root: Path, plan: Plan, *, status: str = "success", errored: tuple[str, ...] = (), claimed: int = SMALL.words
) -> None:
    """Write the first evaluation's log and its `DONE` again."""
    run = plan.runs[0]
    layout, cell = RunLayout(run.id), run.cells[0]
    (log,) = (root / layout.cell_logs(cell.name)).glob("*.eval")
    write_log(log, list(answers(run, cell, size=SMALL)), scorers=cell.task.scorers, status=status, errored=errored)
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    done = Done(exit_code=0, artefacts={str(log): digest}, samples=claimed, finished=STARTED)
    (root / layout.cell_done(cell.name)).write_text(done.model_dump_json(), encoding="utf-8")
