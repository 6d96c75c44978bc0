"""The seal: which plan was scaffolded, and whether what lies on disk is still it."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.read_design import read_design

__all__ = [
    "LOCK_NAME",
    "is_run",
    "plan_hash",
    "plan_text",
    "read_lock",
    "recorded_plan",
    "refuse_absent",
    "refuse_imported",
    "seal",
    "sealed_plan",
    "site_words",
]

LOCK_NAME = "submit"
"""Lock that whoever changes or submits sealed files holds."""

_SCAFFOLD = "`ck scaffold`"
_SHOWN = 8


def sealed_plan(*, world: World) -> tuple[Plan, DesignLock]:
    """Return the sealed plan, once the design and every file to be run were found unchanged.

    Raises:
        PlanError: nothing was scaffolded, or the design or a file was changed since.
    """
    plan, lock = recorded_plan(world=world)
    refuse_imported(world)
    if design_hash(read_design(world)) != lock.spec_sha256:
        hint = f"look with {_SCAFFOLD[:-1]} --dry-run`, then seal it with {_SCAFFOLD}"
        raise PlanError("the design was changed since it was scaffolded", hint=hint)
    changed = [path for path, digest in lock.files.items() if is_run(path) and world.store.digest(path) != digest]
    changed += [
        path for path, digest in lock.inputs.items() if path.startswith("/") and world.store.digest(path) != digest
    ]
    if changed:
        problems = [Problem(f"`{path}` is not as it was sealed") for path in changed[:_SHOWN]]
        hint = f"`ck adopt RUN --reason …` takes an edit over; {_SCAFFOLD[:-1]} --overwrite PATH` undoes it"
        raise PlanError(f"{len(changed)} files were changed since they were scaffolded", hint=hint, problems=problems)
    return plan, lock


def recorded_plan(*, world: World) -> tuple[Plan, DesignLock]:
    """Return the plan as it was sealed, whatever was edited since; for verbs that only look.

    Raises:
        PlanError: nothing was scaffolded, or the record of it is damaged.
    """
    lock = read_lock(world)
    content = world.store.read(ExperimentLayout.plan)
    if lock is None or content is None:
        raise _unscaffolded(world)
    _require_site(lock, world)
    if hashlib.sha256(content).hexdigest() != lock.files.get(ExperimentLayout.plan):
        hint = f"{_SCAFFOLD[:-1]} --overwrite {ExperimentLayout.plan}` writes it again"
        raise PlanError(f"`{ExperimentLayout.plan}` is not as it was sealed", hint=hint)
    return _parsed(content), lock


def refuse_absent(world: World) -> None:
    """Refuse an experiment whose folder is not there: that nothing was reported yet would send its reader astray.

    Raises:
        PlanError: there is no such folder.
    """
    if not world.store.root.is_dir():
        raise _unscaffolded(world)


def _unscaffolded(world: World) -> PlanError:
    """Return why there is no plan: nothing was scaffolded, or the folder that was named is not there at all."""
    if not world.store.root.is_dir():
        fact = f"the experiment is not scaffolded: there is no directory `{world.store.root.name}`"
        return PlanError(fact, hint=f"name the experiment's own as `ck -C DIR`, or run {_SCAFFOLD} first")
    return PlanError("the experiment is not scaffolded", hint=f"run {_SCAFFOLD} first")


@lru_cache(maxsize=4)
def _parsed(content: bytes) -> Plan:
    """Return the plan in these bytes: a server is asked about the same one again and again."""
    return Plan.model_validate_json(content)


def refuse_imported(world: World) -> None:
    """Refuse to run what another system ran already.

    Raises:
        PlanError: the experiment was imported.
    """
    if world.store.read(ExperimentLayout.imported) is not None:
        hint = "report, compare or search it; to run it again, write a design of your own in a new directory"
        raise PlanError("the experiment was imported from another system, which ran it", hint=hint)


def _require_site(lock: DesignLock, world: World) -> None:
    """Refuse to look for an experiment's jobs elsewhere than where they are, or to submit them twice."""
    if lock.site != world.site_name:
        fact = (
            f"the experiment was scaffolded for {site_words(lock.site)}, and {site_words(world.site_name)} is asked for"
        )
        hint = (
            "leave out `--site`: the experiment remembers its own; for another site, write the design in another folder"
        )
        raise PlanError(fact, hint=hint)


def site_words(name: str | None) -> str:
    """Return a site as messages call it."""
    return "the site that has no name" if name is None else f"site `{name}`"


def read_lock(world: World) -> DesignLock | None:
    """Return the seal, or None where nothing was sealed.

    Raises:
        PlanError: the file is there and cannot be read.
    """
    content = world.store.read(ExperimentLayout.lock)
    try:
        return None if content is None else DesignLock.model_validate_json(content)
    except ValueError as err:
        fact = f"`{ExperimentLayout.lock}` cannot be read: {err}"
        raise PlanError(fact, hint=f"move it away and run {_SCAFFOLD}: files that are unchanged are kept") from err


def plan_hash(files: Mapping[str, str], inputs: Mapping[str, str]) -> str:
    """Return the plan id: the SHA-256 over path and hash of every file to be run and every input."""
    parts: Iterable[tuple[str, str]] = (*(item for item in files.items() if is_run(item[0])), *inputs.items())
    return hashlib.sha256("".join(f"{digest} {path}\n" for path, digest in sorted(parts)).encode()).hexdigest()


def plan_text(plan: Plan) -> bytes:
    """Return the bytes of `plan.json`: one run a line, so that people can read and compare it."""
    head = plan.model_dump_json(exclude={"runs"})[:-1]
    runs = ",\n".join(run.model_dump_json() for run in plan.runs)
    return f'{head},"runs":[\n{runs}\n]}}\n'.encode()


def seal(lock: DesignLock) -> bytes:
    """Return the bytes of `design.lock.json`."""
    return (lock.model_dump_json(indent=1) + "\n").encode()


def is_run(path: str) -> bool:
    """Return whether a scaffolded file is read by a job: a script, a configuration or data."""
    return path.endswith((".slurm", "/finetune.yaml", "/eval.yaml")) or (
        path.startswith(f"{ExperimentLayout.data}/") and not path.endswith(".meta.json")
    )
