"""A terminal of one's own: a command asks there, and is typed an answer."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["at_terminal"]


def at_terminal(words: Sequence[str], *, typed: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command at a terminal, type an answer to its question, and return exit code and screen."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    # It is read when it is asked for: a terminal keeps what is typed ahead.
    os.write(ours, typed.encode() + b"\n")
    screen = b""
    try:
        while more := os.read(ours, 4096):
            screen += more
    except OSError:
        pass  # Linux tells the end of a terminal by an error.
    os.close(ours)
    return child.wait(), screen.decode(errors="replace").replace("\r\n", "\n")
