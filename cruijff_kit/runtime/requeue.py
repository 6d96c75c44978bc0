"""Queued again: how a job that made its checkpoint asks its scheduler for another turn.

The embedded queue names a file in the job's environment; a job that leaves it there is
queued again under its own id. Slurm is asked with `scontrol requeue`, which ends the job
at once: so this is the last thing a job does. Whoever asks has done at least one step
since it was started, so a training that gets nowhere does not ask for ever.
"""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["MOST_RESTARTS", "REQUEUE_FILE", "own_job_id", "queue_again"]

REQUEUE_FILE = "CRUIJFF_REQUEUE"
"""Variable in which the embedded queue names the file that asks for another turn."""

MOST_RESTARTS = 100
"""Turns after which a job is not queued again: its time limit is too short for its work."""

_PATIENCE = 60.0


def own_job_id() -> str:
    """Return the scheduler's id of this job, `<array>_<index>` in an array; empty outside a scheduler.

    An element of an array has a number of its own too, but the last one's is the array's:
    whoever asked for that one would be given all of them.
    """
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID", "")


def queue_again() -> bool:
    """Ask the scheduler of this job to queue it again; return whether it was asked, and tell on stderr."""
    marker, job_id = os.environ.get(REQUEUE_FILE), own_job_id()
    if marker:
        Path(marker).touch()
        return _told(True, "a checkpoint was made; the queue is asked for another turn")
    if not job_id:
        return _told(False, "a checkpoint was made; start the job again to continue")
    turns = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    if turns >= MOST_RESTARTS:
        return _told(False, f"a checkpoint was made; after {turns} turns raise `resources.time`, and submit again")
    return _requeue(job_id)


def _requeue(job_id: str) -> bool:
    sys.stderr.write(f"a checkpoint was made; `scontrol requeue {job_id}`\n")
    sys.stderr.flush()
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job_id], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return _told(False, f"Slurm could not be asked for another turn: {err}; submit the run again to continue")
    # Slurm ends the job at once, and now and then this child before it could say so.
    if done.returncode > 0:
        return _told(False, f"Slurm gave no other turn: {done.stderr.strip()}; submit the run again to continue")
    return True


def _told(asked: bool, text: str) -> bool:
    sys.stderr.write(f"{text}\n")
    return asked
