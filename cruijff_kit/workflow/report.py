"""Report: turn collected results into `summary.md` and a page, each figure traced."""

from collections.abc import Mapping, Sequence
from typing import Any

from cruijff_kit import __version__
from cruijff_kit.analysis.cell_checks import check_cells
from cruijff_kit.analysis.claims import judge_claims
from cruijff_kit.analysis.findings import find_all
from cruijff_kit.analysis.traces import trace_all
from cruijff_kit.planning.verdicts import Evidence, judge
from cruijff_kit.ports import Progress, World
from cruijff_kit.rendering.audit_tables import audit_sentences
from cruijff_kit.rendering.bottom_line import bottom_line
from cruijff_kit.rendering.page import render_page
from cruijff_kit.rendering.plots import report_plots
from cruijff_kit.rendering.raster import draw_png
from cruijff_kit.rendering.redaction import redact
from cruijff_kit.rendering.references import printed_places
from cruijff_kit.rendering.report_tables import Table, report_tables
from cruijff_kit.rendering.report_text import render_summary, sentences_of, terminal_table
from cruijff_kit.rendering.sanity_table import sanity_sentences
from cruijff_kit.rendering.trace_text import trace_text
from cruijff_kit.schema.audit import Action, Anchor, AuditEvent, Outcome
from cruijff_kit.schema.compute import ComputeReport
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.job import Attempt
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.schema.report import AuditState, Deviation, Dossier, Findings
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.run import Done, JobStatus, StepStatus
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.schema.verification import References
from cruijff_kit.workflow.attempts import AttemptKey, read_attempts, steps_of
from cruijff_kit.workflow.audit import render_views, verify_audit
from cruijff_kit.workflow.audit_model import read_audits
from cruijff_kit.workflow.collect import collect_plan, hashes_of, record_once, write_changed
from cruijff_kit.workflow.deviations import find_deviations, stamp_claims
from cruijff_kit.workflow.evaluation_results import parity_notes
from cruijff_kit.workflow.guarantees import gather_guarantees
from cruijff_kit.workflow.provenance import made_with
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.report_sources import LOG, SANITY, SEARCH, cited_sentences, evidence_files, raw_references
from cruijff_kit.workflow.sanity_verdict import read_verdict
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.sweep import view_of
from cruijff_kit.workflow.sweep_record import read_record
from cruijff_kit.workflow.tiers import plan_tier
from cruijff_kit.workflow.withheld import step_for_files

__all__ = ["gather_dossier", "report_files", "write_report"]

# A report does not speak of its own record, or no two would be alike.
_OWN_VERBS = {"collect", "report"}


def write_report(*, reason: str = "", progress: Progress | None = None, world: World) -> ReportReceipt:
    """Collect all results and write `summary.md`, the page, its plots, the traces and the references.

    Unfinished runs are listed with their reasons. The same inputs give the same
    bytes, and a report that changes nothing records nothing.

    Raises:
        PlanError: the experiment is not scaffolded, or the record of it is damaged.
        SiteError: an extra that reads logs or renders the report is not installed.
    """
    plan, lock = recorded_plan(world=world)
    table, results = collect_plan(plan, lock, progress=progress, world=world)
    dossier = gather_dossier(plan, lock, table=table, hashes=results, world=world)
    files = report_files(dossier, report_tables(dossier), secrets=world.secrets)
    write_changed(files, world=world)
    written = hashes_of(files)
    for action, inputs in ((Action.GENERATE_SUMMARY, results), (Action.COMPLETE, {"plan_id": lock.plan_id})):
        record_once(_event(action, inputs, outputs=written, dossier=dossier, reason=reason, world=world), world=world)
    render_views(world=world)
    return ReportReceipt(
        summary=ExperimentLayout.report,
        page=ExperimentLayout.page,
        results=ExperimentLayout.results,
        table=terminal_table(dossier),
        bottom_line=dossier.findings.bottom_line,
        files={**results, **written},
        incomplete=len(dossier.findings.incomplete),
    )


def gather_dossier(
    plan: Plan,
    lock: DesignLock,
    *,
    table: ResultTable,
    hashes: dict[str, str],
    audit: AuditState | None = None,
    world: World,
) -> Dossier:
    """Return everything that a report is made of; never writes.

    Args:
        plan: the sealed plan.
        lock: its seal.
        table: what was collected.
        hashes: path to SHA-256 of the files that it was written to.
        audit: the record as an earlier report found it; as it stands now where None.
        world: the experiment and its surroundings.
    """
    spec, record = read_design(world), audit or _audit_state(world)
    deviations = find_deviations(spec, plan, lock=lock, record=record, world=world)
    findings = _judged(spec, plan, lock=lock, table=table, deviations=deviations, world=world)
    sweep = view_of(spec, read_record(world), plan=plan) if isinstance(spec.design, SearchDesign) else None
    known = {**_audits(plan, world), **read_verdict(spec, table, world=world)}
    sane = sanity_sentences(known.get("sanity"))
    told = (*sane, *(sweep.words if sweep else ()), *findings.bottom_line, *audit_sentences(known["audits"]))
    statuses, files = tuple(_statuses(plan, world)), evidence_files(plan, table, world=world)
    references, traces = trace_all(table, findings, hashes={**hashes, **_calibrators(findings, files)})
    dossier = Dossier(
        spec=_masked(spec, world=world),
        plan=plan,
        plan_id=lock.plan_id,
        findings=findings.model_copy(update={"bottom_line": told}),
        histories=table.runs,
        statuses=statuses,
        audit=record,
        deviations=deviations,
        made_with=made_with(plan, world=world),
        anchor=Anchor(seq=lock.anchor_seq, sha256=lock.anchor_sha256),
        references=(*references, *raw_references(plan, lock, files=files, statuses=statuses, audit=record)),
        traces=traces,
        version=__version__,
        compute=ComputeReport.found_in(world.store.read(ExperimentLayout.compute)),
        **known,
        sweep=sweep,
        files=files,
    )
    return dossier.model_copy(update={"cited": _cited(dossier)})


def _judged(
    spec: ExperimentSpec,
    plan: Plan,
    *,
    lock: DesignLock,
    table: ResultTable,
    deviations: tuple[Deviation, ...],
    world: World,
) -> Findings:
    """Return the findings with their claims, checks, notes and bottom line."""
    found = _diagnosed(find_all(spec, plan, table=table), spec, table=table, world=world)
    judged = judge_claims(_masked(spec, world=world), plan, table=table, findings=found)
    found = found.model_copy(
        update={
            "claims": stamp_claims(judged, spec, lock=lock, deviations=deviations),
            "checks": check_cells(spec, plan, table=table, findings=found),
            "notes": (*found.notes, *parity_notes(plan, world=world)),
        }
    )
    return found.model_copy(update={"bottom_line": bottom_line(found, spec, deviations=deviations)})


def _calibrators(findings: Findings, files: Mapping[str, str | None]) -> dict[str, str]:
    """Return the hash of each calibrator that was applied, by path."""
    applied = [RunLayout(run).calibrator for run in dict.fromkeys(each.run for each in findings.guarantees)]
    return {path: files.get(path) or "" for path in applied}


def _cited(dossier: Dossier) -> dict[str, tuple[str, ...]]:
    """Return the labels of the files that the numbers of each sentence come from."""
    sentences = sentences_of(dossier)
    known = dict.fromkeys(sentences["audit"], LOG)
    known |= dict.fromkeys(dossier.sweep.words if dossier.sweep is not None else (), SEARCH)
    known |= dict.fromkeys(sanity_sentences(dossier.sanity), SANITY)
    told = [each for group in sentences.values() for each in group]
    return cited_sentences(told, dossier.spec, traces=dossier.traces, known=known)


def _audits(plan: Plan, world: World) -> dict[str, Any]:
    """Return the audits of the plan's runs, and those runs whose files are others by now."""
    ids = {run.id for run in plan.runs}
    audits = tuple(each for each in read_audits(world=world).audits if each.run in ids)
    stale = [
        each.run for each in audits if any(world.store.digest(path) != digest for path, digest in each.inputs.items())
    ]
    return {"audits": audits, "stale": tuple(dict.fromkeys(stale))}


def _diagnosed(findings: Findings, spec: ExperimentSpec, *, table: ResultTable, world: World) -> Findings:
    """Return the findings with what probabilities and calibrators are worth."""
    from cruijff_kit.analysis.diagnosis import diagnose_all

    calibrated = gather_guarantees(table, world=world)
    return findings.model_copy(
        update={
            "diagnoses": diagnose_all(table, calibrated.calibrators, level=1 - spec.analysis.alpha),
            "guarantees": calibrated.guarantees,
            "notes": (*findings.notes, *calibrated.notes),
        }
    )


def _masked(spec: ExperimentSpec, *, world: World) -> ExperimentSpec:
    """Return a design whose sentences hold no secret: a report is read by others than those who wrote it."""
    sentences = {name: redact(getattr(spec, name), world.secrets) for name in ("question", "hypothesis")}
    claims = tuple(
        claim.model_copy(update={"text": redact(claim.text, world.secrets)}) for claim in spec.analysis.claims
    )
    return spec.model_copy(update={**sentences, "analysis": spec.analysis.model_copy(update={"claims": claims})})


def report_files(
    dossier: Dossier, tables: Sequence[Table], *, secrets: tuple[str, ...], pictures: bool = True
) -> dict[str, bytes]:
    """Return the bytes of every file of a report; the same dossier gives the same.

    Args:
        dossier: everything it is made of.
        tables: its tables, which all documents show.
        secrets: values that may stand in none.
        pictures: whether plots are drawn as files too, which takes longer than all else.
    """
    drawings = report_plots(dossier)
    return {
        ExperimentLayout.report: redact(render_summary(dossier, tables), secrets).encode(),
        **({f"report/{drawing.name}.png": draw_png(drawing) for drawing in drawings} if pictures else {}),
        ExperimentLayout.traces: trace_text(dossier.references, dossier.traces).encode(),
        ExperimentLayout.references: (_references(dossier, tables).model_dump_json(indent=1) + "\n").encode(),
        ExperimentLayout.page: render_page(dossier, tables, drawings=drawings).encode(),
    }


def _references(dossier: Dossier, tables: Sequence[Table]) -> References:
    """Return every place of the documents at which numbers stand."""
    printed = printed_places(tables, sentences_of(dossier), dossier=dossier)
    # Notes tell of this machine, and change while the record does not.
    record = dossier.audit.model_copy(update={"verdict": dossier.audit.verdict.model_copy(update={"notes": ()})})
    return References(version=dossier.version, audit=record, files=dossier.files, printed=tuple(printed))


def _statuses(plan: Plan, world: World) -> list[StepStatus]:
    """Return where every step stands by the files alone: a report needs no scheduler."""
    attempts = read_attempts(world.store)
    keys = [(run.id, step) for run in plan.runs for step in steps_of(run)]
    found = (judge(*key, evidence=_evidence(key, attempts.get(key, ()), world=world)) for key in keys)
    tier = plan_tier(plan, world)
    return [step_for_files(entry, tier=tier) for entry in found]


def _evidence(key: AttemptKey, attempts: tuple[Attempt, ...], *, world: World) -> Evidence:
    layout, step = RunLayout(key[0]), key[1]
    own = JobStatus.found_in(world.store.read(layout.status(step)))
    return Evidence(attempts, None, own, Done.found_in(world.store.read(layout.done(step))))


def _audit_state(world: World) -> AuditState:
    verdict = verify_audit(world=world)
    if not verdict.ok:
        return AuditState(verdict=verdict, head=None)
    head = world.audit.head()
    last = following = None
    for record in world.audit.records():
        if record.verb not in _OWN_VERBS:
            last, following = record, None
        elif last is not None and following is None:
            following = record
    if last is None or head is None:
        return AuditState(verdict=verdict.model_copy(update={"lines": 0}), head=None)
    sha256 = following.prev if following is not None else head.sha256
    return AuditState(
        verdict=verdict.model_copy(update={"lines": last.seq + 1}),
        head=Anchor(seq=last.seq, sha256=sha256),
        action=last.action,
        ts=last.ts,
    )


def _event(
    action: Action, inputs: dict[str, str], *, outputs: dict[str, str], dossier: Dossier, reason: str, world: World
) -> AuditEvent:
    whole = dossier.findings.verdict == "complete"
    return AuditEvent(
        actor=world.actor,
        verb="report",
        action=action,
        subject=dossier.spec.name,
        reason=reason or None,
        inputs=inputs,
        outputs=outputs,
        result=Outcome.SUCCESS if whole else Outcome.WARNING,
        error=None if whole else f"{len(dossier.findings.incomplete)} planned results are missing",
        versions={"cruijff-kit": dossier.version},
    )
