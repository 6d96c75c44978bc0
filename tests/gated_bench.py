"""Jobs that wait at a gate until their test lets them through, on any scheduler that runs processes here."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.job import ArrayElement, ArrayRequest, JobReport, JobRequest, JobState

__all__ = ["GATED", "GatedBench", "until"]

GATED = 'read -r word < "$GATE"; case $word in -*) kill "$word" $$ ;; *) exit "$word" ;; esac\n'
"""Body of a job that waits for its test: to exit with a code, or to die of a signal."""

_PATIENCE = 60.0


def until(condition: Callable[[], object], what: str, *, patience: float = _PATIENCE) -> None:
    """Wait for something that a process outside brings about; not for ever, in seconds."""
    end, tick = time.monotonic() + patience, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        tick.wait(0.005)


class GatedBench:
    """A scheduler, a folder for scripts and output, and a hand on each job's gate."""

    scheduler: Scheduler
    """Where the jobs run."""

    def __init__(self, folder: Path, *, head: str = "") -> None:
        self.folder = folder
        self._head = head
        self._gates: dict[str, Path] = {}
        self._knocked: dict[str, int] = {}

    def request(self, tag: str, after_ok: Sequence[str] = (), *, body: str | None = None, head: str = "") -> JobRequest:
        """Write a script and return the request for it; without a body it waits at its gate."""
        gate = self.folder / f"{tag}.gate"
        script = self.folder / f"{tag}.slurm"
        if body is None:
            os.mkfifo(gate)
            body = f"GATE={_quoted(gate)}\n{GATED}"
        script.write_text(f"#!/bin/sh\n{self._head}{head}\n{body}\n", encoding="utf-8")
        return JobRequest(script=str(script), tag=tag, name=tag, chdir=str(self.folder), after_ok=tuple(after_ok))

    def submit(self, tag: str, after_ok: Sequence[str] = (), *, body: str | None = None, head: str = "") -> str:
        """Submit a new script."""
        job_id = self.scheduler.submit(self.request(tag, after_ok, body=body, head=head))
        self._gates[job_id] = self.folder / f"{tag}.gate"
        return job_id

    def array(
        self, tag: str, edges: Sequence[Sequence[str]], *, indices: Sequence[int] = (), body: str | None = None
    ) -> ArrayRequest:
        """Write a script for an array and return the request for it; each element waits at a gate of its own.

        Args:
            tag: the array's tag.
            edges: for each element, the jobs that it waits for.
            indices: their indices; by default they are counted.
            body: what to run instead of waiting.
        """
        script, places = self.folder / f"{tag}.slurm", indices or range(len(edges))
        for index in places if body is None else ():
            if not (self.folder / f"{tag}.{index}.gate").exists():
                os.mkfifo(self.folder / f"{tag}.{index}.gate")
        body = body or f'GATE={_quoted(self.folder / tag)}."${{SLURM_ARRAY_TASK_ID:-$1}}".gate\n{GATED}'
        head = f"{self._head}#SBATCH --output=slurm-%A_%a.out\n"
        script.write_text(f"#!/bin/sh\n{head}\n{body}\n", encoding="utf-8")
        elements = [ArrayElement(index=index, after_ok=tuple(edge)) for index, edge in zip(places, edges, strict=True)]
        return ArrayRequest(script=str(script), tag=tag, name=tag, chdir=str(self.folder), elements=tuple(elements))

    def submit_array(self, request: ArrayRequest) -> list[str]:
        """Submit an array and return its job ids in order."""
        ids = self.scheduler.submit_array(request)
        self._gates |= {job_id: self.folder / f"{tag}.gate" for tag, job_id in ids.items()}
        return list(ids.values())

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

    def open_gates(self) -> None:
        """Let go of every gate; a job that waits behind one fails."""
        for gate in self._knocked.values():
            os.close(gate)
        self._knocked.clear()

    def _knock(self, job_id: str) -> int:
        """Return the gate's other end, once the job has opened it; it is kept, for closing it would let the job go."""

        def opened() -> bool:
            with contextlib.suppress(OSError):
                self._knocked[job_id] = os.open(self._gates[job_id], os.O_WRONLY | os.O_NONBLOCK)
            return job_id in self._knocked

        if job_id not in self._knocked:
            until(opened, f"job {job_id} at its gate; it is {self.report(job_id)}")
        return self._knocked[job_id]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
