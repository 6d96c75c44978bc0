"""The task of a cell: this package's, a file's, or another package's."""

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

from inspect_ai import Task

from cruijff_kit.data.tasks import TaskName, parse_task
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.eval_config import Place
from cruijff_kit.schema.config import EvalConfig

__all__ = ["FoundTask", "find_task"]


class FoundTask(NamedTuple):
    """A task, built."""

    task: Task
    """The task."""
    own_data: bool
    """Whether it brings its own data set, since it takes no configuration to read ours from."""


def find_task(config: EvalConfig, path: Path, *, place: Place) -> FoundTask:
    """Build a cell's task; it is handed the cell's configuration where it takes one.

    Args:
        config: the cell.
        path: the `eval.yaml` it was read from.
        place: where the run lies.

    Raises:
        SpecError: the task cannot be found or built.
    """
    wanted = parse_task(config.task)
    build: Callable[..., Any] | None = getattr(_module(wanted, place), wanted.name, None)
    if not callable(build):
        home = wanted.file or wanted.package
        raise SpecError(f"`{home}` defines no task `{wanted.name}`", hint="name a function marked with `@task`")
    parameters = inspect.signature(build).parameters.values()
    takes_config = "config" in {each.name for each in parameters}
    open_ = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]
    unset = [name for name in open_ if name != "config"]
    if unset:
        fact = f"task `{config.task}` needs {', '.join(f'`{name}`' for name in unset)}, which nobody gives it"
        raise SpecError(fact, hint="give its parameters defaults, but for `config`, the path of the cell's `eval.yaml`")
    task = build(config=str(path)) if takes_config else build()
    if not isinstance(task, Task):
        raise SpecError(f"`{config.task}` returned no task", hint="mark the function with `@task` and return a `Task`")
    return FoundTask(task, own_data=wanted.foreign and not takes_config)


def _module(wanted: TaskName, place: Place) -> Any:
    if wanted.package is not None:
        return _plugin(wanted.package)
    if wanted.file is None:
        return import_module(f"cruijff_kit.tasks.{wanted.name}")
    file = place.experiment / wanted.file
    spec = spec_from_file_location(f"user_task_{file.stem}", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise SpecError(f"task file `{file}` does not exist", hint="mend `evaluation.tasks[].task`")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _plugin(package: str) -> Any:
    """Return the module that a package registers with inspect-ai."""
    found = entry_points(group="inspect_ai", name=package)
    if not found:
        known = sorted(entry_points(group="inspect_ai").names)
        hint = f"install it; packages with tasks here are {', '.join(f'`{name}`' for name in known)}"
        raise SpecError(f"no package `{package}` registers tasks with inspect-ai", hint=hint)
    return next(iter(found)).load()
