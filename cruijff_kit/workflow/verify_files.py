"""Files held against their recorded hashes: what jobs vouch for, what a report was made of, what the record tells."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.verification import Difference, Origin

__all__ = ["Checked", "check_evidence", "check_products", "check_vouched"]

_PRODUCTS = frozenset(
    {Action.CALIBRATE, Action.AUDIT_MODEL, Action.JUDGE_CHECK, Action.COLLECT_RESULTS, Action.GENERATE_SUMMARY}
)
_MARKERS = {"prune": "ck disk --prune", "port": "ck adapter port"}


class Checked(NamedTuple):
    """What comparing hashes found."""

    files: int
    """Files compared."""
    differences: tuple[Difference, ...]
    """Those that are not what was recorded."""
    notes: tuple[str, ...] = ()
    """Changes that the record explains."""


def check_vouched(plan: Plan, *, known: Mapping[str, str | None], world: World) -> Checked:
    """Compare logs, metrics and manifests with what the `DONE` of their jobs vouches for.

    Adapters are compared in `verify_adapters`; no number of a report is computed from merged models.

    Args:
        plan: the sealed plan.
        known: path to hash of files as they lie here, which are not read once more.
        world: the experiment and its surroundings.
    """
    found = [(path, *pair) for run in plan.runs for path, pair in _vouched(run, world=world).items()]
    wrong = tuple(
        Difference(
            kind="file", path=path, shown=digest or "missing", made=recorded,
            origins=(Origin(file=marker, pointer="artefacts"),),
            words="the file is missing" if digest is None else "the file is not what its job left",
        )
        for path, recorded, marker in found
        if (digest := known[path] if path in known else world.store.digest(path)) != recorded
    )  # fmt: skip
    return Checked(len(found), wrong)


def check_evidence(
    recorded: Mapping[str, str | None], now: Mapping[str, str | None], *, since: Sequence[AuditRecord]
) -> Checked:
    """Compare the files that a report rests on with what they were when it was made.

    Args:
        recorded: path to hash by `report/references.json`.
        now: path to hash as they lie here.
        since: lines of the record that followed the report.
    """
    wrong: list[Difference] = []
    notes: list[str] = []
    for path in recorded:
        before, after = recorded[path], now.get(path)
        if before == after:
            continue
        why = _explained(path, since)
        if why:
            notes.append(f"`{path}` was changed after the report, by {why}")
            continue
        words = "the file is not what it was when the report was made"
        if before is None or after is None:
            words = f"the file was {'made after the report' if before is None else 'there when the report was made'}"
        wrong.append(
            Difference(
                kind="file",
                path=path,
                shown=after or "missing",
                made=before or "missing",
                origins=(Origin(file=ExperimentLayout.references, pointer="files"),),
                words=words,
            )
        )
    return Checked(len(recorded), tuple(wrong), tuple(notes))


def check_products(records: Sequence[AuditRecord], *, skipped: Mapping[str, object], world: World) -> Checked:
    """Compare whatever the record says was written from results with what lies there.

    Args:
        records: the whole record.
        skipped: paths that are compared otherwise.
        world: the experiment and its surroundings.
    """
    recorded: dict[str, tuple[str, int]] = {}
    for record in records:
        if record.action in _PRODUCTS:
            paths = {path: sha for path, sha in record.outputs.items() if "." in path and len(sha) == 64}
            recorded |= {path: (sha, record.seq) for path, sha in paths.items()}
    chosen = {path: found for path, found in recorded.items() if path not in skipped and not _old(path, records)}
    wrong = tuple(
        Difference(
            kind="file", path=path, shown=digest or "missing", made=sha,
            origins=(Origin(file=ExperimentLayout.audit, pointer=f"line {seq + 1}"),),
            words="the file is missing" if digest is None else "the file is not what was written, by the record",
        )
        for path, (sha, seq) in chosen.items()
        if (digest := world.store.digest(path)) != sha
    )  # fmt: skip
    return Checked(len(chosen), wrong)


def _old(path: str, records: Sequence[AuditRecord]) -> bool:
    """Return whether a file of the report or of the results is one that its last record no longer names."""
    for action, inside in ((Action.GENERATE_SUMMARY, "report/"), (Action.COLLECT_RESULTS, "predictions/")):
        if path.startswith(inside):
            verb = "report" if action is Action.GENERATE_SUMMARY else "collect"
            last = [each for each in records if (each.verb, each.action) == (verb, action)][-1:]
            return not last or path not in last[0].outputs
    return False


def _vouched(run: PlannedRun, *, world: World) -> dict[str, tuple[str, str]]:
    """Return the files of a run that its markers vouch for: path to hash and marker."""
    layout = RunLayout(run.id)
    markers = [layout.done("train"), *(layout.cell_done(cell.name) for cell in run.cells)]
    found: dict[str, tuple[str, str]] = {}
    for marker in markers:
        done = Done.found_in(world.store.read(marker))
        made = done.below(layout.folder) if done is not None else {}
        found |= {f"{layout.folder}/{path}": (sha256, marker) for path, sha256 in made.items()}
    return found


def _explained(path: str, since: Sequence[AuditRecord]) -> str:
    """Return which later action the record tells of that changes such a file; empty where none does."""
    for record in since:
        told = {record.subject, *record.inputs, *record.outputs}
        run = path.split("/")[1] if path.startswith(f"{ExperimentLayout.runs}/") else ""
        if record.verb in _MARKERS and path.endswith("/DONE") and run and any(run in each for each in told):
            return f"`{_MARKERS[record.verb]}` on {record.ts:%Y-%m-%d %H:%M}"
    return ""
