"""The losses and the monitor on transformers' Trainer: a real model, a few steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.calibrated_trainer import (
    CalibratedTrainer,
    CalibrationMonitorCallback,
    EnhancedLoRASFTTrainer,
)

Rows = list[dict[str, list[int]]]
LABELS = ("low", "high", "none")


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    return AutoTokenizer.from_pretrained(base)


def model_of(base: Path) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(base)


def rows(tokenizer: Any, *answers: str) -> Rows:
    """Return one row for each answer, questions of several lengths before them."""
    found: Rows = []
    for at, answer in enumerate(answers):
        prompt = tokenizer.encode("ask " + "ab" * (at % 5 + 1), add_special_tokens=False)
        taught = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
        found.append({"input_ids": [*prompt, *taught], "labels": [*(IGNORE,) * len(prompt), *taught]})
    return found


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    told: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 4,
        "max_steps": 4,
        "learning_rate": 1e-3,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "use_cpu": True,
        "seed": 1,
        **changes,
    }
    return TrainingArguments(str(folder), **told)


def told(trainer: Any) -> list[dict[str, Any]]:
    return [each for each in trainer.state.log_history if "eval_loss" in each]


def test_every_part_that_is_switched_on_is_measured_and_none_that_is_off(
    base: Path, tokenizer: Any, tmp_path: Path
) -> None:
    train, held = rows(tokenizer, *LABELS[:2] * 6), rows(tokenizer, *LABELS[:2] * 5)
    trainer = EnhancedLoRASFTTrainer(
        model_of(base), arguments(tmp_path), train_dataset=train, eval_dataset=held,
        enable_advanced_metrics=True, conformal_prediction=True, risk_controlled_training=True,
        processing_class=tokenizer, controls={"harm_weights": {"high": 5.0}},
    )  # fmt: skip
    assert trainer.controls.loss == "harm_weighted"
    assert set(trainer.controls.options or ()) == set(LABELS[:2])
    trainer.train()
    model: Any = trainer.model
    learnt = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learnt
    assert all("lora_" in name for name in learnt)
    figures = told(trainer)
    assert [each["step"] for each in figures] == [2, 4]
    for each in figures:
        for name in (
            "ece",
            "ece_debiased",
            "mce",
            "brier",
            "mean_confidence",
            "abstention_rate",
            "coverage",
            "set_size",
        ):
            assert each[f"eval_{name}_low"] <= each[f"eval_{name}"] <= each[f"eval_{name}_high"], name
        assert each["eval_expected_risk"] >= 0
    plain = EnhancedLoRASFTTrainer(
        trainer.model, arguments(tmp_path), train_dataset=train, eval_dataset=held,
        enable_advanced_metrics=False, conformal_prediction=True,
    )  # fmt: skip
    found = plain.evaluate()
    assert {"eval_coverage", "eval_set_size_high"} <= found.keys()
    assert not {"eval_ece", "eval_expected_risk", "eval_accuracy"} & found.keys()


def test_a_step_is_the_same_however_it_is_accumulated(base: Path, tokenizer: Any, tmp_path: Path) -> None:
    settings = {"max_steps": 1, "eval_strategy": "no", "max_grad_norm": 0.0, "learning_rate": 1e-3}
    split = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    train = rows(tokenizer, *("low", "high", "high", "none") * 2)
    controls = {"loss": "gambler", "loss_options": {"payoff": 1.5, "abstain": "none"}}
    losses = []
    for each in (split, {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}):
        trainer = CalibratedTrainer(
            model_of(base), arguments(tmp_path, **settings, **each), train_dataset=train,
            processing_class=tokenizer, controls=controls,
        )  # fmt: skip
        trainer.train()
        losses.append(next(each["loss"] for each in trainer.state.log_history if "loss" in each))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_plain_cross_entropy_is_the_models_own_loss(base: Path, tokenizer: Any, tmp_path: Path) -> None:
    train, model = rows(tokenizer, *LABELS), model_of(base)
    trainer = CalibratedTrainer(model, arguments(tmp_path), train_dataset=train, eval_dataset=train)
    batch = trainer.data_collator(train)
    own = model(**batch).loss.item()
    assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(own, rel=1e-5)
    loss, outputs = trainer.compute_loss(model, dict(batch), return_outputs=True, num_items_in_batch=1000)
    taught = int((batch["labels"] != IGNORE).sum())
    assert loss.item() == pytest.approx(own * taught / 1000, rel=1e-5)
    assert outputs.logits.shape[:2] == batch["input_ids"].shape


class Rates(TrainerCallback):
    """Notes the rate of every step."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seen: dict[int, float] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **told: Any) -> None:
        """Note the rate that the coming step is taken at."""
        self.seen[state.global_step + 1] = told["optimizer"].param_groups[0]["lr"]


def test_a_lowered_rate_is_not_undone_by_the_scheduler_and_goes_on_after_a_resume(
    base: Path, tokenizer: Any, tmp_path: Path
) -> None:
    # A model of random weights is not as right as it is sure where all answers are one it does not expect.
    train = rows(tokenizer, *("none",) * 11, "low", "high")
    controls = {"calibration_monitor": {"enabled": True, "adjust_lr": True, "bins": 2, "draws": 50}}
    settings = {"max_steps": 60, "eval_steps": 8, "learning_rate": 1e-4, "save_strategy": "steps", "save_steps": 10}

    told = {
        "train_dataset": train, "eval_dataset": rows(tokenizer, *("none",) * 12), "processing_class": tokenizer,
        "controls": controls,
    }  # fmt: skip
    trainer = CalibratedTrainer(model_of(base), arguments(tmp_path, **settings), callbacks=[before := Rates()], **told)
    trainer.train()
    rates = before.seen
    changes = [each for each in trainer.state.log_history if "lr_scale" in each]
    assert changes
    assert changes[0]["step"] == 8
    scale = 1.0
    for step, rate in rates.items():
        scale = next((each["lr_scale"] for each in reversed(changes) if each["step"] < step), 1.0)
        assert rate == pytest.approx(1e-4 * (60 - step + 1) / 60 * scale), step
    assert scale <= 0.8
    again = CalibratedTrainer(model_of(base), arguments(tmp_path, **settings), callbacks=[noted := Rates()], **told)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-50"))
    assert noted.seen == pytest.approx({step: rate for step, rate in rates.items() if step > 50})


def test_the_best_and_the_last_step_may_go_by_any_figure(base: Path, tokenizer: Any, tmp_path: Path) -> None:
    settings = {
        "max_steps": 12, "eval_steps": 2, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-9,
        "load_best_model_at_end": True, "metric_for_best_model": "eval_brier", "greater_is_better": False,
    }  # fmt: skip
    train = rows(tokenizer, *LABELS * 3)
    trainer = EnhancedLoRASFTTrainer(
        model_of(base), arguments(tmp_path, **settings), train_dataset=train, eval_dataset=train,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2, early_stopping_threshold=1e-3)],
    )  # fmt: skip
    trainer.train()
    # Nothing is learnt at such a rate, so the first evaluation stays the best.
    assert trainer.state.global_step == 6
    assert trainer.state.best_metric == pytest.approx(told(trainer)[0]["eval_brier"], abs=1e-3)


def test_a_callback_by_itself_does_nothing_where_calibration_may_be_right() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    callback, state = CalibrationMonitorCallback(), TrainerState(global_step=3)
    sure = {"optimizer": optimizer, "lr_scheduler": schedule}
    callback.on_evaluate(None, state, None, metrics={"eval_ece_debiased_low": 0.05}, **sure)
    assert (optimizer.param_groups[0]["lr"], state.log_history) == (1.0, [])
    callback.on_evaluate(None, state, None, metrics={"eval_ece_debiased_low": 0.051}, **sure)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.8 / 2)
    assert state.log_history[0]["lr_scale"] == pytest.approx(0.8)


@pytest.mark.parametrize(
    "controls,answers",
    (
        ({"loss": "gambler"}, LABELS),
        ({"loss": "harm_weighted"}, LABELS),
        ({"calibration_monitor": {"enabled": True}}, ("low",)),
        ({"loss": "harm_weighted", "harm_weights": {"hihg": 2.0}}, LABELS),
    ),
)
def test_what_cannot_be_is_refused_in_words(
    controls: dict[str, Any], answers: tuple[str, ...], base: Path, tokenizer: Any, tmp_path: Path
) -> None:
    words = "needs its payoff|has no weights|1 different answers|write `high`"
    with pytest.raises(SpecError, match=words):
        CalibratedTrainer(
            model_of(base), arguments(tmp_path), train_dataset=rows(tokenizer, *answers), processing_class=tokenizer,
            eval_dataset=rows(tokenizer, *answers), controls=controls,
        )  # fmt: skip
