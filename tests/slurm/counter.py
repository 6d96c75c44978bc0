"""What a test's scheduler asks of a cluster: every command that it calls."""

import shutil
from pathlib import Path

__all__ = ["Counter"]

_COUNTED = '#!/bin/sh\necho "${0##*/}" >> "%s"\nexec %s "$@"\n'


class Counter:
    """Stands before Slurm's commands, notes each call, and hands it on; put its `folder` first on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.notes = folder / "counted", folder / "calls.txt"
        self.folder.mkdir()
        for name in ("squeue", "sacct", "scontrol", "sbatch", "scancel"):
            command = self.folder / name
            command.write_text(_COUNTED % (self.notes, shutil.which(name)), encoding="utf-8")
            command.chmod(0o755)

    def calls(self) -> list[str]:
        """Return the commands called since the last look."""
        called = self.notes.read_text(encoding="utf-8").split() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return called
