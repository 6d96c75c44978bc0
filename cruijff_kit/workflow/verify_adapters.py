"""Adapters held against their hashes: each that lies here is the one that its training wrote and that answered."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout, RunLayout
from cruijff_kit.schema.mirror import MirrorMark
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.verification import Difference, Origin
from cruijff_kit.workflow.verify_files import Checked

__all__ = ["check_adapters"]

_WEIGHTS = PurePosixPath(ADAPTER_WEIGHTS).stem
_HEADER = "header.json#/eval/metadata/checkpoint_sha256"


class _Adapter(NamedTuple):
    """What the marker of a training vouches for of one adapter."""

    run: str
    name: str
    """Its folder below the run's output directory, such as `epoch_0`."""
    files: dict[str, str]
    """Path to hash of its files, as the marker names them."""
    imported: bool

    @property
    def weights(self) -> dict[str, str]:
        """Return its weights among these."""
        return {path: sha256 for path, sha256 in self.files.items() if PurePosixPath(path).stem == _WEIGHTS}


class _Claim(NamedTuple):
    """Which adapter an evaluation says it was of."""

    run: str
    task: str
    epoch: int | None
    sha256: str


def check_adapters(
    plan: Plan, table: ResultTable, *, progress: Progress | None = None, world: World
) -> tuple[int, Checked]:
    """Return how many adapters there are, and what is wrong with them.

    Their files are hashed as they lie here and compared with what trainings vouch for, and with what the evaluations'
    logs say was evaluated. Merged models and checkpoints to resume from are made of these, and are not read.

    Args:
        plan: the sealed plan.
        table: what was collected anew.
        progress: told of each adapter that is read.
        world: the experiment and its surroundings.
    """
    markers = {run.id: _marker(run.id, world) for run in plan.runs if run.type == "fine-tuned"}
    adapters = [each for run, done in markers.items() if done is not None for each in _adapters(run, done)]
    mirrored = MirrorMark.found_in(world.store.read(ExperimentLayout.mirror))
    found: dict[str, str | None] = {}
    for number, each in enumerate(adapters):
        if progress is not None:
            progress(number, len(adapters), f"hashing {each.run} {each.name}")
        found |= {path: _digest(path, each.run, mirrored=mirrored is not None, world=world) for path in each.files}
    absent = [each for each in adapters if not any(found[path] for path in each.files)]
    excused = [each for each in absent if mirrored is not None or each.imported]
    claims = _claims(table)
    proven = [each for each in claims if markers.get(each.run) is not None]
    wrong = (
        *_changed([each for each in adapters if each not in excused], found, known=adapters),
        *_others(adapters, proven, found=found, table=table),
    )
    notes = (*_elsewhere(excused, mirrored), *_unproven(markers, claims))
    return len(adapters) - len(excused), Checked(sum(map(bool, found.values())), wrong, notes)


def _marker(run: str, world: World) -> Done | None:
    return Done.found_in(world.store.read(RunLayout(run).done("train")))


def _adapters(run: str, done: Done) -> Iterator[_Adapter]:
    """Yield the adapters that a marker names: weights, and what lies beside them."""
    parents = {path: PurePosixPath(path).parent for path in done.artefacts}
    for folder in dict.fromkeys(parents[path] for path in parents if PurePosixPath(path).stem == _WEIGHTS):
        files = {path: sha256 for path, sha256 in done.artefacts.items() if parents[path] == folder}
        yield _Adapter(run, _inside(str(folder), run), files, done.imported)


def _inside(path: str, run: str) -> str:
    """Return a path below the output directory of a run."""
    return path.rpartition(f"{RunLayout(run).output}/")[2]


def _digest(path: str, run: str, *, mirrored: bool, world: World) -> str | None:
    """Return the hash of a file here: one that lay outside of the experiment is in it once that is archived."""
    if not path.startswith("/"):
        return world.store.digest(path)
    archived = f"{ArchiveLayout.outside(RunLayout(run).output)}/{_inside(path, run)}"
    # An absolute path of a mirror is one of the other machine.
    return world.store.digest(archived) or (None if mirrored else world.store.digest(path))


def _claims(table: ResultTable) -> list[_Claim]:
    """Return what the logs say was evaluated, where they know it."""
    told = dict.fromkeys(_Claim(each.run, each.task, each.epoch, each.checkpoint_sha256) for each in table.predictions)
    return [each for each in told if each.epoch is not None and each.sha256 != UNKNOWN_SHA256]


def _changed(
    adapters: Iterable[_Adapter], found: Mapping[str, str | None], *, known: Iterable[_Adapter]
) -> Iterator[Difference]:
    """Yield the files that are not those that their training wrote."""
    whose = {sha256: f"`{each.run}`, {each.name}" for each in known for sha256 in each.weights.values()}
    for each in adapters:
        for path, recorded in each.files.items():
            digest = found[path]
            if digest == recorded:
                continue
            other = f": it is that of {whose[digest]}" if digest in whose else ""
            yield Difference(
                kind="file",
                path=path,
                shown=digest or "missing",
                made=recorded,
                origins=(Origin(file=RunLayout(each.run).done("train"), pointer="artefacts"),),
                words=f"the adapter is not the one that its training wrote{other}" if digest else "the file is missing",
            )


def _others(
    adapters: Iterable[_Adapter], claims: Iterable[_Claim], *, found: Mapping[str, str | None], table: ResultTable
) -> Iterator[Difference]:
    """Yield the evaluations of which the log names another adapter than the marker of the training."""
    known: dict[tuple[str, str], dict[str, str]] = {}
    for each in adapters:
        known.setdefault((each.run, each.name.partition("/")[0]), {}).update(each.weights)
    logs = {(row.run, row.task, row.epoch): row for row in table.rows if row.source_sha256}
    for claim in claims:
        weights = known.get((claim.run, f"epoch_{claim.epoch}"), {})
        if claim.sha256 in weights.values():
            continue
        path, log = next(iter(weights), ""), logs[claim.run, claim.task, claim.epoch]
        yield Difference(
            kind="file",
            path=path or RunLayout(claim.run).done("train"),
            shown=found.get(path) or "",
            made=claim.sha256,
            origins=(Origin(file=log.source, sha256=log.source_sha256, pointer=_HEADER),),
            words=f"`{claim.task}` evaluated another adapter of epoch {claim.epoch} than its training vouches for",
        )


def _elsewhere(excused: list[_Adapter], mirrored: MirrorMark | None) -> Iterator[str]:
    if excused:
        where = f"at {mirrored.words}" if mirrored is not None else "where the experiment was imported from"
        yield f"adapters that were left {where} and not compared: {len(excused)}"


def _unproven(markers: Mapping[str, Done | None], claims: Iterable[_Claim]) -> Iterator[str]:
    for run in dict.fromkeys(each.run for each in claims):
        if run in markers and markers[run] is None:
            yield f"the training of `{run}` left no marker that can be read: nothing tells which adapter was evaluated"
