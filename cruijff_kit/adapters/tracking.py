"""Weights & Biases: offline runs on disk, sent by its own command with its own credentials."""

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from cruijff_kit.errors import SiteError

__all__ = ["WandbRuns"]

_LATEST = "latest-run"
_OFFLINE = frozenset({"offline", "dryrun", "disabled"})


class WandbRuns:
    """Keeps the promises of the port with `wandb sync`."""

    def size(self, folder: str) -> int | None:
        """Return the bytes of the run that lies in a `logs/wandb` folder; None where there is none."""
        run = Path(folder) / _LATEST
        if not run.is_dir():
            return None
        return sum(file.stat().st_size for file in run.resolve().rglob("*") if file.is_file())

    def upload(self, folders: Sequence[str]) -> None:
        """Send the runs of these folders; what was sent whole before is left alone.

        Raises:
            SiteError: `wandb` is not installed, is set offline, or could not send.
        """
        mode = os.environ.get("WANDB_MODE", "")
        if mode in _OFFLINE:
            raise SiteError(f"`WANDB_MODE` is `{mode}`: nothing is sent", hint="unset WANDB_MODE, then sync again")
        if find_spec("wandb") is None:
            hint = "pip install 'cruijff-kit[tracking]'"
            raise SiteError("sending runs needs `wandb`, which is not installed", hint=hint)
        runs = [str((Path(folder) / _LATEST).resolve()) for folder in folders]
        if not runs:
            return
        # Credentials, address and proxy are that library's business: they come from its own files and variables.
        command = [sys.executable, "-m", "wandb", "sync", "--yes", *runs]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        if done.returncode:
            last = said[-1].removeprefix("Error: ") if said else f"exit code {done.returncode}"
            raise SiteError(f"`wandb sync` failed: {last}", hint="`wandb login` once, or see `wandb status`")
