"""Verdicts: what is to be done with samples whose options' probabilities are known already; never writes."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from cruijff_kit.data.chance_rows import ChanceRow, chances_of, read_chance_row, read_shares
from cruijff_kit.data.cost_file import read_costs
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.files import write_aside
from cruijff_kit.schema.calibration import Calibrator
from cruijff_kit.schema.noun import first_fault
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.scoring_rules import Costs
from cruijff_kit.schema.verdict import Chances, DecisionSettings, Verdict
from cruijff_kit.workflow.calibrators import (
    Collected,
    chosen_records,
    fitted_calibrator,
    last_epoch,
    read_collected,
    refuse_mismatch,
    refuse_own_splits,
    uniforms_of,
)
from cruijff_kit.workflow.consent import refuse_hidden
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.user_text import user_text

__all__ = [
    "checked_calibrator",
    "decide_chances",
    "decide_lines",
    "decide_sample",
    "decide_shares",
    "load_calibrator",
    "load_costs",
    "write_verdicts",
]

_SHOWN = 5
_MEND = "mend the path"


def decide_chances(
    chances: Chances, *, calibrator: Calibrator | None = None, asked: DecisionSettings | None = None
) -> Verdict:
    """Return set, costs and ruling for the probabilities of one sample; pure, and the same every time.

    Args:
        chances: its options and their log-probabilities.
        calibrator: what was fitted to the model that gave them; without one nothing is guaranteed.
        asked: another alpha or other costs, found anew from the scores that the calibrator keeps.

    Raises:
        ResultError: options or costs do not fit.
        SpecError: what is asked contradicts itself.
    """
    # numpy comes with it, and faces name this verb without.
    from cruijff_kit.scoring import verdicts

    return verdicts.decide_chances(chances, calibrator=calibrator, asked=asked or DecisionSettings())


def decide_shares(text: str, *, calibrator: Calibrator | None = None, asked: DecisionSettings | None = None) -> Verdict:
    """Return what is to be done with probabilities given by hand, as `no=.2,yes=.8`.

    Raises:
        ResultError: options or costs do not fit.
        SpecError: these are no probabilities, or what is asked contradicts itself.
    """
    seed = 0 if calibrator is None else calibrator.settings.seed
    chances = chances_of(read_shares(text), sample_id="by hand", seed=seed)
    return decide_chances(_conditional(chances, calibrator), calibrator=calibrator, asked=asked)


def decide_lines(
    lines: Iterable[str], *, calibrator: Calibrator | None = None, asked: DecisionSettings | None = None
) -> Iterator[Verdict]:
    """Yield a verdict for each line of JSON Lines that is not blank; what cannot be used abstains with its reason.

    Args:
        lines: rows with `probabilities`, `logprobs`, or `options` and `option_logprobs`.
        calibrator: what was fitted to the model that gave them.
        asked: another alpha or other costs.

    Raises:
        ResultError: the costs do not fit the options of the calibrator.
        SpecError: what is asked contradicts itself.
    """
    from cruijff_kit.scoring.verdicts import DecisionRule, decision_rule, weigh

    settings, seed = asked or DecisionSettings(), 0 if calibrator is None else calibrator.settings.seed
    rules = dict[frozenset[str], DecisionRule]()
    if calibrator is not None:
        rules[frozenset(calibrator.options)] = decision_rule(calibrator.options, calibrator=calibrator, asked=settings)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = read_chance_row(line, number=number, seed=seed)
            chances, known = _proven(row, calibrator), frozenset(row.chances.options)
            if known not in rules:
                rules[known] = decision_rule(chances.options, calibrator=calibrator, asked=settings)
            yield weigh(chances, rule=rules[known])
        except (ResultError, SpecError) as err:
            yield _abstention(f"line {number}", str(err).partition("\n")[0])


def decide_sample(
    run: str, sample_id: str, *, task: str = "", asked: DecisionSettings | None = None, world: World
) -> Verdict:
    """Return what is to be done with a sample of a run's collected predictions.

    The run's calibrator is used where it has one, checked against data and checkpoint.

    Args:
        run: run id, or an unambiguous start of it.
        sample_id: as in its predictions, such as `test-3`.
        task: evaluation task; may be empty where one alone has the sample.
        asked: another alpha or other costs.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown, or its data may not be shown.
        SpecError: the sample is one that the model or the calibrator was made with.
        ResultError: there is no such sample; or the calibrator does not fit it.
    """
    source = read_collected(run, world=world)
    refuse_hidden("single samples", source.run, plan=recorded_plan(world=world)[0], world=world)
    calibrator = fitted_calibrator(source.run, world=world)
    record = _record(source, sample_id, task=task, calibrator=calibrator)
    if calibrator is not None:
        refuse_own_splits(calibrator, record.split)
        refuse_mismatch(calibrator, source, chosen=(record,))
    if record.error is not None or not record.option_logprobs:
        why = record.error or record.reason or "its options were not scored"
        return _abstention(sample_id, f"the sample has no probabilities: {why}")
    seed = 0 if calibrator is None else calibrator.settings.seed
    chances = Chances(
        options=record.options,
        logprobs=record.option_logprobs,
        sample_id=sample_id,
        groups=record.groups,
        uniform=uniforms_of((record,), seed=seed)[0],
    )
    return decide_chances(chances, calibrator=calibrator, asked=asked)


def checked_calibrator(run: str, *, world: World) -> Calibrator | None:
    """Return a run's calibrator, proven to be of its collected data and their checkpoint; None where it has none.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown.
        ResultError: the predictions are missing, or the calibrator is not of them.
    """
    source = read_collected(run, world=world)
    calibrator = fitted_calibrator(source.run, world=world)
    if calibrator is not None:
        own = chosen_records(source, split=calibrator.settings.split, task=calibrator.task, epoch=calibrator.epoch)
        refuse_mismatch(calibrator, source, chosen=own, apart=False)
    return calibrator


def load_calibrator(path: Path) -> Calibrator:
    """Return the calibrator in a file, wherever it lies: nothing proves what it was fitted to.

    Raises:
        SpecError: it cannot be read.
    """
    try:
        return Calibrator.model_validate_json(user_text(path, name=str(path), hint=_MEND))
    except ValidationError as err:
        raise SpecError(f"`{path}` is no calibrator: {first_fault(err)}", hint="`ck calibrate` writes one") from err


def load_costs(path: Path) -> Costs:
    """Return what each wrong choice costs, from a YAML file.

    Raises:
        SpecError: it cannot be read, or holds no costs that can be used; all problems at once.
    """
    return read_costs(user_text(path, name=str(path), hint=_MEND), name=str(path))


def write_verdicts(verdicts: Iterable[Verdict], *, path: Path) -> int:
    """Write verdicts, one a line, whole or not at all, and return how many.

    Raises:
        SpecError: the file cannot be written.
    """
    lines = [each.model_dump_json() for each in verdicts]
    try:
        write_aside(path, "".join(f"{line}\n" for line in lines))
    except OSError as err:
        raise SpecError(f"`{path}` cannot be written: {str(err.strerror).lower()}", hint="name another file") from err
    return len(lines)


def _record(source: Collected, sample_id: str, *, task: str, calibrator: Calibrator | None) -> Prediction:
    """Return the one record that is meant: of the calibrator's epoch, or of the last one."""
    named = [each for each in source.records if each.sample_id == sample_id and task in {"", each.task}]
    if not named:
        there = sorted({each.sample_id for each in source.records if task in {"", each.task}})
        some = ", ".join(f"`{each}`" for each in there[:_SHOWN])
        where = f" of task `{task}`" if task else ""
        raise ResultError(f"run `{source.run}` has no sample `{sample_id}`{where}", hint=f"there are {some} and so on")
    wanted = last_epoch(named) if calibrator is None else calibrator.epoch
    found = [each for each in named if each.epoch == wanted]
    if not found:
        fact = f"sample `{sample_id}` has no prediction of epoch {wanted}, which the calibrator is of"
        raise ResultError(fact, hint="evaluate that epoch on its split and collect, or calibrate another epoch")
    tasks = sorted({each.task for each in found})
    if len(tasks) > 1:
        raise ResultError(f"several tasks have sample `{sample_id}`: {', '.join(tasks)}", hint="name one with `--task`")
    if len(found) > 1:
        raise ResultError(f"sample `{sample_id}` was answered {len(found)} times", hint="evaluate each sample once")
    return found[0]


def _proven(row: ChanceRow, calibrator: Calibrator | None) -> Chances:
    """Return a row's chances, with the condition on which the calibrator holds for them.

    Raises:
        ResultError: it says that another checkpoint gave them.
    """
    if calibrator is None or row.checkpoint is None:
        return _conditional(row.chances, calibrator)
    if row.checkpoint != calibrator.checkpoint_sha256:
        fact = (
            f"checkpoint `{row.checkpoint[:12]}` gave these probabilities, and the calibrator is of "
            f"`{calibrator.checkpoint_sha256[:12]}`"
        )
        raise ResultError(fact, hint="use the calibrator of the run that gave them")
    return row.chances


def _conditional(chances: Chances, calibrator: Calibrator | None) -> Chances:
    """Return chances that nothing proves to come from the calibrator's model."""
    if calibrator is None:
        return chances
    model = f"run `{calibrator.run}` (checkpoint `{calibrator.checkpoint_sha256[:12]}`)"
    return chances.model_copy(update={"unproven": f"{model} gave these probabilities, which nothing here proves"})


def _abstention(sample_id: str, reason: str) -> Verdict:
    return Verdict(sample_id=sample_id, verdict="ABSTAIN", action=None, reason=reason)
