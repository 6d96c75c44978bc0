"""Deviations: what a report rests on that is not as it was stated before the first job."""

from collections.abc import Iterator, Mapping, Sequence

from cruijff_kit.ports import World
from cruijff_kit.schema.claims import ClaimVerdict
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.plan import DesignLock, Plan, Statement
from cruijff_kit.schema.report import AuditState, Deviation
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.changes import run_of
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.seal import is_run
from cruijff_kit.workflow.statement import analysis_hash, claim_hashes, design_hash_without_trials

__all__ = ["find_deviations", "stamp_claims"]

_SHOWN = 6


def find_deviations(
    spec: ExperimentSpec, plan: Plan, *, lock: DesignLock, record: AuditState, world: World
) -> tuple[Deviation, ...]:
    """Return what is not as it was stated when the first job was handed over, or as it was sealed.

    Args:
        spec: the design as it is now.
        plan: the sealed plan.
        lock: the seal.
        record: the record up to where the report tells of it; reasons are taken from it if it verifies.
        world: the experiment; only read.
    """
    why = _reasons(world, until=record.head.seq) if record.verdict.ok and record.head is not None else {}
    stated = lock.stated or Statement(spec_sha256=lock.spec_sha256, runs=lock.runs)
    found = [*_designs(spec, lock, stated=stated, why=why), *_analysis(spec, stated, why=why)]
    if not isinstance(spec.design, SearchDesign):
        found += _runs(plan, stated, why=why)
    return (*found, *_edits(lock, plan, why=why, world=world))


def stamp_claims(
    verdicts: Sequence[ClaimVerdict], spec: ExperimentSpec, *, lock: DesignLock, deviations: Sequence[Deviation]
) -> tuple[ClaimVerdict, ...]:
    """Return verdicts that say whether they are exploratory: the claim came late, or its runs deviate."""
    stated, keys = lock.stated, claim_hashes(spec.analysis)
    untold = stated is None or stated.analysis_sha256 is None
    late = [not untold and key not in (stated.claims if stated else ()) for key in keys] or [False] * len(verdicts)
    runs = {run for each in deviations for run in each.runs}
    changed = any(each.whole for each in deviations)
    return tuple(
        each.model_copy(
            update={"exploratory": each.verdict != "not testable" and (of or changed or bool(runs & set(each.runs)))}
        )
        for each, of in zip(verdicts, late, strict=True)
    )


def _designs(
    spec: ExperimentSpec, lock: DesignLock, *, stated: Statement, why: Mapping[str, str]
) -> Iterator[Deviation]:
    now = design_hash(spec)
    if now != lock.spec_sha256:
        words = "the design was changed since it was scaffolded; the runs are those scaffolded"
        yield Deviation(kind="design", words=words, reason=why.get(now, ""))
    elif stated.spec_sha256 not in {now, design_hash_without_trials(spec)} and not _is_old_search(spec, stated):
        words = "the design was amended after the first job had been handed over"
        yield Deviation(kind="design", words=words, reason=why.get(now, ""))


def _is_old_search(spec: ExperimentSpec, stated: Statement) -> bool:
    """Return whether the hash stated is of a search with the trials it had when that was not yet left out."""
    return isinstance(spec.design, SearchDesign) and stated.analysis_sha256 is None


def _analysis(spec: ExperimentSpec, stated: Statement, *, why: Mapping[str, str]) -> Iterator[Deviation]:
    if stated.analysis_sha256 is None:
        return
    reason = why.get(design_hash(spec), "")
    if analysis_hash(spec.analysis) != stated.analysis_sha256:
        words = "the analysis is another than the one stated before the first job"
        yield Deviation(kind="analysis", words=words, whole=True, reason=reason)
        return
    keys = claim_hashes(spec.analysis)
    late, gone = [key for key in keys if key not in stated.claims], [key for key in stated.claims if key not in keys]
    if late:
        words = f"{len(late)} of {len(keys)} claims were stated, or changed, after the first job"
        yield Deviation(kind="claim", words=words, reason=reason)
    if gone:
        words = f"{len(gone)} claims stated before the first job are gone from the design, or were changed"
        yield Deviation(kind="claim", words=words, reason=reason)


def _runs(plan: Plan, stated: Statement, *, why: Mapping[str, str]) -> Iterator[Deviation]:
    now, before = dict.fromkeys(run.id for run in plan.runs), dict.fromkeys(stated.runs)
    extra = tuple(run for run in now if run not in before)
    dropped = tuple(run for run in before if run not in now)
    reason = why.get(plan.spec_sha256, "")
    if extra:
        words = f"added after the first job: {_listed(extra)}"
        yield Deviation(kind="extra run", words=words, runs=extra, reason=reason)
    if dropped:
        words = f"stated before the first job and dropped since: {_listed(dropped)}"
        yield Deviation(kind="dropped run", words=words, whole=True, reason=reason)


def _edits(lock: DesignLock, plan: Plan, *, why: Mapping[str, str], world: World) -> Iterator[Deviation]:
    runs = {run.id for run in plan.runs}
    adopted = [run for run in dict.fromkeys(map(run_of, lock.adopted)) if run in runs]
    for run in adopted:
        paths = [path for path in lock.adopted if run_of(path) == run]
        words = f"a hand edit of run `{run}` was adopted: {_listed(paths)}"
        yield Deviation(kind="edit", words=words, runs=(run,), reason=why.get(run, ""))
    sealed = [path for path in lock.files if is_run(path) and run_of(path) in runs]
    for path in sealed:
        if world.store.digest(path) != lock.files[path]:
            words = f"`{path}` is not as it was sealed, and nobody adopted the edit"
            yield Deviation(kind="edit", words=words, runs=(run_of(path),))


def _reasons(world: World, *, until: int) -> dict[str, str]:
    """Return the last reason given for each design by its hash, and for each adopted run by its id."""
    found: dict[str, str] = {}
    for record in world.audit.records():
        if record.seq > until:
            break
        if record.reason and record.verb in {"design", "amend"} and "design_sha256" in record.outputs:
            found[record.outputs["design_sha256"]] = record.reason
        elif record.reason and record.verb == "adopt":
            found[record.subject] = record.reason
    return found


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in names[:_SHOWN]) + more
