"""Trainings disturbed in every way on a real Slurm: their curves and weights are those of one that nobody disturbed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.schema.run import Done, MetricPoint
from cruijff_kit.runtime.files import file_sha256
from tests.gated_bench import until
from tests.random_model import random_base
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.settings import Setup

GATED = Path(__file__).parent / "gated_recipe.py"
STEPS = 45
DESIGN = """\
name: {name}
question: Does a disturbance change anything?
created: "2026-01-02"
tools: {{preparation: {tool}, evaluation: none}}
models:
  - {{name: base, path: {model}}}
data:
  tier: green
  training:
    generator: bit_sequences
    arguments: {{bit_length: 8, N: 100, val_size: 20, test_size: 20, seed: 1}}
design: list
runs: [{{name: tuned}}]
controls:
  recipe: {recipe}
  seeds: [1]
  epochs: 3
  batch_size: 2
  gradient_accumulation_steps: 2
  lr: 0.001
  num_warmup_steps: 5
  lora_rank: 4
  lora_dropout: 0.1
  max_seq_len: 64
  run_val_every_n_steps: 7
  checkpoint_every_n_steps: 4
resources: {{time: "00:30:00", partition: low}}
"""
SITE = """\
allow_unattended: true
scheduler: slurm
policy: {held: {reaction: retry, retries: 10, wait: 1}}
"""


class Training:
    """One experiment of one training, and a hand on its job."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.cluster = root, cluster
        self.opened: int | None = None

    def ck(self, *words: str) -> str:
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words])
        assert done.exit_code == 0, f"ck {' '.join(words)}: {done.output}{done.exception!r}"
        return done.output

    @property
    def step(self) -> dict[str, Any]:
        """Return where the training stands."""
        (step,) = json.loads(self.ck("status", "--json"))["steps"]
        return step

    @property
    def run(self) -> Path:
        """Return the folder of the run."""
        (run,) = (self.root / "runs").iterdir()
        return run

    @property
    def job_id(self) -> str:
        """Return the number of the last job."""
        return self.step["attempts"][-1]["job_id"]

    @property
    def output(self) -> str:
        """Return what the jobs printed, oldest first."""
        files = sorted(self.run.glob("slurm-*.out"), key=lambda path: int(path.stem.rpartition("-")[2]))
        return "".join(path.read_text(encoding="utf-8") for path in files)

    def arrive(self, gate: Path) -> None:
        """Wait until the job waits at its gate, which is there for no later one."""
        until(lambda: self._reached(gate), f"the gate {gate}: {self.output}")
        gate.unlink()

    def node(self) -> str:
        """Return the node of the job."""
        return self.cluster.say("squeue", "-h", "-j", self.job_id, "-o", "%N")

    def let_go(self) -> None:
        """Open the gate."""
        if self.opened is not None:
            os.close(self.opened)
            self.opened = None

    def _reached(self, gate: Path) -> bool:
        try:
            self.opened = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        return True


def runs_out_soon(training: Training) -> None:
    """Let the end of the limit come near."""
    training.cluster.say("scontrol", "update", f"jobid={training.job_id}", "EndTime=now+100")


def runs_out(training: Training) -> None:
    """Let the limit be reached."""
    training.cluster.say("scontrol", "update", f"jobid={training.job_id}", "EndTime=now+1")


def is_preempted(training: Training) -> None:
    """Let a job of a higher partition want the node."""
    where = ("--partition=debug", f"--nodelist={training.node()}", "--output=/dev/null")
    training.cluster.sbatch("true", *where, folder=training.root)


def loses_its_node(training: Training) -> None:
    """Take the node away."""
    training.cluster.say("scontrol", "update", f"nodename={training.node()}", "state=down", "reason=lost")


def is_queued_again(training: Training) -> None:
    """Put the job back, as an operator would."""
    training.cluster.say("scontrol", "requeue", training.job_id)


class Disturbance(NamedTuple):
    """What happens to a training, and what is to be told of it."""

    gate: str
    happens: Callable[[Training], None]
    resumed: int
    """Step of the checkpoint that it goes on from."""
    verdicts: tuple[str, ...] = ("succeeded",)


DISTURBANCES = {
    "noticed": Disturbance("slow-pass", runs_out_soon, 23),
    "limited": Disturbance("stuck-pass", runs_out, 20, ("timed_out", "succeeded")),
    "preempted": Disturbance("slow-pass", is_preempted, 23),
    "unplugged": Disturbance("stuck-pass", loses_its_node, 20),
    "requeued": Disturbance("stuck-save", is_queued_again, 20),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    setup = Setup(nodes=1 + len(DISTURBANCES), cpus=1, gpus=0, preemption=True)
    with running_cluster(setup) as cluster, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        config = tmp_path_factory.mktemp("config")
        (config / "cruijff-kit").mkdir()
        (config / "cruijff-kit" / "site.yaml").write_text(SITE, encoding="utf-8")
        patched.setenv("XDG_CONFIG_HOME", str(config))
        yield cluster


@pytest.fixture(scope="module")
def trainings(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Training]:
    """Return one training that nobody disturbs and one for each disturbance, all at once, each at its end."""
    root = tmp_path_factory.mktemp("resumed")
    base = random_base(root / "base")
    made = {name: submitted(root / f"peft_lora-{name}", cluster, base=base) for name in ("whole", *DISTURBANCES)}
    for name, disturbance in DISTURBANCES.items():
        made[name].arrive(made[name].run / disturbance.gate)
        disturbance.happens(made[name])
    for training in made.values():
        training.ck("watch", "--poll", "0.2")
    return made


def submitted(root: Path, cluster: Cluster, *, base: str) -> Training:
    """Return a training that was submitted, a gate before it where it is to be disturbed."""
    root.mkdir()
    training, (backend, _, name) = Training(root, cluster), root.name.partition("-")
    recipe = GATED if name in DISTURBANCES else backend
    design = root.with_suffix(".yaml")
    text = DESIGN.format(name=root.name, tool="peft", model=base, recipe=recipe)
    design.write_text(text, encoding="utf-8")
    training.ck("design", "write", str(design), "--reason", "shown here")
    training.ck("scaffold")
    if name in DISTURBANCES:
        os.mkfifo(training.run / DISTURBANCES[name].gate)
    training.ck("submit", "--yes", "--reason", "to be disturbed")
    return training


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_training_that_was_disturbed_ends_as_one_that_was_not(trainings: dict[str, Training], name: str) -> None:
    print(trainings[name].output)
    print(json.dumps(trainings[name].step, indent=1))
    assert 0
