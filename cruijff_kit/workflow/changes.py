"""Changes: planned files beside those on disk, and what may become of each."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.ports import RunStore
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.receipt import FileChange

__all__ = ["compare", "diff_of", "run_of"]

_Kind = Literal["create", "unchanged", "edited", "overwrite"]
_LARGEST_DIFF = 400_000
_SHOWN = 8


class _Ground(NamedTuple):
    """What is on disk before anything is written."""

    store: RunStore
    sealed: DesignLock | None
    folders: frozenset[str]
    """Runs that have a directory."""
    submitted: frozenset[str]
    """Runs with an attempt, or with a result made by hand."""
    overwrite: frozenset[str]


def compare(
    plan: Plan, files: Mapping[str, bytes], *, sealed: DesignLock | None, overwrite: tuple[str, ...], store: RunStore
) -> tuple[FileChange, ...]:
    """Return what becomes of every planned file, and of every sealed run that left the plan.

    Args:
        plan: the plan.
        files: content of every planned file.
        sealed: the seal on disk.
        overwrite: paths or run ids that may be replaced though somebody edited them.
        store: the experiment's files.

    Raises:
        PlanError: `overwrite` names nothing, or runs that were submitted would change or go.
    """
    _check_overwrite(overwrite, files)
    ground = _ground(sealed, overwrite, store=store)
    gone = _gone(plan, ground)
    changes = [_change(path, content, ground=ground) for path, content in files.items()]
    touched = sorted({run_of(change.path) for change in changes if change.kind == "overwrite"} & ground.submitted)
    touched = [run for run in touched if not _named(run, changes, ground=ground)]
    if touched:
        problems = _shown(touched, "was submitted, and its files would change")
        hint = (
            "design, site and interpreter shape a run's files: set back what changed, start a new experiment, "
            "or name these runs with `--overwrite`"
        )
        raise PlanError(f"{len(touched)} runs were submitted with other files", problems=problems, hint=hint)
    return (*changes, *gone)


def _shown(runs: list[str], fact: str) -> list[Problem]:
    """Return a problem for each run, and how many more there are where there are many."""
    more = [Problem(f"and {len(runs) - _SHOWN} more")] if len(runs) > _SHOWN else []
    return [*(Problem(f"run `{run}` {fact}") for run in runs[:_SHOWN]), *more]


def run_of(path: str) -> str:
    """Return the id of the run that a file belongs to; empty for a file of the experiment."""
    folder, _, rest = path.partition("/")
    return rest.partition("/")[0] if folder == ExperimentLayout.runs else ""


def _ground(sealed: DesignLock | None, overwrite: tuple[str, ...], *, store: RunStore) -> _Ground:
    runs = ExperimentLayout.runs
    folders = frozenset(run_of(path) for path in store.glob(runs))
    evidence = [*store.glob(runs, "*/attempts/*/intent.json"), *store.glob(runs, "*/DONE")] if folders else []
    return _Ground(store, sealed, folders, frozenset(run_of(path) for path in evidence), frozenset(overwrite))


def _check_overwrite(overwrite: tuple[str, ...], files: Mapping[str, bytes]) -> None:
    if not overwrite:
        return
    known = {*files, *(run_of(path) for path in files if run_of(path))}
    problems = []
    for name in overwrite:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "give a path as `ck scaffold --dry-run` prints it"
            problems.append(Problem(f"`{name}` is no scaffolded file and no run", hint=hint))
    if problems:
        raise PlanError("`overwrite` names what is not there", problems=problems)


def _gone(plan: Plan, ground: _Ground) -> tuple[FileChange, ...]:
    """Return the sealed runs that left the plan; only runs nobody submitted may leave."""
    kept = {run.id for run in plan.runs}
    lost = [run for run in (ground.sealed.runs if ground.sealed else ()) if run not in kept]
    stuck = [run for run in lost if run in ground.submitted]
    if stuck:
        problems = _shown(stuck, "was submitted and is no longer in the design")
        hint = "set the design back (`ck design amend` adds seeds and levels), or start a new experiment"
        raise PlanError(f"{len(stuck)} submitted runs would be lost", problems=problems, hint=hint)
    return tuple(FileChange(path=f"{ExperimentLayout.runs}/{run}", kind="removed") for run in lost)


def _change(path: str, content: bytes, *, ground: _Ground) -> FileChange:
    run = run_of(path)
    found = None if run and run not in ground.folders else ground.store.read(path)
    if found is None:
        return FileChange(path=path, kind="create")
    if found == content:
        return FileChange(path=path, kind="unchanged")
    return FileChange(path=path, kind=_kind(path, found, ground=ground), diff=diff_of(path, found, planned=content))


def _kind(path: str, found: bytes, *, ground: _Ground) -> _Kind:
    if path in ground.overwrite or run_of(path) in ground.overwrite:
        return "overwrite"
    sealed = ground.sealed
    pristine = sealed is not None and sealed.files.get(path) == hashlib.sha256(found).hexdigest()
    return "overwrite" if sealed is not None and pristine and path not in sealed.adopted else "edited"


def _named(run: str, changes: list[FileChange], *, ground: _Ground) -> bool:
    """Return whether every file of a submitted run that would change was named."""
    paths = (change.path for change in changes if change.kind == "overwrite" and run_of(change.path) == run)
    return run in ground.overwrite or all(path in ground.overwrite for path in paths)


def diff_of(path: str, found: bytes, *, planned: bytes) -> str:
    """Return the unified diff from a file on disk to the file planned."""
    if len(found) + len(planned) > _LARGEST_DIFF:
        return f"{len(found)} bytes on disk, {len(planned)} bytes planned: too long to compare line by line\n"
    return "".join(_diff_lines(path, found, planned=planned))


def _diff_lines(path: str, found: bytes, *, planned: bytes) -> Iterator[str]:
    old, new = (text.decode("utf-8", "replace").splitlines(keepends=True) for text in (found, planned))
    for line in difflib.unified_diff(old, new, f"{path} (on disk)", f"{path} (planned)"):
        yield line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n"
