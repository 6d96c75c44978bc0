"""The proof for Macs works: on the CPU its figures hold, and where there is no Metal it proves nothing."""

# pyright: reportMissingImports=false
# MLX has an environment of its own, beside the one that types are checked in.

import subprocess
import sys
from pathlib import Path

import mlx.core as mx

ROOT = Path(__file__).parents[2]


def proof(*words: str) -> tuple[int, str]:
    command = (sys.executable, "-m", "tests.metal_proof", *words)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout


def test_on_the_cpu_every_figure_holds_and_nothing_is_claimed_of_metal() -> None:
    code, told = proof("--on", "cpu")
    assert code == 0, told
    assert told.count("holds ") == 27
    assert told.splitlines()[-1].startswith("tried on the CPU")


def test_without_metal_it_fails_and_with_it_it_holds() -> None:
    code, told = proof()
    assert (code == 0) == mx.metal.is_available(), told
    assert mx.metal.is_available() or "nothing was proved" in told
