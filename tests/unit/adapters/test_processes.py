"""Processes are known again by their start, not by their number alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cruijff_kit.adapters.processes import boot_id, children, family, send_signal

TWO_SESSIONS = """
import os, sys, time
read, write = os.pipe()
if not os.fork():
    os.setsid()
    os.write(write, b"x")
    time.sleep(1000)
os.read(read, 1)
print("up", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def leader() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", TWO_SESSIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", start_new_session=True) as process:
        assert process.stdout
        process.stdout.readline()
        members = family(process.pid)
        yield process
        send_signal(signal.SIGKILL, to=members)


def test_a_family_holds_children_that_left_the_session(leader: subprocess.Popen[str]) -> None:
    (child,) = children(leader.pid)
    assert set(family(leader.pid)) == {leader.pid, child}
    assert os.getsid(child) == child


def test_a_signal_reaches_the_process_that_was_meant(leader: subprocess.Popen[str]) -> None:
    send_signal(signal.SIGTERM, to={leader.pid: family(leader.pid)[leader.pid]})
    assert leader.wait() == -signal.SIGTERM


def test_a_process_that_took_over_a_number_is_left_alone(leader: subprocess.Popen[str]) -> None:
    another = family(leader.pid)[leader.pid]._replace(started="some other moment")
    send_signal(signal.SIGTERM, to={leader.pid: another})
    send_signal(signal.SIGUSR1, to=[leader.pid])
    assert leader.wait() == -signal.SIGUSR1


def test_a_signal_to_a_process_that_is_gone_is_no_error(leader: subprocess.Popen[str]) -> None:
    members = family(leader.pid)
    send_signal(signal.SIGKILL, to=members)
    leader.wait()
    send_signal(signal.SIGKILL, to=[leader.pid])
    send_signal(signal.SIGKILL, to=members)
    assert leader.pid not in family(leader.pid)


def test_a_start_of_the_machine_has_one_name() -> None:
    assert boot_id()
    again = subprocess.run(
        [sys.executable, "-c", "from cruijff_kit.adapters.processes import boot_id; print(boot_id())"],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert again.stdout.strip() == boot_id()
