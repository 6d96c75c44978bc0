"""Known chances: a calibrated run judged on data whose true probabilities a column tells."""

from cruijff_kit.data.known_chances import CHANCE, chances_in
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.known_chances import KnownChances
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.audit_pairs import evaluated_rows, evaluation_of
from cruijff_kit.workflow.calibrators import (
    chosen_records,
    read_calibrator,
    read_collected,
    refuse_mismatch,
    refuse_own_splits,
    uniforms_of,
)
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["compare_chances"]


def compare_chances(
    run: str, *, split: str = "test", task: str = "", most_ece: float = 0.03, world: World
) -> KnownChances:
    """Return how far a run's probabilities are from the true ones of its data; never writes.

    Rows tell the truth in columns `chance_<option>`, as the generators `bit_chances` and `reports` write them.

    Args:
        run: run id, or an unambiguous start of it.
        split: split to judge on.
        task: evaluation task; may be empty where one alone has the split.
        most_ece: the largest calibration error wanted.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded.
        RunError: the run is unknown, or its data set is not the one planned.
        SpecError: the split is one that the model or the calibrator was made with, or the calibrator
            makes no sets by one quantile.
        ResultError: there is no calibrator, it does not fit, or rows do not tell their true probabilities.
        SiteError: an extra that reads tables or computes intervals is not installed.
    """
    source = read_collected(run, world=world)
    calibrator = read_calibrator(source.run, world=world)
    refuse_own_splits(calibrator, split)
    if len(calibrator.thresholds) != 1:
        fact = f"the calibrator of run `{source.run}` makes no sets by one quantile"
        raise SpecError(fact, hint="fit one that does: `ck calibrate RUN --method lac`, without `--by`")
    chosen = chosen_records(source, split=split, task=task, epoch=calibrator.epoch)
    refuse_mismatch(calibrator, source, chosen=chosen)
    answered = [each for each in chosen if each.error is None]
    planned = find_run(recorded_plan(world=world)[0].runs, source.run)
    rows = evaluated_rows(evaluation_of(planned, chosen[0], world=world), planned)
    told = [chances_in(rows.get(each.sample_id, {}), options=calibrator.options) for each in answered]
    truth = [each for each in told if each is not None]
    if len(truth) < len(told) or not truth:
        fact = f"{len(truth)} of {len(chosen)} samples of split `{split}` have rows that tell the true probabilities"
        hint = f"each row needs a number for each option, in the column `{CHANCE}{calibrator.options[0]}` and its like"
        raise ResultError(fact, hint=hint)
    from cruijff_kit.analysis.known_chances import known_chances

    uniforms = uniforms_of(answered, seed=calibrator.settings.seed)
    return known_chances(answered, truth, calibrator=calibrator, uniforms=uniforms, most_ece=most_ece)
