"""A submitted experiment whose jobs a test moves, and a bomb that stands for kill -9 anywhere."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from cruijff_kit.adapters.audit_log import DiskAuditLog
from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.array_script import parse_array
from cruijff_kit.schema.audit import Action, Anchor, AuditEvent, AuditRecord
from cruijff_kit.schema.job import ArrayRequest, Attempt, JobRequest, Step, array_of
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done, JobStatus, StepStatus
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.standing import read_status
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler

__all__ = ["Bomb", "Killed", "Submitted", "scaffolded_template", "whose"]


class Killed(BaseException):
    """Stands for kill -9: nothing of the caller may handle it."""


class Bomb:
    """Kills at the n-th moment before or after something durable is done; never where it is not armed."""

    def __init__(self) -> None:
        self.left: int | None = None

    def around(self, action: Callable[[], Any]) -> Any:
        """Do something durable, unless killed before it; be killed after it, where the bomb says so."""
        self._tick()
        result = action()
        self._tick()
        return result

    def _tick(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.left = None
            raise Killed


class BombedStore(DiskRunStore):
    """Files whose writer may be killed."""

    def __init__(self, root: Path, bomb: Bomb) -> None:
        super().__init__(root)
        self._bomb = bomb

    def write(self, path: str, content: bytes | str) -> None:
        """Write, or be killed before or after."""
        self._bomb.around(lambda: super(BombedStore, self).write(path, content))

    def publish(self, files: Mapping[str, bytes], *, manifest: str, progress: Progress | None = None) -> None:
        """Publish, or be killed before, half-way, or after: a publication may end with any of its folders there."""
        half = dict(list(files.items())[: len(files) // 2])
        if half:
            self._bomb.around(lambda: super(BombedStore, self).publish(half, manifest=next(iter(half))))
        self._bomb.around(lambda: super(BombedStore, self).publish(files, manifest=manifest, progress=progress))


class BombedAudit(DiskAuditLog):
    """A record whose writer may be killed."""

    def __init__(self, root: Path, bomb: Bomb, *, clock: Any) -> None:
        super().__init__(root, clock=clock)
        self._bomb = bomb

    def append(self, *events: AuditEvent) -> Anchor:
        """Append, or be killed before or after."""
        return self._bomb.around(lambda: super(BombedAudit, self).append(*events))


class BombedScheduler(FakeScheduler):
    """A scheduler whose caller may be killed."""

    def __init__(self, bomb: Bomb) -> None:
        super().__init__()
        self._bomb = bomb

    def submit(self, request: JobRequest) -> str:
        """Queue, or be killed before or after."""
        return self._bomb.around(lambda: super(BombedScheduler, self).submit(request))

    def submit_array(self, request: ArrayRequest) -> dict[str, str]:
        """Queue, or be killed before or after."""
        return self._bomb.around(lambda: super(BombedScheduler, self).submit_array(request))

    def cancel(self, job_ids: Sequence[str], *, tags: Mapping[str, str] | None = None) -> None:
        """Cancel, or be killed before or after."""
        self._bomb.around(lambda: super(BombedScheduler, self).cancel(job_ids, tags=tags))


def scaffolded_template(root: Path, **changes: Any) -> Path:
    """Scaffold a small design once; experiments of many examples are copies of it."""
    put_design(root, design(**changes))
    scaffold_runs(world=world_at(root))
    return root


class Submitted:
    """An experiment in a copy of a template, its world, and hands on its jobs."""

    def __init__(self, template: Path, root: Path, *, site: Site | None = None) -> None:
        shutil.copytree(template, root)
        self.bomb = Bomb()
        self.site = site or Site()
        plain = world_at(root)
        self.clock = plain.clock
        self.scheduler = BombedScheduler(self.bomb)
        self.world: World = plain._replace(
            store=BombedStore(root, self.bomb),
            audit=BombedAudit(root, self.bomb, clock=plain.clock),
            scheduler=self.scheduler,
            settings=lambda: self.site,
        )
        self.plan_id = scaffold_runs(world=self.world).plan_id

    # --- looking ---

    def step(self, run_id: str, step: Step = Step.TRAIN) -> StepStatus:
        """Return where a step stands."""
        found = read_status(world=self.world).steps
        return next(each for each in found if (each.run_id, each.step) == (run_id, step))

    def last(self, run_id: str, step: Step = Step.TRAIN) -> Attempt:
        """Return the last attempt of a step."""
        return self.step(run_id, step).attempts[-1]

    def job_id(self, run_id: str, step: Step = Step.TRAIN) -> str:
        """Return the id of a step's last job."""
        return self.last(run_id, step).job_id or ""

    def records(self, action: Action) -> list[AuditRecord]:
        """Return the audit records of one action."""
        return [record for record in self.world.audit.records() if record.action is action]

    def alive(self) -> list[tuple[str, JobRequest]]:
        """Return the jobs that wait or run, by id."""
        reports = self.scheduler.reports(list(self.scheduler.requests))
        return [(job_id, self.scheduler.requests[job_id]) for job_id in reports if not reports[job_id].state.ended]

    # --- what happens to jobs ---

    def succeed(self, job_id: str) -> None:
        """End a job well, its marker on disk."""
        run_id, step = whose(self.scheduler.requests[job_id])
        done = Done(exit_code=0, artefacts={}, finished=self.clock.now())
        DiskRunStore(self.world.store.root).write(RunLayout(run_id).done(step.value), done.model_dump_json())
        self.scheduler.finish(job_id)

    def saves(self, job_id: str, step: int, **facts: Any) -> None:
        """Let a training tell of a checkpoint, and whatever else it says of itself."""
        self._tells(job_id, step=step, total=99, saved=step, **facts)

    def evaluates(self, job_id: str, **facts: Any) -> None:
        """Let an evaluation tell of itself."""
        self._tells(job_id, **facts)

    def _tells(self, job_id: str, **facts: Any) -> None:
        run_id, step = whose(self.scheduler.requests[job_id])
        now = self.clock.now()
        own = JobStatus(**{"state": "running", "job_id": job_id, **facts}, started=now, updated=now)
        DiskRunStore(self.world.store.root).write(RunLayout(run_id).status(step.value), own.model_dump_json())

    def prints(self, job_id: str, text: str) -> None:
        """Let a job print."""
        run_id, _ = whose(self.scheduler.requests[job_id])
        DiskRunStore(self.world.store.root).write(RunLayout(run_id).job_output(job_id), text)

    def later(self, **spans: float) -> None:
        """Move the clock."""
        self.clock.sleep(timedelta(**spans).total_seconds())


def whose(request: JobRequest) -> tuple[str, Step]:
    """Return run and step of a request, from where its script lies, or from its array's table."""
    parts, place = Path(request.script).parts, array_of(request.tag)
    if place is not None:
        rows = parse_array(Path(request.script).read_text(encoding="utf-8")).rows
        (row,) = (row for row in rows if row.place == place[1])
        return row.folder.removeprefix("runs/"), Step(row.script.split("/")[1].partition("_")[0])
    return parts[parts.index("runs") + 1], Step.EVAL if "eval" in parts[-2:] else Step.TRAIN
