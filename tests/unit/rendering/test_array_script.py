"""Scripts of arrays: golden text, real bash in hostile folders, what was approved and nothing else."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from cruijff_kit.errors import PlanError
from cruijff_kit.rendering.array_script import (
    MOST_ROWS,
    ArrayRow,
    ArrayScript,
    asked_of,
    job_of,
    parse_array,
    render_array,
)
from cruijff_kit.rendering.sbatch import render_script
from tests.unit.rendering.test_sbatch import FULL, PLAIN, SEVERAL, SPREAD

SHA = "a" * 64
HOSTILE = 'it\'s "here"; $(touch x) `touch x` %j * \\ü'
TABLE = (ArrayRow(0, "runs/rank4", "attempts/train_1/finetune.slurm", SHA), ArrayRow(7, "runs/rank8", "a.slurm", SHA))
HEAD = """\
#!/bin/bash
#SBATCH --job-name=parity-train
#SBATCH --chdir=/home/ada/parity/arrays/ck-1
#SBATCH --output=slurm-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --time=01:30:00
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4

set -e
index="${SLURM_ARRAY_TASK_ID:-$1}"
here=/home/ada/parity/arrays/ck-1
root=/home/ada/parity
case "$index" in
0) set -- runs/rank4 attempts/train_1/finetune.slurm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ;;
7) set -- runs/rank8 a.slurm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ;;
*) """
PLAINEST = ArrayScript(
    job_of(render_script(PLAIN), name="parity-train", folder="/home/ada/parity/arrays/ck-1"), "/home/ada/parity", TABLE
)


class Experiment:
    """A run and an array in a folder, and a way to run an element as a scheduler does."""

    def __init__(self, root: Path, script: str) -> None:
        self.root, self.run, self.here = root, root / "runs" / "rank4", root / "arrays" / "ck-1"
        self.run.mkdir(parents=True)
        self.here.mkdir(parents=True)
        (self.run / "own.slurm").write_text(script, encoding="utf-8")
        row = ArrayRow(3, "runs/rank4", "own.slurm", hashlib.sha256(script.encode()).hexdigest())
        job = job_of(render_script(PLAIN), name="parity-train", folder=str(self.here))
        self.text = render_array(ArrayScript(job, str(root), (row,)))

    def start(self, index: str = "3", **environment: str) -> tuple[int, str]:
        """Run an element; return its exit code, and what its run's folder then tells of it."""
        given = {"PATH": os.environ["PATH"], "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": index, **environment}
        with (self.here / f"slurm-17_{index}.out").open("ab") as out:
            command = ["bash", "-c", self.text]
            done = subprocess.run(command, cwd=self.here, env=given, stdout=out, stderr=out, check=False)
        told = self.run / f"slurm-17_{index}.out"
        return done.returncode, told.read_text(encoding="utf-8") if told.exists() else ""


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return Experiment(tmp_path / HOSTILE, '#!/bin/bash\necho "said in $PWD"\nexit 5\n')


def test_a_plain_array_is_this_text() -> None:
    assert render_array(PLAINEST).startswith(HEAD)


@pytest.mark.parametrize("job", (PLAIN, FULL, SEVERAL, SPREAD))
def test_an_array_reads_back_and_bash_finds_no_fault_in_it(tmp_path: Path, job: object) -> None:
    assert isinstance(job, type(PLAIN))
    folder = f"/home/{HOSTILE}/arrays/ck-1"
    array = ArrayScript(job_of(render_script(job), name="parity-eval", folder=folder), folder, TABLE)
    text = render_array(array)
    assert parse_array(text) == array
    assert asked_of(text).replace("%A_%a", "%j") == asked_of(render_script(job))
    path = tmp_path / "array.slurm"
    path.write_text(text, encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(path)], capture_output=True, check=True).stderr == b""


def test_jobs_that_ask_for_something_else_ask_differently() -> None:
    same = PLAIN._replace(name="rank8", folder="/elsewhere", command=("/bin/true",))
    assert asked_of(render_script(same)) == asked_of(render_script(PLAIN))
    for change in ({"time": "01:00:00"}, {"gpus": 1}, {"mem": "8G"}, {"qos": "urgent"}, {"exclusive": True}):
        assert asked_of(render_script(PLAIN._replace(**change))) != asked_of(render_script(PLAIN))


def test_a_table_as_long_as_may_be_is_half_of_what_slurm_takes() -> None:
    run, step = "r" * 96, "attempts/train_1000/finetune.slurm"
    rows = tuple(ArrayRow(index, f"runs/{run}", step, SHA) for index in range(MOST_ROWS))
    assert len(render_array(PLAINEST._replace(rows=rows))) < 2.2e6
    with pytest.raises(PlanError, match="may have from 1 to"):
        render_array(PLAINEST._replace(rows=(*rows, ArrayRow(MOST_ROWS, "runs/x", step, SHA))))


@pytest.mark.parametrize(
    "row",
    (
        ArrayRow(8, "runs/x y", "a.slurm", SHA),
        ArrayRow(8, "../x", "a.slurm", SHA),
        ArrayRow(8, "runs/x", "$(id)", SHA),
        ArrayRow(8, "runs/x", "a.slurm", "approved"),
        ArrayRow(8, "-x", "a.slurm", SHA),
        ArrayRow(8, "runs/x;;", "a.slurm", SHA),
        ArrayRow(3, "runs/x", "a.slurm", SHA),
        ArrayRow(7, "runs/x", "a.slurm", SHA),
    ),
)
def test_a_row_that_a_shell_could_take_for_something_else_is_refused(row: ArrayRow) -> None:
    with pytest.raises(PlanError):
        render_array(PLAINEST._replace(rows=(*TABLE, row)))


@pytest.mark.parametrize(
    "old,new", (("set -e\n", "set -e\nid\n"), ("7) set", "7|8) set"), ("exec bash", "bash"), ("root=/", "root=$x/"))
)
def test_a_script_that_says_more_or_less_than_an_array_is_not_ours(old: str, new: str) -> None:
    with pytest.raises(PlanError):
        parse_array(render_array(PLAINEST).replace(old, new, 1))


def test_an_element_becomes_its_runs_script_and_is_told_of_in_its_runs_folder(experiment: Experiment) -> None:
    code, told = experiment.start()
    assert code == 5
    assert f"said in {experiment.root}" in told
    assert "job 17_3, index 3 of its array, runs runs/rank4/own.slurm" in told
    # What the scheduler adds to the file that it opened is there too, and so is what a further turn prints.
    assert (experiment.here / "slurm-17_3.out").samefile(experiment.run / "slurm-17_3.out")
    assert experiment.start()[1] == told * 2


@pytest.mark.parametrize("evil", ("\n", "\r", "\x1b", "\u2028"))
def test_a_folder_whose_name_ends_a_line_is_refused(evil: str) -> None:
    for array in (
        PLAINEST._replace(root=f"/x{evil}"),
        PLAINEST._replace(job=PLAINEST.job._replace(folder=f"/x{evil}")),
    ):
        with pytest.raises(PlanError):
            render_array(array)


def test_an_element_by_itself_is_told_its_index_as_an_argument(experiment: Experiment) -> None:
    command = ["bash", "-c", experiment.text, "bash", "3"]
    env = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "18"}
    (experiment.here / "slurm-18.out").touch()
    done = subprocess.run(command, cwd=experiment.here, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "job 18, index 3" in done.stdout
    assert (experiment.run / "slurm-18.out").exists()


def test_a_script_that_is_not_the_approved_one_is_not_run(experiment: Experiment) -> None:
    (experiment.run / "own.slurm").write_text("#!/bin/bash\necho evil\n", encoding="utf-8")
    code, told = experiment.start()
    assert (code, "evil" in told) == (78, False)
    assert "`runs/rank4/own.slurm` is not the script that was approved" in told
    (experiment.run / "own.slurm").unlink()
    assert experiment.start()[0] == 78


def test_an_index_without_a_run_is_an_error(experiment: Experiment) -> None:
    assert experiment.start("4") == (78, "")
    assert "no run of index 4" in (experiment.here / "slurm-17_4.out").read_text(encoding="utf-8")


def test_where_a_file_cannot_have_two_names_output_goes_to_the_runs_folder(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ln").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (folder / "ln").chmod(0o755)
    code, told = experiment.start(PATH=f"{folder}:{os.environ['PATH']}")
    assert (code, "said in" in told) == (5, True)
    assert (experiment.here / "slurm-17_3.out").read_text(encoding="utf-8") == ""
