"""One cell of the evaluation matrix, run through inspect-ai."""

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import inspect_ai
from inspect_ai import Task, task_with
from inspect_ai.log import EvalLog
from inspect_ai.model import Model, get_model

from cruijff_kit.data.tasks import TaskName, parse_task
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.eval_config import Place
from cruijff_kit.runtime.inspect_provider import CruijffAPI
from cruijff_kit.runtime.inspect_scorers import planned_scorers
from cruijff_kit.runtime.row_task import subject_of
from cruijff_kit.schema.config import EvalConfig

__all__ = ["run_cell"]


def run_cell(
    config: EvalConfig, path: Path, *, place: Place, facts: dict[str, str], answered: Callable[[int], None]
) -> Path:
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
    # Scorers are set here, whatever the task: what runs is what was planned.
    task = task_with(_task(config, path, place=place), scorer=planned_scorers(config.scorers, subject_of(config)))
    waiting = 4 * config.generation.batch_size
    (log,) = inspect_ai.eval(
        task,
        model=_model(config, answered),
        metadata={"run": config.run_id, "epoch": config.epoch, "task": config.name, "split": config.split, **facts},
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
        max_connections=waiting,
        max_samples=waiting,
        log_buffer=2 * waiting,
        max_tokens=config.generation.max_tokens,
        logprobs=True,
        top_logprobs=config.generation.top_logprobs,
    )
    _prove_complete(log, config)
    return Path(log.location)


def _model(config: EvalConfig, answered: Callable[[int], None]) -> Model:
    suffix = "base" if config.epoch is None else f"epoch_{config.epoch}"
    model = get_model(
        f"cruijff/{config.run_id}_{suffix}",
        memoize=False,
        model_path=config.base_model.path,
        adapter=config.adapter,
        dataset_type=config.dataset.dataset_type,
        template_date=config.dataset.template_date,
        max_seq_len=config.dataset.max_seq_len,
        batch_size=config.generation.batch_size,
        dtype=config.dtype,
    )
    if isinstance(model.api, CruijffAPI):
        model.api.answered = answered
    return model


def _task(config: EvalConfig, path: Path, *, place: Place) -> Task:
    """Build the task; it is handed the cell's configuration where it takes one."""
    wanted = parse_task(config.task)
    build: Callable[..., Any] | None = getattr(_module(wanted, place), wanted.name, None)
    if not callable(build):
        raise SpecError(f"`{wanted.file}` defines no task `{wanted.name}`", hint="name a function marked with `@task`")
    takes_config = "config" in inspect.signature(build).parameters
    task = build(config=str(path)) if takes_config else build()
    if not isinstance(task, Task):
        raise SpecError(f"`{config.task}` returned no task", hint="mark the function with `@task` and return a `Task`")
    return task


def _module(wanted: TaskName, place: Place) -> Any:
    if wanted.file is None:
        return import_module(f"cruijff_kit.tasks.{wanted.name}")
    file = place.experiment / wanted.file
    spec = spec_from_file_location(f"user_task_{file.stem}", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise SpecError(f"task file `{file}` does not exist", hint="mend `evaluation.tasks[].task`")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _prove_complete(log: EvalLog, config: EvalConfig) -> None:
    """Refuse a log that is not the success of every sample."""
    where = f"cell `{Path(config.cell_dir).name}` of run `{config.run_id}`"
    if log.status != "success":
        raise ResultError(f"{where} ended as `{log.status}`: {log.error.message if log.error else 'no reason given'}")
    done = log.results.completed_samples if log.results else 0
    if done != config.expected_samples:
        raise ResultError(
            f"{where} holds `{done}` samples; `{config.expected_samples}` were planned",
            hint="let the task yield one sample a row of its split, each with its own id",
        )
