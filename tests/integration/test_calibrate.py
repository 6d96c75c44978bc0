"""`ck calibrate` on collected predictions: what it writes, promises, keeps, and refuses."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.cli.calibrate import calibrate
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditRecord, Outcome
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, Plan
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.calibrate import apply_calibrator, calibrate_run
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.known_chances import compare_chances
from tests.fakes.eval_logs import write_log
from tests.fakes.experiment import SMALL, STARTED, design_of, seal
from tests.optioned_run import OPTIONS, gather, optioned, optioned_answers, sealed_world

SIZES = {"calibration": 300, "validation": 200, "test": 400}
COSTS = {"no": {"yes": 1, "unsure": 1}, "yes": {"no": 4, "unsure": 1}, "unsure": {"no": 1, "yes": 1}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return sealed_world(tmp_path / "experiment")[0]


@pytest.fixture
def run(world: World) -> str:
    """Return a run whose answers to three splits were collected."""
    plan = Plan.model_validate_json(world.store.read("plan.json") or b"")
    optioned(world, plan.runs[0].id, sizes=SIZES)
    return plan.runs[0].id


def settings(**changes: object) -> CalibrationSettings:
    return CalibrationSettings.model_validate(changes)


def calibrations(world: World) -> list[AuditRecord]:
    return [each for each in world.audit.records() if each.action is Action.CALIBRATE]


def test_from_evaluation_logs_to_sets_on_another_split(tmp_path: Path) -> None:
    world, plan = sealed_world(tmp_path / "experiment")
    tasks = [EvalTask(name=f"opinions_{split}", task="rows", split=split) for split in SIZES]
    first = plan.runs[0].model_copy(update={"cells": tuple(Cell(task=task, epoch=0) for task in tasks)})
    plan = plan.model_copy(update={"runs": (first,)})
    seal(world.store.root, design_of(SMALL), plan=plan)
    for cell in first.cells:
        answers = list(optioned_answers(first.id, split=cell.task.split, n=SIZES[cell.task.split] // 5))
        log = world.store.root / RunLayout(first.id).cell_logs(cell.name) / "2026.eval"
        write_log(log, answers)
        done = Done(
            exit_code=0,
            artefacts={str(log): sha256(log.read_bytes()).hexdigest()},
            samples=len(answers),
            finished=STARTED,
        )
        world.store.write(RunLayout(first.id).cell_done(cell.name), done.model_dump_json())
    world = world._replace(evaluations=InspectLogs())
    collect_results(world=world)
    fitted = calibrate_run(first.id, world=world)
    assert (fitted.n, fitted.unscored, fitted.task) == (60, 0, "opinions_calibration")
    figures = apply_calibrator(first.id, world=world)
    assert figures.n == 80
    assert 0.8 < (figures.coverage[0].value or 0) < 0.96


def test_the_calibrator_is_written_bound_to_its_data_and_recorded(world: World, run: str) -> None:
    fitted = calibrate_run(run, world=world)
    content = world.store.read(RunLayout(run).calibrator) or b""
    assert Calibrator.model_validate_json(content) == fitted
    assert (fitted.alpha, fitted.delta, fitted.n, fitted.options) == (0.1, None, 300, OPTIONS)
    assert [(each.rank, each.n) for each in fitted.thresholds] == [(271, 300)]
    (event,) = calibrations(world)
    assert event.outputs[RunLayout(run).calibrator] == sha256(content).hexdigest()
    assert event.inputs["data_sha256"] == fitted.data_sha256
    assert event.inputs["checkpoint_sha256"] == fitted.checkpoint_sha256 == "34" * 32
    assert event.result is Outcome.SUCCESS


def test_fitting_again_changes_no_byte_and_records_nothing_new(world: World, run: str) -> None:
    first = calibrate_run(run, settings=settings(method="aps"), world=world)
    other = Plan.model_validate_json(world.store.read("plan.json") or b"").runs[1].id
    gather(world, list(optioned_answers(other, split="calibration", n=40)), beside=run)
    calibrate_run(other, world=world)
    content, head = world.store.read(RunLayout(run).calibrator), world.audit.head()
    assert calibrate_run(run, settings=settings(method="aps"), world=world) == first
    assert [each.subject for each in calibrations(world)] == [run, other]
    assert (world.store.read(RunLayout(run).calibrator), world.audit.head()) == (content, head)


def test_applying_writes_nothing_and_gives_the_same_sets_every_time(world: World, run: str) -> None:
    calibrate_run(run, settings=settings(method="aps"), world=world)
    before = {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()}
    first = apply_calibrator(run, world=world)
    assert apply_calibrator(run, world=world) == first
    assert {path: path.read_bytes() for path in world.store.root.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("method", ("lac", "aps", "aps_deterministic", "raps", "raps_deterministic"))
def test_every_kind_of_set_covers_what_it_promises(method: str, world: World, run: str) -> None:
    calibrate_run(run, settings=settings(method=method, temperature_split="validation"), world=world)
    found = apply_calibrator(run, world=world)
    (coverage,) = found.coverage
    low, high = found.expected or (1.0, 0.0)
    # The interval of the share must meet the one in which coverage lies given the calibration set.
    assert (coverage.low or 0) <= high + 0.02
    assert (coverage.high or 0) >= low
    assert sum(found.set_sizes) == coverage.n == 400
    assert found.mean_set_size == pytest.approx(sum(size * count for size, count in enumerate(found.set_sizes)) / 400)
    assert found.claim == "over calibration sets and samples, at least 90 % of sets hold the right option"


def test_a_temperature_from_a_split_of_its_own_undoes_the_overconfidence(world: World, run: str) -> None:
    fitted = calibrate_run(run, settings=settings(temperature_split="validation"), world=world)
    assert fitted.temperature == pytest.approx(2.0, rel=0.3)
    assert fitted.temperature_sha256
    warm = {each.name: each.value for each in apply_calibrator(run, world=world).metrics}
    calibrate_run(run, world=world)
    plain = {each.name: each.value for each in apply_calibrator(run, world=world).metrics}
    assert (warm["ece"] or 1) < 0.75 * (plain["ece"] or 0)
    assert (warm["log_loss"] or 9) < (plain["log_loss"] or 0)
    assert warm["accuracy"] == plain["accuracy"]


@pytest.mark.parametrize("by,names", (("class", ["no", "unsure", "yes"]), ("site", ["north", "south"])))
def test_each_class_or_group_has_its_own_quantile_and_coverage(
    by: str, names: list[str], world: World, run: str
) -> None:
    fitted = calibrate_run(run, settings=settings(by=by), world=world)
    assert [each.category for each in fitted.thresholds] == names
    assert sum(each.n for each in fitted.thresholds) == 300
    found = apply_calibrator(run, world=world)
    assert found.categories == ("all", *names)
    assert found.coverage[0].n == sum(each.n for each in found.coverage[1:])
    assert all((each.high or 0) > 0.88 for each in found.coverage)
    assert found.expected is None


@pytest.mark.parametrize("method,risk", (("ltt", "selective"), ("ltt", "marginal"), ("crc", "marginal")))
def test_decisions_keep_the_risk_they_promise(method: str, risk: str, world: World, run: str) -> None:
    asked = settings(method=method, risk=risk, alpha=0.25, costs=COSTS, temperature_split="validation")
    fitted = calibrate_run(run, settings=asked, world=world)
    assert fitted.threshold is not None
    assert fitted.delta == (0.1 if method == "ltt" else None)
    found = apply_calibrator(run, world=world)
    assert found.acted is not None
    assert found.risk is not None
    assert (found.acted.value or 0) > 0.1
    assert (found.risk.low or 0) <= 0.25
    assert found.risk.n == (400 if risk == "marginal" else round(400 * (found.acted.value or 0)))


def test_too_little_data_gives_full_sets_and_says_how_much_is_needed(world: World, run: str) -> None:
    optioned(world, run, sizes={"calibration": 8, "test": 30})
    fitted = calibrate_run(run, world=world)
    assert [(each.n, each.rank, each.quantile) for each in fitted.thresholds] == [(8, 9, None)]
    assert fitted.claim.endswith("too few calibration samples of 8 samples: alpha 0.1 needs 9, and the set is full")
    found = apply_calibrator(run, world=world)
    assert (found.set_sizes, found.expected) == ((0, 0, 0, 30), (1.0, 1.0))
    assert calibrations(world)[-1].result is Outcome.WARNING


def test_too_little_data_abstains_on_everything_in_words(world: World, run: str) -> None:
    optioned(world, run, sizes={"calibration": 10, "test": 30})
    fitted = calibrate_run(run, settings=settings(method="ltt"), world=world)
    assert fitted.threshold is None
    assert fitted.claim.endswith("abstain on everything")
    found = apply_calibrator(run, world=world)
    assert found.acted is not None
    assert found.risk is not None
    assert (found.acted.value, found.risk.value, found.risk.n) == (0.0, None, 0)


def test_samples_that_errored_are_counted_and_never_acted_on(world: World, run: str) -> None:
    records = [each for split in SIZES for each in optioned_answers(run, split=split, n=100)]
    lost = {"error": "out of memory", "option_logprobs": (), "options": (), "prediction": None, "parse_ok": False}
    gather(world, [each.model_copy(update=lost) if at % 10 == 0 else each for at, each in enumerate(records)])
    fitted = calibrate_run(run, settings=settings(method="crc", alpha=0.3), world=world)
    assert (fitted.n, fitted.unscored) == (90, 10)
    found = apply_calibrator(run, world=world)
    assert (found.n, found.unscored) == (100, 10)
    assert found.acted is not None
    assert (found.acted.n, found.acted.value) == (100, pytest.approx(0.9, abs=0.1))
    accuracy = next(each for each in found.metrics if each.name == "accuracy")
    assert accuracy.n == 100


@pytest.mark.parametrize(
    "changes,said",
    (
        ({"split": "train"}, "the model learnt from it"),
        ({"split": "validation"}, "epochs are chosen by it"),
        ({"split": "test"}, "kept for judging"),
        ({"temperature_split": "calibration"}, "a split of its own"),
        ({"alpha": 1.5}, "is no error rate"),
        ({"costs": COSTS}, "knows no costs"),
        ({"risk": "marginal"}, "controls no risk"),
        ({"method": "ltt", "by": "class"}, "one threshold for all samples"),
        ({"method": "crc", "risk": "selective"}, "controls the marginal risk alone"),
    ),
)
def test_settings_that_contradict_each_other_are_refused(
    changes: dict[str, object], said: str, world: World, run: str
) -> None:
    with pytest.raises(SpecError, match="is not possible") as caught:
        calibrate_run(run, settings=settings(**changes), world=world)
    assert said in str(caught.value)
    assert world.store.read(RunLayout(run).calibrator) is None


def test_all_contradictions_are_told_at_once(world: World, run: str) -> None:
    with pytest.raises(SpecError) as caught:
        calibrate_run(run, settings=settings(split="test", alpha=2, costs=COSTS), world=world)
    assert [each.path for each in caught.value.problems] == ["split", "alpha", "costs"]


@pytest.mark.parametrize(
    "changes,said",
    (
        ({"split": "spare"}, "there are those of split calibration, task opinions_calibration, epoch 0"),
        ({"epoch": 3}, "no predictions of split `calibration` at epoch 3"),
        ({"task": "other"}, "of task `other`"),
        ({"by": "region"}, "group columns there: `site`"),
        ({"method": "ltt", "costs": {"no": {"yes": 1}, "maybe": {}}}, "`maybe` is no option"),
        ({"method": "ltt", "alpha": 1.0}, "between 0 and the largest cost, 1"),
    ),
)
def test_what_the_predictions_do_not_hold_is_refused(
    changes: dict[str, object], said: str, world: World, run: str
) -> None:
    with pytest.raises(ResultError) as caught:
        calibrate_run(run, settings=settings(**changes), world=world)
    assert said in str(caught.value)


def test_predictions_without_option_log_probabilities_are_refused_in_words(world: World, run: str) -> None:
    optioned(world, run, sizes=SIZES, option_logprobs=(), options=())
    with pytest.raises(ResultError, match="300 of 300 predictions of split `calibration` hold no option log-prob"):
        calibrate_run(run, world=world)


def test_options_that_differ_and_targets_that_are_none_are_told_by_sample(world: World, run: str) -> None:
    records = list(optioned_answers(run, split="calibration", n=20))
    records[3] = records[3].model_copy(update={"options": ("no", "yes", "perhaps")})
    records[5] = records[5].model_copy(update={"target": "never"})
    records[7] = records[7].model_copy(update={"option_logprobs": (-0.1,)})
    gather(world, records)
    with pytest.raises(ResultError, match="3 predictions") as caught:
        calibrate_run(run, world=world)
    assert [word in str(caught.value) for word in ("`calibration-3`", "`never`", "1 log-probabilities")] == [True] * 3


def test_a_run_that_was_not_collected_and_a_file_changed_since_are_refused(world: World, run: str) -> None:
    path = world.store.root / f"predictions/{run}.parquet"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ResultError, match="is not what was collected last"):
        calibrate_run(run, world=world)
    path.unlink()
    with pytest.raises(ResultError, match="has no collected predictions"):
        calibrate_run(run, world=world)


def test_samples_of_two_splits_with_one_prompt_are_refused(world: World, run: str) -> None:
    records = [each for split in SIZES for each in optioned_answers(run, split=split, n=100)]
    shared = {"prompt_token_sha256": records[0].prompt_token_sha256}
    gather(world, [each.model_copy(update=shared) if each.sample_id == "test-7" else each for each in records])
    calibrate_run(run, world=world)
    with pytest.raises(ResultError, match="1 samples of split `test` are in split `calibration` too") as caught:
        apply_calibrator(run, world=world)
    assert "`test-7`" in str(caught.value)
    gather(world, [each.model_copy(update=shared) if each.sample_id == "validation-7" else each for each in records])
    with pytest.raises(ResultError, match="1 samples of split `calibration` are in split `validation` too"):
        calibrate_run(run, settings=settings(temperature_split="validation"), world=world)


def test_a_sample_answered_twice_is_refused(world: World, run: str) -> None:
    records = list(optioned_answers(run, split="calibration", n=30))
    gather(world, [*records, records[4]])
    with pytest.raises(ResultError, match="`calibration-4` first"):
        calibrate_run(run, world=world)


@pytest.mark.parametrize(
    "split,update,said",
    (
        ("calibration", {"confidence": 0.123}, "split `calibration` are not those it was fitted to"),
        ("validation", {"confidence": 0.123}, "split `validation` are not those it was fitted to"),
        ("test", {"checkpoint_sha256": "56" * 32}, "checkpoints of one epoch"),
        ("test", {"options": ("yes", "no", "unsure")}, "it knows the options"),
    ),
)
def test_a_calibrator_does_not_fit_other_data_or_another_checkpoint(
    split: str, update: dict[str, object], said: str, world: World, run: str
) -> None:
    calibrate_run(run, settings=settings(temperature_split="validation"), world=world)
    records = [each for name, n in SIZES.items() for each in optioned_answers(run, split=name, n=n)]
    gather(world, [each.model_copy(update=update) if each.split == split else each for each in records])
    with pytest.raises(ResultError) as caught:
        apply_calibrator(run, world=world)
    assert said in str(caught.value)


def test_a_model_trained_anew_needs_a_calibrator_of_its_own(world: World, run: str) -> None:
    calibrate_run(run, world=world)
    optioned(world, run, sizes=SIZES, checkpoint_sha256="56" * 32)
    with pytest.raises(ResultError, match="does not fit") as caught:
        apply_calibrator(run, world=world)
    assert "come from another checkpoint" in str(caught.value)


@pytest.mark.parametrize("split", ("calibration", "validation", "train"))
def test_a_calibrator_is_not_judged_on_what_it_was_made_with(split: str, world: World, run: str) -> None:
    calibrate_run(run, settings=settings(temperature_split="validation"), world=world)
    with pytest.raises(SpecError, match="is no test of the calibrator"):
        apply_calibrator(run, split=split, world=world)


def test_a_missing_or_damaged_calibrator_is_told_with_its_remedy(world: World, run: str) -> None:
    with pytest.raises(ResultError, match="has no calibrator"):
        apply_calibrator(run, world=world)
    world.store.write(RunLayout(run).calibrator, '{"schema_version": 3}')
    with pytest.raises(ResultError, match="json` cannot be read: schema_version"):
        apply_calibrator(run, world=world)


@pytest.fixture
def command(world: World, run: str) -> Callable[..., str]:
    """Return a caller of `ck calibrate` on the run."""

    def call(*arguments: str) -> str:
        found = CliRunner().invoke(calibrate, [run, *arguments], obj=str(world.store.root), catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return found.output

    return call


def test_the_command_says_what_is_promised_and_what_came_of_it(command: Callable[..., str]) -> None:
    said = command("--by", "site", "--temperature-split", "validation")
    assert "300 samples of split calibration" in said
    assert "at least 90 % of sets hold the right option, within each `site`" in said
    applied = command("--apply", "test")
    assert "south" in applied
    assert "options per set" in applied
    assert "log_loss" in applied
    assert json.loads(command("--apply", "test", "--json"))["n"] == 400


def _bare(costs: dict[str, dict[str, int]]) -> str:
    """Return costs as people write them, where YAML would read `no` as false."""
    return "".join(
        f"{true}: {{{', '.join(f'{to}: {cost}' for to, cost in row.items())}}}\n" for true, row in costs.items()
    )


@pytest.mark.parametrize("text", (json.dumps(COSTS), _bare(COSTS)))
def test_the_command_takes_costs_from_a_file(text: str, command: Callable[..., str], tmp_path: Path) -> None:
    costs = tmp_path / "costs.yaml"
    costs.write_text(text, encoding="utf-8")
    said = command("--method", "ltt", "--alpha", "0.25", "--temperature-split", "validation", "--costs", str(costs))
    assert "act where the expected cost is at most" in said
    assert "with probability 0.9 over calibration sets, the cost per sample acted on is at most 0.25" in said
    assert "acted on: " in command("--apply", "test")


@pytest.mark.parametrize(
    "text,said", (("a: [1", "costs"), ("no: {yes: -1}", "`-1` is no cost"), ("- 1", "must map each true option"))
)
def test_costs_that_cannot_be_read_are_refused_in_words(
    text: str, said: str, command: Callable[..., str], tmp_path: Path
) -> None:
    costs = tmp_path / "costs.yaml"
    costs.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        command("--method", "ltt", "--costs", str(costs))
    assert said in str(caught.value)


def test_probabilities_can_be_held_against_true_ones_only_where_there_are_any(world: World, run: str) -> None:
    calibrate_run(run, settings=settings(method="ltt", costs=COSTS), world=world)
    with pytest.raises(SpecError, match="no sets by one quantile"):
        compare_chances(run, world=world)
    calibrate_run(run, world=world)
    with pytest.raises(SpecError, match="no test of the calibrator"):
        compare_chances(run, split="validation", world=world)
    said = CliRunner().invoke(calibrate, [run, "--known"], obj=str(world.store.root))
    assert isinstance(said.exception, SpecError)
    assert "add `--apply test`" in str(said.exception)
