"""Recomputed: a report made again in memory from the raw files, to be held against the one on disk."""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from pydantic import ValidationError

from cruijff_kit.errors import ResultError
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.differing import Rendered
from cruijff_kit.rendering.references import DOCUMENTS, origin_of
from cruijff_kit.rendering.report_tables import report_tables
from cruijff_kit.rendering.table_values import table_differences
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.report import Dossier
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.verification import References
from cruijff_kit.workflow.audit import acts_of
from cruijff_kit.workflow.collect import gather_results, hashes_of, result_files
from cruijff_kit.workflow.report import gather_dossier, report_files
from cruijff_kit.workflow.seal import recorded_plan, refuse_absent

__all__ = ["Recomputed", "Written", "last_report", "read_references", "recompute"]


class Written(NamedTuple):
    """What the record tells of the last report."""

    seq: int
    """Line of the record, from 0."""
    version: str
    """Version of this package that wrote it."""
    made_of: Mapping[str, str]
    """Result tables it was made of, and their hashes."""
    files: Mapping[str, str]
    """Files that were written, and their hashes."""


class Recomputed(NamedTuple):
    """Everything a report should say, by the raw files."""

    written: Written
    """What the record tells of the report on disk."""
    table: ResultTable
    """What was collected anew."""
    dossier: Dossier
    """What the report is made of."""
    tables: Mapping[str, bytes]
    """Result tables made anew."""
    files: Mapping[str, bytes]
    """Files of the report made anew, pictures apart."""
    rendered: Rendered
    """The documents, and what leads from their numbers to raw files."""
    references: References
    """Every place at which numbers stand."""
    evidence: Mapping[str, str | None]
    """Files that the report rests on, and their hashes as they lie here."""
    kept: References | None
    """What `report/references.json` holds on disk; None where there is none, or it is damaged."""


def last_report(world: World) -> Written:
    """Return what the record tells of the last report.

    Raises:
        PlanError: there is no such experiment.
        ResultError: it tells of none.
    """
    found = acts_of("report", Action.GENERATE_SUMMARY, world=world)
    if not found:
        refuse_absent(world)
        raise ResultError("nothing was reported yet, so there is nothing to verify", hint="`ck report` writes a report")
    last = found[-1]
    return Written(last.seq, last.versions.get("cruijff-kit", ""), last.inputs, last.outputs)


def read_references(content: bytes | None) -> References | None:
    """Return what `report/references.json` holds; None where there is none, or it is damaged."""
    try:
        return None if content is None else References.model_validate_json(content)
    except ValidationError:
        return None


def recompute(written: Written, *, progress: Progress | None = None, world: World) -> Recomputed:
    """Return the report that follows from the raw files as they lie here; never writes.

    It speaks of the record, and of the hashes of files that no number comes from, as the report on disk does: what
    was recorded since makes no difference, and files are compared for themselves.

    Args:
        written: what the record tells of the report on disk.
        progress: told of each run that is read.
        world: the experiment and its surroundings.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
        SiteError: an extra that reads logs or writes tables is not installed.
    """
    plan, lock = recorded_plan(world=world)
    table = gather_results(plan, progress=progress, world=world)
    tables = result_files(table)
    kept = read_references(world.store.read(ExperimentLayout.references))
    dossier = gather_dossier(
        plan, lock, table=table, hashes=_hashes(tables, written, world=world),
        audit=kept.audit if kept is not None else None, world=world,
    )  # fmt: skip
    evidence = dossier.files
    dossier = dossier.model_copy(update={"files": kept.files}) if kept is not None else dossier
    shown = report_tables(dossier)
    files = report_files(dossier, shown, secrets=world.secrets, pictures=False)
    references = References.model_validate_json(files[ExperimentLayout.references])
    return Recomputed(
        written,
        table,
        dossier,
        tables=tables,
        files=files,
        rendered=_rendered(dossier, files, references=references, sections={each.title: each.key for each in shown}),
        references=references,
        evidence=evidence,
        kept=kept,
    )


def _hashes(tables: Mapping[str, bytes], written: Written, *, world: World) -> dict[str, str]:
    """Return the hashes of the tables; as recorded where the same values were written by another library."""
    hashes = hashes_of(tables)
    for path, recorded in written.made_of.items():
        if path not in hashes or hashes[path] == recorded:
            continue
        there = world.store.read(path)
        if there is None or sha256(there).hexdigest() != recorded:
            continue
        if next(table_differences(path, there, made=tables[path], exact=False), None) is None:
            hashes[path] = recorded
    return hashes


def _rendered(
    dossier: Dossier, files: Mapping[str, bytes], *, references: References, sections: Mapping[str, str]
) -> Rendered:
    texts = (*DOCUMENTS, ExperimentLayout.traces, ExperimentLayout.references)
    return Rendered(
        documents={path: files[path].decode() for path in texts},
        origins={each.label: origin_of(each) for each in dossier.references},
        printed={each.anchor: each for each in references.printed if each.anchor.rpartition("-")[2].isdigit()},
        sections=sections,
    )
