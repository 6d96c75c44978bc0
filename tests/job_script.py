"""A job's script, run as a scheduler would run it."""

import os
import subprocess
from pathlib import Path

__all__ = ["run_script"]


def run_script(path: Path) -> None:
    """Run a script to its end, which must be a good one."""
    done = subprocess.run(
        ["bash", str(path)],
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
