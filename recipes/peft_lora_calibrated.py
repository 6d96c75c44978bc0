"""LoRA fine-tuning of a classifier with peft, its probabilities watched while it learns.

    python -m cruijff_kit.recipes.peft_lora_calibrated --config finetune.yaml [--resume]

What `peft_lora` does, and three things more, each of which any recipe has where its controls
ask for it; here they are written out, to be changed:

`objective` makes what is minimised. `loss` names it: `ce`, `label_smoothing`, `focal`, `gambler`,
`harm_weighted`, or `abstain_seed`, which is no proper scoring rule and says so.

`watch` makes what is measured at every validation: the options' probabilities where the answer
begins, as an evaluation scores them, and of these the calibration errors, Brier score, confidence,
abstentions, and coverage, set size and risk on rows of their own. They go to `metrics.jsonl`;
`metric_for_best_model` and `early_stopping_patience` may go by them. A design that names this
recipe has `calibration_monitor` enabled unless it says otherwise, and needs `options`.

`calibration_monitor: {adjust_lr: true}` lowers the learning rate where the debiased calibration
error is above `adjustment_threshold` beyond doubt. It is an experiment, no known remedy.

To change how a run trains, copy this file (`ck recipe copy peft_lora_calibrated`), name the
copy in `controls.recipe`, and edit the functions below. A loss of your own is an object with

    loss(heads, hidden, *, batch, step) -> the summed loss of a pass,

where `heads.logits(hidden)` are logits over the vocabulary at the supervised tokens, row by
row, and `batch.labels` says which tokens these are.
"""

import sys
from collections.abc import Sequence

from cruijff_kit.runtime.calibration_watch import CalibrationWatch, load_watch
from cruijff_kit.runtime.objective import Objective, load_objective
from cruijff_kit.runtime.parts import Parts
from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.training_job import run_recipe
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig

__all__ = ["build", "main", "objective", "watch"]


def build(config: TrainConfig, ranks: Ranks) -> PeftLora:
    """Return the base model with LoRA layers on it, all but those frozen."""
    return PeftLora.from_config(config, shared=ranks.shares_base(config.strategy))


def objective(config: TrainConfig, rows: Rows) -> Objective | None:
    """Return what is minimised; None for cross-entropy."""
    return load_objective(config, rows)


def watch(config: TrainConfig, rows: Rows) -> CalibrationWatch | None:
    """Return what is measured at every validation; None for the validation loss alone."""
    return load_watch(config, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    return run_recipe(build, name="peft_lora_calibrated", argv=argv, parts=Parts(objective, watch))


if __name__ == "__main__":
    sys.exit(main())
