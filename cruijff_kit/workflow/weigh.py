"""Weigh: what is to be done with probabilities that are typed or on record; no model is asked, nothing is written."""

from collections.abc import Mapping
from math import isfinite, log

from cruijff_kit.errors import Problem, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.sample_view import SamplePage, StoredSample
from cruijff_kit.schema.verdict import Chances, DecisionSettings, Verdict
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.calibrators import digest_of, read_calibrator, read_collected, uniforms_of
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["find_calibrator", "list_samples", "type_chances", "weigh_chances"]

_LEAST = 1e-12
_AS_PLAIN = DecisionSettings()


def find_calibrator(run: str, *, world: World) -> Calibrator | None:
    """Return the calibrator of a run, without the scores that it keeps; None where it has none.

    Raises:
        RunError: the run is unknown.
        ResultError: the calibrator cannot be read.
    """
    found = _calibrator(run, world=world)
    return None if found is None else found.model_copy(update={"kept": None})


def list_samples(run: str, *, world: World) -> SamplePage:
    """Return the evaluated samples of a run on which nothing was fitted.

    Raises:
        RunError: the run is unknown.
        ResultError: nothing was collected, or the data may not be shown row by row.
    """
    plan, _ = recorded_plan(world=world)
    shut = closed_plan(plan, way="show", world=world)
    if shut is not None:
        raise ResultError(f"samples are withheld: {shut.fact}", hint=shut.hint)
    source = read_collected(run, world=world)
    calibrator = _calibrator(run, world=world)
    used = {"train", "validation", "calibration"}
    used |= {calibrator.settings.split, calibrator.settings.temperature_split} if calibrator is not None else set()
    free = [each for each in source.records if each.split not in used]
    scored = [each for each in free if each.error is None and len(each.option_logprobs) == len(each.options) > 1]
    seed = calibrator.settings.seed if calibrator is not None else 0
    fitting = "" if calibrator is None or _fits(calibrator, source.records) else _OTHERS
    samples = (
        StoredSample(
            task=each.task,
            split=each.split,
            epoch=each.epoch,
            target=each.target,
            chances=_chances(each, uniform=uniform, calibrator=calibrator, fitting=fitting),
        )
        for each, uniform in zip(scored, uniforms_of(scored, seed=seed), strict=True)
    )
    return SamplePage(run=source.run, samples=tuple(samples), left_out=len(free) - len(scored))


def type_chances(shares: Mapping[str, float]) -> Chances:
    """Return typed probabilities, made to add up to 1, as a verdict takes them.

    Raises:
        SpecError: one is below 0 or no number, or all are 0.
    """
    wrong = [name for name, share in shares.items() if not isfinite(share) or share < 0]
    if wrong or not sum(shares.values()):
        problems = [Problem(f"`{shares[name]:g}` is no probability", path=name) for name in wrong]
        hint = "give each option a number from 0 on; they are made to add up to 1"
        raise SpecError("these are no probabilities", problems=problems, hint=hint)
    total = sum(shares.values())
    logprobs = tuple(log(max(share / total, _LEAST)) for share in shares.values())
    return Chances(options=tuple(shares), logprobs=logprobs, uniform=0.5, unproven=_TYPED)


def weigh_chances(
    chances: Chances, *, run: str | None = None, asked: DecisionSettings = _AS_PLAIN, world: World
) -> Verdict:
    """Return what is to be done with one sample's probabilities: set, expected costs, verdict, and what is guaranteed.

    Thresholds of another alpha or of other costs than the calibrator's are found anew from
    the scores that it keeps. Without a calibrator nothing is guaranteed.

    Args:
        chances: the probabilities.
        run: whose calibrator counts; None for none.
        asked: error rates and costs.
        world: the experiment and its surroundings.

    Raises:
        RunError: the run is unknown.
        ResultError: options or costs do not fit, or the calibrator cannot be read.
        SpecError: what is asked contradicts itself.
        SiteError: an extra that computes thresholds is not installed.
    """
    from cruijff_kit.scoring.verdicts import decide_chances

    calibrator = None if run is None else _calibrator(run, world=world)
    return decide_chances(chances, calibrator=calibrator, asked=asked)


_TYPED = "these are probabilities that this run's model gave to a sample drawn as the calibration samples were"
_OTHERS = "the collected predictions are those that it was fitted to, which they are not any more"


def _calibrator(run: str, *, world: World) -> Calibrator | None:
    plan, _ = recorded_plan(world=world)
    chosen = find_run(plan.runs, run).id
    if world.store.read(RunLayout(chosen).calibrator) is None:
        return None
    return read_calibrator(chosen, world=world)


def _fits(calibrator: Calibrator, records: tuple[Prediction, ...]) -> bool:
    """Return whether the records it was fitted to are still those that were collected."""
    settings = calibrator.settings
    mine = (settings.split, calibrator.task, calibrator.epoch)
    fitted = [each for each in records if (each.split, each.task, each.epoch) == mine]
    return digest_of(fitted) == calibrator.data_sha256


def _chances(each: Prediction, *, uniform: float, calibrator: Calibrator | None, fitting: str) -> Chances:
    other = calibrator is not None and each.checkpoint_sha256 != calibrator.checkpoint_sha256
    return Chances(
        options=each.options,
        logprobs=each.option_logprobs,
        sample_id=each.sample_id,
        groups=each.groups,
        uniform=uniform,
        unproven="it was fitted to this checkpoint, which it was not" if other else fitting,
    )
