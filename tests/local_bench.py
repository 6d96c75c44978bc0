"""A real local queue in a test's own folder, with jobs that wait at a gate."""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from cruijff_kit.adapters.doorbell import hold_lock
from cruijff_kit.adapters.local import LocalScheduler
from cruijff_kit.adapters.processes import family, send_signal
from cruijff_kit.adapters.sbatch_lines import Directives
from cruijff_kit.ports import Scheduler
from cruijff_kit.schema.site import Caps, Site
from tests.gated_bench import GATED, GatedBench, until

__all__ = ["GATED", "LocalBench", "local_bench", "until"]


class LocalBench(GatedBench):
    """A queue, a folder for scripts and output, and a hand on its processes."""

    def __init__(self, folder: Path, *, slots: int = 2, gpus: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.root = folder / "queue"
        self._slots, self._gpus = slots, gpus
        self.scheduler: Scheduler = self.another()

    def another(self, slots: int | None = None) -> LocalScheduler:
        """Return a scheduler on the same queue, as another process would have."""
        site = Site(caps=Caps(max_concurrent=slots or self._slots))
        return LocalScheduler(self.root, site=site, gpus=self._gpus, grace=0.3, linger=0.5)

    # --- jobs ---

    def lose(self, job_id: str) -> None:
        """Kill all processes of a job behind the scheduler's back."""
        send_signal(signal.SIGKILL, to=family(self.leader(job_id)))
        self.ended(job_id)

    def limit(self, job_id: str) -> int | None:
        """Return the seconds that a job may run."""
        with closing(sqlite3.connect(self.root / "queue.db", timeout=30)) as db:
            (text,) = db.execute("SELECT directives FROM job WHERE id = ?", (job_id,)).fetchone()
        return Directives(*json.loads(text)).seconds

    def leader(self, job_id: str) -> int:
        """Return the number of the job's session, once it has one."""
        claim = self.root / "jobs" / job_id / "claim"
        until(lambda: claim.exists() and claim.read_text(encoding="ascii").strip(), f"claim of {job_id}")
        return int(claim.read_text(encoding="ascii"))

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
        self.open_gates()
        if not self.root.exists():
            return
        self.scheduler.cancel(list(self._gates))
        self.scheduler.revive()
        until(lambda: all(each.state.ended for each in self.scheduler.reports(list(self._gates)).values()), "all ends")
        if self.runner_lives():
            self.kill_runner()


@contextlib.contextmanager
def local_bench(folder: Path, *, slots: int = 2, gpus: Sequence[str] = ()) -> Iterator[LocalBench]:
    """Yield a bench and leave no process of it behind."""
    bench = LocalBench(folder, slots=slots, gpus=gpus)
    try:
        yield bench
    finally:
        bench.close()
