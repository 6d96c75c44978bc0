"""The files of an experiment that its report rests on, and references to those that no figure is computed from."""

from collections.abc import Iterable, Iterator, Mapping

from cruijff_kit.analysis.quoted import Figures, Grounds, constants_of, labels_of
from cruijff_kit.analysis.traces import PLAN, labelled
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan, PlannedRun
from cruijff_kit.schema.report import AuditState, Reference, Trace
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.run import Phase, StepStatus
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["LOG", "SANITY", "SEARCH", "cited_sentences", "evidence_files", "raw_references"]

LOG, SANITY, SEARCH = "l1", "k1", "q1"
"""Labels of the record, of the verdict on a sanity check, and of what a search was told."""

_DESIGN, _RESULTS = "d1", "r1"


def evidence_files(plan: Plan, table: ResultTable, *, world: World) -> dict[str, str | None]:
    """Return the hash of every file of the runs that a report rests on, None for one that is not there.

    Args:
        plan: the sealed plan.
        table: what was collected, with the hashes of the logs it was read from.
        world: the experiment and its surroundings.
    """
    known = {row.source: row.source_sha256 for row in table.rows if row.source}
    paths = [path for run in plan.runs for path in _paths(run)]
    paths += [*known, ExperimentLayout.compute, ExperimentLayout.model_audit, ExperimentLayout.search]
    if world.store.digest(ExperimentLayout.sanity) is not None:
        paths.append(ExperimentLayout.sanity)
    return {path: known.get(path) or world.store.digest(path) for path in dict.fromkeys(paths)}


def raw_references(
    plan: Plan,
    lock: DesignLock,
    *,
    files: Mapping[str, str | None],
    statuses: Iterable[StepStatus],
    audit: AuditState,
) -> tuple[Reference, ...]:
    """Return references to design, plan, record, manifests, and what jobs that have not ended well say of themselves.

    Args:
        plan: the sealed plan.
        lock: its seal.
        files: path to hash of what the report rests on.
        statuses: where every step stands.
        audit: the record.
    """
    return tuple(_references(plan, lock, files=files, statuses=statuses, audit=audit))


def cited_sentences(
    sentences: Iterable[str], spec: ExperimentSpec, *, traces: tuple[Trace, ...], known: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return the labels of the files that each sentence's numbers come from.

    Args:
        sentences: sentences of the report.
        spec: the design.
        traces: the figures.
        known: label of the one file that certain sentences tell of.
    """
    figures = Figures(traces)
    constants = constants_of(spec.factors, spec.analysis.alpha)
    grounds = Grounds(constants, design=(_DESIGN,), counts=(_RESULTS, PLAN))
    found = {each: labels_of(each, figures, grounds=grounds) for each in sentences}
    return {each: (known[each],) if each in known and labels else labels for each, labels in found.items()}


def _paths(run: PlannedRun) -> Iterator[str]:
    layout = RunLayout(run.id)
    if run.type == "fine-tuned":
        yield from (layout.status("train"), layout.done("train"), layout.manifest, layout.metrics)
    if run.cells:
        yield from (layout.status("eval"), layout.done("eval"), layout.calibrator)
    for cell in run.cells:
        yield from (layout.cell_done(cell.name), layout.cell_manifest(cell.name))


def _references(
    plan: Plan,
    lock: DesignLock,
    *,
    files: Mapping[str, str | None],
    statuses: Iterable[StepStatus],
    audit: AuditState,
) -> Iterator[Reference]:
    front = "front matter, this being the hash of its canonical JSON"
    yield Reference(label=_DESIGN, path=ExperimentLayout.summary, sha256=plan.spec_sha256, pointer=front)
    sealed = lock.files.get(ExperimentLayout.plan)
    yield Reference(label=PLAN, path=ExperimentLayout.plan, sha256=sealed, pointer="`runs` and `datasets`")
    if audit.head is not None:
        line = f"line {audit.head.seq + 1}, this being the hash of that line"
        yield Reference(label=LOG, path=ExperimentLayout.audit, sha256=audit.head.sha256, pointer=line)
    else:
        yield Reference(label=LOG, path=ExperimentLayout.audit, sha256=None, pointer="the line that does not hold")
    once = {
        "j1": (ExperimentLayout.compute, "`jobs` and the sums beside them"),
        "a1": (ExperimentLayout.model_audit, "`audits`"),
        SANITY: (ExperimentLayout.sanity, "`figures`"),
        SEARCH: (ExperimentLayout.search, "`told`"),
    }
    for label, (path, pointer) in once.items():
        if files.get(path) is not None:
            yield Reference(label=label, path=path, sha256=files[path], pointer=pointer)
    manifests = [RunLayout(run.id).manifest for run in plan.runs if run.type == "fine-tuned"]
    yield from labelled("m", _there(manifests, files), pointer="`started` and `ended`")
    ended = {RunLayout(each.run_id).status(each.step): each.phase is Phase.COMPLETED for each in statuses}
    waiting = [path for path, well in ended.items() if not well]
    yield from labelled("s", _there(waiting, files), pointer="`state`, `step`, `total` and `message`")


def _there(paths: Iterable[str], files: Mapping[str, str | None]) -> dict[str, str | None]:
    return {path: files[path] for path in paths if files.get(path) is not None}
