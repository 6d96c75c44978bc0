"""What a training is watched by: the options' probabilities on the validation rows, and their figures."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from cruijff_kit.data.labels import DecisionIds, decision_ids
from cruijff_kit.data.structured import ANSWER_LEAD, NO_LABEL
from cruijff_kit.data.tokens import Encoded, Encoding, answer_ids
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.option_reading import Batching, longest_reading, read_options
from cruijff_kit.runtime.option_scores import OptionTable, decision_table, option_table
from cruijff_kit.runtime.training_rows import Rows
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.scoring.harm import harm_costs
from cruijff_kit.scoring.temperature import option_probabilities
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
    silent: str | None = None
    """The option that means no answer, where it is another than the loss is told of: `null` of structured answers."""

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
        told = self.silent or self.controls.loss_options.abstain
        silent = names.index(told) if told in names else None
        kept = [at for at in range(len(names)) if at != silent]
        chances = option_probabilities(said[:, kept])
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

    Rows are answered by the options themselves, or by structured answers, whose decision is then looked at where an
    evaluation scores it.

    Raises:
        PlanError: options cannot be told apart by their tokens.
        SpecError: validation rows have other answers, or some option does not fit behind a prompt.
    """
    if not config.calibration_monitor.enabled or config.options is None:
        return None
    if len(rows.val) < 2:
        hint = "give the data a split `validation`, or leave the monitor off"
        problem = Problem("there are fewer than 2 validation rows", "calibration_monitor", hint=hint)
        raise SpecError("calibration cannot be measured", problems=[problem])
    tokenizer, encoding = load_tokenizer(Path(config.base_model.path)), Encoding.of(config.dataset)
    prompts, answers = [row.ids[: row.prompt_length] for row in rows.val], [_answer(row) for row in rows.val]
    heads = _heads(config.options, answers, tokenizer=tokenizer)
    if heads is not None:
        names = (*config.options, NO_LABEL)
        table, silent = decision_table(heads.decisions, names=names), NO_LABEL
        prompts = [(*prompt, *heads.lead) for prompt in prompts]
        true = [_decision(each, heads) for each in answers]
    else:
        spelt = [answer_ids(each, encoding=encoding, tokenizer=tokenizer) for each in config.options]
        table, silent = option_table(config.options, tokenizer=tokenizer), None
        true = [next((at for at, ids in enumerate(spelt) if ids == each), None) for each in answers]
    _refuse_strange(true, split=config.split_val or "")
    longest = longest_reading(prompts, table)
    if longest > config.dataset.max_seq_len:
        fact = f"a prompt and an option have {longest} tokens, and `max_seq_len` is `{config.dataset.max_seq_len}`"
        raise SpecError("options cannot be read", problems=[Problem(fact, "max_seq_len", hint=f"write `{longest}`")])
    return CalibrationWatch(config, table, prompts, [at for at in true if at is not None], config.seed, silent)


def _heads(options: Sequence[str], answers: Sequence[PromptIds], *, tokenizer: Tokenizer) -> DecisionIds | None:
    """Return the beginnings of structured answers where the rows have such answers; None where they are the options."""
    text = tokenizer.decode(list(answers[0]))
    return decision_ids(options, tokenizer=tokenizer) if text.startswith(ANSWER_LEAD) else None


def _decision(answer: PromptIds, heads: DecisionIds) -> int | None:
    """Return which decision a structured answer begins with; None where it is none of them."""
    size = len(heads.lead)
    behind = answer[size:] if answer[:size] == heads.lead else ()
    return next((at for at, ids in enumerate(heads.decisions) if behind[: len(ids)] == ids), None)


def _refuse_strange(true: Sequence[int | None], *, split: str) -> None:
    strange = [at for at, each in enumerate(true) if each is None]
    if strange:
        fact = f"{len(strange)} of {len(true)} rows of split `{split}` answer none of `options`"
        hint = "add the label to `options`, or correct the rows"
        places = [f"{split}[{at}]" for at in strange[:_SHOWN]]
        raise SpecError(fact, problems=[Problem("its answer is none of them", "options", at, hint) for at in places])


def _answer(row: Encoded) -> PromptIds:
    return row.ids[row.prompt_length :]
