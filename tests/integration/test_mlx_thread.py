"""A process that had MLX compute in another thread ends as its work did."""

import subprocess
import sys

import pytest

from cruijff_kit.runtime.mlx_thread import MlxThread

COMPUTES = """
import mlx.core as mx
from cruijff_kit.runtime.mlx_thread import MlxThread

def product():
    square = mx.random.normal((64, 64))
    for _ in range(5):
        square = square @ square
    mx.eval(square)
    return square.shape

thread = MlxThread()
print(thread.run(product))
"""


def test_no_process_is_aborted_once_its_work_is_done() -> None:
    # A pool's thread was torn down with its streams in it: about every fifteenth process was aborted, more under load.
    for _ in range(40):
        done = subprocess.run([sys.executable, "-c", COMPUTES], check=False, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stdout) == (0, "(64, 64)\n"), done.stderr


def test_calls_are_answered_in_turn_and_what_they_raise_reaches_who_asked() -> None:
    thread, seen = MlxThread(), []
    for number in range(3):
        thread.run(lambda number=number: seen.append(number))
    assert seen == [0, 1, 2]
    with pytest.raises(KeyError, match="nothing"):
        thread.run(lambda: {}["nothing"])
    assert thread.run(lambda: 7) == 7
