"""The system's own `ssh`: the user's keys and configuration, one connection for many commands, never a question.

No value of the user's ever stands on a command line there: what is to be run travels as the
input of `/bin/sh`, or encoded in letters and digits, for whatever the login shell is, it
would read the line its own way.
"""

import base64
import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from cruijff_kit.adapters.state_dir import state_dir

__all__ = ["Spoken", "Ssh"]

_FAILED = 255
"""Code by which `ssh` itself says that it failed; a command there may end with it too."""
_OPTIONS = (
    # Whoever is asked for a password here waits for ever: there is nobody to ask.
    "BatchMode=yes",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    # What a person's own sessions may want, and a command does not.
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ForkAfterAuthentication=no",
    "EscapeChar=none",
)
_LINGER = 120
"""Seconds that a connection is kept for the next command."""
_LONGEST_SOCKET = 84
"""Characters of a socket's path: the system takes 104, and `ssh` appends some of its own while it makes one."""


class Spoken(NamedTuple):
    """What became of one conversation."""

    code: int | None
    """Exit code of `ssh`; None where it did not end in time."""
    out: bytes
    """What came from there."""
    err: bytes
    """What was complained of, there or here."""

    @property
    def failed(self) -> bool:
        """Return whether it may be `ssh` itself that failed."""
        return self.code in (None, _FAILED)


class Ssh:
    """One host, as the user's own `ssh` reaches it.

    `CRUIJFF_SSH_CONFIG` names a configuration to read instead of the user's. It is no setting of a
    site file: such a file may come from somebody else, and what `ssh` reads can run programs here.
    """

    def __init__(self, host: str) -> None:
        """Keep the name; nothing is connected yet."""
        self.host = host
        self._shared: tuple[str, ...] | None = None

    def words(self, *, terminal: bool = False) -> tuple[str, ...]:
        """Return program and options, all before the host's name."""
        options = (word for option in (*_OPTIONS, *self._sharing()) for word in ("-o", option))
        # No agent and no display is passed on: who runs the host could use them.
        return ("ssh", *_config(), "-a", "-x", "-tt" if terminal else "-T", *options)

    def say(self, script: str, *, seconds: float) -> Spoken:
        """Have `/bin/sh` there run a script, which it reads from its input."""
        # A group is run once it was read whole: of a line cut off in the middle nothing is.
        text = f"{{\n{script}\n}}\n".encode("utf-8", "surrogateescape")
        command = (*self.words(), "--", self.host, "/bin/sh -s")
        # Files rather than pipes: a connection that is kept would hold a pipe open, and whoever reads it.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as said:
            said.write(text)
            said.seek(0)
            code = _ended(command, (said, out, err), seconds=seconds)
            return Spoken(code, _all_of(out), _all_of(err))

    def attach(self, script: str, *, terminal: bool) -> int:
        """Have `/bin/sh` there run a script with this process's own input and output; return its code."""
        told = base64.b64encode(script.encode("utf-8", "surrogateescape")).decode()
        line = f"/bin/sh -c 'eval \"$(echo {told} | base64 -d)\"'"
        done = subprocess.run((*self.words(terminal=terminal), "--", self.host, line), check=False)
        return done.returncode

    def transport(self) -> str:
        """Return the command for rsync's `--rsh`, which splits it at spaces outside of quotes."""
        return " ".join("'" + word.replace("'", "''") + "'" for word in self.words())

    def _sharing(self) -> tuple[str, ...]:
        """Return the options that keep one connection, unless the user's configuration has its own way.

        Where a second factor is asked for, the user opens a connection by hand and ours ride on it.
        """
        if self._shared is None:
            self._shared = () if self._has_own() else _kept_connection(self.host)
        return self._shared

    def _has_own(self) -> bool:
        asked = ("ssh", *_config(), "-G", "--", self.host)
        try:
            told = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return True
        lines = told.stdout.decode("utf-8", "replace").splitlines()
        return any(line.startswith("controlpath ") and line != "controlpath none" for line in lines)


def _config() -> tuple[str, ...]:
    path = os.environ.get("CRUIJFF_SSH_CONFIG")
    return ("-F", path) if path else ()


def _kept_connection(host: str) -> tuple[str, ...]:
    folder = _private_folder()
    name = hashlib.sha256("\0".join((host, *_config())).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    if folder is None or len(os.fsencode(folder / name)) > _LONGEST_SOCKET:
        return ()
    # A percent sign would be a token of ssh's.
    path = str(folder / name).replace("%", "%%")
    quoted_path = '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return ("ControlMaster=auto", f"ControlPath={quoted_path}", f"ControlPersist={_LINGER}")


def _private_folder() -> Path | None:
    """Return a folder that is this user's alone: who opens a socket in it acts as the user there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = Path(runtime) / "cruijff-kit" if runtime.startswith("/") and Path(runtime).is_dir() else state_dir()
    folder = base / "ssh"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & 0o077
    return folder if private else None


def _ended(command: Sequence[str], files: tuple[IO[bytes], IO[bytes], IO[bytes]], *, seconds: float) -> int | None:
    said, out, err = files
    try:
        return subprocess.run(command, stdin=said, stdout=out, stderr=err, timeout=seconds, check=False).returncode
    except subprocess.TimeoutExpired:
        return None
    except OSError as problem:
        err.write(f"`ssh` cannot be run here: {problem.strerror}".encode())
        return _FAILED


def _all_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
