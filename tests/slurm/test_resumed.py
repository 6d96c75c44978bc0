"""Trainings disturbed in every way on a real Slurm: their curves and weights are those of one that nobody disturbed."""

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.schema.run import Done, Manifest, MetricPoint
from tests.gated_bench import until
from tests.random_model import random_base
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.settings import Setup

GATED = Path(__file__).parent / "gated_recipe.py"
STEPS = 45
PATIENCE = 400.0
"""Seconds until all of them have begun, on however busy a machine: each imports its libraries."""
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
        self.step: dict[str, Any] = {}
        self._gate: int | None = None

    def ck(self, *words: str) -> str:
        """Type a command."""
        done = CliRunner().invoke(cli, ["-C", str(self.root), *words])
        assert done.exit_code == 0, f"ck {' '.join(words)}: {done.output}{done.exception!r}"
        return done.output

    def look(self) -> None:
        """See where the training stands."""
        (self.step,) = json.loads(self.ck("status", "--json"))["steps"]

    @property
    def run(self) -> Path:
        """Return the folder of the run."""
        (run,) = (self.root / "runs").iterdir()
        return run

    @property
    def job_id(self) -> str:
        """Return the number of the last job."""
        return self.attempts[-1]["job_id"]

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Return the submissions, oldest first."""
        return self.step["attempts"]

    def printed(self) -> str:
        """Return what the jobs printed, oldest first."""
        files = sorted(self.run.glob("slurm-*.out"), key=lambda path: int(path.stem.rpartition("-")[2]))
        return "".join(path.read_text(encoding="utf-8") for path in files)

    def points(self) -> list[MetricPoint]:
        """Return the curve."""
        lines = (self.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [MetricPoint.model_validate_json(line) for line in lines]

    def adapters(self) -> dict[str, str]:
        """Return the hash of every file of the adapters that were kept."""
        (output,) = (self.root / "outputs").iterdir()
        kept = [path for path in output.rglob("*") if path.is_file()]
        return {path.relative_to(output).as_posix(): file_sha256(path) for path in kept}

    def events(self, action: str) -> list[dict[str, Any]]:
        """Return what the record tells of one kind."""
        lines = (self.root / "logs" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
        return [record for record in map(json.loads, lines) if record["action"] == action]

    def node(self) -> str:
        """Return the node of the job."""
        return self.cluster.say("squeue", "-h", "-t", "all", "-j", self.job_id, "-o", "%N")

    def tried_again(self) -> bool:
        """Let a watch look once; return whether there is a further attempt."""
        self.ck("watch", "--timeout", "0")
        self.look()
        return len(self.attempts) > 1

    def steps(self) -> int:
        """Return how many points the curve has."""
        curve = self.run / "metrics.jsonl"
        return curve.read_bytes().count(b"\n") if curve.exists() else 0

    def arrive(self, gate: str) -> None:
        """Wait until the job waits at its gate, which no later one finds."""
        until(lambda: self._knocked(self.run / gate), f"job at `{gate}`", patience=PATIENCE)
        (self.run / gate).unlink()

    def _knocked(self, gate: Path) -> bool:
        try:
            self._gate = os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        return True


def runs_out_soon(training: Training) -> None:
    """Let the end of the limit come near."""
    training.cluster.say("scontrol", "update", f"jobid={training.job_id}", "EndTime=now+100")


def runs_out_for_good(training: Training) -> None:
    """Let the end of the limit come near, for a job that Slurm will not queue again."""
    training.cluster.say("scontrol", "update", f"jobid={training.job_id}", "Requeue=0", "EndTime=now+100")


def runs_out(training: Training) -> None:
    """Let the limit be reached."""
    training.cluster.say("scontrol", "update", f"jobid={training.job_id}", "EndTime=now+1")


def is_preempted(training: Training) -> None:
    """Let a job of a higher partition want the node."""
    where = ("--partition=debug", f"--nodelist={training.node()}", "--output=/dev/null")
    training.cluster.sbatch("true", *where, folder=training.root)


def loses_its_node(training: Training) -> None:
    """Take the node away, and keep it for repair: where the job's end drags on, Slurm starts none of that number."""
    node = training.node()
    for state in ("down", "drain"):
        training.cluster.say("scontrol", "update", f"nodename={node}", f"state={state}", "reason=lost")


def is_queued_again(training: Training) -> None:
    """Put the job back, as an operator would."""
    training.cluster.say("scontrol", "requeue", training.job_id)


def is_killed(training: Training) -> None:
    """Kill the program, as nobody explains."""
    status = json.loads((training.run / "status.json").read_bytes())
    with contextlib.suppress(ProcessLookupError):
        os.kill(status["pid"], signal.SIGKILL)


class Disturbance(NamedTuple):
    """What happens to a training, and what is to be told of it."""

    gate: str
    happens: Callable[[Training], None]
    goes_on: int
    """Step of the checkpoint that it goes on from."""
    verdicts: tuple[str, ...] = ("succeeded",)


DISTURBANCES = {
    "noticed": Disturbance("slow-pass", runs_out_soon, 23),
    "refused": Disturbance("slow-pass", runs_out_for_good, 23, ("failed", "succeeded")),
    "limited": Disturbance("stuck-pass", runs_out, 20, ("timed_out", "succeeded")),
    "preempted": Disturbance("slow-pass", is_preempted, 23),
    "unplugged": Disturbance("stuck-pass", loses_its_node, 20),
    "requeued": Disturbance("stuck-save", is_queued_again, 20),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the user's settings lie."""
    config = tmp_path_factory.mktemp("config")
    (config / "cruijff-kit").mkdir()
    (config / "cruijff-kit" / "site.yaml").write_text(SITE, encoding="utf-8")
    return config


@pytest.fixture(scope="module")
def cluster(site: Path) -> Iterator[Cluster]:
    """Yield a cluster with a node for each training and one to spare; a partition may take nodes from another."""
    setup = Setup(nodes=2 + len(DISTURBANCES), cpus=1, gpus=0, preemption=True)
    with running_cluster(setup) as cluster, pytest.MonkeyPatch.context() as patched:
        patched.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        patched.setenv("XDG_CONFIG_HOME", str(site))
        yield cluster


def mend_nodes(cluster: Cluster) -> None:
    """Give back the nodes that were taken away."""
    for node in cluster.say("sinfo", "-h", "-N", "-p", "low", "-t", "drain", "-o", "%N").split():
        cluster.say("scontrol", "update", f"nodename={node}", "state=resume")


@pytest.fixture(scope="module", params=["peft_lora", pytest.param("lora_single_device", marks=pytest.mark.soak)])
def trainings(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Training]:
    """Return one training that nobody disturbs and one for each disturbance, all at once, each at its end."""
    root = tmp_path_factory.mktemp("resumed")
    base = random_base(root / "base")
    names = ("whole", *DISTURBANCES)
    made = {name: submitted(root / f"{request.param}-{name}", cluster, base=base) for name in names}
    for name, disturbance in DISTURBANCES.items():
        made[name].arrive(disturbance.gate)
        disturbance.happens(made[name])
    # Most are queued again by themselves; these wait for a watch.
    stopped = [made[name] for name, disturbance in DISTURBANCES.items() if len(disturbance.verdicts) > 1]
    until(lambda: all(each.tried_again() for each in stopped), f"attempts of {stopped}", patience=PATIENCE)
    for training in made.values():
        training.ck("watch", "--poll", "0.2")
        training.look()
    mend_nodes(cluster)
    return made


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_trainings_disturbed_at_random_moments_end_as_one_that_was_not(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Path, seed: int
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(site))
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    draw, base = random.Random(seed), random_base(tmp_path / "base")
    whole, *others = (submitted(tmp_path / f"peft_lora-{name}", cluster, base=base) for name in ("0", *"abcd"))
    ways = (is_preempted, loses_its_node, is_queued_again, is_killed)
    moments = {training: (draw.randrange(1, STEPS - 10), draw.choice(ways)) for training in others}
    while moments:
        until(
            lambda: any(each.steps() >= step for each, (step, _) in moments.items()),
            f"steps of {moments}",
            patience=PATIENCE,
        )
        for training in [each for each, (step, _) in moments.items() if each.steps() >= step]:
            moments.pop(training)[1](training)
    for training in (whole, *others):
        training.ck("watch", "--poll", "0.2")
        training.look()
    mend_nodes(cluster)
    for training in others:
        assert_same(training, whole)
    assert any(attempt["turns"] > 1 or len(each.step["attempts"]) > 1 for each in others for attempt in each.attempts)


def submitted(root: Path, cluster: Cluster, *, base: str) -> Training:
    """Return a training that was submitted; one that is to be disturbed finds a gate."""
    root.mkdir()
    training, (recipe, _, name) = Training(root, cluster), root.name.rpartition("-")
    design, tool = root.with_suffix(".yaml"), "peft" if recipe == "peft_lora" else "torchtune"
    made_by = GATED if name in DISTURBANCES else recipe
    design.write_text(DESIGN.format(name=root.name, tool=tool, model=base, recipe=made_by), encoding="utf-8")
    training.ck("design", "write", str(design), "--reason", "shown here")
    training.ck("scaffold")
    if name in DISTURBANCES:
        os.mkfifo(training.run / DISTURBANCES[name].gate)
    training.ck("submit", "--yes", "--reason", "to be disturbed")
    training.look()
    return training


def assert_same(disturbed: Training, whole: Training) -> Done:
    """Hold that a training did each step once, to the last bit as another, and return its marker."""
    assert disturbed.step["phase"] == "completed", disturbed.printed()
    assert [point.step for point in disturbed.points()] == list(range(1, STEPS + 1))
    for point, expected in zip(disturbed.points(), whole.points(), strict=True):
        assert (point.loss, point.val_loss, point.lr) == (expected.loss, expected.val_loss, expected.lr)
        assert (point.tokens, point.supervised_tokens) == (expected.tokens, expected.supervised_tokens)
    assert disturbed.adapters() == whole.adapters()
    assert {"best/adapter_model.safetensors", "epoch_2/adapter_model.safetensors"} < disturbed.adapters().keys()
    done = Done.model_validate_json((disturbed.run / "DONE").read_bytes())
    assert done.exit_code == 0
    assert {file_sha256(disturbed.root / path) for path in done.artefacts} == set(done.artefacts.values())
    return done


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_training_that_was_disturbed_ends_as_one_that_was_not(trainings: dict[str, Training], name: str) -> None:
    assert assert_same(trainings[name], trainings["whole"]).token == 2


@pytest.mark.parametrize("name", DISTURBANCES)
def test_what_happened_to_a_training_is_told_and_nothing_it_printed_is_lost(
    trainings: dict[str, Training], name: str
) -> None:
    disturbed, expected = trainings[name], DISTURBANCES[name]
    attempts, printed = disturbed.attempts, disturbed.printed()
    assert tuple(attempt["verdict"] for attempt in attempts) == expected.verdicts
    jobs = [attempt["job_id"] for attempt in attempts]
    assert list(Manifest.model_validate_json((disturbed.run / "manifest.json").read_bytes()).job_ids) == jobs
    # The first turn's words are still there, before the second's.
    turns = [(0, jobs[0]), (1, jobs[0])] if len(jobs) == 1 else [(0, job_id) for job_id in jobs]
    first, second = (printed.index(f"turn {turn} of job {job_id}\n") for turn, job_id in turns)
    assert first < printed.index("step 18/45, epoch 1") < second
    assert f"training from step {expected.goes_on}\n" in printed
    verdict = disturbed.events("STATE_CHANGE")[-1]
    assert verdict["outputs"] == {"phase": "completed", **({"turns": "2"} if len(jobs) == 1 else {})}
    assert attempts[-1]["turns"] == 3 - len(jobs)
    assert bool(attempts[-1]["earlier_seconds"]) == (len(jobs) == 1)


@pytest.mark.parametrize("name", [name for name, each in DISTURBANCES.items() if len(each.verdicts) > 1])
def test_a_training_stopped_at_its_limit_asks_for_the_time_that_is_left(
    trainings: dict[str, Training], name: str
) -> None:
    limited, step = trainings[name], DISTURBANCES[name].goes_on
    stopped, last = limited.attempts
    assert stopped["reached"] == step
    assert stopped["decision"]["time"] == last["intent"]["time"] == "00:10:00"
    assert f"{STEPS - step} steps at" in stopped["decision"]["reason"]
    assert "so it asks for 00:10:00" in last["intent"]["why"]
    (decided,) = limited.events("APPLY_POLICY")
    assert (decided["inputs"]["rule"], decided["outputs"]) == ("timed_out", {"reaction": "retry", "time": "00:10:00"})
    assert [each["inputs"].get("time") for each in limited.events("SUBMIT_JOB")] == [None, "00:10:00"]
    assert limited.cluster.say("squeue", "-h", "-t", "all", "-j", last["job_id"], "-o", "%l") == "10:00"
