"""What losses and the calibration monitor need of a run, told before anything starts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.losses import CalibrationMonitor, CriticalError, LossControls, LossOptions

__all__ = [
    "READS",
    "Unfit",
    "looks_at_rows",
    "loss_controls",
    "loss_warnings",
    "reads_harm",
    "refuse_unfit",
    "unfit_losses",
    "unread_options",
]

READS: Mapping[str, tuple[str, ...]] = {
    "ce": (),
    "label_smoothing": ("smoothing",),
    "focal": ("gamma",),
    "gambler": ("payoff", "abstain", "ce_steps"),
    "abstain_seed": ("confidence_threshold", "abstention_penalty", "uncertainty_weight"),
    "harm_weighted": ("cost_weight",),
}
"""Each loss, and the keys of `loss_options` that it reads."""

_IMPROPER = (
    "`abstain_seed` is no proper scoring rule: where one of two answers is right with probability 0.6, 0.7, 0.8 or "
    "0.9, what minimises it says 0.500, 0.539, 0.700 or 0.886; do not read its model's probabilities as such"
)
_TILTED = (
    "`harm_weighted` learns probabilities that are tilted towards harmful labels: what minimises it is the label's "
    "weight times its chance, and more where errors are critical; calibrate before reading them"
)
_UNPROVEN = "nothing known shows that `adjust_lr` improves calibration: compare it with a run that leaves it off"

_OPTIONS_HINT = "write `options: [label, …]`, the labels as the data spell them"


class Unfit(NamedTuple):
    """A control that cannot be as it is."""

    control: str
    """Its name, and where it lies deeper the key within."""
    fact: str
    """What is wrong."""
    hint: str
    """How to mend it."""


def loss_controls(settings: Mapping[str, Any]) -> LossControls:
    """Return the controls of the loss among settings of a run; those that are absent are at their defaults."""
    return LossControls.model_validate({name: settings[name] for name in LossControls.model_fields if name in settings})


def looks_at_rows(controls: LossControls) -> bool:
    """Return whether the loss takes each answer as one of the options, and not token by token."""
    smoothed = controls.loss == "label_smoothing" and controls.options is not None
    return smoothed or controls.loss in {"gambler", "harm_weighted"}


def reads_harm(controls: LossControls) -> bool:
    """Return whether anything reads the harm weights and critical errors."""
    return controls.loss == "harm_weighted" or controls.calibration_monitor.enabled


def loss_warnings(controls: LossControls) -> Iterator[str]:
    """Yield what is to be known of a loss and a monitor, before they train and while they do."""
    if controls.loss == "abstain_seed":
        yield _IMPROPER
    if controls.loss == "harm_weighted":
        yield _TILTED
    if controls.calibration_monitor.adjust_lr:
        yield _UNPROVEN


def refuse_unfit(controls: LossControls, *, train_on_input: bool = False) -> None:
    """Refuse controls of the loss that contradict themselves; arguments as below.

    Raises:
        SpecError: they do; all of it is told.
    """
    found = unfit_losses(controls, train_on_input=train_on_input)
    problems = [Problem(each.fact, each.control, hint=each.hint) for each in found]
    if problems:
        raise SpecError("this training cannot be done as its configuration says", problems=problems)


def unfit_losses(controls: LossControls, *, train_on_input: bool = False) -> Iterator[Unfit]:
    """Yield everything that makes controls of the loss contradict themselves.

    Args:
        controls: of one run.
        train_on_input: whether prompts are learnt too.
    """
    yield from _options(controls, train_on_input=train_on_input)
    if controls.loss == "gambler":
        yield from _gambler(controls)
    yield from _harm(controls)
    yield from _monitor(controls)
    abstain = controls.loss_options.abstain
    if abstain is not None and controls.options is not None and abstain not in controls.options:
        yield _unknown("loss_options.abstain", abstain, known=controls.options)


def _options(controls: LossControls, *, train_on_input: bool) -> Iterator[Unfit]:
    asked = [f"`loss: {controls.loss}`"] if controls.loss in {"gambler", "harm_weighted"} else []
    asked += ["`calibration_monitor`"] if controls.calibration_monitor.enabled else []
    if asked and controls.options is None:
        needs = "needs" if len(asked) == 1 else "need"
        yield Unfit("options", f"{' and '.join(asked)} {needs} to know the options", _OPTIONS_HINT)
    for option, times in Counter(each.strip() for each in controls.options or ()).items():
        if times > 1 or not option:
            fact = f"option `{option}` is named {times} times" if option else "an option is blank"
            yield Unfit("options", fact, "name every option once; outer blanks are no part of it")
    if train_on_input and looks_at_rows(controls):
        fact = f"`loss: {controls.loss}` takes each answer as a whole, and `train_on_input` teaches prompts too"
        yield Unfit("train_on_input", fact, "leave `train_on_input` out")


def _gambler(controls: LossControls) -> Iterator[Unfit]:
    told, others = controls.loss_options, len(controls.options or ()) - 1
    if told.abstain is None:
        hint = "write `loss_options: {abstain: LABEL}`, one of `options`, which need not be an answer of the data"
        yield Unfit("loss_options.abstain", "`loss: gambler` needs the option that means no answer", hint)
    if told.payoff is None:
        hint = "write `loss_options: {payoff: 1.5}`: it abstains where no option is likelier than 1 / payoff"
        yield Unfit("loss_options.payoff", "`loss: gambler` needs its payoff", hint)
    elif controls.options is not None and told.payoff > others:
        fact = f"`payoff` is `{told.payoff:g}`, and there are {others} options to bet on: abstaining would never pay"
        yield Unfit("loss_options.payoff", fact, f"write a number above 1 and at most {others}")


def _harm(controls: LossControls) -> Iterator[Unfit]:
    errors, weights = controls.critical_errors, controls.harm_weights
    labels = [(f"harm_weights.{label}", label) for label in weights]
    for at, error in enumerate(errors):
        labels += [(f"critical_errors[{at}].true", error.true), (f"critical_errors[{at}].predicted", error.predicted)]
    known = controls.options
    if known is not None:
        yield from (_unknown(place, label, known=known) for place, label in labels if label not in known)
    yield from _confusions(errors)
    if controls.loss != "harm_weighted":
        return
    if not weights and not errors:
        hint = "write `harm_weights: {label: weight}` or `critical_errors: [{true, predicted, weight}]`"
        yield Unfit("harm_weights", "`loss: harm_weighted` has no weights, so it would be cross-entropy", hint)
    if weights and set(weights) >= set(known or ("",)) and not any(weights.values()):
        yield Unfit("harm_weights", "every harm weight is 0, so nothing would be learnt", "weigh a label above 0")


def _confusions(errors: Sequence[CriticalError]) -> Iterator[Unfit]:
    seen = set[tuple[str, str]]()
    for at, error in enumerate(errors):
        pair = (error.true, error.predicted)
        if pair[0] == pair[1]:
            yield Unfit(f"critical_errors[{at}]", f"`{pair[0]}` is no error for `{pair[0]}`", "name two labels")
        elif pair in seen:
            fact = f"`{pair[1]}` for `{pair[0]}` is weighed twice"
            yield Unfit(f"critical_errors[{at}]", fact, "keep one of the two")
        seen.add(pair)


def _monitor(controls: LossControls) -> Iterator[Unfit]:
    monitor, metric = controls.calibration_monitor, controls.metric_for_best_model
    on = "write `calibration_monitor: {enabled: true}`"
    if monitor.enabled:
        return
    if monitor.adjust_lr:
        yield Unfit("calibration_monitor.adjust_lr", "`adjust_lr` goes by the calibration, and nothing measures it", on)
    elif monitor != CalibrationMonitor():
        yield Unfit("calibration_monitor.enabled", "`calibration_monitor` is told how to measure and is off", on)
    if metric != "val_loss":
        fact = f"`metric_for_best_model` is `{metric}`, and nothing measures it"
        yield Unfit("metric_for_best_model", fact, on + ", or leave `val_loss`")


def _unknown(control: str, label: str, *, known: Sequence[str]) -> Unfit:
    near = get_close_matches(label, known, n=1)
    hint = f"write `{near[0]}`" if near else "add it to `options`, or name one of them"
    return Unfit(control, f"`{label}` is none of the options {', '.join(f'`{each}`' for each in known)}", hint)


def unread_options(losses: Sequence[LossControls]) -> Iterator[str]:
    """Yield the keys of `loss_options` that somebody set and no run reads."""
    read = {name for each in losses for name in READS[each.loss]}
    if any(each.calibration_monitor.enabled for each in losses):
        read.add("abstain")
    told = {name for each in losses for name in each.loss_options.model_fields_set}
    yield from (name for name in LossOptions.model_fields if name in told - read)
