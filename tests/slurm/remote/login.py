"""A login host on the loopback interface: an sshd of the tests' own, with keys of its own, gone without a trace.

No sshd of the system is started, and nothing below `/etc/ssh` or of the user's own is read or written.
"""

import contextlib
import getpass
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cruijff_kit.adapters.processes import family, send_signal
from tests.gated_bench import until
from tests.slurm.packages import APT, PROGRAMS, missing_programs

__all__ = ["Login", "running_login"]

_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile {root}/sshd.pid
AuthorizedKeysFile {root}/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 100
Subsystem sftp internal-sftp
ForceCommand . "{root}/session"
"""
_SESSION = """\
echo "$SSH_ORIGINAL_COMMAND" >>"{root}/lines"
test -f "{root}/greeting" && . "{root}/greeting"
eval "$SSH_ORIGINAL_COMMAND"
"""
_CLIENT = """\
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {root}/user_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {root}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
"""


class Login:
    """One sshd below a folder of its own, and the configuration by which `ssh` finds it as `name`."""

    name = "login.test"

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.root, self.variables = root, variables
        self.config = root / "ssh_config"
        self._daemon: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._client = ""

    def start(self) -> None:
        """Make the keys, write the settings, start the daemon and wait until it answers."""
        for name in ("host_key", "user_key"):
            if not (self.root / name).exists():
                words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.root / name))
                subprocess.run(words, check=True)
        shutil.copy(self.root / "user_key.pub", self.root / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        values = {"root": self.root, "port": self.port, "name": self.name, "user": getpass.getuser()}
        given = " ".join(f'"{name}={value}"' for name, value in self.variables.items())
        self._write("sshd_config", _SERVER.format(**values) + (f"SetEnv {given}\n" if given else ""))
        self._write("session", _SESSION.format(**values))
        self._client = _CLIENT.format(**values)
        self._write("ssh_config", self._client)
        self.trust()
        self.listen()

    def listen(self) -> None:
        """Start the daemon on the port it has."""
        program = shutil.which("sshd", path=PROGRAMS)
        assert program
        with contextlib.suppress(FileExistsError):
            # What the package's own start makes.
            Path("/run/sshd").mkdir(mode=0o755)
        with (self.root / "sshd.log").open("ab") as log:
            words = (program, "-D", "-e", "-f", str(self.root / "sshd_config"))
            self._daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self._answers, f"answer of sshd; see {self.root}/sshd.log")

    def trust(self, key: str | None = None) -> None:
        """Write the one host key that is known: its own where no other is given."""
        kind, own = (self.root / "host_key.pub").read_text(encoding="utf-8").split()[:2]
        self._write("known_hosts", f"[127.0.0.1]:{self.port} {kind} {key or own}\n")

    def restore(self) -> None:
        """Have everything as at the start, and no connection."""
        self.hang_up()
        shutil.copy(self.root / "user_key.pub", self.root / "authorized_keys")
        self.trust()
        self._write("ssh_config", self._client)
        (self.root / "greeting").unlink(missing_ok=True)
        self.listen()

    def configure(self, line: str) -> None:
        """Add a line to the configuration of `ssh`."""
        self._write("ssh_config", f"{self._client}  {line}\n")

    def greet_with(self, script: str) -> None:
        """Have every session begin with some commands, as careless start-up files do."""
        self._write("greeting", script)

    def lines(self) -> list[str]:
        """Return the lines that the login shell was given to read."""
        path = self.root / "lines"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def connections(self) -> int:
        """Return how often somebody was let in."""
        return (self.root / "sshd.log").read_text(encoding="utf-8").count("Accepted publickey")

    def impersonate(self) -> None:
        """Know another key than the host has, as where somebody else answers."""
        self.trust((self.root / "user_key.pub").read_text(encoding="utf-8").split()[1])

    def distrust(self) -> None:
        """Know no host key."""
        self._write("known_hosts", "")

    def lock_out(self) -> None:
        """Let nobody in any more."""
        self._write("authorized_keys", "")

    def hang_up(self) -> None:
        """End the daemon and every connection, as when a network or a host goes away."""
        daemon = self._daemon
        if daemon is None:
            return

        def gone() -> bool:
            lives = {pid: process for pid, process in family(daemon.pid).items() if daemon.poll() is None}
            send_signal(signal.SIGKILL, to=lives)
            return daemon.poll() is not None

        until(gone, "the end of sshd")
        self._daemon = None

    def _answers(self) -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(("127.0.0.1", self.port)) == 0

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)


@contextlib.contextmanager
def running_login(variables: Mapping[str, str]) -> Iterator[Login]:
    """Yield a login host whose sessions have these variables, and leave nothing of it behind.

    Raises:
        AssertionError: this machine lacks OpenSSH or rsync; says in words what to install.
    """
    missing = missing_programs(cluster=False, login=True)
    assert not missing, f"an sshd is needed here; missing: {', '.join(missing)}\nhint: {APT}"
    login = Login(Path(tempfile.mkdtemp(prefix="ck-sshd-")), variables)
    try:
        login.start()
        yield login
    finally:
        login.hang_up()
        shutil.rmtree(login.root, ignore_errors=True)
