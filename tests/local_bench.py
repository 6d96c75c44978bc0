"""A real local queue in a test's own folder, with jobs that wait at a gate."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cruijff_kit.adapters.doorbell import hold_lock
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.adapters.processes import family, send_signal
from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.job import JobReport, JobRequest, JobState
from cruijff_kit.schema.site import Caps, Site

__all__ = ["GATED", "LocalBench", "local_bench", "until"]

GATED = 'read -r word < "$GATE"; case $word in -*) kill "$word" $$ ;; *) exit "$word" ;; esac\n'
"""Body of a job that waits for its test: to exit with a code, or to die of a signal."""

_PATIENCE = 60.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that a process outside brings about."""
    end, tick = time.monotonic() + _PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        tick.wait(0.005)


class LocalBench:
    """A queue, a folder for scripts and output, and a hand on its processes."""

    def __init__(self, folder: Path, *, slots: int = 2, gpus: Sequence[str] = ()) -> None:
        self.folder = folder
        self.root = folder / "queue"
        self._slots, self._gpus = slots, gpus
        self.scheduler: Scheduler = self.another()
        self._gates: dict[str, Path] = {}
        self._knocked: dict[str, int] = {}

    def another(self, slots: int | None = None) -> LocalScheduler:
        """Return a scheduler on the same queue, as another process would have."""
        site = Site(caps=Caps(max_concurrent=slots or self._slots))
        return LocalScheduler(self.root, site=site, gpus=self._gpus, grace=0.3, linger=0.5)

    # --- jobs ---

    def request(self, tag: str, after_ok: Sequence[str] = (), *, body: str | None = None, head: str = "") -> JobRequest:
        """Write a script and return the request for it; without a body it waits at its gate."""
        gate = self.folder / f"{tag}.gate"
        script = self.folder / f"{tag}.slurm"
        if body is None:
            os.mkfifo(gate)
            body = f"GATE={_quoted(gate)}\n{GATED}"
        script.write_text(f"#!/bin/sh\n{head}\n{body}\n", encoding="utf-8")
        return JobRequest(script=str(script), tag=tag, name=tag, chdir=str(self.folder), after_ok=tuple(after_ok))

    def submit(self, tag: str, after_ok: Sequence[str] = (), *, body: str | None = None, head: str = "") -> str:
        """Submit a new script."""
        job_id = self.scheduler.submit(self.request(tag, after_ok, body=body, head=head))
        self._gates[job_id] = self.folder / f"{tag}.gate"
        return job_id

    def submit_script(self, script: Path) -> str:
        """Submit a script that is there, to run where it lies."""
        request = JobRequest(script=str(script), tag=script.stem, name=script.stem, chdir=str(script.parent))
        job_id = self.scheduler.submit(request)
        self._gates[job_id] = script.with_suffix(".gate")
        return job_id

    def start(self, job_id: str) -> None:
        """Wait until a job waits at its gate."""
        self._knock(job_id)

    def finish(self, job_id: str, code: int = 0, *, signal: int | None = None) -> None:
        """Let a job through its gate, once it is there, and wait for its end."""
        os.write(self._knock(job_id), f"{code if signal is None else -signal}\n".encode())
        self.ended(job_id)

    def lose(self, job_id: str) -> None:
        """Kill all processes of a job behind the scheduler's back."""
        send_signal(signal.SIGKILL, to=family(self.leader(job_id)))
        self.ended(job_id)

    def leader(self, job_id: str) -> int:
        """Return the number of the job's session, once it has one."""
        claim = self.root / "jobs" / job_id / "claim"
        until(lambda: claim.exists() and claim.read_text(encoding="ascii").strip(), f"claim of {job_id}")
        return int(claim.read_text(encoding="ascii"))

    def report(self, job_id: str) -> JobReport:
        """Return what is known of one job."""
        return self.scheduler.reports([job_id])[job_id]

    def ended(self, *job_ids: str) -> list[JobReport]:
        """Wait for the end of jobs, and return how they ended."""
        until(lambda: all(each.state.ended for each in self.scheduler.reports(job_ids).values()), f"end of {job_ids}")
        return list(self.scheduler.reports(job_ids).values())

    def running(self, job_id: str) -> None:
        """Wait until a job runs."""
        until(lambda: self.report(job_id).state is JobState.RUNNING, f"start of {job_id}")

    def text(self, name: str) -> str:
        """Return a file that jobs write; empty where there is none."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    # --- the runner ---

    def runner(self) -> int:
        """Return the number of the runner's process, once it lives."""
        lock = self.root / "runner.lock"
        until(lambda: lock.exists() and lock.read_text(encoding="ascii").strip(), "a runner")
        return int(lock.read_text(encoding="ascii"))

    def runner_lives(self) -> bool:
        """Return whether a runner holds the queue."""
        lock = hold_lock(self.root)
        if lock is not None:
            os.close(lock)
        return lock is None

    def kill_runner(self) -> None:
        """Kill the runner, whatever it is doing, and wait until its lock is free."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.runner(), signal.SIGKILL)
        until(lambda: not self.runner_lives(), "the runner's end")

    def close(self) -> None:
        """End every job and the runner."""
        for gate in self._knocked.values():
            os.close(gate)
        if not self.root.exists():
            return
        self.scheduler.cancel(list(self._gates))
        self.scheduler.revive()
        until(lambda: all(each.state.ended for each in self.scheduler.reports(list(self._gates)).values()), "all ends")
        if self.runner_lives():
            self.kill_runner()

    def _knock(self, job_id: str) -> int:
        """Return the gate's other end, once the job has opened it; it is kept, for closing it would let the job go."""

        def opened() -> bool:
            with contextlib.suppress(OSError):
                self._knocked[job_id] = os.open(self._gates[job_id], os.O_WRONLY | os.O_NONBLOCK)
            return job_id in self._knocked

        if job_id not in self._knocked:
            until(opened, f"job {job_id} at its gate; it is {self.report(job_id)}")
        return self._knocked[job_id]


@contextlib.contextmanager
def local_bench(folder: Path, *, slots: int = 2, gpus: Sequence[str] = ()) -> Iterator[LocalBench]:
    """Yield a bench and leave no process of it behind."""
    bench = LocalBench(folder, slots=slots, gpus=gpus)
    try:
        yield bench
    finally:
        bench.close()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
