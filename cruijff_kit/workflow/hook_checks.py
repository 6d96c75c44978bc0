"""Check what a training is asked to call or to keep: metrics of the user's, and tracking."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from cruijff_kit.errors import Problem
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["check_hooks", "hook_hashes"]

_FUNCTION = "calculate_custom_metrics"


def check_hooks(spec: ExperimentSpec, world: World) -> list[Problem]:
    """Return what is wrong with files of custom metrics, and with tracking."""
    return [*_files(spec, world), *_tracking(spec, world)]


def hook_hashes(runs: Iterable[PlannedRun], world: World) -> dict[str, str]:
    """Return the hash of each file of custom metrics by its absolute path, for the seal."""
    named = {str(run.settings["custom_metrics"].value) for run in runs if run.type == "fine-tuned"}
    paths = (world.store.root / name for name in sorted(named) if name.endswith(".py"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}


def _files(spec: ExperimentSpec, world: World) -> Iterator[Problem]:
    hint = f"define `{_FUNCTION}(logits, labels, tokenizer, ignore_index)` in it, returning a dict of numbers"
    named = [("controls.custom_metrics", spec.controls.custom_metrics)]
    named += [
        (f"factors.custom_metrics[{at}]", level) for at, level in enumerate(spec.factors.get("custom_metrics", ()))
    ]
    for path, name in named:
        file = world.store.root / str(name)
        if not str(name).endswith(".py"):
            continue
        if not file.is_file():
            where = "give a path that is absolute or starts at the experiment"
            yield Problem(f"file of custom metrics `{name}` is missing", path, hint=where)
        elif _FUNCTION not in _functions(file.read_bytes()):
            yield Problem(f"`{name}` defines no function `{_FUNCTION}`", path, hint=hint)


def _functions(source: bytes) -> set[str]:
    """Return the names a module may define at its top level; none where it is no Python."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return set()
    imported = {alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.name for node in body if isinstance(node, ast.FunctionDef)}


def _tracking(spec: ExperimentSpec, world: World) -> Iterator[Problem]:
    # Where jobs enter an environment of their own, only the job can tell.
    if spec.output.wandb_project is None or world.site.environment.kind != "python" or find_spec("wandb") is not None:
        return
    fact = f"project `{spec.output.wandb_project}` needs `wandb`, which is not installed"
    yield Problem(fact, "output.wandb_project", hint="pip install 'cruijff-kit[tracking]', or remove the key")
