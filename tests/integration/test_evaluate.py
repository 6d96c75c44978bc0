"""The evaluation job as it is started on a node: a process of its own, on real files."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from tests.evaluated_run import ROWS, RUN, Evaluated, ready_run

LAYOUT = RunLayout(RUN)
CELLS = ("words0_epoch_0", "words1_base")

# While a file `gate` lies beside it, the task says so and waits to be stopped, in the midst of a sample.
OWN_TASK = """
from pathlib import Path

import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import generate, solver

@solver
def pause_at_the_gate():
    async def solve(state, generate):
        if Path(__file__).with_name("gate").exists():
            print("waiting", flush=True)
            await anyio.sleep_forever()
        return state
    return solve

@task
def own():
    samples = [Sample(id=f"test-{n}", input="house", target="House") for n in range(6)]
    return Task(dataset=samples, solver=[pause_at_the_gate(), generate()])
"""


def start(run: Evaluated) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "cruijff_kit.runtime.evaluate", *map(str, run.configs)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def evaluate(run: Evaluated) -> tuple[int, str]:
    with start(run) as job:
        _, said = job.communicate()
    return job.returncode, said


def status_of(run: Evaluated) -> JobStatus:
    return JobStatus.model_validate_json((run.experiment / LAYOUT.status("eval")).read_bytes())


def files_of(run: Evaluated) -> dict[str, str]:
    return {str(path): file_sha256(path) for path in run.experiment.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Return a run evaluated in two cells: its adapter, and the base model."""
    run = ready_run(tmp_path_factory.mktemp("evaluate") / "ex periment", cells=({}, {"epoch": None, "adapter": None}))
    code, said = evaluate(run)
    assert code == 0, said
    return run


def predictions(run: Evaluated, cell: str) -> Iterator[Prediction]:
    (path,) = (run.experiment / LAYOUT.cell_logs(cell)).glob("*.eval")
    log = read_eval_log(path)
    assert log.status == "success"
    for sample in log.samples or []:
        scores = sample.scores or {}
        assert list(scores) == ["match", "includes"]
        yield Prediction.model_validate((scores["match"].metadata or {})["prediction"])


@pytest.mark.parametrize("cell", CELLS)
def test_a_log_holds_one_prediction_for_every_row(evaluated: Evaluated, cell: str) -> None:
    found = sorted(predictions(evaluated, cell), key=lambda each: each.sample_id)
    assert [each.sample_id for each in found] == [f"test-{number}" for number in range(len(ROWS))]
    assert [each.target for each in found] == [row["output"] for row in ROWS]
    assert [each.groups for each in found] == [{"word_length": row["word_length"]} for row in ROWS]
    assert all(each.confidence is not None and 0 < each.confidence < 1 for each in found)
    assert {each.run for each in found} == {RUN}


def test_an_adapter_changes_answers_and_is_named_by_its_hash(evaluated: Evaluated) -> None:
    tuned, base = (list(predictions(evaluated, cell)) for cell in CELLS)
    assert [each.prompt_token_sha256 for each in tuned] == [each.prompt_token_sha256 for each in base]
    assert [each.completion for each in tuned] != [each.completion for each in base]
    assert {each.checkpoint_sha256 for each in tuned} == {
        file_sha256(Path(evaluated.adapter) / "adapter_model.safetensors")
    }
    assert {each.epoch for each in base} == {None}


def test_the_markers_vouch_for_logs_and_provenance(evaluated: Evaluated) -> None:
    done = Done.model_validate_json((evaluated.experiment / LAYOUT.done("eval")).read_bytes())
    assert done.samples == 2 * len(ROWS)
    assert {path.rpartition(".")[2] for path in done.artefacts} == {"eval", "json"}
    assert all(file_sha256(evaluated.experiment / path) == sha256 for path, sha256 in done.artefacts.items())
    for cell in CELLS:
        manifest = Manifest.model_validate_json(
            (evaluated.experiment / LAYOUT.cell(cell) / "manifest.json").read_bytes()
        )
        assert set(manifest.inputs) == {"checkpoint", "config", "data", "model"}


def test_the_status_tells_every_sample(evaluated: Evaluated) -> None:
    status = status_of(evaluated)
    assert (status.state, status.step, status.total) == ("done", 2 * len(ROWS), 2 * len(ROWS))


def test_a_job_writes_inside_its_own_run_alone(evaluated: Evaluated) -> None:
    written = {path.relative_to(evaluated.experiment).parts[0] for path in evaluated.experiment.iterdir()}
    assert written == {"data", "outputs", "runs"}
    names = {path.name for path in (evaluated.experiment / LAYOUT.eval_folder).iterdir()}
    assert names == {*CELLS, "DONE", "status.json"}


def test_a_finished_job_started_again_changes_no_log(evaluated: Evaluated) -> None:
    logs = {path: digest for path, digest in files_of(evaluated).items() if "/logs/" in path}
    code, said = evaluate(evaluated)
    assert code == 0
    assert said.splitlines()[1:] == []
    assert said.endswith("done: every cell was finished already\n")
    assert {path: digest for path, digest in files_of(evaluated).items() if "/logs/" in path} == logs
    assert status_of(evaluated).message == "every cell was finished already"


@pytest.mark.parametrize(
    "damage, fact",
    (
        ("data/words.json", "is not the one that was planned"),
        (f"outputs/ck-out-{RUN}/epoch_0/adapter_model.safetensors", "is not the file that its training wrote"),
    ),
)
def test_an_input_that_changed_is_refused(tmp_path: Path, evaluated: Evaluated, damage: str, fact: str) -> None:
    run = ready_run(tmp_path / "experiment", base=evaluated.base)
    with (run.experiment / damage).open("ab") as file:
        file.write(b" ")
    code, said = evaluate(run)
    assert code == 5
    assert fact in said
    assert "hint:" in said
    assert "Traceback" not in said
    assert status_of(run).state == "failed"
    assert fact in status_of(run).message
    assert not (run.experiment / LAYOUT.done("eval")).exists()


def test_a_log_with_too_few_samples_is_no_success(tmp_path: Path, evaluated: Evaluated) -> None:
    run = ready_run(tmp_path / "experiment", base=evaluated.base, cells=({"expected_samples": 7},))
    code, said = evaluate(run)
    assert code == 6
    assert "holds `6` samples; `7` were planned" in said
    assert not list(run.experiment.rglob("eval/**/DONE"))


def test_a_stopped_job_leaves_no_marker_and_its_repeat_runs_only_what_is_missing(
    tmp_path: Path, evaluated: Evaluated
) -> None:
    run = ready_run(tmp_path / "experiment", base=evaluated.base, cells=({}, {"name": "own", "task": "own.py@own"}))
    (run.experiment / "own.py").write_text(OWN_TASK, encoding="utf-8")
    gate = run.experiment / "gate"
    gate.touch()
    with start(run) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "waiting\n"
        job.send_signal(signal.SIGTERM)
        _, said = job.communicate()
    assert job.returncode == 128 + signal.SIGTERM, said
    assert status_of(run).message == "stopped by SIGTERM"
    finished = {path.parent.name: file_sha256(path) for path in run.experiment.glob("runs/*/eval/*/DONE")}
    assert list(finished) == ["words0_epoch_0"]
    assert not (run.experiment / LAYOUT.done("eval")).exists()

    gate.unlink()
    assert evaluate(run)[0] == 0
    assert file_sha256(run.experiment / LAYOUT.cell_done("words0_epoch_0")) == finished["words0_epoch_0"]
    assert [each.target for each in predictions(run, "own_epoch_0")] == ["House"] * len(ROWS)
