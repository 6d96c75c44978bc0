"""Random histories: submitters and watches killed anywhere, jobs ending in every way; in the end all is done, once."""

import itertools
import signal
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cruijff_kit.schema.job import JobRequest, JobState, Step
from cruijff_kit.schema.policy import Backoff, Policy, Queue
from cruijff_kit.schema.run import Phase
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.submit import retry_run, submit_jobs
from cruijff_kit.workflow.watch import watch_jobs
from tests.submitted import Killed, Submitted, scaffolded_template, whose

ENDINGS = ("start", "success", "code", "signal", "held", "lost", "timeout", "progress", "memory", "cancelled")

_place = tempfile.TemporaryDirectory()
_numbers = itertools.count()
_templates: list[Path] = []


def _template() -> Path:
    """Return two runs that train and are evaluated, and a control; made once."""
    if not _templates:
        root = Path(_place.name) / "template" / "parity"
        _templates.append(
            scaffolded_template(root, factors={"lora_rank": [4, 16]}, controls={"seeds": [1], "batch_size": 4})
        )
    return _templates[0]


class Histories(RuleBasedStateMachine):
    """What can happen to an experiment, in any order."""

    def __init__(self) -> None:
        super().__init__()
        root = Path(_place.name) / str(next(_numbers)) / "parity"
        site = Site(queue=Queue(max_queued=3, backoff=Backoff(tries=1)), policy=Policy())
        self.exp = Submitted(_template(), root, site=site)
        self.submitted, self.refused = False, 0

    @initialize(keeps_orphans=strategies.booleans(), arrays=strategies.sampled_from([0, 2]))
    def cluster(self, keeps_orphans: bool, arrays: int) -> None:
        """Choose what the scheduler does with a job whose dependency can never be met, and whether there are arrays."""
        self.exp.scheduler.keeps_orphans = keeps_orphans
        self.exp.site = Site(queue=self.exp.site.queue.model_copy(update={"arrays": arrays, "max_queued": 3 + arrays}))

    @rule(kill=strategies.none() | strategies.integers(1, 40))
    def submit(self, kill: int | None) -> None:
        """Submit, killed at some moment perhaps."""
        self.submitted = True
        self._perhaps_killed(kill, lambda: submit_jobs(self.exp.plan_id, world=self.exp.world))

    @precondition(lambda self: self.submitted)
    @rule(kill=strategies.none() | strategies.integers(1, 30))
    def look(self, kill: int | None) -> None:
        """Let a watch look, killed at some moment perhaps; one that was not leaves no orphaned edge."""
        self._perhaps_killed(kill, lambda: next(watch_jobs(world=self.exp.world)))
        if kill is None:
            next(watch_jobs(world=self.exp.world))
            self._no_edge_is_orphaned()

    @precondition(lambda self: self.exp.alive())
    @rule(
        data=strategies.data(),
        how=strategies.sampled_from(ENDINGS),
    )
    def happens(self, data: strategies.DataObject, how: str) -> None:
        """Let something happen to a job that may run."""
        ready = [job_id for job_id, request in self.exp.alive() if self._met(request)]
        if not ready:
            return
        job_id = data.draw(strategies.sampled_from(ready))
        self._started(job_id)
        self._ends(job_id, how, step=data.draw(strategies.integers(1, 9)))

    @precondition(lambda self: self.refused < 10)
    @rule(count=strategies.integers(1, 3))
    def refuses(self, count: int) -> None:
        """Let the scheduler refuse the next submissions."""
        self.refused += count
        for _ in range(count):
            self.exp.scheduler.refuse()

    @rule(seconds=strategies.sampled_from([1.0, 30.0, 400.0]))
    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.exp.later(seconds=seconds)

    @invariant()
    def nothing_trains_twice(self) -> None:
        """No run has two trainings that wait or run, and no job was queued twice."""
        trainings = Counter(whose(request) for _, request in self.exp.alive())
        assert not [key for key, count in trainings.items() if count > 1], trainings
        tags = Counter(request.tag for request in self.exp.scheduler.requests.values())
        assert max(tags.values(), default=1) == 1, tags

    def teardown(self) -> None:
        """Whatever happened, the same commands finish the experiment."""
        submit_jobs(self.exp.plan_id, world=self.exp.world)
        for _ in range(80):
            self.exp.later(hours=1)
            status = next(watch_jobs(world=self.exp.world))
            if status.finished and not self._tried_again():
                break
            for job_id, request in self.exp.alive():
                if self._met(request):
                    self._started(job_id)
                    self.exp.succeed(job_id)
        phases = {(entry.run_id, entry.step): entry.phase for entry in read_status(world=self.exp.world).steps}
        assert set(phases.values()) == {Phase.COMPLETED}, phases
        self._no_edge_is_orphaned()

    def _ends(self, job_id: str, how: str, *, step: int) -> None:
        fake = self.exp.scheduler
        if how == "progress":
            self.exp.saves(job_id, step)
        actions: dict[str, Callable[[], object]] = {
            "start": lambda: None,
            "success": lambda: self.exp.succeed(job_id),
            "code": lambda: fake.finish(job_id, 1),
            "signal": lambda: fake.finish(job_id, signal=signal.SIGKILL),
            "held": lambda: fake.finish(job_id, 75),
            "lost": lambda: fake.lose(job_id),
            "timeout": lambda: fake.time_out(job_id),
            "progress": lambda: fake.time_out(job_id),
            "memory": lambda: fake.exhaust(job_id),
            "cancelled": lambda: fake.cancel([job_id]),
        }
        actions[how]()

    def _tried_again(self) -> bool:
        """Retry, as a person would, the runs that were stopped."""
        steps = read_status(world=self.exp.world).steps
        ended = {entry.run_id for entry in steps if entry.phase in (Phase.FAILED, Phase.CANCELLED)}
        for run_id in ended:
            retry_run(run_id, reason="mended", world=self.exp.world)
        return bool(ended)

    def _perhaps_killed(self, kill: int | None, action: Callable[[], object]) -> None:
        self.exp.bomb.left = kill
        try:
            action()
        except Killed:
            pass
        finally:
            self.exp.bomb.left = None

    def _no_edge_is_orphaned(self) -> None:
        for job_id, request in self.exp.alive():
            states = {report.state for report in self.exp.scheduler.reports(request.after_ok).values()}
            assert states <= {JobState.PENDING, JobState.RUNNING, JobState.SUCCEEDED}, f"{job_id}: {states}"
            run_id, step = whose(request)
            if step is Step.EVAL and request.after_ok:
                assert request.after_ok == (self.exp.job_id(run_id),), f"{job_id} waits for an older training"

    def _met(self, request: JobRequest) -> bool:
        return all(
            report.state is JobState.SUCCEEDED for report in self.exp.scheduler.reports(request.after_ok).values()
        )

    def _started(self, job_id: str) -> None:
        if self.exp.scheduler.reports([job_id])[job_id].state is JobState.PENDING:
            self.exp.scheduler.start(job_id)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
