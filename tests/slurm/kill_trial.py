"""An experiment on a real Slurm whose submitters, watchers and controller are killed again and again.

What a person and an operator would do meanwhile is done here too: commands are typed again, the controller is
started again, and nodes that it drained are resumed. By hand, with the seed that a failure tells:

    python -m tests.slurm.kill_trial --kills 200 --seed 1 [--accounting]
"""

import argparse
import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.bit_design import bit_design
from tests.gated_bench import until
from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.light_jobs import LEDGER, entries
from tests.slurm.settings import Setup

__all__ = ["Command", "Trial", "trial_cluster"]

NAME = "killed"
_SEEDS = 30
"""Seeds of the design, each with two ranks."""
_VICTIMS = ("submitter", "watcher", "controller")
_TICK = 0.005
_LONGEST_MOMENT = 3.0
_ALIVE = "PENDING,RUNNING,COMPLETING,SUSPENDED,CONFIGURING"
_SITE = """\
scheduler: slurm
allow_unattended: true
queue: {{max_queued: 16, backoff: {{first: 0.2, longest: 1}}{arrays}}}
policy:
  forgotten_after: 3
  lost: {{reaction: retry, retries: 1000}}
  killed: {{reaction: retry, retries: 1000}}
  held: {{reaction: retry, retries: 1000, wait: 1}}
  max_retries: 10000
environment: {{kind: venv, name: {environment}, variables: {{{variable}: {ledger}}}}}
"""
# An environment whose interpreter runs the light jobs in the place of the real evaluation.
_ACTIVATE = 'export CRUIJFF_LEASE_SECONDS=3\nexport PATH={bin}:"$PATH"\n'
_PYTHON = """\
#!/bin/sh
[ "$1" != -m ] || set -- {jobs} "$@"
PYTHONPATH={source} exec {python} "$@"
"""


class Command(NamedTuple):
    """A command that somebody typed, in a session of its own."""

    words: tuple[str, ...]
    """What was typed after `ck`."""
    process: subprocess.Popen[bytes]
    """The process."""
    printed: Path
    """What it says."""

    @property
    def ended(self) -> bool:
        """Return whether it has ended by itself, or by a signal."""
        return self.process.poll() is not None

    def text(self) -> str:
        """Return what was typed and what it said, for a failure to show."""
        said = self.printed.read_text(encoding="utf-8")
        return f"ck {shlex.join(self.words)}: exit code {self.process.returncode}\n{said}"

    def kill(self, *, whole: bool) -> None:
        """Kill it, alone or with the commands of Slurm that it waits for."""
        if whole:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


class Cut(NamedTuple):
    """A training that stopped on a node which nobody reaches: it will wake up late."""

    pid: int
    """Its process."""
    node: str
    """The node."""
    ledger: Path
    """Where it tells what it does."""
    token: int
    """Under which token it has the run."""
    deadline: float
    """When it wakes up in any case."""


class Trial:
    """One experiment, and everything that is done to it; the same seed draws the same moments."""

    def __init__(
        self, root: Path, cluster: Cluster, *, model: str, kills: int, seed: int, arrays: bool | None = None
    ) -> None:
        self.root, self.cluster, self.kills = root, cluster, kills
        self.experiment, self.ledger = root / "project" / NAME, root / "ledger"
        self.dice = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        """What else happened, by what."""
        self.names: dict[str, set[str]] = {}
        """Names that jobs of each number had."""
        self.watchers: list[Command] = []
        self.submitters: list[Command] = []
        self.runs: list[str] = []
        self.stopped: set[int] = set()
        """Processes that were stopped for a while; nobody else may ever be fenced off."""
        self._cut: Cut | None = None
        self._cutting = False
        self._typed = 0
        self._tick = threading.Event()
        self._env = {
            **os.environ,
            **cluster.environment,
            "XDG_CONFIG_HOME": str(root / "config"),
            "CRUIJFF_STATE_DIR": str(root / "state"),
        }
        self._prepare(model, arrays)

    # --- what people type ---

    def ck(self, *words: str) -> str:
        """Type a command, wait for its end, and return what it said on success."""
        command = self._type(*words)
        command.process.wait(timeout=600)
        assert command.process.returncode == 0, command.text()
        return command.printed.read_text(encoding="utf-8")

    def steps(self) -> list[dict[str, Any]]:
        """Return where every step of every run stands."""
        return json.loads(self.ck("status", "--json"))["steps"]

    def _type(self, *words: str) -> Command:
        self._typed += 1
        printed = self.root / "said" / f"{self._typed:04}.txt"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                (sys.executable, "-m", "cruijff_kit.cli.main", "-C", str(self.experiment), *words),
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Command(words, process, printed)

    # --- the trial ---

    def play(self) -> None:
        """Kill as often as was asked for, then let the experiment finish."""
        while self.killed.total() < self.kills:
            self._tend()
            victim = self.dice.choice(_VICTIMS)
            if victim == "submitter" or self.dice.random() < 0.3:
                self._submit()
            getattr(self, f"_kill_{victim}")()
        self._tend(last=True)
        for each in (*self.submitters, *self.watchers):
            each.process.wait(timeout=600)
        self._tend(last=True)
        self.ck("submit", "--yes", "--reason", "whatever is left")
        self.ck("watch", "--poll", "0.2")
        until(lambda: not self._alive(), "an empty queue")

    def figures(self) -> dict[str, int]:
        """Return how often each thing was done and seen."""
        held = [each for path in self.ledger.iterdir() for each in entries(path)]
        told = Counter(f"told {each['event']}" for each in held)
        reused = sum(len(names) > 1 for names in self.names.values())
        return {**self.killed, **self.seen, **told, "numbers given anew": reused}

    def _submit(self) -> None:
        """Type a submission of the lot that is due by now: the first runs, more with each kill."""
        count = -(-len(self.runs) * (self.killed.total() + 1) // self.kills)
        lot = [word for run in self.runs[:count] for word in ("--run", run)]
        self.submitters.append(self._type("submit", "--yes", "--reason", "a lot", *lot))

    def _kill_submitter(self) -> None:
        if self._moment(self.submitters[-1]):
            self.submitters.pop().kill(whole=self.dice.random() < 0.5)
            self.killed["submitter"] += 1

    def _kill_watcher(self) -> None:
        if self._moment(self.watchers[0]):
            self.watchers.pop(0).kill(whole=self.dice.random() < 0.5)
            self.killed["watcher"] += 1

    def _kill_controller(self) -> None:
        """Kill the controller; it is down for a while, in which others may be killed too."""
        self._moment(self.watchers[0])
        before = self._look()
        self.cluster.end("slurmctld", signal.SIGKILL)
        self.killed["controller"] += 1
        if self.dice.random() < 0.3:
            self._submit()
        for _ in range(self.dice.choice((0, 0, 20, 100, 400))):
            self._tick.wait(_TICK)
        if self.dice.random() < 0.3 and self.killed.total() < self.kills:
            self.dice.choice((self._kill_submitter, self._kill_watcher) if self.submitters else (self._kill_watcher,))()
        self.cluster.start_controller()
        after = self._look()
        self.seen["jobs lost by the controller"] += sum(after.get(each) != name for each, name in before.items())

    def _moment(self, command: Command) -> bool:
        """Wait for a moment drawn by lot; return whether the command still lives then.

        Half of them come right after something was put on record, for that is where crashes hurt.
        """
        end, changes = time.monotonic() + _LONGEST_MOMENT, self.dice.choice((0, 0, 1, 1, 2, 4))
        ticks, stamp = self.dice.randrange(20 if changes else 300), self._stamp()
        while changes and not command.ended and time.monotonic() < end:
            self._tick.wait(_TICK)
            changed = self._stamp()
            changes, stamp = changes - (changed != stamp), changed
        for _ in range(ticks):
            if command.ended:
                break
            self._tick.wait(_TICK)
        return not command.ended

    def _stamp(self) -> tuple[int, int]:
        """Return a mark of what is on record."""
        audit = self.experiment / "logs" / "audit.jsonl"
        return audit.stat().st_size, sum(1 for _ in self.experiment.glob("runs/*/attempts/*/intent.json"))

    # --- what an operator does ---

    def _tend(self, *, last: bool = False) -> None:
        """Look after the commands, the queue and the nodes; whatever ended must have ended well."""
        for each in [each for each in (*self.submitters, *self.watchers) if each.ended]:
            self._note(each)
        self.submitters = [each for each in self.submitters if not each.ended]
        self.watchers = [each for each in self.watchers if not each.ended]
        while not last and len(self.watchers) < self.dice.choice((1, 1, 2)):
            self.watchers.append(self._type("watch", "--poll", "0.2"))
        self._look()
        for line in self.cluster.say("sinfo", "-h", "-N", "-p", "debug", "-t", "drain", "-o", "%N %E").splitlines():
            node, _, why = line.partition(" ")
            self.seen[f"drained: {why}"] += 1
            self.cluster.say("scontrol", "update", f"nodename={node}", "state=resume")
        self._cut_off(last=last)

    def _note(self, command: Command) -> None:
        """Hold that a command which ended by itself ended well, or told that the controller was away."""
        code, away = command.process.returncode, "hint: the controller may be restarting or busy"
        self.seen[f"{command.words[0]} ended with {code}"] += 1
        assert code == 0 or (code == 4 and command.words[0] == "submit" and away in command.text()), command.text()

    def _look(self) -> dict[str, str]:
        """Return the names of the controller's jobs by number; none of our tags may be alive twice."""
        listed = self.cluster.say("squeue", "-h", "-r", "-t", "all", "-o", "%A %j.%K").splitlines()
        jobs = dict(line.split(" ", 1) for line in listed)
        for number, name in jobs.items():
            self.names.setdefault(number, set()).add(name)
        twice = [name for name, count in Counter(self._alive()).items() if count > 1]
        assert not twice, f"alive twice: {twice}"
        return jobs

    def _alive(self) -> list[str]:
        # An element of an array is told from the others by its index.
        return self.cluster.say("squeue", "-h", "-r", "-t", _ALIVE, "-o", "%j.%K").splitlines()

    # --- a node that nobody reaches ---

    def _cut_off(self, *, last: bool) -> None:
        """Now and then stop a training on a node that is cut off, and let it go on once another has its run."""
        self._cutting = not last and (self._cutting or self.dice.random() < 0.05)
        if self._cut is None and self._cutting:
            self._cut = self._stopped()
            self._cutting = self._cut is None
        elif self._cut is not None and (last or self._taken_over(self._cut)):
            cut, self._cut = self._cut, None
            with contextlib.suppress(ProcessLookupError):
                os.kill(cut.pid, signal.SIGCONT)
            self.cluster.start_node(cut.node)

    def _stopped(self) -> Cut | None:
        """Stop a training that runs; its node is told to be down while its daemon is dead."""
        running = self.cluster.say("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%A %F_%K %N %j").splitlines()
        rows = [line.split(" ", 3) for line in running]
        nodes = {number: (node, name) for one, other, node, name in rows for number in (one, other)}
        for path in sorted(self.ledger.glob("*.train.jsonl")):
            last = entries(path)[-1]
            node, name = nodes.get(last["job_id"], ("", ""))
            if last["event"] != "begin" or name != last["name"]:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(last["pid"], signal.SIGSTOP)
                self.stopped.add(last["pid"])
                self.cluster.end(node, signal.SIGKILL)
                self.cluster.say("scontrol", "update", f"nodename={node}", "state=down", "reason=cut-off")
                self.seen["nodes cut off"] += 1
                return Cut(last["pid"], node, path, last["token"], time.monotonic() + 30)
        return None

    def _taken_over(self, cut: Cut) -> bool:
        last = max(each["token"] for each in entries(cut.ledger))
        return last > cut.token or time.monotonic() > cut.deadline

    # --- the experiment ---

    def _prepare(self, model: str, arrays: bool | None) -> None:
        for folder in (self.ledger, self.root / "said", self.experiment, self.root / "config" / "cruijff-kit"):
            folder.mkdir(parents=True)
        environment, jobs = self.root / "environment", Path(__file__).with_name("light_jobs.py")
        binaries = environment / "bin"
        binaries.mkdir(parents=True)
        (binaries / "activate").write_text(_ACTIVATE.format(bin=binaries), encoding="utf-8")
        values = {"jobs": jobs, "source": Path(__file__).parents[2], "python": sys.executable}
        (binaries / "python").write_text(_PYTHON.format(**values), encoding="utf-8")
        (binaries / "python").chmod(0o755)
        queue = "" if arrays is None else f", arrays: {str(arrays).lower()}"
        site = _SITE.format(environment=environment, variable=LEDGER, ledger=self.ledger, arrays=queue)
        (self.root / "config" / "cruijff-kit" / "site.yaml").write_text(site, encoding="utf-8")
        design = self.root / "design.yaml"
        seeds = tuple(range(1, _SEEDS + 1))
        design.write_text(bit_design(NAME, model=model, recipe=jobs, seeds=seeds, evaluated=True), encoding="utf-8")
        self.ck("design", "write", str(design), "--reason", "kill trial")
        self.ck("scaffold")
        self.runs = sorted(each["run_id"] for each in self.steps() if each["step"] == "train")

    def end(self) -> None:
        """End whatever of this trial still runs."""
        for each in (*self.submitters, *self.watchers):
            each.kill(whole=True)
        shutil.copytree(self.cluster.root / "log", self.root / "log", dirs_exist_ok=True)
        if self._cut is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._cut.pid, signal.SIGKILL)


@contextlib.contextmanager
def trial_cluster(*, accounting: bool = False) -> Iterator[Cluster]:
    """Yield a cluster for one trial, with room for as many jobs as may be queued."""
    with running_cluster(Setup(gpus=0, message_timeout=2, accounting=accounting)) as cluster:
        yield cluster


def _main() -> int:
    from tests.random_model import random_base
    from tests.slurm.test_kills import everything_is_whole

    parser = argparse.ArgumentParser(prog="python -m tests.slurm.kill_trial")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--arrays", action=argparse.BooleanOptionalAction, help="what the site says of them")
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ck-kills-"))
    started = time.monotonic()
    with trial_cluster(accounting=chosen.accounting) as cluster:
        how = {"kills": chosen.kills, "seed": chosen.seed, "arrays": chosen.arrays}
        trial = Trial(root, cluster, model=random_base(root / "base"), **how)
        try:
            trial.play()
            everything_is_whole(trial)
        finally:
            trial.end()
            took = {"seconds": round(time.monotonic() - started)}
            sys.stdout.write(f"{json.dumps({**trial.figures(), **took}, indent=1)}\nall of it lies in {root}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
