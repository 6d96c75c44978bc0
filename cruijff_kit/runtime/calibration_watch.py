"""What a training is watched by: the options' probabilities on the validation rows, and their figures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from cruijff_kit.data.tokens import Encoded, Encoding, answer_ids
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.option_reading import Batching, longest_reading, read_options
from cruijff_kit.runtime.option_scores import OptionTable, option_table
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.scoring.harm import harm_costs
from cruijff_kit.scoring.watched import Watching, mean_intervals, watched_figures

if TYPE_CHECKING:
    from cruijff_kit.runtime.course import Course

__all__ = ["CalibrationWatch", "load_watch"]

_SHOWN = 20


@dataclass(slots=True, eq=False)
class CalibrationWatch:
    """Prompts whose right option is known, asked again at every validation."""

    controls: LossControls
    """What is measured and how."""
    table: OptionTable
    """The options and their spellings."""
    prompts: Sequence[PromptIds]
    """Token ids of each prompt, as an evaluation sends them."""
    true: Sequence[int]
    """The right option of each."""
    seed: int = 0
    """Seed of resamples and of which rows calibrate; the same rows do at every validation."""

    def measure(self, course: "Course") -> dict[str, Any]:
        """Return the figures of a model as it stands in its training, the same in every process."""
        config = course.config
        batching = Batching(config.batch_size_val, config.packed, course.ranks)
        return self.figures(course.heard, batching=batching)

    def figures(self, hear: Callable[[Iterable[Batch]], Iterator[Tensor]], *, batching: Batching) -> dict[str, Any]:
        """Return the figures that are told of the options behind the prompts.

        Probabilities are those of the options given that one of them is the answer, the one to
        abstain left out: what is measured is how well the model knows what it says. Rows whose right
        answer is to abstain count for the rate of abstention alone.

        Args:
            hear: passes to logits, as the model stands.
            batching: how prompts become passes.
        """
        scores = read_options(self.prompts, self.table, hear=hear, batching=batching)
        said = np.array([each.logprobs for each in scores], dtype=np.float64)
        true, monitor = np.asarray(self.true), self.controls.calibration_monitor
        names = list(self.table.options)
        told = self.controls.loss_options.abstain
        silent = names.index(told) if told in names else None
        kept = [at for at in range(len(names)) if at != silent]
        chances = _normalised(said[:, kept])
        abstains = chances.max(axis=1) < monitor.abstain_below
        if silent is not None:
            abstains |= said.argmax(axis=1) == silent
        how = Watching(monitor.bins, monitor.draws, monitor.level, monitor.alpha, monitor.calibration_share, self.seed)
        found: dict[str, Any] = mean_intervals({"abstention_rate": abstains.astype(np.float64)}, how=how)
        found |= {"option_mass": float(np.mean([each.mass for each in scores])), "watched_rows": len(true)}
        answerable = np.isin(true, kept)
        places = np.searchsorted(kept, true[answerable])
        weights, errors = self.controls.harm_weights, self.controls.critical_errors
        costs = harm_costs([names[at] for at in kept], weights=weights, errors=errors)
        return found | watched_figures(y_prob=chances[answerable], y_true=places, costs=costs, how=how)


def load_watch(config: TrainConfig, rows: Rows) -> CalibrationWatch | None:
    """Return what a run is watched by; None where it is not.

    Raises:
        SpecError: validation rows have other answers, or some option does not fit behind a prompt.
    """
    if not config.calibration_monitor.enabled or config.options is None:
        return None
    if len(rows.val) < 2:
        hint = "give the data a split `validation`, or leave the monitor off"
        problem = Problem("there are fewer than 2 validation rows", "calibration_monitor", hint=hint)
        raise SpecError("calibration cannot be measured", problems=[problem])
    tokenizer, encoding = load_tokenizer(Path(config.base_model.path)), Encoding.of(config.dataset)
    spelt = [answer_ids(each, encoding=encoding, tokenizer=tokenizer) for each in config.options]
    answers = {ids: at for at, ids in enumerate(spelt)}
    strange = [at for at, row in enumerate(rows.val) if _answer(row) not in answers]
    if strange:
        fact = f"{len(strange)} of {len(rows.val)} rows of split `{config.split_val}` answer none of `options`"
        hint = "add the label to `options`, or correct the rows"
        places = [f"{config.split_val}[{at}]" for at in strange[:_SHOWN]]
        raise SpecError(fact, problems=[Problem("its answer is none of them", "options", at, hint) for at in places])
    table = option_table(config.options, tokenizer=tokenizer)
    prompts = [row.ids[: row.prompt_length] for row in rows.val]
    longest = longest_reading(prompts, table)
    if longest > config.dataset.max_seq_len:
        fact = f"a prompt and an option have {longest} tokens, and `max_seq_len` is `{config.dataset.max_seq_len}`"
        raise SpecError("options cannot be read", problems=[Problem(fact, "max_seq_len", hint=f"write `{longest}`")])
    return CalibrationWatch(config, table, prompts, [answers[_answer(row)] for row in rows.val], config.seed)


def _answer(row: Encoded) -> PromptIds:
    return row.ids[row.prompt_length :]


def _normalised(said: Any) -> Any:
    shares = np.exp(said - said.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
