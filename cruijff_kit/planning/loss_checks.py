"""Losses in a design: what contradicts itself, what is worth a warning, and what of it a run's results depend on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cruijff_kit.data.loss_facts import (
    READS,
    Unfit,
    looks_at_rows,
    loss_controls,
    loss_warnings,
    reads_harm,
    unfit_losses,
    unread_options,
)
from cruijff_kit.data.structured import ANSWER_LEAD, NO_LABEL, label_of
from cruijff_kit.errors import Problem
from cruijff_kit.planning.data_checks import Used
from cruijff_kit.planning.grid import Point, Variant
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.plan import PlannedRun, Resolved

__all__ = ["check_answers", "minimised", "unfit_points", "warned_losses"]


def unfit_points(points: Sequence[Point], facts: Mapping[Variant, DatasetFacts]) -> Iterator[Problem]:
    """Yield every problem of the losses that runs train with; several runs may yield the same one."""
    trained = [point for point in points if point.type == "fine-tuned"]
    told = [_controls(point.settings) for point in trained]
    for point, controls in zip(trained, told, strict=True):
        on_input = bool(point.settings["train_on_input"].value)
        rows = facts[point.data].splits.get("validation", 0)
        found = (*unfit_losses(controls, train_on_input=on_input), *_unvalidated(controls, rows))
        yield from (Problem(each.fact, _place(each.control, point), hint=each.hint) for each in found)
    if not trained:
        return
    for name in unread_options(told):
        losses = ", ".join(f"`{loss}`" for loss, read in READS.items() if name in read)
        hint = f"remove it, or train with {losses}" + (" or watch by `calibration_monitor`" * (name == "abstain"))
        yield Problem(f"no run reads `{name}`", f"controls.loss_options.{name}", hint=hint)
    if not any(map(reads_harm, told)):
        hint = "remove it, or set `loss: harm_weighted` or `calibration_monitor: {enabled: true}`"
        given = {name for each in told for name in ("harm_weights", "critical_errors") if getattr(each, name)}
        yield from (Problem(f"no run reads `{name}`", f"controls.{name}", hint=hint) for name in sorted(given))


def check_answers(runs: Sequence[PlannedRun], used: Used, *, column: str | None) -> Iterator[Problem]:
    """Yield a problem for each split with answers that are none of the options its runs learn or are watched by.

    Args:
        runs: runs that use the rows.
        used: the rows.
        column: of the answer; None where rows hold conversations, which the job looks at.
    """
    if column is None:
        return
    trained = [_controls(run.settings) for run in runs if run.type != "control"]
    for split, options in dict.fromkeys(asked for controls in trained for asked in _asked(controls)):
        answers = [str(row.get(column)) for row in used.splits.get(split, ())]
        strange = [each for each in answers if not _known(each, options, whole=split == "train")]
        if strange:
            example = f", such as `{strange[0][:40]}`" if used.shown else ""
            fact = f"{len(strange)} of {len(answers)} rows of split `{split}` answer none of the options{example}"
            yield Problem(fact, "controls.options", hint="add the label to `options`, or correct the rows")


def _asked(controls: LossControls) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each split whose answers a run takes as options, with these."""
    if controls.options is not None and looks_at_rows(controls):
        yield "train", controls.options
    if controls.options is not None and controls.calibration_monitor.enabled:
        yield "validation", controls.options


def _known(answer: str, options: Sequence[str], *, whole: bool) -> bool:
    """Return whether an answer is one of the options; what is watched of a structured one is its decision."""
    if whole or not answer.startswith(ANSWER_LEAD):
        return answer in options
    return label_of({"output": answer}, output_key="output") in (*options, NO_LABEL)


def warned_losses(trained: Sequence[PlannedRun]) -> Iterator[str]:
    """Yield what is to be known of the losses that runs train with, each once."""
    yield from dict.fromkeys(each for run in trained for each in loss_warnings(_controls(run.settings)))


def minimised(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run's results depend on among the controls of its loss: no more than it reads.

    Args:
        values: every control of the run by name.
    """
    controls = loss_controls(values)
    found: dict[str, Any] = {}
    if controls.loss != "ce":
        found["loss"] = controls.loss
        read = {name: getattr(controls.loss_options, name) for name in READS[controls.loss]}
        found["loss_options"] = read
    monitor = controls.calibration_monitor
    watched = controls.early_stopping_patience is not None and controls.metric_for_best_model != "val_loss"
    if monitor.enabled and (monitor.adjust_lr or watched):
        found["calibration_monitor"] = monitor.model_dump(mode="json")
        found["abstain"] = controls.loss_options.abstain
    if looks_at_rows(controls) or "calibration_monitor" in found:
        found["options"] = list(controls.options or ())
    if controls.loss == "harm_weighted" or watched:
        found |= controls.model_dump(mode="json", include={"harm_weights", "critical_errors"})
    if controls.early_stopping_patience is not None:
        names = ("early_stopping_patience", "metric_for_best_model", "greater_is_better")
        found |= {name: getattr(controls, name) for name in names}
    return found


def _controls(settings: Mapping[str, Resolved]) -> LossControls:
    return loss_controls({name: setting.value for name, setting in settings.items()})


def _unvalidated(controls: LossControls, rows: int) -> Iterator[Unfit]:
    """Yield what asks for validation where there are too few rows for it."""
    hint = "give the data a split `validation`, or leave it out"
    if controls.early_stopping_patience is not None and not rows:
        fact = "training is to stop by its validations, and there are no rows for one"
        yield Unfit("early_stopping_patience", fact, hint)
    if controls.calibration_monitor.enabled and rows < 2:
        fact = f"`calibration_monitor` measures the validation rows, some of them apart, and there are {rows}"
        yield Unfit("calibration_monitor", fact, hint)


def _place(control: str, point: Point) -> str:
    setting = point.settings.get(control)
    return f"{'factors' if setting is not None and setting.source == 'factor' else 'controls'}.{control}"
