"""Slurm's own commands: how they are called, and what they answered."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from cruijff_kit.adapters.file_lock import held
from cruijff_kit.adapters.job_env import clean_environment

__all__ = [
    "ABSENT",
    "KEPT",
    "NOWHERE",
    "PATIENCE",
    "PLAIN",
    "SILENT",
    "Answer",
    "CommandsHere",
    "SlurmCommands",
    "listed",
]

ABSENT = 127
"""Code of an answer where the command is not installed."""
SILENT = 124
"""Code of an answer that did not come in time."""
NOWHERE = 1_001
"""Code of an answer where the directory to run in is not there; no process ends with it."""
PATIENCE = 90.0
"""Seconds: the commands themselves wait some ten for a controller that is down, and longer for a busy one."""
PLAIN: Mapping[str, str] = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
"""What has a command answer in plain English, moments as seconds since 1970, ranges written out."""
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER")
"""Variables that say which Slurm there is."""

# What a user sets to have listings look otherwise, and what a job hands to those it submits.
_MEDDLING = ("SLURM_", "SQUEUE_", "SACCT_", "SBATCH_", "SCANCEL_", "SCONTROL_")


class Answer(NamedTuple):
    """What became of one command."""

    code: int
    """Its exit code, or `ABSENT`, `SILENT` or `NOWHERE`."""
    out: str = ""
    """What it printed."""
    err: str = ""
    """What it complained of."""


class SlurmCommands(Protocol):
    """Runs Slurm's commands where they are: here, or on a login host."""

    place: str
    """Where that is, as a user would say it; empty for here."""

    def user(self) -> Answer:
        """Return the number that this user has there, or why it is not known."""
        ...

    def ask(self, *command: str) -> Answer:
        """Run a command that reads."""
        ...

    def order(self, *command: str, folder: str | None = None) -> Answer:
        """Run a command that changes something; not at all where a directory is named that is not there."""
        ...


class CommandsHere:
    """The commands of this machine."""

    place = ""

    def user(self) -> Answer:
        """Return this process's user."""
        return Answer(0, str(os.geteuid()))

    def ask(self, *command: str) -> Answer:
        """Run a command that reads: in plain English, moments as seconds since 1970, ranges written out."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(_MEDDLING)}
        return _run(command, {**mine, **_where_slurm_is(), **PLAIN})

    def order(self, *command: str, folder: str | None = None) -> Answer:
        """Run a command that changes something.

        A job inherits the environment of the `sbatch` that submitted it, so this one sees
        an allowlist: no keys and tokens, and nothing that would override the script.
        """
        if folder is not None and not Path(folder).is_dir():
            return Answer(NOWHERE, err=f"`{folder}` is no directory")
        environment = {**clean_environment(os.environ), **_where_slurm_is(), "LC_MESSAGES": "C"}
        # It goes on when this process is killed: until it has ended nobody else may submit.
        return _run(command, environment, keeping=held())


def listed(answer: Answer, is_list: Callable[[str], bool]) -> Answer:
    """Return an answer that is a list, or silence in its place: whoever ends well and says nothing has not answered.

    A wrapper that is out of order, or talks of something else, would otherwise be heard as an empty queue.
    """
    if answer.code or is_list(answer.out):
        return answer
    said = next((line.strip() for line in answer.out.splitlines() if line.strip()), "")
    return Answer(SILENT, err=f"printed {said[:80]!r} instead of a list of jobs")


def _where_slurm_is() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ}


def _run(command: tuple[str, ...], environment: Mapping[str, str], *, keeping: tuple[int, ...] = ()) -> Answer:
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            check=False,
            pass_fds=keeping,
        )
    except FileNotFoundError:
        return Answer(ABSENT, err=f"{command[0]} is not on the PATH")
    except subprocess.TimeoutExpired:
        return Answer(SILENT, err=f"{command[0]} gave no answer within {PATIENCE:g} seconds")
    except OSError as err:
        return Answer(ABSENT, err=f"{command[0]} cannot be run: {err.strerror}")
    return Answer(done.returncode, done.stdout, done.stderr)
