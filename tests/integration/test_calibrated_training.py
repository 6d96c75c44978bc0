"""Calibrated training: losses of answers, what is watched at validations, and what follows from it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from cruijff_kit.data.structured import answer_json
from cruijff_kit.data.tokens import Encoding, answer_ids
from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.recipes import lora_single_device, peft_lora, peft_lora_calibrated
from cruijff_kit.runtime import objective as objectives
from cruijff_kit.runtime.calibration_watch import CalibrationWatch, load_watch
from cruijff_kit.runtime.contest import Contest
from cruijff_kit.runtime.key_values import read_prompts
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.objective import load_objective
from cruijff_kit.runtime.option_reading import Batching, read_options
from cruijff_kit.runtime.option_scores import option_table, score_options
from cruijff_kit.runtime.parts import Parts
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.schedules import rate_at
from cruijff_kit.runtime.seeding import seed_everything
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.training_rows import Rows, load_rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import MetricPoint
from tests.training_runs import metric_points, write_run

LABELS = ("low", "high", "none")
ROWS = [{"input": f"{at * 37 % 101}", "output": LABELS[at % 7 % 2]} for at in range(24)]
SPLITS = {"train": ROWS[:12], "validation": ROWS[12:]}
OPTIONS: dict[str, Any] = {"options": LABELS, "lr_scheduler": {"num_warmup_steps": 0}, "splits": SPLITS}
MONITOR = {"enabled": True, "draws": 60, "bins": 5}
LOSSES: Mapping[str, dict[str, Any]] = {
    "label_smoothing": {"loss": "label_smoothing", "loss_options": {"smoothing": 0.2}},
    "focal": {"loss": "focal"},
    "gambler": {"loss": "gambler", "loss_options": {"payoff": 1.5, "abstain": "none"}},
    "abstain_seed": {"loss": "abstain_seed"},
    "harm_weighted": {
        "loss": "harm_weighted",
        "harm_weights": {"high": 10.0, "low": 1.0},
        "critical_errors": [{"true": "high", "predicted": "low", "weight": 50.0}],
    },
}


def loop_of(config: Path, recipe: Any = peft_lora) -> Loop:
    settings = load_train_config(config)
    rows = load_rows(settings)
    seed_everything(settings.seed)
    made = recipe.build(settings, Ranks())
    objective, watch = load_objective(settings, rows), load_watch(settings, rows)
    return Loop(settings, made, rows=rows, objective=objective, watch=watch)


def expected_loss(name: str, config: Path, base: Path) -> float:
    """Return the mean loss of the first step's rows from the logits of the whole model, option by option."""
    settings = load_train_config(config)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    spelt = [answer_ids(each, encoding=Encoding.of(settings.dataset), tokenizer=tokenizer) for each in LABELS]
    losses, tokens, weights = 0.0, 0, {"low": 1.0, "high": 10.0}
    rows = load_rows(settings).train
    answers = [LABELS[spelt.index(row.ids[row.prompt_length :])] for row in rows]
    mean = sum(weights[each] for each in answers) / len(answers)
    for row, answer in zip(rows, answers, strict=True):
        with torch.no_grad():
            said = model(input_ids=torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
        own = said[row.prompt_length - 1 : -1]
        given = own.gather(1, torch.tensor(row.ids[row.prompt_length :])[:, None])[:, 0]
        # The labels begin differently, so one leaves another at once.
        first = {each: own[0, ids[0]].item() for each, ids in zip(LABELS, spelt, strict=True)}
        masses = {**first, answer: given.sum().item()}
        entropy, most = -(own.exp() * own).sum(1), own.exp().amax(1)
        losses += {
            "label_smoothing": -0.8 * masses[answer] - 0.2 * sum(masses.values()) / 3,
            "focal": -((1 - given.exp()) ** 2 * given).sum().item(),
            "gambler": -math.log(math.exp(masses[answer]) + math.exp(first["none"]) / 1.5),
            "abstain_seed": (-given * most + 0.3 * (0.7 - most).relu() + 0.1 * entropy).sum().item(),
            "harm_weighted": (
                -weights[answer] * masses[answer] + (50 * math.exp(first["low"]) if answer == "high" else 0.0)
            )
            / mean,
        }[name]
        tokens += len(given)
    return losses / tokens


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_its_formula_by_either_recipe_however_a_step_is_split(
    name: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {**OPTIONS, **LOSSES[name], "batch_size": 12}
    config = write_run(tmp_path / "whole", base, **whole)
    first = next(loop_of(config).take())
    assert first.loss == pytest.approx(expected_loss(name, config, base), rel=1e-4)
    split = {**whole, "batch_size": 5, "gradient_accumulation_steps": 3, "packed": True}
    other = write_run(tmp_path / "split", base, **split)
    parted = next(loop_of(other).take())
    assert (parted.loss, parted.grad_norm) == pytest.approx((first.loss, first.grad_norm), rel=1e-4)
    # An adapter of another make begins at other numbers, which change nothing yet.
    assert next(loop_of(other, lora_single_device).take()).loss == pytest.approx(first.loss, rel=1e-4)
    monkeypatch.setattr(objectives, "LOGITS_AT_ONCE", 2000)
    sliced = next(loop_of(config).take())
    assert (sliced.loss, sliced.grad_norm) == pytest.approx((first.loss, first.grad_norm), rel=1e-5)


@pytest.mark.parametrize("recipe", (peft_lora, lora_single_device), ids=("peft", "torchtune"))
@pytest.mark.parametrize("packed", (False, True), ids=("padded", "packed"))
def test_options_are_read_in_training_as_an_evaluation_scores_them(
    recipe: Any, packed: bool, base: Path, tmp_path: Path
) -> None:
    # One option begins another, and one is a single token.
    options = ("1", "10", "high", "higher")
    loop = loop_of(write_run(tmp_path, base, splits=SPLITS, packed=packed), recipe)
    prompts = [row.ids[: row.prompt_length] for row in loop.rows.val][:5]
    table = option_table(options, tokenizer=AutoTokenizer.from_pretrained(base))
    found = read_options(prompts, table, hear=loop.heard, batching=Batching(3, packed))
    model: Any = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        expected = score_options(model, read_prompts(model, prompts), tables=[table] * len(prompts))
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs is not None
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)
        assert ours.mass == pytest.approx(theirs.mass, rel=1e-3)


SAME = [{**row, "output": "none"} for row in ROWS]
LOWERED: dict[str, Any] = {
    **OPTIONS,
    "splits": {"train": SAME[:12], "validation": SAME[12:]},
    "batch_size": 2,
    "epochs": 10,
    "epochs_to_save": [9],
    "optimizer": {"lr": 1e-3},
    "checkpoint_every_n_steps": 8,
    "metric_for_best_model": "brier",
    "calibration_monitor": {**MONITOR, "adjust_lr": True, "bins": 2},
}


class Failing(CalibrationWatch):
    """Fails at its third validation, as a node does."""

    seen = 0

    def measure(self, course: Any) -> dict[str, Any]:
        """Return the figures twice, then fail."""
        self.seen += 1
        if self.seen == 3:
            raise RunError("the node went away", run_id="rank4-0a1b2c3d", hint="start it again")
        return CalibrationWatch.measure(self, course)


def failing(config: TrainConfig, rows: Rows) -> CalibrationWatch:
    watch = load_watch(config, rows)
    assert watch is not None
    return Failing(watch.controls, watch.table, watch.prompts, watch.true, watch.seed)


@pytest.fixture(scope="module")
def lowered(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train sixty steps whose first validations lower the rate: a random model is not as right as it is sure."""
    config = write_run(tmp_path_factory.mktemp("lowered"), base, **LOWERED)
    assert peft_lora_calibrated.main(["--config", str(config)]) == 0
    return config


def test_a_lowered_rate_stays_lowered_through_the_schedule_fifty_steps_later(
    lowered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, points = load_train_config(lowered), metric_points(lowered)
    shape, scale = rate_at(settings.lr_scheduler, total_steps=60), 1.0
    changes: list[int] = []
    for point in points:
        assert point.lr == pytest.approx(1e-3 * shape(point.step - 1) * scale)
        if point.lr_scale is not None:
            assert point.ece_debiased_low is not None
            assert point.ece_debiased_low > 0.05
            assert point.lr_scale == pytest.approx(0.8 * scale)
            scale, changes = point.lr_scale, [*changes, point.step]
        elif point.val_loss is not None:
            assert (point.ece_debiased_low or 0.0) <= 0.05
    assert changes
    assert changes[0] == 6
    after = [point for point in points if point.step >= changes[0] + 50]
    assert after
    assert all(point.lr is not None and point.lr <= 0.8 * 1e-3 * shape(point.step - 1) for point in after)


def test_what_was_lowered_survives_a_failure_and_is_told_in_the_log(
    lowered: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_run(tmp_path, base, **LOWERED)
    parts = Parts(watch=failing)
    assert run_recipe(peft_lora.build, name="fails", argv=["--config", str(config)], parts=parts) == 5
    assert [point.step for point in metric_points(config)][-1] < 18
    assert peft_lora_calibrated.main(["--config", str(config), "--resume"]) == 0
    kept = ("step", "lr", "lr_scale", "ece", "ece_low", "coverage", "expected_risk_high", "brier")
    told = [{name: getattr(point, name) for name in kept} for point in metric_points(config)]
    whole = [{name: getattr(point, name) for name in kept} for point in metric_points(lowered)]
    for ours, theirs in zip(told, whole, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    output = capsys.readouterr().out
    assert "step 6: the debiased ECE is " in output
    assert "learning rates from here on are 0.8 of those planned" in output
    assert "warning: nothing known shows that `adjust_lr` improves calibration" in output


def test_every_validation_tells_its_figures_with_intervals_and_sets_on_rows_of_their_own(lowered: Path) -> None:
    points = [point for point in metric_points(lowered) if point.val_loss is not None]
    assert [point.step for point in points] == list(range(6, 61, 6))
    names = ("accuracy", "ece", "mce", "mean_confidence", "abstention_rate", "coverage", "set_size", "expected_risk")
    for point in points:
        for name in (*names, "brier", "ece_debiased"):
            value, low, high = (getattr(point, f"{name}{end}") for end in ("", "_low", "_high"))
            assert low <= value <= high, name
        # Six of twelve rows calibrate: shares of the others are sixths.
        sixths = 6 * (point.coverage or 0.0)
        assert sixths == pytest.approx(round(sixths))
        assert point.watched_rows == 12
    line = json.loads((lowered.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[5])
    assert {"ece", "ece_low", "ece_high", "coverage_low", "set_size_high", "option_mass"} <= line.keys()


def test_the_best_adapter_is_the_one_of_the_metric_asked_for(lowered: Path) -> None:
    output = Path(load_train_config(lowered).output_dir)
    scores = [point.brier for point in metric_points(lowered) if point.brier is not None]
    assert scores[0] > min(scores)
    settings = load_train_config(lowered)
    loop = loop_of(lowered)
    weights = load_file(output / "best" / "adapter_model.safetensors")
    with torch.no_grad():
        for name, weight in loop.trainable.items():
            weight.copy_(weights[next(iter(loop.trainee.adapter({name: weight})))])
    watch = load_watch(settings, loop.rows)
    assert watch is not None
    found = watch.measure(loop)["brier"]
    assert found == pytest.approx(min(scores), rel=1e-3)


def test_training_ends_once_patience_is_spent_and_later_epochs_are_what_it_ended_with(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A loss that falls is no greater: the first validation stays the best.
    changes = {"metric_for_best_model": "val_loss", "greater_is_better": True, "early_stopping_patience": 2}
    rows = {**OPTIONS, "batch_size": 6, "epochs": 6, "epochs_to_save": [0, 4, 5], "optimizer": {"lr": 1e-3}}
    config = write_run(tmp_path, base, **rows, **changes)
    assert peft_lora_calibrated.main(["--config", str(config)]) == 0
    points = metric_points(config)
    losses = [point.val_loss for point in points if point.val_loss is not None]
    assert losses == sorted(losses, reverse=True)
    assert points[-1].step == 6
    output = Path(load_train_config(config).output_dir)
    kept = {epoch: (output / f"epoch_{epoch}" / "adapter_model.safetensors").read_bytes() for epoch in (0, 4, 5)}
    assert kept[4] == kept[5] != kept[0]
    assert (output / "best" / "adapter_model.safetensors").read_bytes() == kept[0]
    said = "training ends at step 6 of 12: `val_loss` was no better in 2 validations in a row"
    assert said in capsys.readouterr().out
    assert peft_lora_calibrated.main(["--config", str(config)]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_validation_that_is_no_number_is_never_the_best_and_is_waited_through(base: Path, tmp_path: Path) -> None:
    contest = Contest(load_train_config(write_run(tmp_path, base, early_stopping_patience=2)))
    losses = (math.nan, 0.5, math.inf, math.nan)
    steps = (MetricPoint(step=step, epoch=0) for step in range(1, 5))
    points = (point.model_copy(update={"val_loss": loss}) for point, loss in zip(steps, losses, strict=True))
    assert [contest.judge(point) for point in points] == [False, True, False, False]
    assert (contest.best, contest.over) == ((0.5, 2), True)


def test_the_decisions_of_structured_answers_are_watched_where_an_evaluation_scores_them(
    base: Path, tmp_path: Path
) -> None:
    texts = [{**row, "output": answer_json(row["output"], rationale="so")} for row in ROWS]
    silent = {"input": "7", "output": answer_json(None, rationale="too short")}
    splits = {"train": texts[:12], "validation": [*texts[12:], silent]}
    told: dict[str, Any] = {"options": LABELS[:2], "splits": splits, "dataset": {"max_seq_len": 256}}
    loop = loop_of(write_run(tmp_path, base, **told, calibration_monitor={**MONITOR, "abstain_below": 0.0}))
    watch = loop.watch
    assert isinstance(watch, CalibrationWatch)
    assert [watch.table.options[at] for at in watch.true] == [*(row["output"] for row in ROWS[12:]), "null"]
    scores = read_options(watch.prompts, watch.table, hear=loop.heard, batching=Batching(3))
    model: Any = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        tables = [watch.table] * len(watch.prompts)
        expected = score_options(model, read_prompts(model, watch.prompts), tables=tables)
    said = [each.logprobs for each in expected if each is not None]
    for ours, theirs in zip(scores, said, strict=True):
        assert ours.logprobs == pytest.approx(theirs, abs=1e-3)
    figures = watch.measure(loop)
    right = [max(each[:2]) == each[at] for each, at in zip(said, watch.true, strict=True) if at < 2]
    assert figures["accuracy"] == pytest.approx(sum(right) / 12)
    # The row that is to be abstained on counts for the rate of abstention alone.
    assert figures["watched_rows"] == 13
    assert figures["abstention_rate"] == pytest.approx(sum(max(each) == each[2] for each in said) / 13)
    strange = {**told, "options": (*LABELS[:1], "other")}
    with pytest.raises(SpecError, match="answer none of `options`"):
        loop_of(write_run(tmp_path / "strange", base, **strange, calibration_monitor=MONITOR))


def test_the_first_systems_loss_warns_in_the_jobs_own_log(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_run(tmp_path, base, splits=SPLITS, loss="abstain_seed", max_steps_per_epoch=1)
    assert lora_single_device.main(["--config", str(config)]) == 0
    assert "warning: `abstain_seed` is no proper scoring rule" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes,words",
    (
        ({"loss": "gambler"}, ("needs to know the options", "needs its payoff", "option that means no answer")),
        ({**LOSSES["gambler"], "options": ("low", "none")}, ("`payoff` is `1.5`",)),
        ({**LOSSES["gambler"], "options": ("low", "none", "no", "x")}, ("5 of 12 rows", "train[1]")),
        ({**LOSSES["gambler"], "options": ("low", "high", "none", "no")}, ("`none` and `no` begin alike",)),
        ({"calibration_monitor": MONITOR, "options": ("low", "other")}, ("answer none of `options`", "validation[")),
        ({"calibration_monitor": MONITOR, "options": LABELS, "split_val": None}, ("fewer than 2 validation rows",)),
    ),
)
def test_rows_and_options_that_a_loss_is_not_for_are_refused_before_the_model_is_loaded(
    changes: dict[str, Any], words: tuple[str, ...], base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_run(tmp_path, base, splits=SPLITS, **changes)
    assert peft_lora_calibrated.main(["--config", str(config)]) != 0
    told = capsys.readouterr().err
    assert [word for word in words if word not in told] == []
    assert not (config.parent / "metrics.jsonl").exists()


def test_a_line_without_validation_says_nothing_of_calibration(lowered: Path) -> None:
    plain = next(point for point in metric_points(lowered) if point.val_loss is None)
    assert plain == MetricPoint.model_validate_json(plain.model_dump_json(exclude_defaults=True))
    assert plain.ece is None
    assert plain.watched_rows is None
