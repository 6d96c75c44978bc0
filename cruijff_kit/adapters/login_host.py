"""A login host: commands run on it as if they were here, in the environment that a login there has."""

import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.adapters.job_env import clean_environment
from cruijff_kit.adapters.slurm_commands import ABSENT, KEPT, NOWHERE, PATIENCE, PLAIN, SILENT, Answer
from cruijff_kit.adapters.ssh import Spoken, Ssh

__all__ = ["UNREACHED", "LoginHost"]

UNREACHED = 1_002
"""Code of an answer where the host was not reached, or the connection broke before the command had ended."""

_SLACK = 30.0
"""Seconds that a connection may take besides the command."""
_CHATTER = re.compile(r"^(?:Warning: Permanently added|\*\* )")
"""What ssh says of a connection beside what is wrong with it."""


class _Greeting(NamedTuple):
    """What a host said of itself first."""

    user: str
    """Number of the user there."""
    environment: Mapping[str, str]
    """What a login there has, as far as a job may see it."""


class LoginHost:
    """The `SlurmCommands` of a login host, and whatever else is run there."""

    def __init__(self, host: str) -> None:
        """Keep how to reach it; nothing is connected yet."""
        self.place = host
        self.ssh = Ssh(host)
        self._greeting: _Greeting | None = None

    def user(self) -> Answer:
        """Return the number that this user has there."""
        greeting = self._greet()
        return greeting if isinstance(greeting, Answer) else Answer(0, greeting.user)

    def ask(self, *command: str) -> Answer:
        """Run a command that reads: in plain English, moments as seconds since 1970, ranges written out."""
        return self.run(command, extra=PLAIN)

    def order(self, *command: str, folder: str | None = None) -> Answer:
        """Run a command that changes something, if the folder is there; keys and tokens of nobody are passed on."""
        return self.run(command, extra={"LC_MESSAGES": "C"}, folder=folder)

    def run(
        self,
        command: Sequence[str],
        *,
        extra: Mapping[str, str] | None = None,
        folder: str | None = None,
        seconds: float = PATIENCE,
    ) -> Answer:
        """Run a command there and return what became of it.

        Args:
            command: program and arguments; none of them reaches a shell unquoted.
            extra: variables besides those of a login there.
            folder: directory that must be there; the command runs in it.
            seconds: how long it may take.
        """
        script = self.script(command, extra=extra, folder=folder)
        if isinstance(script, Answer):
            return script
        answer = self._told(script, what=command[0], seconds=seconds)
        return answer._replace(out=answer.out.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

    def script(
        self, command: Sequence[str], *, extra: Mapping[str, str] | None = None, folder: str | None = None
    ) -> str | Answer:
        """Return the lines that run a command there, or the answer of a host that was not reached."""
        greeting = self._greet()
        if isinstance(greeting, Answer):
            return greeting
        given = {**greeting.environment, **(extra or {})}
        words = ["env", "-i", *(f"{name}={value}" for name, value in given.items()), *command]
        path = shlex.quote(given.get("PATH", "/usr/bin:/bin"))
        found = f"(PATH={path}; command -v {shlex.quote(command[0])} >/dev/null)"
        enter = "" if folder is None else f"cd -- {shlex.quote(folder)} 2>/dev/null || code={NOWHERE}\n"
        return (
            f"code=0\n{enter}"
            f"if test $code = 0; then {found} || code={ABSENT}; fi\n"
            f"if test $code = 0; then {shlex.join(words)}; code=$?; fi"
        )

    def _greet(self) -> _Greeting | Answer:
        """Return what a login there has, asked once; profiles may print, so only what follows our own word counts."""
        if self._greeting is not None:
            return self._greeting
        inner = "printf '\\n%s\\n' \"$0\"; exec env -0"
        mark = secrets.token_hex(16)
        script = f'id -u\nshell=$(command -v bash || echo /bin/sh)\n"$shell" -lc {shlex.quote(inner)} {mark}\ncode=$?'
        answer = self._told(script, what="env", seconds=PATIENCE)
        if answer.code in (SILENT, UNREACHED):
            return answer
        user, _, rest = answer.out.partition("\n")
        _, reached, listed = rest.partition(f"\n{mark}\n")
        if not reached:
            return Answer(1, err=f"a login on {self.place} ends in its own start-up files, before any command is run")
        entries = (entry.partition("=") for entry in listed.split("\0"))
        told = {name: value for name, separator, value in entries if separator}
        kept = {name: told[name] for name in KEPT if name in told}
        self._greeting = _Greeting(user.strip(), {**clean_environment(told), **kept})
        return self._greeting

    def _told(self, script: str, *, what: str, seconds: float) -> Answer:
        """Run lines that leave a `code`, and return what they printed between two words of our own."""
        mark = secrets.token_hex(16)
        begin = f"exec </dev/null\nprintf '%s\\n' {mark}\nprintf '%s\\n' {mark} >&2"
        framed = f"{begin}\n{script}\nprintf '\\n%s %s' {mark} \"$code\""
        spoken = self.ssh.say(framed, seconds=seconds + _SLACK)
        text = spoken.out.decode("utf-8", "surrogateescape")
        _, begun, rest = text.partition(f"{mark}\n")
        out, ended, code = rest.rpartition(f"\n{mark} ")
        if not begun or not ended or not code.isdigit():
            return self._unheard(spoken, what=what, begun=bool(begun), seconds=seconds)
        errors = spoken.err.decode("utf-8", "replace").partition(f"{mark}\n")[2]
        if int(code) == ABSENT and not errors:
            errors = f"{what} is not on the PATH of {self.place}"
        if int(code) == NOWHERE:
            errors = "no such directory"
        return Answer(int(code), out, errors)

    def _unheard(self, spoken: Spoken, *, what: str, begun: bool, seconds: float) -> Answer:
        """Return what is to be said where a command did not end in our sight: never that it failed."""
        if spoken.code is None:
            return Answer(SILENT, err=f"{what} on {self.place}: no answer within {seconds + _SLACK:g} seconds")
        # Of a command that began, what was printed is its own and tells nothing of the connection.
        said = [] if begun else _lines(spoken.err) or _lines(spoken.out)
        broke = f"the connection broke while {what} was at work" if begun else ""
        told = broke or "; ".join(dict.fromkeys(said[-3:])) or f"the connection ended with code {spoken.code}"
        return Answer(UNREACHED, err=f"{self.place} cannot be reached by ssh: {told}")


def _lines(said: bytes) -> list[str]:
    """Return the lines that tell what is wrong with a connection."""
    lines = (line.strip() for line in said.decode("utf-8", "replace").splitlines())
    return [line for line in lines if line and not _CHATTER.match(line)]
