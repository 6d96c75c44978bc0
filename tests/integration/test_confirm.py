"""What costs is asked at a terminal and needs the typed word; nothing else lets it through."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cruijff_kit.workflow.cancel import preview_cancel
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at
from tests.terminal import at_terminal

OWN, PROJECT = "own", "project"


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Return a scaffolded experiment with nothing submitted."""
    root = tmp_path / "parity"
    put_design(root, design())
    scaffold_runs(world=world_at(root))
    return root


def command(experiment: Path, *arguments: str) -> list[str]:
    """Return a command that asks before it acts."""
    return [
        sys.executable,
        "-m",
        "cruijff_kit.cli.main",
        "-C",
        str(experiment),
        "cancel",
        "--reason",
        "test",
        *arguments,
    ]


def typed(experiment: Path, answer: str) -> tuple[int, str]:
    """Run the command at a terminal, type an answer, and return exit code and screen."""
    return at_terminal(command(experiment), typed=answer, once="to go on")


def test_the_typed_word_lets_it_through(experiment: Path) -> None:
    code, screen = typed(experiment, "cancel")
    assert code == 0
    assert preview_cancel(world=world_at(experiment)).question in " ".join(screen.split())
    assert "asked 0 jobs to stop; 9 runs had none" in screen


def test_a_run_that_nobody_knows_is_told_before_anything_is_asked(experiment: Path) -> None:
    done = subprocess.run(command(experiment, "rank99"), capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "no run is called `rank99`" in done.stderr


@pytest.mark.parametrize("answer", ("", "y", "yes", "CANCEL", "submit"))
def test_any_other_answer_does_nothing(experiment: Path, answer: str) -> None:
    code, screen = typed(experiment, answer)
    assert code == 3
    assert "not confirmed; nothing was done" in screen


def test_without_a_terminal_nobody_is_taken_to_have_agreed(experiment: Path) -> None:
    done = subprocess.run(command(experiment), input="cancel\n", capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "there is no terminal" in done.stderr


@pytest.mark.parametrize("place, code", ((None, 3), (PROJECT, 2), (OWN, 0)))
def test_yes_counts_only_where_the_users_own_file_allows_it(experiment: Path, place: str | None, code: int) -> None:
    own = Path(os.environ["XDG_CONFIG_HOME"]) / "cruijff-kit"
    folder = {OWN: own, PROJECT: experiment.parent}.get(place or "")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "site.yaml").write_text("allow_unattended: true\n", encoding="utf-8")
    done = subprocess.run(command(experiment, "--yes"), capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
