"""Rebuild: a run's files made again from the sealed design, for the very place they were made for, byte for byte."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cruijff_kit.data.generators.registry import dataset_meta, named_files
from cruijff_kit.errors import CruijffError, PlanError
from cruijff_kit.planning.job_configs import Places
from cruijff_kit.ports import World
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.reproduction import Difference, RebuiltFile
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.adopt import with_adopted
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.changes import diff_of
from cruijff_kit.workflow.origin import Origin, origin_of
from cruijff_kit.workflow.plan import Planned, design_hash, plan_with_data
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.run_files import Frame, files_of, frame
from cruijff_kit.workflow.seal import recorded_plan, refuse_imported
from cruijff_kit.workflow.tiers import told_tier

__all__ = ["Rebuilt", "Sealed", "own_datasets", "rebuild_run", "sealed_run"]


class Sealed(NamedTuple):
    """A run as it was sealed."""

    spec: ExperimentSpec
    """The design."""
    plan: Plan
    """The plan."""
    lock: DesignLock
    """The seal."""
    run: PlannedRun
    """The run."""


class Rebuilt(NamedTuple):
    """What was made again."""

    origin: Origin
    """Where for."""
    planned: str
    """Why the sealed plan stands in for the design; empty where the design gives the same run."""
    places: tuple[Difference, ...]
    """What is elsewhere here than it was there."""
    files: tuple[RebuiltFile, ...]
    """Every file that jobs of the run read."""


def sealed_run(name: str, *, world: World) -> Sealed:
    """Return a run as it was sealed, with the design that it follows from.

    Raises:
        PlanError: nothing was sealed, the design was changed since, or another system ran the experiment.
        RunError: no run, or more than one, answers to the name.
    """
    refuse_imported(world)
    plan, lock = recorded_plan(world=world)
    run, spec = find_run(plan.runs, name), read_design(world)
    if design_hash(spec) != lock.spec_sha256:
        fact = f"`{ExperimentLayout.summary}` was changed since it was sealed, so nothing can be made again from it"
        raise PlanError(fact, hint=f"bring back the design whose hash is `{lock.spec_sha256[:12]}`, or seal this one")
    return Sealed(spec, plan, lock, run)


def rebuild_run(sealed: Sealed, *, here: World, world: World) -> Rebuilt:
    """Make a run's files again and hold them against the seal; nothing is written.

    Files name directories, and those of the original may not be here: what is rendered names them as the original
    does. Everything else is worked out anew, from the design, the models and the data that are found here.

    Args:
        sealed: the run.
        here: where the design is planned anew, and data are generated and read.
        world: the original; only read.
    """
    origin = origin_of(sealed.run, world)
    planned, why = _planned_anew(sealed, here, world=world)
    shared = frame(sealed.spec, _render_plan(sealed, planned), root=origin.root, site=world.site)
    told = _told_places(sealed, shared, planned=planned, origin=origin, root=str(here.store.root))
    own = own_datasets(sealed, origin)
    run = sealed.run if planned is None else _as_sealed(_same_run(planned.plan, sealed), sealed.run)
    texts = {path: text.encode() for path, text in files_of(run, _placed(shared, origin))}
    texts |= {} if planned is None else _data_files(own, planned, here=here)
    paths = (*texts, *(path for path in _data_paths(own) if path not in texts))
    files = tuple(_compared(path, texts.get(path), lock=sealed.lock, why=why, world=world) for path in paths)
    return Rebuilt(origin, why, told, files)


def own_datasets(sealed: Sealed, origin: Origin) -> tuple[DatasetFacts, ...]:
    """Return the data sets that jobs of a run read."""
    named = [cell.task.dataset for cell in sealed.run.cells if cell.task.dataset is not None]
    wanted = {Places(origin.root, origin.outputs).at(path) for path in named}
    return tuple(facts for facts in sealed.plan.datasets if facts.key == sealed.run.dataset or facts.path in wanted)


def _planned_anew(sealed: Sealed, here: World, *, world: World) -> tuple[Planned | None, str]:
    """Return the plan of the design as it comes out here, and why it is not the sealed one where it is not."""
    try:
        planned = plan_with_data(sealed.spec, anew=True, world=here)
        plan = with_adopted(planned.plan, sealed.lock, world=world)
    except CruijffError as err:
        return None, f"the design cannot be planned here: {_first_line(err)}"
    planned = planned._replace(plan=plan)
    found = next((each for each in planned.plan.runs if each.id == sealed.run.id), None)
    if found is None:
        return None, "planned here, the design gives no run of this id: a model, data or a rule is another"
    # As JSON: what was read back from the sealed plan has lists where plans in memory have tuples.
    now, then = (each.model_dump(mode="json") for each in (_as_sealed(found, sealed.run), sealed.run))
    changed = [f"`{name}`" for name in now if now[name] != then[name]]
    if changed:
        return None, f"planned here, the run has another {', '.join(changed)}"
    return planned, ""


def _first_line(err: CruijffError) -> str:
    told = [str(problem.message) for problem in getattr(err, "problems", ())]
    return "; ".join(told[:3]) or str(err).partition("\n")[0]


def _same_run(plan: Plan, sealed: Sealed) -> PlannedRun:
    return next(each for each in plan.runs if each.id == sealed.run.id)


def _as_sealed(run: PlannedRun, sealed: PlannedRun) -> PlannedRun:
    """Return a run whose model lies where it lay."""
    return run.model_copy(update={"model_path": sealed.model_path})


def _render_plan(sealed: Sealed, planned: Planned | None) -> Plan:
    """Return the plan to render by: as it comes out here, its data where they lay."""
    if planned is None:
        return sealed.plan
    paths = {facts.key: facts.path for facts in sealed.plan.datasets}
    datasets = tuple(
        facts.model_copy(update={"path": paths.get(facts.key, facts.path)}) for facts in planned.plan.datasets
    )
    return planned.plan.model_copy(update={"datasets": datasets})


def _placed(shared: Frame, origin: Origin) -> Frame:
    """Return what runs share, with directories and interpreter of the original."""
    python = origin.python or shared.train_job.command[0]
    return shared._replace(
        places=Places(origin.root, origin.outputs),
        train_job=shared.train_job._replace(command=(python,)),
        eval_job=shared.eval_job._replace(command=(python,)),
    )


def _told_places(
    sealed: Sealed, shared: Frame, *, planned: Planned | None, origin: Origin, root: str
) -> tuple[Difference, ...]:
    """Return which directories and programs lie elsewhere here."""
    outputs = shared.places.outputs
    base = root + outputs.removeprefix(origin.root) if outputs.startswith(f"{origin.root}/") else outputs
    pairs = [
        ("experiment", origin.root, root),
        ("outputs", origin.outputs, base),
        ("interpreter", origin.python or "", shared.train_job.command[0]),
    ]
    if planned is not None:
        pairs.append(
            (f"model {sealed.run.model.name}", sealed.run.model_path, _same_run(planned.plan, sealed).model_path)
        )
        here = {facts.key: facts.path for facts in planned.plan.datasets}
        pairs += [(f"data {facts.key}", facts.path, here.get(facts.key, "")) for facts in own_datasets(sealed, origin)]
    return tuple(Difference(what=what, then=then, here=now) for what, then, now in pairs if then != now)


def _data_paths(own: Iterable[DatasetFacts]) -> Iterator[str]:
    """Yield the generated data sets that a run reads, and what tells of them."""
    for facts in own:
        if facts.generator:
            yield from (ExperimentLayout.dataset(facts.key), ExperimentLayout.dataset_meta(facts.key))


def _data_files(own: Iterable[DatasetFacts], planned: Planned, *, here: World) -> dict[str, bytes]:
    """Return generated data sets as they come out here."""
    keys, root = {facts.key for facts in own}, here.store.root
    files: dict[str, bytes] = {}
    for dataset in planned.datasets:
        facts = dataset.facts
        if facts.key in keys and facts.generator and isinstance(dataset.content, bytes):
            path = ExperimentLayout.dataset(facts.key)
            sources = [root / source for source in named_files(facts.generator, facts.arguments).values()]
            files[path] = dataset.content
            files[ExperimentLayout.dataset_meta(facts.key)] = dataset_meta(
                facts, tier=told_tier(root / path, sources=sources, root=root)
            )
    return files


def _compared(path: str, made: bytes | None, *, lock: DesignLock, why: str, world: World) -> RebuiltFile:
    sealed = lock.adopted.get(path, lock.files.get(path))
    digest = world.store.digest(path)
    if digest is None:
        found = "missing"
    elif digest != lock.files.get(path):
        found = "changed"
    else:
        found = "adopted" if path in lock.adopted else "as sealed"
    rebuilt = None if made is None else hashlib.sha256(made).hexdigest()
    detail = ""
    if made is None:
        detail = why
    elif rebuilt != sealed and found == "as sealed" and not path.startswith(f"{ExperimentLayout.data}/"):
        detail = diff_of(path, world.store.read(path) or b"", planned=made)
    return RebuiltFile(path=path, sealed=sealed, rebuilt=rebuilt, found=found, detail=detail)
