"""`ck decide` on a run that a real evaluator evaluated: samples, texts, lines, and what a calibrator is refused for."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from click.testing import CliRunner

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.adapters.serving import LocalServing
from cruijff_kit.cli.decide import decide
from cruijff_kit.errors import CruijffError, ResultError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.calibrator_text import calibrator_text
from cruijff_kit.runtime.eval_config import checkpoint_sha256, load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.runtime.job_files import artefact_hashes
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.calibration import CalibrationSettings, Calibrator
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.serving import ModelChoice
from cruijff_kit.schema.verdict import DecisionSettings, TextOrder, Verdict
from cruijff_kit.workflow import checked_calibrator, decide_sample, decide_text, open_judge, scaffold_runs
from cruijff_kit.workflow.calibrate import calibrate_run, fit_calibrator
from cruijff_kit.workflow.calibrators import read_collected
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.seal import recorded_plan
from tests.fakes.designed import design, put_design, world_at
from tests.optioned_run import optioned_answers
from tests.random_model import random_adapter, random_base
from tests.served import record_base

OPTIONS = ("no", "yes")
SIZES = {"train": 8, "calibration": 60, "test": 12}
PROMPT, SYSTEM = "Is {input} good?", "Answer yes or no."


def question(split: str, number: int) -> str:
    return f"{split} thing {number}"


class Bench(NamedTuple):
    """An experiment of two seeds and a control, the first seed evaluated and calibrated, and what it lies in."""

    world: World
    run: str
    twin: str
    control: str
    base: str


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return made(tmp_path_factory.mktemp("decide"))


def made(folder: Path, **generation: int) -> Bench:
    torch.set_num_threads(1)
    base = random_base(folder / "base")
    data = folder / "things.json"
    rows = {
        split: [{"input": question(split, at), "output": OPTIONS[at % 3 > 0]} for at in range(n)]
        for split, n in SIZES.items()
    }
    data.write_text(json.dumps(rows), encoding="utf-8")
    asked = {"task": "rows", "scorers": ["match", "risk"], "options": list(OPTIONS)}
    tasks = [{"name": split, "split": split, **asked} for split in ("calibration", "test")]
    spec = design(
        models=[{"name": "tiny", "path": base}], factors={}, runs=[{"name": "base", "type": "control"}],
        data={"training": {"path": str(data)}, "tier": "green"},
        controls={
            "seeds": [1, 2], "epochs": 1, "batch_size": 4, "max_seq_len": 128, "lora_dropout": 0.2,
            "prompt": PROMPT, "system_prompt": SYSTEM,
        },
        evaluation={"tasks": tasks, "generation": {"max_tokens": 2, **generation}},
    )  # fmt: skip
    world = world_at(folder / "experiment")._replace(
        hub=LocalHub(cache=folder / "cache"), evaluations=InspectLogs(), serving=LocalServing()
    )
    put_design(world.store.root, spec)
    scaffold_runs(world=world)
    tuned = [run for run in recorded_plan(world=world)[0].runs if run.type == "fine-tuned"]
    control = next(run.id for run in recorded_plan(world=world)[0].runs if run.type == "control")
    for number, run in enumerate(tuned):
        _train(world, run.id, base=base, seed=number + 1)
    for cell in tuned[0].cells:
        _evaluate(world, tuned[0].id, cell.name)
    collect_results(world=world)
    calibrate_run(tuned[0].id, settings=CalibrationSettings(alpha=0.2), world=world)
    return Bench(world, tuned[0].id, tuned[1].id, control, base)


def _train(world: World, run: str, *, base: str, seed: int) -> None:
    output = Path(load_train_config(world.store.root / RunLayout(run).config).output_dir)
    adapter = random_adapter(output / "epoch_0", base, seed=seed, dropout=0.2)
    record_base(adapter, base)
    hashes = artefact_hashes(sorted(Path(adapter).glob("adapter_*")), experiment=world.store.root)
    done = Done(exit_code=0, artefacts=hashes, finished=world.clock.now())
    world.store.write(RunLayout(run).done("train"), done.model_dump_json())


def _evaluate(world: World, run: str, cell: str) -> None:
    path = world.store.root / RunLayout(run).cell_config(cell)
    config = load_eval_config(path)
    place = place_of(config)
    facts = {"checkpoint_sha256": checkpoint_sha256(config, place)}
    log = run_cell(config, path, place=place, facts=facts, answered=lambda _: None)
    digest = sha256(log.path.read_bytes()).hexdigest()
    done = Done(exit_code=0, artefacts={str(log.path): digest}, samples=log.samples, finished=world.clock.now())
    world.store.write(RunLayout(run).cell_done(cell), done.model_dump_json())


def order(bench: Bench, **changes: object) -> TextOrder:
    choice = ModelChoice(run=bench.run, device="cpu")
    return TextOrder.model_validate({"choice": choice, **changes})


def shares(found: Verdict) -> list[float]:
    return [each.probability for each in found.probabilities]


def test_a_text_is_judged_as_the_evaluator_judged_the_same_sample(bench: Bench) -> None:
    judge = open_judge(order(bench), world=bench.world)
    for number in (0, 5, 11):
        sample = decide_sample(bench.run, f"test-{number}", world=bench.world)
        text = judge.decide(question("test", number))
        assert shares(text) == pytest.approx(shares(sample), abs=1e-6)
        assert (text.verdict, text.prediction_set) == (sample.verdict, sample.prediction_set)
        # The texts are put as the calibration samples were, and that was seen.
        assert text.promises == sample.promises
    (promise,) = sample.promises
    assert promise.words.startswith("over calibration sets and samples, at least 80 % of sets hold the right option")
    assert (promise.n, promise.alpha) == (60, 0.2)


def test_nothing_is_written_by_deciding(bench: Bench) -> None:
    def there() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in bench.world.store.root.rglob("*") if path.is_file()}

    before = there()
    asked = DecisionSettings(alpha=0.1, risk_level=0.5)
    decide_sample(bench.run, "test-1", asked=asked, world=bench.world)
    decide_text("a thing", order=order(bench, asked=asked), world=bench.world)
    assert there() == before


def test_a_run_without_a_calibrator_promises_nothing(bench: Bench) -> None:
    for run in (bench.twin, bench.control):
        found = decide_text("thing", order=order(bench, choice=ModelChoice(run=run)), world=bench.world)
        assert (found.promises, found.prediction_set) == ((), None)
        assert "no guarantee: there is no calibrator for these probabilities" in found.notes


def test_another_checkpoint_than_the_calibrated_is_refused(bench: Bench) -> None:
    for choice in (ModelChoice(run=bench.run, epoch="base"), ModelChoice(run=bench.twin)):
        calibrator = checked_calibrator(bench.run, world=bench.world)
        with pytest.raises(ResultError, match="the calibrator is of checkpoint") as caught:
            decide_text("thing", order=order(bench, choice=choice), calibrator=calibrator, world=bench.world)
        assert "epoch 0 of run" in str(caught.value)


def test_an_adapter_by_hand_takes_its_own_calibrator_on_a_condition(bench: Bench) -> None:
    output = load_train_config(bench.world.store.root / RunLayout(bench.run).config).output_dir
    choice = ModelChoice(adapter=f"{output}/epoch_0", device="cpu")
    with pytest.raises(SpecError, match="which options are to be chosen from"):
        decide_text("thing", order=order(bench, choice=choice), world=bench.world)
    calibrator = checked_calibrator(bench.run, world=bench.world)
    found = decide_text("thing", order=order(bench, choice=choice), calibrator=calibrator, world=bench.world)
    assert found.promises[0].words.startswith("if texts are put to the model as task `calibration` put its samples: ")


def test_other_options_than_the_calibrator_s_are_refused(bench: Bench) -> None:
    with pytest.raises(ResultError, match="the calibrator knows the options `no`, `yes`, and others are asked for"):
        decide_text("thing", order=order(bench, options=("good", "bad")), world=bench.world)


@pytest.mark.parametrize("source", ("mc_dropout", "ensemble"))
def test_several_answers_tell_their_doubt_and_no_calibrator_of_single_ones_speaks_for_them(
    source: str, bench: Bench
) -> None:
    members = (bench.twin,) if source == "ensemble" else ()
    asked = order(bench, source=source, passes=5, members=members)
    judge = open_judge(asked, world=bench.world)
    found = judge.decide("thing")
    assert found.uncertainty is not None
    assert (found.uncertainty.source, found.uncertainty.members) == (source, 2 if members else 5)
    assert found.uncertainty.mutual_information > 0
    total = found.uncertainty.expected_entropy + found.uncertainty.mutual_information
    assert found.uncertainty.predictive_entropy == pytest.approx(total)
    assert found.spread is not None
    assert found.spread.entropy == pytest.approx(found.uncertainty.predictive_entropy)
    assert found.promises == ()
    assert any("was fitted to other answers" in note for note in found.notes)
    assert judge.decide("thing") == found


def test_an_evaluation_in_passes_is_calibrated_as_such_and_texts_are_asked_as_it_asked(
    tmp_path: Path, bench: Bench
) -> None:
    several = made(tmp_path, dropout_passes=4)
    judge = open_judge(order(several), world=several.world)
    for number in (1, 6):
        sample = decide_sample(several.run, f"test-{number}", world=several.world)
        text = judge.decide(question("test", number))
        assert shares(text) == pytest.approx(shares(sample), abs=1e-6)
        assert text.promises == sample.promises
        assert text.promises
        assert text.uncertainty is not None
        assert (text.uncertainty.members, text.uncertainty.mutual_information > 0) == (4, True)
    records = {each.sample_id: each for each in read_collected(several.run, world=several.world).records}
    plain = {each.sample_id: each for each in read_collected(bench.run, world=bench.world).records}
    # The same model, data and answers; only the options' probabilities are others.
    assert all(records[name].completion == each.completion for name, each in plain.items())
    assert all(records[name].option_logprobs != each.option_logprobs for name, each in plain.items())
    other = decide_text("thing", order=order(several, source="mc_dropout", passes=5), world=several.world)
    assert other.promises == ()


@pytest.mark.parametrize(
    "changes,error,said",
    (
        ({"source": "ensemble"}, SpecError, "an ensemble of one model"),
        ({"members": ("x",)}, SpecError, "no ensemble is asked for"),
        ({"source": "ensemble", "members": ("nowhere",)}, RunError, "nowhere"),
        ({"source": "mc_dropout", "asked": {"alpha": 0.1}}, SpecError, "cannot be promised without a calibrator"),
    ),
)
def test_doubt_that_cannot_be_had_is_refused(
    changes: dict[str, object], error: type[CruijffError], said: str, bench: Bench
) -> None:
    with pytest.raises(error, match=said):
        decide_text("thing", order=order(bench, **changes), world=bench.world)


def test_a_bare_base_has_no_dropout_to_turn_on(bench: Bench) -> None:
    choice = ModelChoice(run=bench.control, device="cpu")
    with pytest.raises(ResultError, match="a bare base model has no LoRA dropout"):
        decide_text("thing", order=order(bench, choice=choice, source="mc_dropout"), world=bench.world)


def test_an_ensemble_is_of_one_base_asked_alike(bench: Bench, tmp_path: Path) -> None:
    other = random_base(tmp_path / "other", seed=9)
    strange = random_adapter(tmp_path / "strange", other)
    record_base(strange, other)
    with pytest.raises(SiteError, match="was trained on another base"):
        decide_text("thing", order=order(bench, source="ensemble", members=(strange,)), world=bench.world)
    with pytest.raises(SpecError, match="is no adapter on the base"):
        decide_text("thing", order=order(bench, source="ensemble", members=(bench.control,)), world=bench.world)
    bare = random_adapter(tmp_path / "bare", bench.base)
    record_base(bare, bench.base)
    with pytest.raises(SpecError, match="was trained to be asked otherwise"):
        decide_text("thing", order=order(bench, source="ensemble", members=(bare,)), world=bench.world)


def test_samples_that_are_not_there_or_were_calibrated_on_are_refused(bench: Bench) -> None:
    with pytest.raises(ResultError, match="has no sample `test-99`"):
        decide_sample(bench.run, "test-99", world=bench.world)
    with pytest.raises(SpecError, match="split `calibration` is no test of the calibrator"):
        decide_sample(bench.run, "calibration-3", world=bench.world)


@pytest.fixture
def command(bench: Bench) -> Callable[..., str]:
    """Return a caller of `ck decide` in the experiment."""

    def call(*arguments: str, typed: str | None = None) -> str:
        found = CliRunner().invoke(
            decide, list(arguments), obj=str(bench.world.store.root), input=typed, catch_exceptions=False
        )
        assert found.exit_code == 0, found.output
        return found.stdout

    return call


def test_the_command_tells_a_sample_a_text_and_probabilities_alike(command: Callable[..., str], bench: Bench) -> None:
    sample = json.loads(command("--run", bench.run, "--sample", "test-2", "--json"))
    text = json.loads(command("--run", bench.run, "--text", question("test", 2), "--device", "cpu", "--json"))
    assert text["promises"] == sample["promises"]
    record = next(each for each in read_collected(bench.run, world=bench.world).records if each.sample_id == "test-2")
    (line,) = command("--run", bench.run, "--input", "-", typed=record.model_dump_json()).splitlines()
    assert Verdict.model_validate_json(line) == Verdict.model_validate(sample)
    listed = ",".join(f"{each['option']}={each['probability']!r}" for each in sample["probabilities"])
    said = command("--run", bench.run, "--probs", listed)
    assert said.splitlines()[0] == f"{sample['verdict']}: act on {sample['action']!r}"
    assert f"guaranteed: if run `{bench.run}` (checkpoint `" in said


def test_lines_go_in_and_out_and_what_cannot_be_used_abstains(
    command: Callable[..., str], bench: Bench, tmp_path: Path
) -> None:
    given, made = tmp_path / "given.jsonl", tmp_path / "made.jsonl"
    good = {"id": "a", "probabilities": {"no": 0.1, "yes": 0.9}}
    rows = [good, {**good, "checkpoint_sha256": "ab" * 32}, {"id": "c"}, {"probabilities": {"a": 0.5, "b": 0.5}}]
    given.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n", encoding="utf-8")
    command("--run", bench.run, "--input", str(given), "--output", str(made))
    found = [Verdict.model_validate_json(line) for line in made.read_text(encoding="utf-8").splitlines()]
    assert [each.verdict for each in found] == ["PROCEED", "ABSTAIN", "ABSTAIN", "ABSTAIN"]
    said = ("cheapest action", "checkpoint `abababababab` gave these", "holds no probabilities", "knows the options")
    assert all(words in each.reason for words, each in zip(said, found, strict=True))
    assert [len(each.promises) for each in found] == [1, 0, 0, 0]


def test_costs_from_a_file_are_calibrated_anew_from_the_scores_kept(
    command: Callable[..., str], tmp_path: Path
) -> None:
    def fitted(**changes: object) -> Calibrator:
        records = tuple(optioned_answers("rank4-0123abcd", split="calibration", n=300))
        settings = CalibrationSettings.model_validate({"method": "ltt", "alpha": 0.6, **changes})
        return fit_calibrator(records, settings=settings)

    kept, costs = tmp_path / "calibrator.json", tmp_path / "labels.yaml"
    kept.write_text(calibrator_text(fitted()), encoding="utf-8")
    weights = {"no": 1, "yes": 4, "unsure": 2}
    costs.write_text(f"harm_weights: {json.dumps(weights)}\n", encoding="utf-8")
    asked = ("--calibrator", str(kept), "--probs", "no=.97,yes=.01,unsure=.02", "--cost-matrix", str(costs), "--json")
    found = Verdict.model_validate_json(command(*asked))
    matrix = {true: {chosen: weight for chosen in weights if chosen != true} for true, weight in weights.items()}
    assert found.threshold == fitted(costs=matrix).threshold != fitted().threshold
    assert [each.expected_cost for each in found.expected_costs] == pytest.approx([0.08, 1.01, 1.01])
    (promise,) = found.promises
    assert (found.verdict, promise.of, promise.risk, promise.recomputed) == ("PROCEED", "decision", "selective", True)
    without = tmp_path / "without.json"
    without.write_text(calibrator_text(fitted().model_copy(update={"kept": None})), encoding="utf-8")
    bare = Verdict.model_validate_json(command("--calibrator", str(without), *asked[2:]))
    assert (bare.promises, bare.threshold) == ((), None)
    assert "no guarantee of decisions at alpha 0.6: the calibrator keeps no scores" in bare.notes[0]


@pytest.mark.parametrize(
    "arguments,said",
    (
        ((), "nothing to decide on is named"),
        (("--probs", "a=1,b=0", "--text", "x"), "several are named: text, probs"),
        (("--probs", "a=1,b=0", "--output", "x"), "`--output` is for"),
        (("--sample", "test-1"), "a sample is one of a run"),
        (("--probs", "a=1,b=0", "--miss-rate", "2"), "this cannot be asked of a decision"),
        (("--text", "x", "--field", "abc"), "`--field abc` names no value"),
        (("--text", "x", "--field", "=3"), "`--field =3` names no column"),
        (("--text", "x", "--mc-dropout", "4", "--ensemble", "b"), "two sources of doubt"),
        (("--input", "nowhere.jsonl"), "cannot be read: no such file"),
    ),
)
def test_a_command_that_cannot_be_meant_is_refused_in_words(
    arguments: tuple[str, ...], said: str, command: Callable[..., str]
) -> None:
    with pytest.raises(CruijffError) as caught:
        command(*arguments)
    assert said in str(caught.value)


def test_a_calibrator_in_a_file_is_read_wherever_it_lies_and_one_that_is_none_is_refused(
    command: Callable[..., str], bench: Bench, tmp_path: Path
) -> None:
    kept = bench.world.store.root / RunLayout(bench.run).calibrator
    assert Calibrator.model_validate_json(kept.read_bytes()).kept is not None
    assert "guaranteed: if run" in command("--calibrator", str(kept), "--probs", "no=.1,yes=.9")
    broken = tmp_path / "calibrator.json"
    broken.write_text('{"schema_version": 9}', encoding="utf-8")
    with pytest.raises(SpecError, match="is no calibrator: schema_version"):
        command("--calibrator", str(broken), "--probs", "no=.1,yes=.9")


# Last: these change the experiment.


def test_a_calibrator_of_other_data_or_another_checkpoint_is_refused(bench: Bench) -> None:
    path = RunLayout(bench.run).calibrator
    text = bench.world.store.read_text(path) or ""
    mine = Calibrator.model_validate_json(text)
    for name, said in (("data_sha256", "are not those it was fitted to"), ("checkpoint_sha256", "another checkpoint")):
        bench.world.store.write(path, text.replace(getattr(mine, name), "ab" * 32))
        for ask in (
            lambda: decide_sample(bench.run, "test-1", world=bench.world),
            lambda: decide_text("thing", order=order(bench), world=bench.world),
        ):
            with pytest.raises(ResultError) as caught:
                ask()
            assert said in str(caught.value)
    bench.world.store.write(path, text)


def test_single_samples_of_red_data_are_not_told(bench: Bench) -> None:
    mark = Path(bench.world.store.root.parent / "TIER")
    mark.write_text("red\n", encoding="utf-8")
    with pytest.raises(RunError, match="single samples of run"):
        decide_sample(bench.run, "test-1", world=bench.world)
    mark.unlink()
