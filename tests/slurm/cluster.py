"""A real Slurm on the loopback interface: started in seconds, many side by side, gone without a trace.

For a look around by hand:

    python -m tests.slurm.cluster start [--accounting] [--preemption]   prints what to set, and how to stop it
    python -m tests.slurm.cluster stop FOLDER
    python -m tests.slurm.cluster check [--install]                     says what is missing, or installs it
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cruijff_kit.adapters.processes import Process, family, send_signal
from tests.gated_bench import until
from tests.slurm.remote.login import SSH_APT, install_ssh, missing_ssh_programs
from tests.slurm.settings import APT, Ports, Setup, missing_programs, write_files

__all__ = ["Cluster", "running_cluster"]

_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
_PIDS = "pids.json"


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
            self._start_munge()
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

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon, `slurmctld`, `slurmdbd` or a node's, by a signal, and wait until it has."""
        daemon = self._daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait(timeout=60)
        self._note()

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

    def idle(self) -> None:
        """Wait until every node takes jobs."""
        until(lambda: self._idle_nodes() == self.setup.nodes, f"idle nodes; see {self.root}/log")

    def stop(self) -> None:
        """Kill the daemons and every process of every job, and remove the folder."""
        _stop(self.root)
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
        self._note()

    def _note(self) -> None:
        """Keep which processes are ours, each with its start: whoever stops the cluster may not have started it."""
        pids = {name: family(daemon.pid).get(daemon.pid) for name, daemon in self._daemons.items()}
        (self.root / _PIDS).write_text(json.dumps(pids), encoding="utf-8")

    def _devices(self) -> list[Path]:
        """Make a device for each GPU, each another null device; Slurm shows jobs no GPU without one."""
        if os.geteuid() != 0:
            return []
        devices = [self.root / "dev" / f"nvidia{number}" for number in range(self.setup.gpus)]
        for device in devices:
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        return devices

    def _start_munge(self) -> None:
        key, run = self.root / "etc" / "munge.key", self.root / "run"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = (f"--key-file={key}", f"--socket={run}/munge.socket", f"--pid-file={run}/munged.pid")
        self._launch("munged", "munged", "--foreground", *files, f"--seed-file={run}/munge.seed")
        until(lambda: self._answers("munge", "-n", "-S", f"{run}/munge.socket"), "answer of munged")

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
        self.say("sacctmgr", "-i", "add", "user", "root", "account=research")


@contextlib.contextmanager
def running_cluster(setup: Setup) -> Iterator[Cluster]:
    """Yield a cluster and leave nothing of it behind.

    A port drawn as free may be taken before its daemon has it; then everything is drawn again.

    Raises:
        AssertionError: this machine lacks Slurm; says in words what to install.
    """
    missing = missing_programs(setup)
    assert not missing, f"a real Slurm is needed here; missing: {', '.join(missing)}\nhint: {APT}"
    cluster = _started(setup)
    try:
        yield cluster
    finally:
        cluster.stop()


def _started(setup: Setup, *, tries: int = 3) -> Cluster:
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="ck-slurm-", dir=_quick_disk())), setup)
    try:
        cluster.start()
    except AssertionError:
        cluster.stop()
        if tries == 1:
            raise
        return _started(setup, tries=tries - 1)
    except BaseException:
        cluster.stop()
        raise
    return cluster


def _quick_disk() -> str | None:
    """Return the disk in memory where there is one: databases flush at every step."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _stop(root: Path) -> None:
    pids = root / _PIDS
    noted = json.loads(pids.read_text(encoding="utf-8")) if pids.exists() else {}
    daemons = {each[0]: Process(*each) for each in noted.values() if each}

    def rest() -> dict[int, Process]:
        found: dict[int, Process] = {}
        for pid, process in daemons.items():
            lives = family(pid)
            found |= lives if pid in lives and lives[pid].started == process.started else {}
        return {**found, **_strays(root)}

    def gone() -> bool:
        left = {pid: process for pid, process in rest().items() if not _zombie(pid)}
        send_signal(signal.SIGKILL, to=left)
        return not left

    until(gone, f"the end of {root}")
    shutil.rmtree(root, ignore_errors=True)


def _strays(root: Path) -> dict[int, Process]:
    """Return the processes of jobs, and of those that watch over them, that no daemon is the parent of any more."""
    conf = f"SLURM_CONF={root}/etc/slurm.conf".encode()
    found: dict[int, Process] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "environ").read_bytes().split(b"\0")
            name = (folder / "comm").read_bytes().strip()
            job = any(word.startswith(b"SLURM_JOB_ID=") for word in words)
            if conf in words and (job or name == b"slurmstepd"):
                found |= family(int(folder.name))
    return found


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return True


def _install() -> list[str]:
    """Install the packages and return what is missing all the same."""
    sys.stdout.write(f"installing a real Slurm: {APT}\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("apt-get update -q", APT):
        subprocess.run(command.split(), env=quiet, stdout=subprocess.DEVNULL, check=False)
    install_ssh()
    return _missing()


def _missing() -> list[str]:
    return [*missing_programs(Setup(accounting=True)), *missing_ssh_programs()]


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.cluster")
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="start a cluster and print how to use it")
    for name in ("accounting", "munge", "preemption"):
        start.add_argument(f"--{name}", action="store_true")
    start.add_argument("--nodes", type=int, default=2)
    verbs.add_parser("stop", help="stop a cluster").add_argument("folder", type=Path)
    check = verbs.add_parser("check", help="say what this machine lacks")
    check.add_argument("--install", action="store_true", help="install it, as root on Debian and its children")
    chosen = parser.parse_args()
    if chosen.verb == "stop":
        _stop(chosen.folder)
        return 0
    missing = _missing()
    if missing and getattr(chosen, "install", False) and os.geteuid() == 0 and shutil.which("apt-get"):
        missing = _install()
    if missing:
        sys.stderr.write(f"a real Slurm is needed here; missing: {', '.join(missing)}\nhint: {APT}\n{SSH_APT}\n")
        return 1
    if chosen.verb == "start":
        flags = {name: getattr(chosen, name) for name in ("accounting", "munge", "preemption")}
        cluster = _started(Setup(nodes=chosen.nodes, **flags))
        sys.stdout.write(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}\n")
        sys.stdout.write(f"# stop it: python -m tests.slurm.cluster stop {cluster.root}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
