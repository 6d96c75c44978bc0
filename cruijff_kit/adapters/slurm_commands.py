"""Slurm's own commands: how they are called, and what they answered."""

import os
import subprocess
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cruijff_kit.adapters.file_lock import held
from cruijff_kit.adapters.job_env import clean_environment

__all__ = ["ABSENT", "SILENT", "Answer", "ask", "listed", "order"]

ABSENT = 127
"""Code of an answer where the command is not installed."""
SILENT = 124
"""Code of an answer that did not come in time."""

# The commands themselves wait some ten seconds for a controller that is down, and longer for a busy one.
_PATIENCE = 90.0
# What a user sets to have listings look otherwise, and what a job hands to those it submits.
_MEDDLING = ("SLURM_", "SQUEUE_", "SACCT_", "SBATCH_", "SCANCEL_", "SCONTROL_")
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER")


class Answer(NamedTuple):
    """What became of one command."""

    code: int
    """Its exit code, or `ABSENT` or `SILENT`."""
    out: str = ""
    """What it printed."""
    err: str = ""
    """What it complained of."""


def ask(*command: str) -> Answer:
    """Run a command that reads: in plain English, moments as seconds since 1970, ranges written out."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(_MEDDLING)}
    plain = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
    return _run(command, {**mine, **_where_slurm_is(), **plain})


def order(*command: str) -> Answer:
    """Run a command that changes something.

    A job inherits the environment of the `sbatch` that submitted it, so this one sees
    an allowlist: no keys and tokens, and nothing that would override the script.
    """
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
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def _run(command: tuple[str, ...], environment: Mapping[str, str], *, keeping: tuple[int, ...] = ()) -> Answer:
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE,
            check=False,
            pass_fds=keeping,
        )
    except FileNotFoundError:
        return Answer(ABSENT, err=f"{command[0]} is not on the PATH")
    except subprocess.TimeoutExpired:
        return Answer(SILENT, err=f"{command[0]} gave no answer within {_PATIENCE:g} seconds")
    except OSError as err:
        return Answer(ABSENT, err=f"{command[0]} cannot be run: {err.strerror}")
    return Answer(done.returncode, done.stdout, done.stderr)
