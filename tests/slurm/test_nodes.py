"""Trainings on two nodes: the curve of one process, whatever befalls a process or a node on the way.

Both nodes are virtual and share this host: its name, its ports, its temporary folders and its processes. So the test
finds who runs where by what Slurm told each process, `gloo` meets on the loopback interface, and a node that is set
down still has its processes ended, which a real one that lost its power need not.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.recipes import lora_single_device, peft_lora
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.schema.job import JobState
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import JobStatus, Manifest
from tests.gated_bench import until
from tests.slurm.bench import SlurmBench
from tests.slurm.cluster import Cluster
from tests.training_runs import capital_rows, metric_points, random_base

DESIGN: dict[str, Any] = {
    "name": "pair",
    "question": "Do two nodes train as one process does?",
    "created": "2026-01-02",
    "data": {"tier": "green", "training": {"path": "words.json"}},
    "design": "list",
    "runs": [{"name": "tuned"}],
    # Thirteen rows in steps of six: the last step of an epoch leaves one process without a row.
    "controls": {
        "seeds": [1],
        "epochs": 70,
        "batch_size": 3,
        "gradient_accumulation_steps": 2,
        "lora_rank": 4,
        "lr": 1e-3,
        "num_warmup_steps": 2,
        "max_seq_len": 64,
        "epochs_to_save": "last",
        "checkpoint_every_n_steps": 10,
    },
    "evaluation": {"tasks": [{"name": "words", "task": "rows"}]},
    "resources": {"nodes": 2, "mem": "3000M", "time": "00:30:00"},
}
STEPS = 210
# A launcher and a trainer on each node load torch, beside whatever else this host does.
PATIENCE = 240.0
BOTH = ("peft", pytest.param("torchtune", marks=pytest.mark.soak))
WORDS = capital_rows()
ROWS = {"train": WORDS[:13], "validation": WORDS[13:15], "test": WORDS[15:]}


class Trainer(NamedTuple):
    """One process of a training."""

    pid: int
    rank: int
    node: str


class Pair:
    """An experiment of one run on two nodes, and a person who types commands."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.cluster = root, cluster

    def ck(self, *words: str) -> str:
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words])
        assert done.exit_code == 0, f"ck {' '.join(words)}: {done.output}{done.exception}"
        return done.output

    @property
    def layout(self) -> RunLayout:
        (run,) = (self.root / "runs").iterdir()
        return RunLayout(run.name)

    @property
    def config(self) -> Path:
        return self.root / self.layout.config

    def attempts(self, step: str = "train") -> list[dict[str, Any]]:
        steps = json.loads(self.ck("status", "--json"))["steps"]
        return next(each["attempts"] for each in steps if each["step"] == step)

    def steps(self) -> int:
        metrics = self.config.parent / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0

    def status(self) -> JobStatus:
        return JobStatus.model_validate_json((self.root / self.layout.status("train")).read_bytes())

    def output(self, job_id: str) -> str:
        return (self.root / self.layout.job_output(job_id)).read_text(encoding="utf-8")

    def trainers(self) -> dict[int, Trainer]:
        """Return the processes that train, by rank; launchers are none."""
        found = [_trainer(pid) for pid in processes_of(self.config)]
        return {each.rank: each for each in found if each is not None}

    def in_the_middle(self, *, beyond: int) -> dict[int, Trainer]:
        """Wait until both processes are further than a step, and return them."""
        self.wait(lambda: self.steps() > beyond and len(self.trainers()) == 2, f"step {beyond} of two processes")
        return self.trainers()

    def gone(self) -> None:
        """Wait until no process of the run is left on either node."""
        self.wait(lambda: not processes_of(self.config), "the end of every process on both nodes")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that takes as long as loading torch does."""
        until(condition, what, patience=PATIENCE)


def processes_of(config: Path) -> list[int]:
    """Return every process on either node that was started for a configuration; one that ended has no command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(config) in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _trainer(pid: int) -> Trainer | None:
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return None
    told = dict(word.split("=", 1) for word in words if "=" in word)
    return Trainer(pid, int(told["RANK"]), told["SLURMD_NODENAME"]) if "RANK" in told else None


@pytest.fixture
def pair(slurm: Cluster, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    config = tmp_path / "config" / "cruijff-kit"
    config.mkdir(parents=True)
    site = {"allow_unattended": True, "scheduler": "slurm", "environment": {"variables": {"GLOO_SOCKET_IFNAME": "lo"}}}
    (config / "site.yaml").write_text(dump_yaml(site), encoding="utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
    root = tmp_path / "pair"
    root.mkdir()
    (root / "words.json").write_text(json.dumps(ROWS), encoding="utf-8")
    models = [{"name": "tiny", "path": str(random_base(tmp_path / "base"))}]
    design = tmp_path / "design.yaml"
    design.write_text(dump_yaml({**DESIGN, "models": models, "tools": {"preparation": backend}}), encoding="utf-8")
    pair = Pair(root, slurm)
    pair.ck("design", "write", str(design), "--reason", "shown here")
    pair.ck("scaffold")
    return pair


def assert_as_one_process(pair: Pair, backend: str, folder: Path) -> None:
    """Hold that the run has the losses of one process that took the same steps, and each step once."""
    shutil.copytree(pair.config.parent, folder / pair.layout.run_id, ignore=shutil.ignore_patterns("[!f]*"))
    alone = folder / pair.layout.run_id / pair.config.name
    values = load_yaml(pair.config.read_text(encoding="utf-8"), name="finetune.yaml").value
    changed = {**values, "run_dir": str(alone.parent), "output_dir": str(folder / "outputs")}
    alone.write_text(dump_yaml(changed), encoding="utf-8")
    recipe = peft_lora if backend == "peft" else lora_single_device
    assert recipe.main(["--config", str(alone)]) == 0
    points, expected = metric_points(pair.config), metric_points(alone)
    assert [point.step for point in points] == [point.step for point in expected] == list(range(1, STEPS + 1))
    for point, whole in zip(points, expected, strict=True):
        assert point.loss == pytest.approx(whole.loss, rel=1e-4)
        assert (point.val_loss is None) == (whole.val_loss is None)
        assert (point.val_loss or 0) == pytest.approx(whole.val_loss or 0, rel=1e-4)
        assert (point.tokens, point.supervised_tokens, point.lr) == (whole.tokens, whole.supervised_tokens, whole.lr)


@pytest.mark.parametrize("backend", BOTH)
def test_two_nodes_heed_a_notice_and_the_loss_of_a_node_and_end_with_the_curve_of_one_process(
    pair: Pair, backend: str, tmp_path: Path
) -> None:
    pair.ck("submit", "--yes", "--reason", "on two nodes")
    (attempt,) = pair.attempts()
    job_id = attempt["job_id"]
    trainers = pair.in_the_middle(beyond=15)
    assert sorted(trainers) == [0, 1]
    assert {each.node for each in trainers.values()} == {"n1", "n2"}

    # As `--signal=B:USR1@…` does: the batch script alone is told, which by then is `srun`.
    pair.cluster.say("scancel", "--batch", "--signal=USR1", job_id)
    pair.wait(lambda: "training from step" in pair.output(job_id), "the second turn")
    again = pair.in_the_middle(beyond=pair.status().saved or 0)
    assert {each.pid for each in again.values()}.isdisjoint(each.pid for each in trainers.values())
    told = pair.output(job_id)
    assert told.count("checkpoint made at step") == 1
    words = ("asks to be queued again", f"scontrol requeue {job_id}", "training from step")
    assert sorted(words, key=told.index) == list(words)

    pair.cluster.say("scontrol", "update", f"nodename={again[1].node}", "state=down", "reason=lost")
    pair.ck("watch", "--poll", "0.2")
    assert [each["verdict"] for each in pair.attempts()] == ["succeeded"]
    assert [each["verdict"] for each in pair.attempts("eval")] == ["succeeded"]
    # Each turn took the run lock once, for all its processes.
    assert pair.status().token == 3
    assert [path.name for path in pair.root.rglob("metrics*.jsonl")] == ["metrics.jsonl"]
    assert [path.parent.name for path in pair.root.rglob("DONE")].count(pair.layout.run_id) == 1
    manifest = Manifest.model_validate_json((pair.config.parent / "manifest.json").read_bytes())
    assert manifest.processes == 2
    assert_as_one_process(pair, backend, tmp_path / "alone" / "runs")


@pytest.mark.parametrize("backend", BOTH)
def test_a_process_that_dies_ends_the_job_on_both_nodes_with_its_cause_and_the_training_goes_on(
    pair: Pair, backend: str, tmp_path: Path
) -> None:
    pair.ck("submit", "--yes", "--reason", "on two nodes")
    os.kill(pair.in_the_middle(beyond=15)[1].pid, signal.SIGKILL)
    pair.gone()
    pair.ck("watch", "--poll", "0.2", "--timeout", "0")
    dead, _ = pair.attempts()
    assert dead["reason"].startswith("killed by signal 9: process 0 of 2 lost the others")
    assert "was killed by SIGKILL" in "\n".join(dead["log"])
    assert "Traceback" not in "\n".join(dead["log"])
    assert (dead["decision"]["rule"], dead["decision"]["reaction"]) == ("killed", "retry")
    pair.ck("watch", "--poll", "0.2")
    assert [each["verdict"] for each in pair.attempts()] == ["failed", "succeeded"]
    assert pair.status().token == 2
    assert_as_one_process(pair, backend, tmp_path / "alone" / "runs")


@pytest.mark.soak
@pytest.mark.parametrize("backend", ("torchtune",))
def test_a_process_that_hangs_is_ended_at_the_time_limit_on_both_nodes_and_the_training_goes_on(
    pair: Pair, backend: str, tmp_path: Path
) -> None:
    pair.ck("submit", "--yes", "--reason", "on two nodes")
    (first,) = pair.attempts()
    os.kill(pair.in_the_middle(beyond=15)[0].pid, signal.SIGSTOP)
    pair.cluster.say("scontrol", "update", f"jobid={first['job_id']}", "EndTime=now+2")
    pair.gone()
    pair.ck("watch", "--poll", "0.2")
    assert [each["verdict"] for each in pair.attempts()] == ["timed_out", "succeeded"]
    assert pair.status().token == 2
    assert_as_one_process(pair, backend, tmp_path / "alone" / "runs")


@pytest.mark.parametrize("backend", ("peft",))
def test_a_cancelled_job_leaves_no_process_on_either_node(pair: Pair) -> None:
    pair.ck("submit", "--yes", "--reason", "to be cancelled")
    pair.in_the_middle(beyond=15)
    pair.ck("cancel", "--yes", "--reason", "not this time")
    pair.gone()
    pair.ck("watch", "--poll", "0.2")
    assert [each["verdict"] for each in pair.attempts()] == ["cancelled"]
    assert "asks to be queued again" not in pair.output(pair.attempts()[0]["job_id"])


def test_each_process_is_told_its_node_its_number_and_the_gpus_of_its_node(bench: SlurmBench) -> None:
    names = ("SLURM_NODEID", "RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME")
    told = bench.folder / "told.py"
    line = f"' '.join(os.environ[name] for name in {names})"
    # In one write: four processes share the file.
    told.write_text(f"import os\nos.write(1, ({line} + '\\n').encode())\n", encoding="utf-8")
    job = JobScript(
        name="told",
        folder=str(bench.folder),
        time="00:05:00",
        cpus=2,
        command=(sys.executable, str(told)),
        gpus=2,
        gpu_type="h200",
        nodes=2,
        processes=2,
        mem="2000M",
        variables=(("NCCL_SOCKET_IFNAME", "ib0"),),
    )
    script = bench.folder / "told.slurm"
    script.write_text(render_script(job), encoding="utf-8")
    job_id = bench.submit_script(script)
    until(lambda: bench.report(job_id).state.ended, "its end", patience=PATIENCE)
    report = bench.report(job_id)
    lines = sorted(bench.text(f"slurm-{job_id}.out").splitlines())
    assert report.state is JobState.SUCCEEDED, lines
    seats = [line.split() for line in lines if line.endswith("ib0")]
    assert {(rank, local) for _, rank, local, *_ in seats} == {("0", "0"), ("1", "1"), ("2", "0"), ("3", "1")}
    assert sorted(seat[0] for seat in seats) == ["0", "0", "1", "1"]
    assert {tuple(seat[3:5]) for seat in seats} == {("4", "0,1")}
