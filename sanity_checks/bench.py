"""The bench: a check designed, scaffolded, handed over, followed to its end and judged, by the verbs there are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from cruijff_kit import __version__, workflow
from cruijff_kit.data.encoding import Encoding
from cruijff_kit.errors import CruijffError, PlanError, SiteError
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.sanity_checks.bands import LEVEL, accuracy_band
from cruijff_kit.sanity_checks.checks import Arm, Check, Size
from cruijff_kit.sanity_checks.designs import design_text
from cruijff_kit.sanity_checks.judge import Evidence, judged, pilot_figures
from cruijff_kit.sanity_checks.pilots import design_sha256, figures_of, floors_of, read_pilots
from cruijff_kit.sanity_checks.registry import CHECKS, TINY, check_of, size_of
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.run import ExperimentStatus, Manifest
from cruijff_kit.schema.sanity import (
    Band,
    CheckOrder,
    CheckView,
    Expectation,
    JudgedFigure,
    Pilots,
    SanityVerdict,
)
from cruijff_kit.workflow.read_design import parse_design, read_design
from cruijff_kit.workflow.run_models import planned_rows

__all__ = ["Begun", "Bench"]

_PACKAGES = ("cruijff-kit", "torch", "transformers", "peft", "inspect-ai", "numpy")


class Begun(NamedTuple):
    """A check whose runs are scaffolded."""

    order: CheckOrder
    """What was asked for."""
    world: World
    """Its experiment."""
    plan_id: str
    """Its sealed plan."""
    size_words: str
    """How large it is made, in words."""


class _Ended(NamedTuple):
    """A check whose results are collected."""

    check: Check
    size: Size
    plan: Plan
    arms: Iterator[tuple[Arm, list[Evidence]]]


@dataclass(frozen=True)
class Bench:
    """A project in which checks are made."""

    root: Path
    """Its directory."""
    enter: Callable[[Path], World]
    """Opens the experiment in a directory."""
    checks: Mapping[str, Check] = field(default_factory=lambda: CHECKS)
    """The checks that may be made, by name."""

    def names(self) -> tuple[str, ...]:
        """Return the names of all checks, in the order they are run."""
        return tuple(self.checks)

    def show(self, name: str, *, size: str | None = None, pilots: str | None = None) -> CheckView:
        """Return a check with what is known of it beforehand; nothing is written.

        Raises:
            PlanError: there is no such check or size.
            SpecError: the file of pilots cannot be read.
        """
        check = check_of(name, self.checks)
        chosen = size_of(check, size, model=TINY)
        found = read_pilots(check, pilots)
        if found is not None and found.design_sha256 != design_sha256(check, chosen):
            found = None
        told = "no pilots are recorded of it" if found is None else f"{len(found.seeds)} pilots of `{found.model}`"
        return CheckView(
            check=check.name,
            words=check.words,
            sizes={each.name: each.words for each in check.sizes.values()},
            size=chosen.name,
            arms=tuple(_expected(arm, found) for arm in check.arms(chosen)),
            pilots=told,
        )

    def begin(self, order: CheckOrder, *, progress: Progress | None = None) -> Begun:
        """Write the design of a check and scaffold its runs; what is there already by the same design is kept.

        Raises:
            PlanError: there is no such check or size, or the directory holds something else.
            SiteError: the model is missing, or this machine lacks what is needed.
        """
        check = check_of(order.check, self.checks)
        size = size_of(check, order.size, model=order.model)
        model = self._model(order.model, progress=progress)
        world, text = self._place(check, size, order=order, model=model)
        reason = f"asked for by `{_command(order)}`"
        if world.store.read_text(ExperimentLayout.summary) is None:
            workflow.write_design(text, reason=reason, world=world)
        plan_id = workflow.scaffold_runs(reason=reason, world=world).plan_id
        return Begun(order, world, plan_id, f"size {size.name}, {size.words}")

    def submit(self, begun: Begun, *, progress: Progress | None = None) -> None:
        """Hand the jobs of a check over; each only once, however often it is asked."""
        reason = f"asked for by `{_command(begun.order)}`"
        workflow.submit_jobs(begun.plan_id, reason=reason, progress=progress, world=begun.world)

    def follow(
        self, begun: Begun, *, poll: float = 1.0, show: Callable[[ExperimentStatus], None] | None = None
    ) -> ExperimentStatus:
        """Follow the jobs of a check to their end.

        Args:
            begun: the check.
            poll: seconds between two looks.
            show: told of each look.
        """
        look = ExperimentStatus(experiment="", steps=())
        for look in workflow.watch_jobs(poll=poll, reason="followed by `ck sanity`", world=begun.world):
            if show is not None:
                show(look)
        return look

    def judge(self, begun: Begun, *, progress: Progress | None = None) -> SanityVerdict:
        """Collect the results of a check, hold them against its bands, and write the verdict.

        Raises:
            PlanError: the experiment is not scaffolded.
            RunError: its data is missing or was changed.
            SiteError: an extra that reads logs is not installed.
        """
        check, size, plan, arms = self._ended(begun, progress=progress)
        world, model = begun.world, _model_of(plan)
        pilots, told = floors_of(check, size, model=model, path=begun.order.pilots)
        figures: list[JudgedFigure] = []
        for arm, runs in arms:
            figures += [each for found in runs for each in judged(arm, found, pilots=pilots)] or [_absent(arm)]
        verdict = SanityVerdict(
            check=check.name, size=size.name, size_words=size.words, experiment=plan.experiment,
            folder=str(world.store.root), model=plan.runs[0].model_path, model_sha256=model[1],
            passed=all(each.verdict == "inside" for each in figures), figures=tuple(figures), level=LEVEL,
            pilots=told, version=__version__,
        )  # fmt: skip
        _write(ExperimentLayout.sanity, verdict, action=Action.JUDGE_CHECK, ok=verdict.passed, world=world)
        return verdict

    def record(self, begun: Begun, *, progress: Progress | None = None) -> Pilots:
        """Collect the results of pilots and write them to `pilots.json`.

        Raises:
            PlanError: a run has no result, so that floors would come from those that happened to end well.
            RunError: its data is missing or was changed.
            SiteError: an extra that reads logs is not installed.
        """
        check, size, plan, arms = self._ended(begun, progress=progress)
        world, model = begun.world, _model_of(plan)
        figures = [figure for arm, runs in arms for each in runs for figure in pilot_figures(arm, each)]
        if len(figures) != 2 * len(plan.runs):
            fact = f"{2 * len(plan.runs) - len(figures)} of {2 * len(plan.runs)} results of the pilots are missing"
            raise PlanError(fact, hint=f"see `ck -C {world.store.root} status`, then retry what failed")
        manifest = Manifest.model_validate_json(str(world.store.read_text(RunLayout(plan.runs[0].id).manifest)))
        pilots = Pilots(
            check=check.name, size=size.name, design_sha256=design_sha256(check, size),
            model=model[0], model_sha256=model[1],
            seeds=tuple(dict.fromkeys(run.seed for run in plan.runs)),
            packages={name: version for name, version in manifest.packages.items() if name in _PACKAGES},
            device=manifest.device, command=_command(begun.order), figures=tuple(figures),
        )  # fmt: skip
        _write(ExperimentLayout.pilots, pilots, action=Action.RECORD_PILOTS, ok=True, world=world)
        return pilots

    def _ended(self, begun: Begun, *, progress: Progress | None) -> _Ended:
        """Collect the results of a check whose jobs have ended."""
        check, world = check_of(begun.order.check, self.checks), begun.world
        size = size_of(check, begun.order.size, model=begun.order.model)
        table = workflow.collect_results(progress=progress, world=world)
        plan, _ = workflow.recorded_plan(world=world)
        # Rows of one arm at a time are held.
        arms = (
            (arm, [found for run in _runs(plan, arm) for found in _evidence(run, table, world=world)])
            for arm in check.arms(size)
        )
        return _Ended(check, size, plan, arms)

    def _model(self, named: str, *, progress: Progress | None) -> str:
        if named == TINY:
            return self.enter(self.root).hub.make_tiny(progress=progress).path
        return str((self.root / named).resolve()) if (self.root / named).is_dir() else named

    def _place(self, check: Check, size: Size, *, order: CheckOrder, model: str) -> tuple[World, str]:
        """Return the experiment of a check and its design: the one asked for, or the first that is free or the same."""
        for folder in _candidates(self.root, check, order=order):
            world = self.enter(folder)
            created = world.clock.now().date().isoformat()
            text = design_text(check, size, name=folder.name, model=model, seeds=order.seeds, created=created)
            if world.store.read_text(ExperimentLayout.summary) is None or _is_same(text, world):
                return world, text
            if order.output is not None:
                hint = "name another directory with `-o`, or leave it out for a free one"
                raise PlanError(f"`{folder}` holds another experiment", hint=hint)
        raise PlanError("there is no free name left", hint="name a directory with `-o`")


def _candidates(root: Path, check: Check, *, order: CheckOrder) -> Iterator[Path]:
    if order.output is not None:
        yield (root / order.output).resolve()
        return
    first = root / f"{'pilot' if order.piloting else 'sanity'}_{check.name}"
    yield first
    yield from (first.with_name(f"{first.name}-{number}") for number in range(2, 1000))


def _is_same(text: str, world: World) -> bool:
    """Return whether an experiment is of this design, whenever it was written."""
    try:
        found, wanted = read_design(world), parse_design(text)
    except CruijffError:
        return False
    kept = [model.model_copy(update={"sha256": None}) for model in found.models]
    return found.model_copy(update={"created": wanted.created, "models": tuple(kept)}) == wanted


def _runs(plan: Plan, arm: Arm) -> list[PlannedRun]:
    return [run for run in plan.runs if run.id.startswith(f"{arm.name}_seed{run.seed}-")]


def _model_of(plan: Plan) -> tuple[str, str]:
    """Return name and content hash of the base model of all runs."""
    return Path(plan.runs[0].model_path).name, str(plan.runs[0].model.sha256)


def _evidence(run: PlannedRun, table: ResultTable, *, world: World) -> Iterator[Evidence]:
    text = world.store.read_text(RunLayout(run.id).config)
    if text is None:
        hint = "`ck scaffold` writes it again"
        raise PlanError(f"`{RunLayout(run.id).config}` is missing", hint=hint)
    config = read_config(TrainConfig, text, name=RunLayout(run.id).config)
    try:
        tokenizer = world.hub.tokenizer(run.model_path)
    except SiteError as err:
        raise SiteError(str(err), hint="judge where the model lies") from err
    splits = {split: planned_rows(config.dataset, split, run=run) for split in ("train", "validation", "test")}
    yield Evidence(run.id, run.seed, splits, Encoding.of(config.dataset), tokenizer, table)


def _absent(arm: Arm) -> JudgedFigure:
    return JudgedFigure(
        arm=arm.name, run=None, seed=None, figure="accuracy", value=None, n=0, band=Band(), verdict="missing",
        reason="the design has no run of this arm",
    )  # fmt: skip


def _expected(arm: Arm, pilots: Pilots | None) -> Expectation:
    right, losses = (figures_of(pilots, arm=arm.name, figure=figure) for figure in ("accuracy", "validation loss"))
    return Expectation(
        arm=arm.name,
        words=arm.words,
        accuracy=arm.known.accuracy,
        entropy=arm.known.entropy,
        accuracy_floor=accuracy_band(arm.known, right[0].n, pilots=right).low if right else None,
        pilots_loss=fmean(each.value for each in losses) if losses else None,
    )


def _write(path: str, noun: SanityVerdict | Pilots, *, action: Action, ok: bool, world: World) -> None:
    content = noun.model_dump_json(indent=2) + "\n"
    if world.store.read_text(path) == content:
        return
    world.store.write(path, content)
    event = AuditEvent(
        actor=world.actor,
        verb="sanity",
        action=action,
        subject=path,
        outputs={path: world.store.digest(path) or "", "check": noun.check, "size": noun.size},
        result=Outcome.SUCCESS if ok else Outcome.FAILURE,
        error=None if ok else "a figure is missing or outside its band",
    )
    world.audit.append(event)


def _command(order: CheckOrder) -> str:
    """Return the command that an order is given by."""
    size = f" --size {order.size}" if order.size else ""
    verb = "pilot" if order.piloting else "run"
    return f"ck sanity {verb} {order.check} --model {order.model}{size} --seeds {len(order.seeds)}"
