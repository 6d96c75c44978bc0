"""Any rows of questions and answers as an inspect-ai task, from one `eval.yaml`."""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.solver import Solver, generate

from cruijff_kit.data.tokens import Encoding, Row, answer_text, conversation, row_text
from cruijff_kit.runtime.eval_config import checkpoint_sha256, place_of
from cruijff_kit.runtime.inspect_scorers import planned_scorers
from cruijff_kit.runtime.prediction_records import Subject
from cruijff_kit.runtime.seeding import shuffled
from cruijff_kit.runtime.training_rows import read_splits
from cruijff_kit.schema.config import EvalConfig

__all__ = ["chosen_rows", "row_task", "subject_of"]

_MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def row_task(config: EvalConfig, *, solver: Solver | None = None, target: Callable[[Row], str] | None = None) -> Task:
    """Return the task that a cell's configuration describes.

    Each sample's input is the conversation of its row, as training renders it; the
    task adds nothing of its own, and its scorers are those planned.

    Args:
        config: the cell.
        solver: what asks; the model, once, where None.
        target: what a row is to be answered with; its answer where None.

    Raises:
        SpecError: the split has no rows, or one lacks a column or does not fit the template.
        RunError: the adapter is not the one its training wrote.
    """
    rows = chosen_rows(config)
    encoding = Encoding.of(config.dataset)
    samples = [_sample(row, f"{config.split}-{index}", config=config, encoding=encoding) for index, row in rows]
    for sample, (_, row) in zip(samples, rows, strict=True):
        sample.target = sample.target if target is None else target(row)
    dataset = MemoryDataset(samples, name=Path(config.dataset.path).stem, location=config.dataset.path)
    return Task(
        dataset=dataset,
        solver=[solver or generate()],
        scorer=planned_scorers(config.scorers, subject_of(config), rules=config.rules),
        name=config.name,
    )


def subject_of(config: EvalConfig) -> Subject:
    """Return what a cell evaluates, its checkpoint hashed.

    Raises:
        RunError: the adapter is not the one its training wrote.
    """
    return Subject(
        run=config.run_id,
        epoch=config.epoch,
        task=config.name,
        split=config.split,
        groups=config.groups,
        checkpoint_sha256=checkpoint_sha256(config, place_of(config)),
    )


def chosen_rows(config: EvalConfig) -> list[tuple[int, Row]]:
    """Return (position in the split, row) of the rows evaluated, in file order.

    Raises:
        SpecError: the data set has no rows in that split.
    """
    (found,) = read_splits(config.dataset, config.split)
    rows = list(enumerate(found))
    if config.samples is None:
        return rows
    return sorted(shuffled(rows, seed=config.seed, purpose="evaluated rows")[: config.samples], key=itemgetter(0))


def _sample(row: Row, sample_id: str, *, config: EvalConfig, encoding: Encoding) -> Sample:
    turns = conversation(row, encoding=encoding, place=sample_id)
    messages: list[ChatMessage] = [_MESSAGES[turn["role"]](content=turn["content"]) for turn in turns]
    target = answer_text(row, encoding=encoding, place=sample_id)
    groups: dict[str, Any] = {name: row_text(row, name, place=sample_id) for name in config.groups}
    return Sample(id=sample_id, input=messages, target=target, metadata=groups)
