"""The losses and the monitor on transformers' own Trainer, for whoever trains by it.

    from cruijff_kit.runtime.calibrated_trainer import EnhancedLoRASFTTrainer

    trainer = EnhancedLoRASFTTrainer(
        model, args, train_dataset=train, eval_dataset=val,
        enable_advanced_metrics=True, conformal_prediction=True, risk_controlled_training=False,
    )
    trainer.train()

Rows hold `input_ids` and `labels`, -100 but for the answer and its end. The options are the answers
that the data hold, unless they are named; each evaluation tells their figures as
`eval_ece`, `eval_coverage` and so on, which `metric_for_best_model` and transformers'
`EarlyStoppingCallback` may go by. Recipes do not use this: they have a loop of their own.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState

from cruijff_kit.data.loss_facts import looks_at_rows, loss_warnings, refuse_unfit
from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.runtime.answer_tree import AnswerTree
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.calibration_watch import CalibrationWatch
from cruijff_kit.runtime.losses import summed_cross_entropy
from cruijff_kit.runtime.objective import make_objective
from cruijff_kit.runtime.option_reading import Batching
from cruijff_kit.runtime.option_scores import spelt_options
from cruijff_kit.schema.losses import CalibrationMonitor, LossControls
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["CalibratedTrainer", "CalibrationMonitorCallback", "EnhancedLoRASFTTrainer"]

_LOG = logging.getLogger(__name__)
_MOST = 64
_SETS = ("coverage", "set_size")
_RISK = ("expected_risk",)

_Answers = Mapping[str, Sequence[int]]


class _Logits(NamedTuple):
    """A model whose logits are there already."""

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden.float()

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        return summed_cross_entropy(hidden, labels)


class CalibratedTrainer(Trainer):
    """Trainer that minimises one of our losses, and tells at each evaluation how far probabilities can be trusted."""

    def __init__(
        self,
        model: Any,
        args: Any = None,
        *,
        controls: LossControls | Mapping[str, Any] | None = None,
        answers: _Answers | None = None,
        **further: Any,
    ) -> None:
        """Prepare a training.

        Args:
            model: a causal language model.
            args: transformers' `TrainingArguments`.
            controls: the loss and the monitor, under the names of a design's controls; `options` follow from `answers`.
            answers: option to its token ids, end token included; where absent, the answers that the data hold,
                named by their text, or by their ids where there is no `processing_class`.
            **further: arguments of `Trainer`; rows are padded on the right where there is no `data_collator`.

        Raises:
            SpecError: the loss is not for these rows, or is told what contradicts itself.
        """
        further.setdefault("data_collator", _padded)
        super().__init__(model, args, **further)
        # So that the sum below is divided by all tokens of a step, not batch by batch.
        self.model_accepts_loss_kwargs = True
        told = controls if isinstance(controls, LossControls) else LossControls.model_validate(controls or {})
        self._tree: AnswerTree | None = None
        if looks_at_rows(told) or told.loss in {"gambler", "harm_weighted"} or told.calibration_monitor.enabled:
            self._tree = self._answers(answers)
            told = told.model_copy(update={"options": self._tree.options})
        refuse_unfit(told)
        self.controls = told
        for each in loss_warnings(told):
            _LOG.warning(each)
        rows = self._tree if looks_at_rows(told) else None
        taught = [] if rows is None else [_place(row, rows) for row in _rows(self.train_dataset)]
        self._objective = make_objective(told, tree=rows, taught=taught)
        monitor = told.calibration_monitor
        if monitor.adjust_lr:
            self.add_callback(CalibrationMonitorCallback(monitor.adjustment_threshold, monitor.lr_reduction_factor))

    def compute_loss(  # pyright: ignore[reportIncompatibleMethodOverride]  # the Trainer names what follows
        self,
        model: Any,
        inputs: dict[str, Any],
        *,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a batch, and what the model said where that is asked for.

        Args:
            model: the model, wrapped as it is trained.
            inputs: token ids, labels and what else the model takes.
            return_outputs: whether the outputs follow.
            num_items_in_batch: supervised tokens of the whole optimiser step, of all processes.
        """
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        batch = _shifted(inputs)
        wanted = (batch.labels != IGNORE).to(outputs.logits.device)
        summed = self._objective.loss(_Logits(), outputs.logits[wanted], batch=batch, step=self.state.global_step)
        loss = summed / (max(1, batch.supervised) if num_items_in_batch is None else num_items_in_batch)
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            # Gradients of processes are averaged, and the sum is over the tokens of all.
            loss = loss * (self.accelerator.num_processes if self.args.n_gpu <= 1 else self.args.n_gpu)
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(self, dataloader: Any, *arguments: Any, **named: Any) -> Any:
        """Return the outputs of an evaluation, the figures of its options among the metrics."""
        output = super().evaluation_loop(dataloader, *arguments, **named)
        if self.controls.calibration_monitor.enabled and self._tree is not None and output.metrics is not None:
            prefix = named.get("metric_key_prefix", "eval")
            figures = self._figures(dataloader.dataset, self._tree)
            output.metrics.update({f"{prefix}_{name}": value for name, value in figures.items() if self._told(name)})
        return output

    def _told(self, name: str) -> bool:
        """Return whether a figure is among the metrics."""
        return True

    def _figures(self, dataset: Any, tree: AnswerTree) -> dict[str, Any]:
        rows = list(_rows(dataset))
        table = spelt_options(tree.options, tree.places)
        true = [_place(row, tree) for row in rows]
        watch = CalibrationWatch(self.controls, table, [_prompt(row) for row in rows], true, self.args.seed)
        return watch.figures(self._heard, batching=Batching(self.args.eval_batch_size))

    def _heard(self, passes: Iterable[Batch]) -> Iterator[Tensor]:
        model: Any = self.model
        was_training = model.training
        model.eval()
        for batch in passes:
            with torch.no_grad():
                logits = model(input_ids=batch.ids.to(self.args.device)).logits
            yield logits[(batch.labels != IGNORE).to(logits.device)]
        model.train(was_training)

    def _answers(self, named: _Answers | None) -> AnswerTree:
        if named is not None:
            return AnswerTree(tuple(named), tuple(tuple(ids) for ids in named.values()))
        held: Any = self.eval_dataset
        datasets = [self.train_dataset, *(held.values() if isinstance(held, dict) else [held])]
        found = sorted({_answer(row) for each in datasets for row in _rows(each)})
        if not 2 <= len(found) <= _MOST:
            fact = f"the rows have {len(found)} different answers, and options are between 2 and {_MOST}"
            hint = "give rows labels that are -100 but for the answer, or name the options in `answers`"
            raise SpecError("the options cannot be told from the rows", problems=[Problem(fact, "answers", hint=hint)])
        return AnswerTree(tuple(self._name(ids) for ids in found), tuple(found))

    def _name(self, ids: PromptIds) -> str:
        tokenizer: Any = self.processing_class
        return " ".join(map(str, ids)) if tokenizer is None else tokenizer.decode(ids, skip_special_tokens=True).strip()


class EnhancedLoRASFTTrainer(CalibratedTrainer):
    """A LoRA training of a classifier, with as much of the rest as is switched on."""

    def __init__(
        self,
        model: Any,
        args: Any = None,
        *,
        enable_advanced_metrics: bool = True,
        conformal_prediction: bool = False,
        risk_controlled_training: bool = False,
        **further: Any,
    ) -> None:
        """Prepare a training.

        Args:
            model: a causal language model; without an adapter it gets LoRA layers of rank 16 on all linear ones.
            args: transformers' `TrainingArguments`.
            enable_advanced_metrics: whether calibration, confidence and abstention are measured.
            conformal_prediction: whether coverage and size of conformal sets are, on rows of their own.
            risk_controlled_training: whether the expected risk is; where the controls name harm weights or critical
                errors, `harm_weighted` is minimised too.
            **further: `train_dataset`, `eval_dataset`, `peft_config`, `controls`, `answers`, and what else there is.
        """
        adapter = further.pop("peft_config", None)
        if not hasattr(model, "peft_config"):
            usual = LoraConfig(
                task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.1, target_modules="all-linear"
            )
            model = get_peft_model(model, adapter or usual)
        told = further.pop("controls", None) or {}
        told = told if isinstance(told, LossControls) else LossControls.model_validate(told)
        measured = enable_advanced_metrics or conformal_prediction or risk_controlled_training
        monitor: CalibrationMonitor = told.calibration_monitor.model_copy(update={"enabled": measured})
        changes: dict[str, Any] = {"calibration_monitor": monitor}
        if risk_controlled_training and told.loss == "ce" and (told.harm_weights or told.critical_errors):
            changes["loss"] = "harm_weighted"
        self._parts = {
            "calibration": enable_advanced_metrics,
            "sets": conformal_prediction,
            "risk": risk_controlled_training,
        }
        super().__init__(model, args, controls=told.model_copy(update=changes), **further)

    def _told(self, name: str) -> bool:
        plain = name.removesuffix("_low").removesuffix("_high")
        part = "sets" if plain in _SETS else "risk" if plain in _RISK else "calibration"
        # The rate is lowered by what is measured, so that is told too.
        return self._parts[part] or (self.controls.calibration_monitor.adjust_lr and plain == "ece_debiased")


class CalibrationMonitorCallback(TrainerCallback, ExportableState):
    """Lowers the learning rate where an evaluation shows beyond doubt that the model is miscalibrated.

    Rates that a scheduler starts from are scaled too, so that its next step does not undo the
    change; they are part of its state, so a training that resumes goes on with them.
    """

    def __init__(self, adjustment_threshold: float = 0.05, lr_reduction_factor: float = 0.8) -> None:
        """Keep what is exceeded by the lower end of the debiased ECE's interval, and what rates are multiplied by."""
        self.adjustment_threshold = adjustment_threshold
        self.lr_reduction_factor = lr_reduction_factor
        self.lr_scale = 1.0

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint of the Trainer keeps."""
        told = {name: getattr(self, name) for name in ("adjustment_threshold", "lr_reduction_factor")}
        return {"args": told, "attributes": {"lr_scale": self.lr_scale}}

    def on_evaluate(self, args: Any, state: Any, *_: Any, **told: Any) -> None:
        """Lower the rate where the metrics say so."""
        metrics = told.get("metrics") or {}
        low = metrics.get("eval_ece_debiased_low")
        optimizer, scheduler = told.get("optimizer"), told.get("lr_scheduler")
        if low is None or low <= self.adjustment_threshold or optimizer is None:
            return
        factor = self.lr_reduction_factor
        self.lr_scale *= factor
        for group in optimizer.param_groups:
            group["lr"] *= factor
            if "initial_lr" in group:
                group["initial_lr"] *= factor
        inner: Any = getattr(scheduler, "scheduler", scheduler)
        if hasattr(inner, "base_lrs"):
            inner.base_lrs = [rate * factor for rate in inner.base_lrs]
        state.log_history.append({"step": state.global_step, "lr_scale": self.lr_scale, "eval_ece_debiased_low": low})
        fact = "step %d: the debiased ECE is above %g beyond doubt; learning rates are now %g of those planned"
        _LOG.warning(fact, state.global_step, self.adjustment_threshold, self.lr_scale)


def _rows(dataset: Any) -> Iterator[Mapping[str, Any]]:
    return iter(dataset if dataset is not None else ())


def _ids(row: Mapping[str, Any], name: str) -> list[int]:
    """Return a column of a row without what its mask hides."""
    seen = row.get("attention_mask")
    values = [int(each) for each in row[name]]
    return values if seen is None else [each for each, shown in zip(values, seen, strict=True) if int(shown)]


def _answer(row: Mapping[str, Any]) -> PromptIds:
    return tuple(label for label in _ids(row, "labels") if label != IGNORE)


def _prompt(row: Mapping[str, Any]) -> PromptIds:
    labels = _ids(row, "labels")
    first = next((at for at, label in enumerate(labels) if label != IGNORE), len(labels))
    return tuple(_ids(row, "input_ids")[:first])


def _place(row: Mapping[str, Any], tree: AnswerTree) -> int:
    found = tree.places.get(_answer(row))
    if found is None:
        hint = "name it in `answers`, with its end token, or leave the row out"
        raise SpecError(
            "a row's answer is none of the options", problems=[Problem("unknown answer", "answers", hint=hint)]
        )
    return found


def _shifted(inputs: Mapping[str, Any]) -> Batch:
    """Return a batch of the Trainer's as a pass of ours: labels stand where they are predicted."""
    ids, labels = inputs["input_ids"].cpu(), inputs["labels"].cpu()
    moved = torch.full_like(labels, IGNORE)
    moved[:, :-1] = labels[:, 1:]
    lengths = (ids.shape[1],) * len(ids)
    return Batch(ids, moved, lengths, packed=False, supervised=int((moved != IGNORE).sum()))


def _padded(rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Return rows as tensors, padded on the right."""
    width = max(len(row["input_ids"]) for row in rows)

    def column(name: str, filler: int) -> Tensor:
        values = [[int(each) for each in row.get(name, (1,) * len(row["input_ids"]))] for row in rows]
        return torch.tensor([[*each, *(filler,) * (width - len(each))] for each in values])

    return {
        "input_ids": column("input_ids", 0),
        "labels": column("labels", IGNORE),
        "attention_mask": column("attention_mask", 0),
    }
