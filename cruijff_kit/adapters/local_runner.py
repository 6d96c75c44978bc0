"""The embedded scheduler's runner: starts, watches and stops jobs, then leaves.

Run as `python -m cruijff_kit.adapters.local_runner QUEUE LOCK` by whoever holds the
lock. It may be killed at any moment: all it knows lies in the queue and in the
folders of the jobs, and the next runner takes over what runs.
"""

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cruijff_kit.adapters.doorbell import Doorbell, hold_lock
from cruijff_kit.adapters.local_job import JobFolder
from cruijff_kit.adapters.local_queue import Ending, Job, Limits, LocalQueue, Standing
from cruijff_kit.adapters.processes import Process, boot_id, children, family, send_signal
from cruijff_kit.runtime.requeue import MOST_RESTARTS

__all__ = ["Runner", "main"]

_SOON = 0.05
_OFTEN = 1.0
_SELDOM = 5.0
_TRIES = 3
_STOPS = {"cancel": ("cancelled", "cancelled"), "time": ("timed_out", "stopped at its time limit")}


class Runner:
    """Moves one queue; everything it needs to remember for long is on disk."""

    def __init__(self, root: Path) -> None:
        """Serve the queue in a directory; `boot` is this start of the machine."""
        self._queue = LocalQueue(root)
        self._jobs = root / "jobs"
        self._boot = boot_id()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._families: dict[int, dict[int, Process]] = {}
        self._tries: dict[int, int] = {}

    def serve(self, bell: Doorbell) -> None:
        """Move jobs until there has been nothing to do for a while."""
        idle_since: float | None = None
        self._queue.upgrade()
        self._sweep()
        while True:
            standing = self._queue.standing()
            seconds = self._step(standing)
            if standing.running or standing.pending:
                idle_since = None
            else:
                idle_since = idle_since or time.monotonic()
                seconds = idle_since + standing.limits.linger - time.monotonic()
                if seconds <= 0:
                    return
            bell.wait(seconds)

    def _sweep(self) -> None:
        """Remove the folders of jobs whose ending is on record: a runner died in between."""
        running = {str(job.id) for job in self._queue.standing().running}
        for folder in self._jobs.glob("*"):
            if folder.name not in running:
                shutil.rmtree(folder, ignore_errors=True)

    def _step(self, standing: Standing) -> float:
        """Look at every running job, start what may start, and return seconds to the next look."""
        self._children = {job_id: child for job_id, child in self._children.items() if child.poll() is None}
        looks = [(job, self._look(job, standing.limits)) for job in standing.running]
        ended = [(job, ending) for job, ending in looks if ending is not None]
        if not ended and not standing.ready:
            return min((self._next_look(job) for job, _ in looks), default=_SELDOM)
        while True:
            started = self._queue.advance([ending for _, ending in ended], boot=self._boot)
            for job, _ in ended:
                self._forget(job)
            ended = [(job, ending) for job in started if (ending := self._start(job)) is not None]
            if not ended:
                return 0.0

    def _look(self, job: Job, limits: Limits) -> Ending | None:
        """Return how a job ended, or see to it that it keeps its limits."""
        folder = JobFolder(self._jobs, job)
        same_boot = job.boot == self._boot
        # The order matters: a job that ends between the two has left its exit code.
        lives = same_boot and folder.lives()
        left = folder.exit_code()
        if job.stop != "cancel" and (left or not lives) and folder.wants_another_turn():
            return self._another_turn(folder, left=left)
        if left is not None:
            return _ended_by_itself(job, code=left[0], when=left[1])
        if lives:
            self._enforce(folder, limits)
            return None
        return self._vanished(folder, same_boot=same_boot)

    def _another_turn(self, folder: JobFolder, *, left: tuple[int, float] | None) -> Ending:
        """Return the ending of a job that asked for another turn: none yet, as a rule."""
        job = folder.job
        code, when = left or (None, time.time())
        if job.restarts >= MOST_RESTARTS:
            reason = f"asked for another turn after {job.restarts}; its time limit is too short for its work"
            return Ending(job.id, "failed", when, reason, code)
        folder.remark(f"is queued again, turn {job.restarts + 2}")
        return Ending(job.id, "pending", when)

    def _vanished(self, folder: JobFolder, *, same_boot: bool) -> Ending | None:
        """Return the end of a job without processes, or start it where it never began."""
        job = folder.job
        if not same_boot:
            return Ending(job.id, "lost", time.time(), "the machine was restarted")
        if job.stopping is not None:
            state, reason = _STOPS[job.stop or "cancel"]
            return Ending(job.id, state, time.time(), reason, signal=signal.SIGKILL)
        if folder.leader() is not None:
            return Ending(job.id, "lost", time.time(), "its processes vanished without an exit code")
        if job.stop is not None:
            return Ending(job.id, "cancelled", time.time(), "cancelled")
        return self._start(job)

    def _start(self, job: Job) -> Ending | None:
        """Start a job whose start is on record; safe to repeat."""
        self._tries[job.id] = self._tries.get(job.id, 0) + 1
        if self._tries[job.id] > _TRIES:
            return Ending(job.id, "failed", time.time(), "could not be started; see `runner.log` of the queue")
        try:
            child = JobFolder(self._jobs, job).start(*self._queue.started_with(job.id))
        except OSError as err:
            return Ending(job.id, "failed", time.time(), f"could not be started: {err}")
        if child is not None:
            self._children[job.id] = child
        return None

    def _enforce(self, folder: JobFolder, limits: Limits) -> None:
        """Tell, stop or kill a job that lives, as its limits and wishes say."""
        job, now, leader = folder.job, time.time(), folder.leader()
        if not leader:
            return
        limit, notice = job.directives.seconds, job.directives.notice
        if job.stopping is not None:
            if now >= job.stopping + limits.grace:
                self._kill(job, leader)
        elif job.stop is not None:
            self._stop(folder, leader, why=job.stop)
        elif limit is not None and now >= job.started + limit:
            self._stop(folder, leader, why="time")
        elif notice is not None and job.noticed is None and now >= job.started + (limit or math.inf) - notice.before:
            self._queue.note_notice(job.id)
            send_signal(notice.number, to=children(leader) if notice.script_only else family(leader))

    def _stop(self, folder: JobFolder, leader: int, *, why: str) -> None:
        """Ask all processes of a job to end, stopped ones too."""
        self._queue.note_stop(folder.job.id, why)
        folder.remark(f"{_STOPS[why][1]} at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}")
        members = family(leader)
        self._families[folder.job.id] = members
        for number in (signal.SIGTERM, signal.SIGCONT):
            send_signal(number, to=members)

    def _kill(self, job: Job, leader: int) -> None:
        members = self._families.setdefault(job.id, {})
        members |= family(leader)
        send_signal(signal.SIGKILL, to=members)

    def _forget(self, job: Job) -> None:
        """Kill what a stopped job left, and remove its folder: its ending is on record."""
        left = self._families.pop(job.id, None)
        if left:
            send_signal(signal.SIGKILL, to=left)
        self._tries.pop(job.id, None)
        JobFolder(self._jobs, job).clear()

    def _next_look(self, job: Job) -> float:
        """Return seconds after which a job must be looked at even if nothing wakes us."""
        if job.stop is not None:
            return _SOON
        # A job that was adopted rings when it ends, but not when it is killed.
        most = _SELDOM if job.id in self._children else _OFTEN
        limit, notice = job.directives.seconds, job.directives.notice
        if limit is None:
            return most
        due = job.started + limit - (notice.before if notice is not None and job.noticed is None else 0)
        return min(most, max(_SOON, due - time.time()))


def main(arguments: Sequence[str]) -> None:
    """Serve a queue until it is idle: directory, then descriptor of its lock."""
    root, lock = Path(arguments[0]), int(arguments[1])
    # A shell starts background children with these ignored, and ours would inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    os.set_inheritable(lock, False)
    held: int | None = lock
    while held is not None:
        _sign(held)
        bell = Doorbell(root)
        with bell.answering():
            Runner(root).serve(bell)
        os.close(held)
        # Whoever queued before our lock was free is seen by this look; whoever came later starts a runner.
        held = hold_lock(root) if LocalQueue(root).unfinished() else None


def _sign(lock: int) -> None:
    """Leave our number in the lock file, for people who look."""
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _ended_by_itself(job: Job, *, code: int, when: float) -> Ending:
    """Return the ending of a job that left an exit code, as a shell tells it."""
    # The clock of the file system ticks more coarsely than ours.
    when = max(when, job.started)
    killed = code - 128 if 128 < code <= 128 + signal.NSIG else None
    exit_code = None if killed else code
    if job.stopping is not None:
        state, reason = _STOPS[job.stop or "cancel"]
        return Ending(job.id, state, when, reason, exit_code, killed)
    return Ending(job.id, "failed" if code else "succeeded", when, "", exit_code, killed)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
