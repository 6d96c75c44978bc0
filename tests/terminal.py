"""A terminal of one's own: a command asks there, and is typed an answer."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["at_terminal"]


def at_terminal(
    words: Sequence[str],
    *,
    typed: str,
    once: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command at a terminal, type an answer to its question, and return exit code and screen.

    Args:
        words: the command.
        typed: the answer.
        once: what stands on the screen before it is typed; without it the terminal keeps what is typed ahead.
        folder: where the command runs; here where none is named.
        environment: its variables; those of this process where none are named.
    """
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    screen = b""
    while once.encode() not in screen:
        screen += os.read(ours, 4096)
    os.write(ours, typed.encode() + b"\n")
    try:
        while more := os.read(ours, 4096):
            screen += more
    except OSError:
        pass  # Linux tells the end of a terminal by an error.
    os.close(ours)
    return child.wait(), screen.decode(errors="replace").replace("\r\n", "\n")
