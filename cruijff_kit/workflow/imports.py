"""Imports: an experiment of the first system becomes one of ours, every file by its hash, nothing made up."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import CruijffError, PlanError, Problem, ResultError, SiteError, SpecError
from cruijff_kit.planning.imported_plan import (
    Evaluated,
    FoundData,
    FoundRun,
    Imported,
    Sketch,
    plain_name,
    plan_imported,
)
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.imported_text import imported_summary
from cruijff_kit.rendering.summary import front_matter
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.imported import Foreign, ImportedKey, ImportedLog, ImportOrder, ImportReceipt, ImportRecord
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.plan import DesignLock, PlannedRun
from cruijff_kit.schema.run import Done, MetricPoint
from cruijff_kit.workflow.audit import render_views
from cruijff_kit.workflow.first_system import (
    EPOCH_FOLDER,
    Directory,
    RunFiles,
    SourceFile,
    SourceLog,
    read_directory,
)
from cruijff_kit.workflow.seal import plan_hash, plan_text, seal
from cruijff_kit.workflow.surroundings import shelf_of
from cruijff_kit.workflow.tiers import marks_of

__all__ = ["import_experiment"]

_ORDER = ImportOrder()
_CHUNK = 1 << 20


class _Copy(NamedTuple):
    """A file, and where a copy of it goes."""

    source: SourceFile
    target: str


class _Made(NamedTuple):
    """Everything that is to be written."""

    imported: Imported
    record: ImportRecord
    copies: tuple[_Copy, ...]
    texts: Mapping[str, bytes]


def import_experiment(
    directory: str,
    *,
    order: ImportOrder = _ORDER,
    reason: str = "",
    progress: Progress | None = None,
    world: World,
) -> ImportReceipt:
    """Make an experiment of ours from a directory of the first system; that directory is never changed.

    Its logs are copied byte for byte and read as they are; configurations become a design and a plan.
    What nobody can know is marked so, with the reason. The record begins with the hash of every file.

    Args:
        directory: the first system's experiment.
        order: what is said beside it.
        reason: why, in the words of whoever decided.
        progress: told of files read and copied.
        world: the directory of the new experiment, and its surroundings.

    Raises:
        PlanError: something lies already where the experiment is to go.
        SpecError: the directory is malformed; lists every problem, and nothing is written.
        SiteError: the extra that reads logs is not installed, or a file cannot be read.
    """
    folder = Path(directory).resolve()
    _refuse_place(folder, world)
    outputs = [Path(each).resolve() for each in order.outputs]
    found = read_directory(folder, outputs=outputs, progress=progress, world=world)
    if found.problems:
        count = "a problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        raise SpecError(f"`{directory}` has {count}; nothing was imported", problems=list(found.problems))
    made = _made(found, folder, order=order, world=world)
    if not order.check:
        _write(made, reason=reason, progress=progress, world=world)
    return _receipt(made, order=order, world=world)


def _refuse_place(folder: Path, world: World) -> None:
    root = world.store.root.resolve()
    if root == folder or root.is_relative_to(folder) or folder.is_relative_to(root):
        fact = f"`{root}` and `{folder}` lie in each other, and what is imported is never changed"
        raise PlanError(fact, hint="name another directory by `--into`")
    for path in (ExperimentLayout.summary, ExperimentLayout.lock, ExperimentLayout.audit):
        if world.store.read(path) is not None:
            raise PlanError(f"`{root}` holds `{path}` already", hint="name a new directory by `--into`")


def _made(found: Directory, folder: Path, *, order: ImportOrder, world: World) -> _Made:
    # What was read of a log is what is copied, or nothing is.
    read = {log.file.original: log.said.sha256 for run in found.runs for log in run.logs}
    hashes = {each.original: read.get(each.original) or _hash(each.place) for each in _all_files(found)}
    data = tuple(_data(found, world))
    sketch = Sketch(
        name=order.name or plain_name(found.summary.name or folder.name),
        question=found.summary.question,
        hypothesis=found.summary.hypothesis,
        type=found.summary.type,
        created=found.summary.created or _first_day(found) or world.clock.now().date().isoformat(),
        runs=tuple(_found_run(run, hashes) for run in found.runs),
        data=data,
        tier=strictest([order.tier, *_marks(data, world)]),
    )
    imported = plan_imported(sketch)
    logs, copies = list[ImportedLog](), list[_Copy]()
    texts: dict[str, bytes] = {}
    for run, planned in zip(found.runs, imported.plan.runs, strict=True):
        own = list(_run_logs(run, planned, hashes=hashes))
        logs += own
        copies += _run_copies(run, planned, logs=own, order=order)
        texts |= _run_texts(run, planned, logs=own, hashes=hashes, world=world)
    if found.summary_file is not None:
        name = found.summary_file.original
        copies.append(_Copy(found.summary_file, f"{ExperimentLayout.originals}/{name}"))
    record = ImportRecord(
        source=str(folder),
        imported=world.clock.now(),
        files={**hashes, **{each.path: each.sha256 for each in data if each.sha256}},
        runs=dict(imported.ids),
        logs=tuple(logs),
        keys=tuple(
            ImportedKey(run=run.name, key=key, outcome=outcome)
            for run in found.runs
            if run.config is not None
            for key, outcome in run.config.outcomes
        ),
        unknown=imported.unknown,
        left=found.left,
    )
    return _Made(imported, record, tuple(copies), texts)


def _all_files(found: Directory) -> Iterator[SourceFile]:
    if found.summary_file is not None:
        yield found.summary_file
    for run in found.runs:
        yield from (*run.kept, *run.adapters, *(log.file for log in run.logs))


def _hash(path: Path) -> str:
    digest = sha256()
    for part in _parts(path):
        digest.update(part)
    return digest.hexdigest()


def _parts(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                yield part
    except OSError as err:
        raise SiteError(f"`{path}` cannot be read: {err.strerror}", hint="see its owner and mode") from err


def _data(found: Directory, world: World) -> Iterator[FoundData]:
    """Yield each data set that runs or logs name, with the hash of what lies there now."""
    named = [run.config.data for run in found.runs if run.config is not None]
    named += [log.data for run in found.runs for log in run.logs]
    for path in dict.fromkeys(filter(None, named)):
        place = Path(path)
        there = place if place.exists() else place.with_name(f"{place.name}.json")
        digest = None
        # A folder that is no data set has no hash, and what may not be read none that is known.
        with suppress(CruijffError):
            digest = world.store.digest(str(there)) if place.is_absolute() and there.exists() else None
        yield FoundData(path, digest, there.stat().st_size if digest and there.is_file() else 0)


def _marks(data: Iterable[FoundData], world: World) -> Iterator[Tier]:
    for each in data:
        yield from marks_of(world.store.root / each.path, root=world.store.root)


def _first_day(found: Directory) -> str:
    """Return the day of the earliest log, where the summary says none."""
    days = [log.said.created[:10] for run in found.runs for log in run.logs if log.said.created]
    return min(days, default="")


def _found_run(run: RunFiles, hashes: Mapping[str, str]) -> FoundRun:
    files = sorted(each.original for each in (*run.kept, *run.adapters, *(log.file for log in run.logs)))
    whole = "".join(f"{hashes[name]} {name}\n" for name in files)
    return FoundRun(
        name=run.name,
        sha256=sha256(f"{run.name}\n{whole}".encode()).hexdigest(),
        trained=run.trained,
        model=run.model,
        config=run.config,
        epochs=tuple(sorted({each.epoch for each in run.adapters if each.epoch is not None})),
        steps=run.losses[-1].step if run.losses else 0,
        evaluated=tuple(
            Evaluated(
                log.said.task, log.split, log.data, log.epoch, log.said.scorers, log.said.samples, log.said.generation
            )
            for log in run.logs
        ),
    )


def _run_logs(run: RunFiles, planned: PlannedRun, *, hashes: Mapping[str, str]) -> Iterator[ImportedLog]:
    layout = RunLayout(planned.id)
    for log, cell in zip(run.logs, planned.cells, strict=True):
        about = Foreign(
            run=planned.id,
            epoch=cell.epoch,
            task=cell.task.name,
            split=cell.task.split,
            checkpoint_sha256=_checkpoint(run, log, hashes=hashes),
        )
        yield ImportedLog(
            original=log.file.original,
            path=f"{layout.cell_logs(cell.name)}/{log.file.place.name}",
            sha256=hashes[log.file.original],
            status=log.said.status,
            about=about,
        )


def _checkpoint(run: RunFiles, log: SourceLog, *, hashes: Mapping[str, str]) -> str:
    """Return the hash of the adapter that a log evaluated; zeros where it is not here."""
    weights = [each for each in run.adapters if each.epoch == log.epoch and each.place.stem == "adapter_model"]
    best = min(weights, key=lambda each: each.place.suffix != ".safetensors", default=None)
    return UNKNOWN_SHA256 if best is None or log.epoch is None else hashes[best.original]


def _run_copies(run: RunFiles, planned: PlannedRun, *, logs: Iterable[ImportedLog], order: ImportOrder) -> list[_Copy]:
    layout = RunLayout(planned.id)
    copies = [_Copy(log.file, told.path) for log, told in zip(run.logs, logs, strict=True)]
    copies += [_Copy(each, layout.original(each.original.lstrip("/"))) for each in run.kept]
    if order.adapters:
        copies += [_Copy(each, _adapter_place(each, layout)) for each in run.adapters]
    return copies


def _adapter_place(source: SourceFile, layout: RunLayout) -> str:
    """Return where a file of an adapter goes: below its epoch as it lay there, stashed or not."""
    parts = source.place.parts
    at = max(index for index, part in enumerate(parts) if EPOCH_FOLDER.search(part))
    return "/".join(["outputs", layout.epoch(source.epoch or 0), *parts[at + 1 :]])


def _run_texts(
    run: RunFiles, planned: PlannedRun, *, logs: Iterable[ImportedLog], hashes: Mapping[str, str], world: World
) -> dict[str, bytes]:
    """Return what jobs of ours would have left: losses as printed, and markers that name the files by hash."""
    layout, now, texts = RunLayout(planned.id), world.clock.now(), dict[str, bytes]()
    if run.losses:
        points = [MetricPoint(step=each.step, epoch=each.epoch, loss=each.loss) for each in run.losses]
        texts[layout.metrics] = "".join(f"{each.model_dump_json(exclude_none=True)}\n" for each in points).encode()
    if run.trained and _ended(run):
        artefacts = {path: sha256(content).hexdigest() for path, content in texts.items()}
        artefacts |= {_adapter_place(each, layout): hashes[each.original] for each in run.adapters}
        texts[layout.done("train")] = _marker(Done(exit_code=0, artefacts=artefacts, finished=now, imported=True))
    for cell, log in zip(planned.cells, logs, strict=True):
        done = Done(exit_code=0, artefacts={log.path: log.sha256}, finished=now, imported=True)
        texts[layout.cell_done(cell.name)] = _marker(done)
    if planned.cells:
        texts[layout.done("eval")] = _marker(Done(exit_code=0, artefacts={}, finished=now, imported=True))
    return texts


def _marker(done: Done) -> bytes:
    return f"{done.model_dump_json()}\n".encode()


def _ended(run: RunFiles) -> bool:
    """Return whether a training is known to have ended: the adapter of its last epoch is here."""
    epochs = run.config.controls.get("epochs", run.config.defaults.get("epochs", 1)) if run.config else 1
    return any(each.epoch is not None and each.epoch >= int(epochs) - 1 for each in run.adapters)


def _write(made: _Made, *, reason: str, progress: Progress | None, world: World) -> None:
    """Copy the files, record what was imported, and publish the rest, the seal last."""
    laid = list[str]()
    try:
        for at, copy in enumerate(made.copies):
            if progress is not None:
                progress(at, len(made.copies), copy.source.original)
            laid.append(copy.target)
            _copy(copy, expected=made.record.files[copy.source.original], world=world)
    except BaseException:
        # Half of an experiment would be in the way of the next try.
        shelf_of(world).remove(str(world.store.root), laid)
        raise
    imported, plan = made.imported, plan_text(made.imported.plan)
    files = {
        **made.texts,
        ExperimentLayout.summary: imported_summary(imported.spec, imported.plan, unknown=imported.unknown).encode(),
        ExperimentLayout.plan: plan,
        ExperimentLayout.imported: f"{made.record.model_dump_json(indent=1)}\n".encode(),
    }
    sealed = {ExperimentLayout.plan: sha256(plan).hexdigest()}
    inputs = {each.path: each.sha256 for each in imported.plan.datasets if each.sha256 != UNKNOWN_SHA256}
    plan_id = plan_hash({**sealed, **made.record.files}, inputs)
    event = AuditEvent(
        actor=world.actor,
        verb="import",
        action=Action.IMPORT,
        subject=imported.spec.name,
        reason=reason or None,
        inputs=made.record.files,
        outputs={"plan_id": plan_id, **{path: sha256(content).hexdigest() for path, content in files.items()}},
        result=Outcome.WARNING if imported.unknown else Outcome.SUCCESS,
        error=f"{len(imported.unknown)} facts cannot be known; `{ExperimentLayout.imported}` says why"
        if imported.unknown
        else None,
    )
    anchor = world.audit.append(event)
    lock = DesignLock(
        plan_id=plan_id,
        spec_sha256=imported.plan.spec_sha256,
        runs=tuple(run.id for run in imported.plan.runs),
        files=sealed,
        inputs=inputs,
        site=world.site_name,
        anchor_seq=anchor.seq,
        anchor_sha256=anchor.sha256,
    )
    world.store.publish({**files, ExperimentLayout.lock: seal(lock)}, manifest=ExperimentLayout.lock)
    render_views(world=world)


def _copy(copy: _Copy, *, expected: str, world: World) -> None:
    if not copy.source.place.stat().st_size:
        world.store.write(copy.target, b"")
        return
    written, _ = world.store.write_parts(copy.target, _parts(copy.source.place))
    if written != expected:
        problem = Problem("it was changed while it was imported", place=copy.source.original)
        raise ResultError("nothing was imported", hint="import again once nothing writes there", problems=[problem])


def _receipt(made: _Made, *, order: ImportOrder, world: World) -> ImportReceipt:
    imported = made.imported
    return ImportReceipt(
        path=str(world.store.root),
        written=not order.check,
        name=imported.spec.name,
        runs=dict(imported.ids),
        evaluations=len(made.record.logs),
        files=len(made.record.files),
        bytes=sum(each.source.place.stat().st_size for each in made.copies),
        keys=tuple(each for each in made.record.keys if each.outcome.startswith("set aside")),
        unknown=imported.unknown,
        left=made.record.left,
        design=front_matter(imported.spec) if order.check else "",
    )
