"""One cell of the evaluation matrix, run through inspect-ai."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import inspect_ai
from inspect_ai import Task, task_with
from inspect_ai.log import EvalLog
from inspect_ai.model import Model
from inspect_ai.solver import Generate, Solver, TaskState, chain, solver

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.eval_config import Place
from cruijff_kit.runtime.inspect_model import asked_of, cell_model
from cruijff_kit.runtime.inspect_provider import CruijffAPI
from cruijff_kit.runtime.inspect_scorers import planned_scorers
from cruijff_kit.runtime.inspect_task import FoundTask, find_task
from cruijff_kit.runtime.row_task import subject_of
from cruijff_kit.schema.config import EvalConfig

__all__ = ["FinishedLog", "mark_prompt", "run_cell"]


class FinishedLog(NamedTuple):
    """The log of a cell, proven complete."""

    path: Path
    """The `.eval` file."""
    samples: int
    """Samples it holds."""


def run_cell(
    config: EvalConfig, path: Path, *, place: Place, facts: dict[str, str], answered: Callable[[int], None]
) -> FinishedLog:
    """Run a cell's task on its model and return the log, proven complete.

    Args:
        config: the cell.
        path: the `eval.yaml` it was read from.
        place: where the run lies.
        facts: hashes recorded in the log.
        answered: told how many samples each batch answered.

    Raises:
        ResultError: the log is no success, or does not hold every sample.
        SpecError: the task cannot be found or built.
    """
    found = find_task(config, path, place=place)
    task, wanted = _scored(found.task, config), _expected(found, config)
    if config.base_model.api is not None:
        task = task_with(task, solver=chain(task.solver, mark_prompt(answered)))
    model = cell_model(config, answered)
    (log,) = inspect_ai.eval(
        task,
        model=model,
        metadata=_about(config, facts),
        log_dir=str(Path(config.cell_dir) / "logs"),
        log_format="eval",
        log_level="warning",
        log_realtime=False,
        display="none",
        # Nobody watches the figures grow, and working them out costs a tenth of the time.
        score_display=False,
        acp_server=False,
        ctl_server=False,
        fail_on_error=True,
        **asked_of(config),
        **_own_rows(found, config),
        **_options_asked(model, config),
    )
    _prove_complete(log, config, wanted=wanted)
    _prove_scored(log, config)
    return FinishedLog(Path(log.location), wanted)


def _about(config: EvalConfig, facts: dict[str, str]) -> dict[str, Any]:
    """Return what a log says of itself, for records of samples that other scorers judged."""
    whose = {"run": config.run_id, "epoch": config.epoch, "task": config.name, "split": config.split}
    return {**whose, "groups": list(config.groups), **facts}


def _scored(task: Task, config: EvalConfig) -> Task:
    """Return a task with the scorers planned, whatever its own; where none are planned, with its own."""
    if config.scorers:
        return task_with(
            task, scorer=planned_scorers(config.scorers, subject_of(config), rules=config.rules), metrics=None
        )
    if not task.scorer:
        hint = "give the task a scorer, or plan some in `evaluation.tasks[].scorers`"
        raise SpecError(f"task `{config.task}` has no scorer, and the design plans none", hint=hint)
    return task


def _expected(found: FoundTask, config: EvalConfig) -> int:
    """Return how many samples the log must hold: the rows planned, or those of a data set that the task brings."""
    if not found.own_data:
        return config.expected_samples
    size = len(found.task.dataset)
    return min(config.samples or size, size) * (found.task.epochs or 1)


def _own_rows(found: FoundTask, config: EvalConfig) -> dict[str, Any]:
    """Return which samples of a data set that the task brings are evaluated: a seeded shuffled subset, or all."""
    if not found.own_data or config.samples is None:
        return {}
    return {"limit": config.samples, "sample_shuffle": config.seed}


def _options_asked(model: Model, config: EvalConfig) -> dict[str, Any]:
    """Return what asks the provider for the options' log-probabilities; only our own understands it."""
    if not config.rules.options or not isinstance(model.api, CruijffAPI):
        return {}
    return {"extra_body": {"options": list(config.rules.options)}}


@solver
def mark_prompt(answered: Callable[[int], None]) -> Solver:
    """Leave the hash of the turns that were sent where that of the ids stands for models loaded here.

    Args:
        answered: told of each answer.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        sent = [[each.role, each.text] for each in state.messages if each is not state.output.message]
        digest = hashlib.sha256(json.dumps(sent, ensure_ascii=False).encode()).hexdigest()
        state.output.metadata = {**(state.output.metadata or {}), "prompt_token_sha256": digest}
        answered(1)
        return state

    return solve


def _prove_complete(log: EvalLog, config: EvalConfig, *, wanted: int) -> None:
    """Refuse a log that is not the success of every sample."""
    where = f"cell `{Path(config.cell_dir).name}` of run `{config.run_id}`"
    if log.status != "success":
        raise ResultError(f"{where} ended as `{log.status}`: {log.error.message if log.error else 'no reason given'}")
    done = log.results.completed_samples if log.results else 0
    if done != wanted:
        raise ResultError(
            f"{where} holds `{done}` samples; `{wanted}` were planned",
            hint="let the task yield one sample a row of its split, each with its own id",
        )


def _prove_scored(log: EvalLog, config: EvalConfig) -> None:
    """Refuse a log whose scorers are not those planned."""
    if not config.scorers:
        return
    held = {name for sample in log.samples or [] for name in sample.scores or {}}
    if held != set(config.scorers):
        planned, found = (
            ", ".join(f"`{name}`" for name in sorted(names)) or "none" for names in (config.scorers, held)
        )
        where = f"cell `{Path(config.cell_dir).name}` of run `{config.run_id}`"
        raise ResultError(
            f"{where} was scored by {found}; planned are {planned}",
            hint="let the task's solver leave scores alone, or plan `scorers: []` to keep the task's own",
        )


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
