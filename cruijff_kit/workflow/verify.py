"""Verify: hold a report and all it was made of against the raw files, and name every digit that differs."""

from collections.abc import Iterator, Mapping, Sequence

from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.table_values import value_count
from cruijff_kit.schema.audit import AuditRecord, AuditVerdict
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.verification import Difference, Verification
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.recomputed import Recomputed, last_report, recompute
from cruijff_kit.workflow.verify_adapters import check_adapters
from cruijff_kit.workflow.verify_ceilings import check_ceilings
from cruijff_kit.workflow.verify_documents import check_report, read_shown
from cruijff_kit.workflow.verify_files import Checked, check_evidence, check_products, check_vouched
from cruijff_kit.workflow.verify_prose import check_prose

__all__ = ["verify_experiment"]

# So many runs are named in a note.
_NAMED = 3


def verify_experiment(*, progress: Progress | None = None, world: World) -> Verification:
    """Recompute results and report from the raw files, and compare them with what lies on disk; never writes.

    The record's chain, the hashes that jobs and record vouch for, the adapters that were trained and evaluated, every
    value of the result tables, every line of the documents and every number of `findings.md` are looked at. Causes
    come before what follows.

    Args:
        progress: told of each run that is read, and of each adapter.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
        ResultError: nothing was reported yet, or a line of the record is none.
        SiteError: an extra that reads logs or writes tables is not installed.
    """
    verdict = verify_audit(world=world)
    records = tuple(world.audit.records())
    written = last_report(world)
    made = recompute(written, progress=progress, world=world)
    shown = read_shown(made, world=world)
    adapters, weights = check_adapters(made.dossier.plan, made.table, progress=progress, world=world)
    ceilings = check_ceilings(made.dossier.plan, world=world)
    files = (weights, *_files(made, records, shown, world=world))
    compared = check_report(shown, made)
    prose = world.store.read_text(ExperimentLayout.findings) or ""
    differences = (
        *_record(verdict),
        *_anchor(made, records),
        *_once(files),
        *ceilings.differences,
        *compared.differences,
        *(check_prose(prose, made) if prose.strip() else ()),
    )
    noted = (note for each in (*files, ceilings) for note in each.notes)
    return Verification(
        experiment=made.table.experiment,
        version=written.version,
        files=sum(each.files for each in (*files, ceilings)) + len(shown),
        adapters=adapters,
        values=sum(map(value_count, made.tables.values())),
        figures=len(made.dossier.traces),
        numbers=_numbers(made),
        differences=differences,
        notes=(*compared.notes, *_came_since(made), *noted, *verdict.notes, *_strangers(made, world=world)),
    )


def _files(
    made: Recomputed, records: Sequence[AuditRecord], shown: Mapping[str, object], *, world: World
) -> Iterator[Checked]:
    """Yield what hashes say of the files that jobs vouch for, that the report rests on, and that the record names."""
    yield check_vouched(made.dossier.plan, known=made.evidence, world=world)
    since = [each for each in records if each.seq > made.written.seq]
    yield check_evidence(made.kept.files if made.kept is not None else {}, made.evidence, since=since)
    yield check_products(records, skipped=shown, world=world)


def _record(verdict: AuditVerdict) -> Iterator[Difference]:
    if not verdict.ok:
        place = f"line {verdict.line}" if verdict.line is not None else ""
        words = f"the audit log does not hold: {verdict.problem or 'unknown problem'}"
        yield Difference(kind="record", path=ExperimentLayout.audit, place=place, words=words)


def _anchor(made: Recomputed, records: Sequence[AuditRecord]) -> Iterator[Difference]:
    """Yield that the line which the report calls the last before it is another one by now."""
    head = made.dossier.audit.head
    if head is None:
        return
    following = next((each for each in records if each.seq == head.seq + 1), None)
    if following is None or following.prev != head.sha256:
        words = "the line is not the one that the report names as the last before it"
        place = f"line {head.seq + 1}"
        yield Difference(kind="record", path=ExperimentLayout.audit, place=place, made=head.sha256, words=words)


def _came_since(made: Recomputed) -> Iterator[str]:
    """Yield that jobs ended after the report: then much differs, and nobody changed anything."""
    known = made.kept.files if made.kept is not None else made.evidence
    runs = dict.fromkeys(
        path.split("/")[1]
        for path, digest in made.evidence.items()
        if path.startswith("runs/") and digest and not known.get(path)
    )
    if runs:
        told = ", ".join(f"`{run}`" for run in list(runs)[:_NAMED])
        more = f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        yield f"jobs have left results since the report was made, of {told}{more}: write it anew with `ck report` first"


def _once(checks: Sequence[Checked]) -> tuple[Difference, ...]:
    """Return what differs, each file once."""
    found: dict[str, Difference] = {}
    for check in checks:
        for each in check.differences:
            found.setdefault(each.path, each)
    return tuple(found.values())


def _numbers(made: Recomputed) -> int:
    """Return how many numbers the documents print."""
    words = (word for each in made.references.printed for text in each.text.values() for word in text.split())
    return sum(any(map(str.isdigit, word)) for word in words)


def _strangers(made: Recomputed, *, world: World) -> Iterator[str]:
    known = {*made.written.files, *made.files}
    for path in world.store.glob("report"):
        if path not in known:
            yield f"`{path}` was not written by `ck report`; nothing is known of it"
