"""The launcher of several processes: how it ends tells how they did, and a second signal does not hurry it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

LAUNCHER = (sys.executable, "-m", "cruijff_kit.runtime.launcher", "--standalone", "--nproc-per-node")
SIGNALS = ("--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1")
# It is told to end, has its launcher told again, and takes its time for a last file.
SLOW = """
import os, signal, sys, threading
told = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: told.set())
os.kill(os.getppid(), signal.SIGUSR1)
while not told.wait(0.05):
    pass
os.kill(os.getppid(), signal.SIGTERM)
threading.Event().wait(1.5)
open("saved", "x").close()
sys.exit(138)
"""

# All stop at one step; the first process has its last words to say.
TOGETHER = """
import os, sys, threading
from pathlib import Path
from types import SimpleNamespace
from cruijff_kit.runtime.job_files import Stopped
from cruijff_kit.runtime.process_group import join_processes
try:
    with join_processes(SimpleNamespace(device="cpu", run_id="r-1")) as ranks:
        if ranks.main:
            threading.Event().wait(1.5)
            Path("said").touch()
        raise Stopped(10)
except Stopped as stop:
    Path(f"left_{os.environ['RANK']}_{Path('said').exists()}").touch()
    sys.exit(stop.exit_code)
"""


def launched(program: str, folder: Path, *, processes: int = 1) -> subprocess.CompletedProcess[str]:
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    command = (*LAUNCHER, str(processes), *SIGNALS, str(script))
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=120)


@pytest.mark.parametrize(
    "program,code,words",
    (
        ("import sys; sys.exit(75)", 75, "ended with exit code 75"),
        ("import os; os.kill(os.getpid(), 9)", 137, "was killed by SIGKILL"),
        ("print('done')", 0, ""),
    ),
)
def test_it_ends_as_its_process_did_and_says_so_last(program: str, code: int, words: str, tmp_path: Path) -> None:
    done = launched(program, tmp_path)
    assert done.returncode == code, done.stderr
    assert words in "".join(done.stderr.splitlines()[-1:])
    assert "Traceback" not in done.stderr


def test_a_second_signal_does_not_end_it_before_its_processes(tmp_path: Path) -> None:
    done = launched(SLOW, tmp_path)
    assert (tmp_path / "saved").exists(), done.stderr
    assert done.returncode == 128 + signal.SIGUSR1


def test_processes_that_stop_leave_no_sooner_than_the_first_has_said_its_last_words(tmp_path: Path) -> None:
    done = launched(TOGETHER, tmp_path, processes=2)
    assert done.returncode == 128 + signal.SIGUSR1, done.stderr
    assert sorted(path.name for path in tmp_path.glob("left_*")) == ["left_0_True", "left_1_True"]
