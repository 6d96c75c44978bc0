"""Pages served by the command itself, in a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping

__all__ = ["serving"]


@contextlib.contextmanager
def serving(*words: str, state: Mapping[str, str]) -> Iterator[str]:
    """Run `ck` with these words on any free port, yield the address of its pages, and have it end whole.

    Args:
        words: arguments of `ck`, `ui` among them.
        state: variables that say where it keeps its state.
    """
    command = [sys.executable, "-m", "cruijff_kit.cli.main", *words, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **state}, encoding="utf-8") as server:
        assert server.stdout is not None
        try:
            said = server.stdout.readline()
            found = re.match(r"pages at (http://127\.0\.0\.1:\d+);", said)
            assert found, said
            yield found[1]
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
