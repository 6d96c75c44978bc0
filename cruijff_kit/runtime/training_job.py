"""A training job from its configuration to `DONE`: what every recipe does around its model."""

import argparse
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cruijff_kit.data.loss_facts import loss_warnings
from cruijff_kit.errors import RunError
from cruijff_kit.runtime.adapter_files import keep_best, publish_best, save_epoch, tidy_best
from cruijff_kit.runtime.adapter_merge import check_mergeable, updates_of
from cruijff_kit.runtime.checkpoints import (
    Checkpoint,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
    set_aside_checkpoints,
)
from cruijff_kit.runtime.contest import Contest, lowered
from cruijff_kit.runtime.course import Course, Place
from cruijff_kit.runtime.files import discard, file_sha256, write_aside
from cruijff_kit.runtime.interruption import Interruption
from cruijff_kit.runtime.job_files import (
    MetricsFile,
    StatusFile,
    Stopped,
    artefact_hashes,
    exit_code_of,
    finished,
    job_ids,
    left_in,
    now,
)
from cruijff_kit.runtime.job_parts import processes_of, torch_loop
from cruijff_kit.runtime.parts import USUAL, Parts
from cruijff_kit.runtime.provenance import environment_lock, git_state, package_versions
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.requeue import queue_again
from cruijff_kit.runtime.run_lock import HeldError, hold_run
from cruijff_kit.runtime.tracking import Tracker, require_tracking
from cruijff_kit.runtime.train_config import check_inputs, load_train_config, training_identity
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import Done, Manifest, MetricPoint, TrainingProgress

__all__ = ["Build", "TrainingJob", "run_recipe"]

Build = Callable[[TrainConfig, Ranks], Any]
"""Makes the model of a recipe: base loaded, adapter on it, all but the adapter frozen; a `Trainee` for torch."""

_CHECKPOINT_SECONDS = 600.0


def run_recipe(
    build: Build,
    *,
    name: str,
    argv: Sequence[str] | None = None,
    course: type[Course] | None = None,
    parts: Parts = USUAL,
) -> int:
    """Train the run that `--config` describes and return the exit code.

    Started by `torchrun` it is one process of several, whatever the recipe.

    Args:
        build: makes the recipe's model.
        name: the recipe, as shown in its help.
        argv: arguments; those of the process where None.
        course: takes the steps: the loop of the library that computes what `build` makes; torch's where None.
        parts: make what is minimised and what is measured.
    """
    parser = argparse.ArgumentParser(prog=name, description="Fine-tune a model as its configuration says.")
    parser.add_argument("--config", type=Path, required=True, help="the run's finetune.yaml")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint where there is one")
    options = parser.parse_args(argv)

    def train() -> None:
        config = load_train_config(options.config)
        with processes_of(config) as ranks:
            try:
                job = TrainingJob(config, options.config, ranks, course=course or torch_loop(), parts=parts)
                job.run(build, resume=options.resume)
            except Stopped as stop:
                # While the others stay: their end would make `srun` end this process.
                if stop.again:
                    queue_again()
                raise

    return exit_code_of(train)


@dataclass(slots=True, eq=False)
class TrainingJob:
    """One job of one run: its files, its checkpoints, and the signals it heeds."""

    config: TrainConfig
    """What to do."""
    config_path: Path
    """Where that is written."""
    ranks: Ranks = field(default_factory=Ranks)
    """The processes that share the work."""
    course: type[Course] = field(default_factory=torch_loop)
    """The loop of the library that computes."""
    parts: Parts = USUAL
    """Make what is minimised and what is measured."""
    place: Place = field(init=False)
    """Where it computes, known once the model is loaded."""
    interruption: Interruption = field(default_factory=Interruption)
    """Signals that ask it to end."""
    config_sha256: str = field(init=False)
    """Hash of the configuration: what was finished under another one is done again."""
    identity: str = field(init=False)
    """Hash of what decides the results: a checkpoint of another training is not resumed from."""
    contest: Contest = field(init=False)
    """Which validation was the best so far."""
    safe_best: int | None = None
    """The step that the last checkpoint knows as the best: its adapter is kept until the next one."""
    token: int = 0
    """Fencing token of the run lock: what this job publishes carries it."""
    jobs: tuple[str, ...] = ()
    """Scheduler ids of the jobs that did the steps it goes on from."""
    saved_at: float = field(default_factory=time.monotonic)
    """When the last checkpoint was made."""

    def __post_init__(self) -> None:
        """Name the configuration, and what it decides, by their content."""
        self.config_sha256 = file_sha256(self.config_path)
        self.identity = training_identity(self.config)
        self.contest = Contest(self.config)

    @property
    def run_dir(self) -> Path:
        """Return the run's directory: metrics, status, manifest and `DONE`."""
        return Path(self.config.run_dir)

    @property
    def output(self) -> Path:
        """Return the directory of adapters and checkpoints."""
        return Path(self.config.output_dir)

    def run(self, build: Build, *, resume: bool) -> None:
        """Do the whole job: check inputs, train, write provenance, then the last marker.

        Raises:
            CruijffError: inputs are not those planned, or the training went wrong.
            Stopped: a signal asked it to end; a checkpoint was made first.
        """
        if self._finished():
            return
        with self._held():
            # Whoever held the run before may have finished it.
            if self._finished():
                return
            path, run_id = self._written("status.json"), self.config.run_id
            with StatusFile(path, token=self.token) as status, self.ranks.told(run_id):
                self.interruption.listen(alone=self.ranks.size == 1)
                check_inputs(self.config)
                require_tracking(self.config)
                made = self._train(build, status, resume=resume)
                if not self.ranks.main:
                    return
                self._finish(made, status)
            remove_checkpoints(self.output)
            tidy_best(self.output, keep=())

    def _finish(self, made: list[Path], status: StatusFile) -> None:
        """Write provenance, then the last marker."""
        earlier = left_in(self.run_dir / "manifest.json", Manifest)
        provenance = self._manifest((*(earlier.job_ids if earlier else ()), *self.jobs), status)
        write_aside(self.run_dir / "manifest.json", provenance.model_dump_json(indent=2) + "\n")
        hashes = artefact_hashes([*made, self.run_dir / "manifest.json"], experiment=self.run_dir.parent.parent)
        status.enter("done")
        marker = Done(exit_code=0, artefacts=hashes, token=self.token, finished=now())
        write_aside(self.run_dir / "DONE", marker.model_dump_json(indent=2) + "\n")

    def _finished(self) -> bool:
        """Return whether the run was finished under this configuration, and say so."""
        earlier = left_in(self.run_dir / "manifest.json", Manifest) if self.ranks.main else None
        same = earlier is not None and earlier.inputs.get("config") == self.config_sha256
        done = finished(self.run_dir / "DONE", experiment=self.run_dir.parent.parent) if same else None
        if not self.ranks.everyone(done is not None)[0]:
            return False
        self._say(f"run {self.config.run_id} is finished; nothing to do")
        return True

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the run while in here: the first process for all of them.

        Raises:
            HeldError: another job that lives works on it.
        """
        with ExitStack() as stack:
            refusal: HeldError | None = None
            try:
                if self.ranks.main:
                    self.token = stack.enter_context(self._lock())
            except HeldError as err:
                refusal = err
            said = self.ranks.everyone(str(refusal) if refusal else "")[0]
            if said:
                raise refusal or HeldError(said, run_id=self.config.run_id)
            yield

    def _lock(self) -> AbstractContextManager[int]:
        job_id, trees = "".join(job_ids()), (self.run_dir, self.output)
        return hold_run(self.run_dir / "lock" / "train", run_id=self.config.run_id, job_id=job_id, trees=trees)

    def _written(self, name: str) -> Path | None:
        """Return the path of a file of the run; None in a process that leaves it to the first one."""
        return self.run_dir / name if self.ranks.main else None

    def _say(self, *lines: str) -> None:
        """Write lines to the job's own output, once for all processes."""
        if self.ranks.main and lines:
            sys.stdout.write("".join(f"{line}\n" for line in lines))
            sys.stdout.flush()

    def _train(self, build: Build, status: StatusFile, *, resume: bool) -> list[Path]:
        """Train and return the files made: metrics, then adapters."""
        rows = load_rows(self.config)
        parts = self.parts.load(self.config, rows)
        self._say(*(f"warning: {each}" for each in loss_warnings(self.config)))
        self.course.seed(self.config.seed)
        status.enter("starting", "loading the base model")
        trainee = build(self.config, self.ranks)
        self.ranks.spread(trainee, strategy=self.config.strategy)
        loop = self.course(self.config, trainee, rows=rows, ranks=self.ranks, **parts)
        if not self.config.save_adapter_weights_only:
            # A merged model that could not be written is refused before the first step.
            check_mergeable(updates_of(loop.adapter().weights), Path(self.config.base_model.path))
        self.place = loop.place()
        if not (resume and self._restored(loop)):
            self._start_afresh()
        status.begin(loop.tally.step)
        with (
            MetricsFile(self._written("metrics.jsonl"), after=loop.tally.step) as metrics,
            Tracker(self.config, main=self.ranks.main) as tracker,
        ):
            self._settle_best()
            steps = loop.take()
            while not self.contest.over and (point := next(steps, None)) is not None:
                if point.step % self.config.log_every_n_steps == 0 or point.val_loss is not None:
                    metrics.write(point)
                    tracker.write(point)
                status.advance(point.step, loop.total, epoch=point.epoch)
                self._keep(point, loop)
                self._say(*lowered(point, self.config.calibration_monitor))
                self._checkpoint_where_due(point, loop, metrics=metrics, status=status)
        self._end_early(loop)
        if self.ranks.main and self.contest.step is not None:
            publish_best(self.output, self.contest.step)
        return [self.run_dir / "metrics.jsonl", *self._adapter_files()]

    def _keep(self, point: MetricPoint, loop: Course) -> None:
        """Write the adapters that a step calls for: the best so far, an epoch's."""
        if self.contest.judge(point) and self.config.keep_best:
            keep_best(loop.adapter(), self.output, step=point.step, config=self.config, ranks=self.ranks)
            self._tidy(point.step)
        if point.step % loop.per_epoch == 0 and point.epoch in self.config.epochs_to_save:
            save_epoch(loop.adapter(), self.output / f"epoch_{point.epoch}", config=self.config, ranks=self.ranks)

    def _end_early(self, loop: Course) -> None:
        """Write the epochs that early stopping left out: later ones are what training ended with."""
        step = loop.tally.step
        if step < loop.total:
            self._say(f"training ends at step {step} of {loop.total}: {self.contest.words()}")
        for epoch in self.config.epochs_to_save:
            if (epoch + 1) * loop.per_epoch > step:
                save_epoch(loop.adapter(), self.output / f"epoch_{epoch}", config=self.config, ranks=self.ranks)

    def _checkpoint_where_due(
        self, point: MetricPoint, loop: Course, *, metrics: MetricsFile, status: StatusFile
    ) -> None:
        """Make a checkpoint to resume from, and end here if a signal asked for it."""
        overdue = self.ranks.main and time.monotonic() - self.saved_at >= _CHECKPOINT_SECONDS
        # A signal may reach one process a step before another; what follows from it is done by all at once.
        stop, notice, late = self.ranks.total(self.interruption.stopped, self.interruption.noticed, overdue)
        every = self.config.checkpoint_every_n_steps
        due = point.step % every == 0 if every else bool(late) or point.step % loop.per_epoch == 0
        if point.step < loop.total and (due or stop or notice):
            metrics.sync()
            self._save_checkpoint(loop)
            status.keep(point.step)
        if point.step < loop.total and (stop or notice):
            # Who was stopped while the checkpoint was made must not queue itself again.
            again = self.ranks.main and not (stop or self.interruption.stopped)
            self.interruption.raise_stopped(again=again)

    def _save_checkpoint(self, loop: Course) -> None:
        state = loop.state()
        if self.ranks.main:
            progress = TrainingProgress(
                identity=self.identity,
                token=self.token,
                step=loop.tally.step,
                tokens=loop.tally.tokens,
                supervised=loop.tally.supervised,
                best_loss=self.contest.best[0] if self.contest.best else None,
                best_step=self.contest.best[1] if self.contest.best else None,
                waited=self.contest.waited,
                lr_scale=loop.tally.lr_scale,
                random=state.texts,
                job_ids=tuple(dict.fromkeys((*self.jobs, *job_ids()))),
            )
            save_checkpoint(self.output, progress, tensors=state.tensors)
        self.safe_best = self.contest.step
        self._tidy(self.safe_best)
        self.saved_at = time.monotonic()

    def _tidy(self, best: int | None) -> None:
        """Remove the adapters that were the best once and that no checkpoint knows as such."""
        if self.ranks.main:
            tidy_best(self.output, keep=(best, self.safe_best))

    def _restored(self, loop: Course) -> bool:
        """Continue where the last checkpoint of this training stands, if there is one."""
        found = self._checkpoint()
        if found is None:
            return False
        progress = found.progress
        self.jobs = progress.job_ids
        loop.restore(found)
        self.contest.resume(progress.best_loss, progress.best_step, waited=progress.waited)
        self.safe_best = self.contest.step
        if self.ranks.main:
            discard(self.run_dir / "DONE")
        return True

    def _settle_best(self) -> None:
        """Let `best` be what the metrics kept so far say: what came after them is done again."""
        step = self.contest.step
        if step is not None and not self.ranks.everyone((self.output / f"best_step_{step}").is_dir())[0]:
            self.contest.forget()
            self.safe_best = None
        self._tidy(self.contest.step)

    def _checkpoint(self) -> Checkpoint | None:
        """Return the last checkpoint of this training, the same one in every process."""
        found = load_checkpoint(self.output, identity=self.identity)
        steps = self.ranks.everyone(found.progress.step if found else 0)
        if len(set(steps)) > 1:
            fact = f"processes of one training see different checkpoints in `{self.output}`: steps {steps}"
            hint = "put `output.output_dir_base` on a file system that all processes share, and start again"
            raise RunError(fact, run_id=self.config.run_id, hint=hint)
        return found

    def _start_afresh(self) -> None:
        """Remove what an earlier, unfinished job of this run left; another training's checkpoint is kept aside."""
        if self.ranks.main:
            for place in set_aside_checkpoints(self.output, identity=self.identity):
                self._say(f"a checkpoint of another configuration is kept as `{place}`; training from the start")
            self._remove_earlier()
        self.ranks.wait()

    def _remove_earlier(self) -> None:
        for name in ("DONE", "metrics.jsonl"):
            discard(self.run_dir / name)
        remove_checkpoints(self.output)
        for pattern in ("epoch_*", "best*"):
            for folder in self.output.glob(pattern):
                discard(folder)

    def _adapter_files(self) -> list[Path]:
        """Return every file of the adapters kept, the planned epochs all among them."""
        folders = [self.output / f"epoch_{epoch}" for epoch in self.config.epochs_to_save]
        folders += [self.output / "best"] if self.contest.step is not None else []
        return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]

    def _manifest(self, earlier: tuple[str, ...], status: StatusFile) -> Manifest:
        """Return where this run came from."""
        commit, patch = git_state()
        return Manifest(
            run_id=self.config.run_id,
            git_sha=commit,
            git_patch_sha256=patch,
            packages=package_versions(),
            environment=environment_lock(),
            inputs={
                "model": self.config.base_model.sha256,
                "data": self.config.dataset.sha256,
                "config": self.config_sha256,
            },
            seeds=dict.fromkeys(("initialisation", "dropout", "shuffling", "subset"), self.config.seed),
            host=socket.gethostname(),
            device=self.place.device,
            threads=self.place.threads,
            processes=self.ranks.size,
            job_ids=tuple(dict.fromkeys((*earlier, *job_ids()))),
            started=status.status.started,
            ended=now(),
        )
