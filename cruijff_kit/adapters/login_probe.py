"""The site probe of a cluster behind a login host: looks there by `ssh`, and changes nothing."""

import re
import secrets
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from cruijff_kit.adapters.cluster_facts import read_cluster
from cruijff_kit.adapters.login_host import LoginHost
from cruijff_kit.adapters.site_probe import COMMANDS, MachineProbe
from cruijff_kit.adapters.slurm_commands import Answer
from cruijff_kit.adapters.slurm_errors import refusal
from cruijff_kit.schema.site import Remote
from cruijff_kit.schema.site_facts import ClusterFacts, LoginFacts, MachineFacts, ScriptAnswer

__all__ = ["LoginProbe"]

_HERE = ("ssh", "rsync")
_VERSION = re.compile(r"\d+(?:\.\d+)+\S*")
_TAIL = 4_000
_PATIENCE = 30.0


class LoginProbe(MachineProbe):
    """A login host's programs and cluster; directories are those of this machine, which both sides see."""

    def __init__(self, host: str) -> None:
        """Keep how to reach it; nothing is connected yet."""
        self._host = LoginHost(host)

    def machine(self) -> MachineFacts:
        """Return the programs and modules that are there, and the programs here by which it is reached."""
        look = f'for name in {shlex.join(COMMANDS)}; do printf \'%s=%s\\n\' "$name" "$(command -v "$name")"; done'
        lines = self._host.run(("sh", "-c", look)).out.splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        commands = {name: found.get(name, "") for name in COMMANDS}
        told = self._host.run(("bash", "-lc", 'type module >/dev/null 2>&1; echo "ck:$?:${SCRATCH-}"')).out
        modules, _, scratch = told.rpartition("ck:")[2].strip().partition(":")
        return MachineFacts(
            commands={**commands, **{name: shutil.which(name) or "" for name in _HERE}},
            modules=modules == "0",
            venv=None,
            conda=None,
            gpus=(),
            scratch=scratch or None,
        )

    def cluster(self) -> ClusterFacts | None:
        """Return what the cluster says of itself there; None where its programs are not there."""
        reached = self._host.user()
        if reached.code:
            return ClusterFacts(fault=reached.err)
        present = self._host.run(("sh", "-c", "command -v scontrol && command -v sinfo"))
        name = self._host.run(("id", "-un")).out.strip()
        return None if present.code else read_cluster(self._ask, user=name)

    def login(self, remote: Remote | None, *, folder: str) -> LoginFacts | None:
        """Return what is found of the login host, and undo what was tried."""
        host = self._host
        reached = host.user()
        if reached.code:
            return LoginFacts(host=host.place, fault=reached.err, hint=refusal(reached, "no answer").hint)
        found = LoginFacts(
            host=host.place,
            chatter=host.ssh.say("", seconds=_PATIENCE).out.decode("utf-8", "replace").strip(),
            rsync_here=_version_here(),
            rsync_there=_version(host.run(("rsync", "--version"))),
            skew=self._skew(),
        )
        if remote is None:
            return found.model_copy(update={"shared": self._shares(Path(folder))})
        there = host.run(("sh", "-c", 'test -d "$0" && test -w "$0"', remote.dir)).code == 0
        package = _version(host.run((remote.program, "--version"))) or None
        return found.model_copy(update={"folder": remote.dir, "writable": there, "package": package})

    def run_script(self, text: str, *, fresh: bool, seconds: float) -> ScriptAnswer:
        """Run a job script of ours under `bash` there, with what a login there has: nothing is activated in it."""
        return _plain(self._host.run(("bash", "-c", text), seconds=seconds))

    def _ask(self, *words: str) -> ScriptAnswer:
        return _plain(self._host.run(words, extra={"LC_ALL": "C"}, seconds=_PATIENCE))

    def _skew(self) -> float | None:
        before = time.time()
        told = self._host.run(("date", "+%s.%N")).out.strip()
        between = (before + time.time()) / 2
        return float(told) - between if re.fullmatch(r"\d+\.\d+", told) else None

    def _shares(self, folder: Path) -> bool:
        word = secrets.token_hex(16)
        probe = folder / f".ck-probe-{word[:8]}"
        try:
            probe.write_text(word, encoding="utf-8")
            return self._host.run(("cat", str(probe))).out == word
        except OSError:
            return False
        finally:
            probe.unlink(missing_ok=True)


def _plain(answer: Answer) -> ScriptAnswer:
    return ScriptAnswer(code=answer.code, output=answer.out, errors=answer.err[-_TAIL:])


def _version(answer: Answer) -> str:
    found = _VERSION.search(answer.out) if answer.code == 0 else None
    return found[0] if found else ""


def _version_here() -> str:
    try:
        told = subprocess.run(("rsync", "--version"), capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _version(Answer(told.returncode, told.stdout.decode("utf-8", "replace")))
