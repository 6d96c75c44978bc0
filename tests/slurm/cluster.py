"""A real Slurm on the loopback interface: started in seconds, many side by side, gone without a trace.

For a look around by hand:

    python -m tests.slurm.cluster start [--accounting] [--preemption]   prints what to set, and how to stop it
    python -m tests.slurm.cluster stop FOLDER
    python -m tests.slurm.cluster check [--install]                     says what is missing, or installs it
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.gated_bench import until
from tests.slurm.leftovers import claim, is_root, make_root, note, stop, sweep
from tests.slurm.packages import APT, NotInstalled, install, missing_programs
from tests.slurm.settings import Ports, Setup, user_name, write_files

__all__ = ["Cluster", "running_cluster"]

_FLAGS = ("accounting", "munge", "preemption", "kill_invalid", "cgroup")
_PATH = "/usr/sbin:/sbin:/usr/local/sbin"


class Cluster:
    """One cluster below a folder of its own; `start` it, use its `environment`, `stop` it."""

    def __init__(self, root: Path, setup: Setup) -> None:
        self.root, self.setup = root, setup
        self.environment = {"SLURM_CONF": str(root / "etc" / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    # --- daemons ---

    def start(self) -> None:
        """Write the settings, start the daemons, and wait until every node is idle."""
        for name in ("etc", "run", "log", "state", "spool", "dev"):
            (self.root / name).mkdir()
        self.root.chmod(0o755)
        ports = Ports.draw(self.setup.nodes)
        write_files(self.root, self.setup, ports=ports, devices=self._devices())
        if self.setup.munge:
            self._make_key()
            self.start_munge()
        if self.setup.accounting:
            self._start_database()
        self.start_controller()
        for number in range(1, self.setup.nodes + 1):
            self.start_node(f"n{number}")
        self.idle()

    def start_controller(self) -> None:
        """Start slurmctld, on the state that it left; nodes that are there announce themselves by a start of theirs."""
        self._launch("slurmctld", "slurmctld", "-D", "-i", "-f", self.environment["SLURM_CONF"])
        until(lambda: self._answers("scontrol", "ping"), f"answer of slurmctld; see {self.root}/log")
        # Otherwise the controller finds them within some seconds.
        for name in [name for name in self._daemons if name[1:].isdigit()]:
            self.end(name, signal.SIGKILL)
            self.start_node(name)

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node."""
        (self.root / "spool" / name).mkdir(exist_ok=True)
        self._launch(name, "slurmd", "-D", "-N", name, "-f", self.environment["SLURM_CONF"])

    def start_accounting(self) -> None:
        """Start slurmdbd, on what its database holds."""
        self._launch("slurmdbd", "slurmdbd", "-D", extra={"MYSQL_UNIX_PORT": str(self.root / "run/mysql.sock")})
        until(lambda: self._answers("sacctmgr", "-n", "show", "cluster"), f"answer of slurmdbd; see {self.root}/log")

    def start_munge(self) -> None:
        """Start munged, which signs what daemons and commands send each other."""
        key, run = self.root / "etc" / "munge.key", self.root / "run"
        files = (f"--key-file={key}", f"--socket={run}/munge.socket", f"--pid-file={run}/munged.pid")
        self._launch("munged", "munged", "--foreground", *files, f"--seed-file={run}/munge.seed")
        until(lambda: self._answers("munge", "-n", "-S", f"{run}/munge.socket"), "answer of munged")

    def send(self, name: str, number: int) -> None:
        """Send a signal to a daemon, such as one that freezes it."""
        self._daemons[name].send_signal(number)

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon, `slurmctld`, `slurmdbd`, `munged` or a node's, by a signal, and wait until it has."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait(timeout=60)
        note(self.root, (daemon.pid for daemon in self._daemons.values()))

    def forget_jobs(self) -> None:
        """Have the controller forget every job, as after their time of remembrance; numbers begin anew."""
        self.end("slurmctld", signal.SIGKILL)
        for path in (self.root / "state").glob("job_state*"):
            path.unlink()
        self.start_controller()

    def keep_state(self) -> None:
        """Have the controller write down what it knows, and keep a copy."""
        self.end("slurmctld")
        shutil.copytree(self.root / "state", self.root / "kept", dirs_exist_ok=True)
        self.start_controller()

    def lose_what_followed(self) -> None:
        """Kill the controller as if it had written nothing since: it does so seconds after a change."""
        self.end("slurmctld", signal.SIGKILL)
        shutil.rmtree(self.root / "state")
        shutil.copytree(self.root / "kept", self.root / "state")
        self.start_controller()

    def age_books(self, *, days: int) -> None:
        """Have every job that accounting knows be older by some days."""
        moments = ", ".join(
            f"time_{each} = IF(time_{each} > 0, time_{each} - {days * 86_400}, 0)"
            for each in ("submit", "eligible", "start", "end")
        )
        change = f"UPDATE test_job_table SET {moments}"
        self.say("mariadb", f"--socket={self.root}/run/mysql.sock", "--user=root", "accounts", f"--execute={change}")

    def idle(self) -> None:
        """Wait until every node takes jobs."""
        until(lambda: self._idle_nodes() == self.setup.nodes, f"idle nodes; see {self.root}/log")

    def stop(self) -> None:
        """Kill the daemons and every process of every job, and remove the folder."""
        stop(self.root)
        for daemon in self._daemons.values():
            daemon.wait(timeout=60)
        self._daemons.clear()

    def clear(self) -> None:
        """End every job of this user and wait until every node is idle."""
        self.say("scancel", f"--user={os.geteuid()}")
        self.idle()

    # --- commands ---

    def say(self, *command: str, fails: bool = False) -> str:
        """Run one of Slurm's commands and return what it printed; with `fails`, its complaint."""
        done = self._run(*command)
        assert (done.returncode != 0) == fails, f"{command}: {done.stderr}"
        return (done.stderr if fails else done.stdout).strip()

    def sbatch(self, body: str, *options: str, folder: Path) -> str:
        """Submit a script by hand, as somebody beside us would, and return its number."""
        script = folder / "by_hand.sh"
        script.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        return self.say("sbatch", "--parsable", f"--chdir={folder}", *options, str(script))

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self._environment(), capture_output=True, encoding="utf-8", timeout=90, check=False
        )

    def _answers(self, *command: str) -> bool:
        return self._run(*command).returncode == 0

    def _idle_nodes(self) -> int:
        return len(self._run("sinfo", "-h", "-N", "-p", "debug", "-t", "idle", "-o", "%N").stdout.split())

    def _environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        path = f"{os.environ.get('PATH', '')}:{_PATH}"
        return {**kept, "PATH": path, "LC_ALL": "C", **self.environment, **(extra or {})}

    # --- parts of the start ---

    def _launch(self, name: str, *command: str, extra: Mapping[str, str] | None = None) -> None:
        with (self.root / "log" / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                command,
                env=self._environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        note(self.root, (daemon.pid for daemon in self._daemons.values()))

    def _devices(self) -> list[Path]:
        """Make a device for each GPU, a link to the null device: Slurm shows jobs no GPU without one."""
        devices = [self.root / "dev" / f"nvidia{number}" for number in range(self.setup.gpus)]
        for device in devices:
            device.symlink_to("/dev/null")
        return devices

    def _make_key(self) -> None:
        key = self.root / "etc" / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

    def _start_database(self) -> None:
        data, socket = self.root / "database", self.root / "run" / "mysql.sock"
        # As root the server wants to be told so.
        user = ("--user=root",) if os.geteuid() == 0 else ()
        self.say(
            "mariadb-install-db",
            "--no-defaults",
            *user,
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        self._launch(
            "mariadbd",
            "mariadbd",
            "--no-defaults",
            *user,
            f"--datadir={data}",
            f"--socket={socket}",
            "--skip-networking",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-lock-wait-timeout=900",
        )
        until(socket.exists, "the database's socket")
        self.start_accounting()
        self.say("sacctmgr", "-i", "add", "cluster", "test")
        self.say("sacctmgr", "-i", "add", "account", "research", "Description=research", "Organization=test")
        self.say("sacctmgr", "-i", "add", "user", user_name(), "account=research")


@contextlib.contextmanager
def running_cluster(setup: Setup) -> Iterator[Cluster]:
    """Yield a cluster and leave nothing of it behind.

    A port drawn as free may be taken before its daemon has it; then everything is drawn again.

    Raises:
        AssertionError: this machine lacks Slurm; says in words what to install.
    """
    missing = missing_programs(accounting=setup.accounting)
    assert not missing, f"a real Slurm is needed here; missing: {', '.join(missing)}\nhint: {APT}"
    sweep()
    cluster = _started(setup)
    try:
        yield cluster
    finally:
        cluster.stop()


def _started(setup: Setup, *, tries: int = 3, owned: bool = True) -> Cluster:
    cluster = Cluster(make_root(), setup)
    try:
        if owned:
            claim(cluster.root)
        cluster.start()
    except AssertionError:
        cluster.stop()
        if tries == 1:
            raise
        return _started(setup, tries=tries - 1, owned=owned)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _main() -> int:
    chosen = _parser().parse_args()
    if chosen.verb == "stop":
        return _stopped(chosen.folder)
    missing = missing_programs(accounting=True, login=True)
    if missing and getattr(chosen, "install", False):
        missing = _installed()
    if missing:
        sys.stderr.write(f"a real Slurm is needed here; missing: {', '.join(missing)}\nhint: as root: {APT}\n")
        return 1
    if chosen.verb == "start":
        sweep()
        flags = {name: getattr(chosen, name) for name in _FLAGS}
        cluster = _started(Setup(nodes=chosen.nodes, **flags), owned=False)
        sys.stdout.write(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}\n")
        sys.stdout.write(f"# stop it: python -m tests.slurm.cluster stop {cluster.root}\n")
    return 0


def _stopped(root: Path) -> int:
    if not is_root(root):
        sys.stderr.write(f"`{root}` is no cluster's folder\nhint: `start` printed the line that stops it\n")
        return 1
    stop(root)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.cluster")
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="start a cluster and print how to use it")
    for name in _FLAGS:
        start.add_argument(f"--{name.replace('_', '-')}", action="store_true")
    start.add_argument("--nodes", type=int, default=2)
    verbs.add_parser("stop", help="stop a cluster").add_argument("folder", type=Path)
    check = verbs.add_parser("check", help="say what this machine lacks")
    check.add_argument("--install", action="store_true", help="install it, as root on Debian and its children")
    return parser


def _installed() -> list[str]:
    """Install the packages and return what is missing all the same."""
    sys.stdout.write(f"slurm: installing {APT.partition('recommends ')[2]}\n")
    sys.stdout.flush()
    try:
        install()
    except NotInstalled as err:
        sys.stderr.write(f"{err}\n")
    return missing_programs(accounting=True, login=True)


if __name__ == "__main__":
    raise SystemExit(_main())
