"""`make test` runs the tests on a real Slurm where there is one, and says loudly where it did not."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for the interpreter of `.venv`: notes what it is to run and ends as it is told.
PYTHON = """\
#!/bin/sh
echo "$@" >> "{calls}"
case "$*" in *"cluster check"*) exit {check};; *mlx_here*|*browser.chromium*) exit 1;; *) exit {tests};; esac
"""
BROKEN = """\
#!/bin/sh
case "$*" in "-m venv"*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit 1;; esac
"""
"""A Python that lacks what makes environments, and leaves half of one."""
DONE = ("ahead", "pytest", "latest", ".venv/.ready")


def run_make(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run make as from a terminal: this test itself may run below one, with words of its own for those below it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ("make", "--silent", *words)
    return subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, encoding="utf-8", check=False)


def make(target: str, folder: Path, *, check: int, tests: int) -> tuple[int, str, str]:
    """Run a target whose other parts count as done; return its code, what ran, and what it complained of."""
    calls, python = folder / "calls", folder / "python"
    python.write_text(PYTHON.format(calls=calls, check=check, tests=tests), encoding="utf-8")
    python.chmod(0o755)
    skipped = [word for name in DONE for word in ("-o", name)]
    done = run_make(target, f"BIN={folder}", *skipped)
    return done.returncode, calls.read_text(encoding="utf-8"), done.stderr


@pytest.mark.parametrize("target", ("test", "test-slurm"))
@pytest.mark.parametrize("fails", (0, 1))
def test_where_a_slurm_is_its_tests_run_and_decide(target: str, fails: int, tmp_path: Path) -> None:
    code, ran, complaint = make(target, tmp_path, check=0, tests=fails)
    assert "slurm and not soak" in ran
    assert bool(code) is bool(fails)
    assert "NOT RUN: the tests on a real Slurm" not in complaint
    assert ("NOT RUN: the tests of MLX" in complaint) is (target == "test")
    assert ("NOT RUN: the pages in a real browser" in complaint) is (target == "test")


def test_where_none_is_everything_else_decides_and_what_was_not_run_is_said_last(tmp_path: Path) -> None:
    code, ran, complaint = make("test", tmp_path, check=1, tests=0)
    assert (code, ran) == (
        0,
        "-m tests.mlx_here\n-m tests.browser.chromium --install\n-m tests.slurm.cluster check --install\n",
    )
    assert "NOT RUN: the tests on a real Slurm" in complaint
    assert "make test-slurm" in complaint.splitlines()[-2]


def test_whoever_asks_for_the_tests_on_slurm_alone_is_told_by_a_failure(tmp_path: Path) -> None:
    code, ran, _ = make("test-slurm", tmp_path, check=1, tests=0)
    assert code
    assert "slurm and not soak" not in ran


@pytest.mark.parametrize("target", ("setup", "latest", "mlx"))
def test_every_environment_asks_for_a_python_that_is_new_enough_before_anything_is_made(
    target: str, tmp_path: Path
) -> None:
    places = (f"READY={tmp_path}/venv/.ready", f"LATEST={tmp_path}/latest", f"MLX={tmp_path}/mlx")
    done = run_make(target, "PYTHON=", *places)
    assert done.returncode
    assert f"hint: install one, then run: make {target} PYTHON=/path/to/python3.12" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_environment_that_cannot_be_made_is_tried_anew_and_costs_nobody_a_file(tmp_path: Path) -> None:
    python, place = tmp_path / "python", tmp_path / "environments"
    python.write_text(BROKEN, encoding="utf-8")
    python.chmod(0o755)
    place.mkdir()
    (place / "mine").write_text("kept", encoding="utf-8")
    for _ in range(2):
        done = run_make("mlx", f"PYTHON={python}", f"MLX={place}", f"READY={tmp_path}/venv/.ready")
        assert done.returncode
        assert "apt install python3-venv" in done.stdout
    assert (place / "mine").read_text(encoding="utf-8") == "kept"
    assert not (place / "bin" / "python").exists()


def test_without_claude_code_its_tests_fail_and_say_how_to_get_it(tmp_path: Path) -> None:
    done = run_make("claude", f"CLAUDE={tmp_path}/none", f"BIN={tmp_path}", "-o", ".venv/.ready")
    assert done.returncode
    assert f"no Claude Code at {tmp_path}/none" in done.stdout
    assert "@anthropic-ai/claude-code@2.1.329" in done.stdout
