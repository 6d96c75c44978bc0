"""Provenance of what is audited: record, seal, markers, checkpoint and data, each verified against its bytes."""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from cruijff_kit.analysis.audit_verdicts import held
from cruijff_kit.errors import PlanError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS
from cruijff_kit.runtime.data_files import data_sha256
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.model_audit import AuditCheck
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.audit_pairs import evaluated_cell
from cruijff_kit.workflow.evaluation_results import read_cell
from cruijff_kit.workflow.seal import sealed_plan

__all__ = ["prove"]


def prove(plan: Plan, run: PlannedRun, *, chosen: Sequence[Prediction], world: World) -> tuple[AuditCheck, ...]:
    """Return what was verified of where an audited evaluation comes from.

    A hash that differs fails; a file that is not there any more proves nothing either way.

    Args:
        plan: the sealed plan.
        run: the run audited.
        chosen: the predictions audited, of one evaluation.
        world: the experiment and its surroundings; only read.
    """
    checks = [_record(world), _seal(world), *_training(run, world), _evaluation(run, chosen, world=world)]
    return (*checks, _checkpoint(run, chosen, world=world), *_data(plan, run, chosen=chosen, world=world))


def _record(world: World) -> AuditCheck:
    verdict = verify_audit(world=world)
    if not verdict.ok:
        place = "" if verdict.line is None else f"line {verdict.line}: "
        return held("audit log", False, reason=f"{place}{verdict.problem or 'it does not verify'}")
    anchored = "and against an anchor outside of it" if verdict.anchored else "but no anchor outside of it was found"
    return held("audit log", True, reason=f"its hash chain holds, {anchored}")


def _seal(world: World) -> AuditCheck:
    try:
        sealed_plan(world=world)
    except (PlanError, SpecError) as err:
        return held("design seal", False, reason=str(err).partition("\n")[0])
    return held("design seal", True, reason="the design and every file that jobs read are as they were sealed")


def _training(run: PlannedRun, world: World) -> Iterator[AuditCheck]:
    if run.type != "fine-tuned":
        return
    name, done = "training DONE", _done(run, world)
    if done is None:
        yield held(name, None, reason="its training left no marker that can be read")
        return
    strays = dict(done.strays(world.store.digest))
    changed = [path for path, digest in strays.items() if digest is not None]
    missing = [path for path, digest in strays.items() if digest is None]
    if done.exit_code or changed:
        fact = f"`{changed[0]}` is not what it wrote" if changed else f"it ended with exit code {done.exit_code}"
        yield held(name, False, reason=fact)
    elif missing:
        count = f"{len(missing)} of {len(done.artefacts)} files"
        yield held(name, None, reason=f"{count} are not there any more, `{missing[0]}` first")
    else:
        yield held(name, True, reason=f"all {len(done.artefacts)} files are what it wrote, by their hashes")


def _done(run: PlannedRun, world: World) -> Done | None:
    return Done.found_in(world.store.read(RunLayout(run.id).done("train")))


def _evaluation(run: PlannedRun, chosen: Sequence[Prediction], *, world: World) -> AuditCheck:
    """Return whether the predictions audited are those of the log that the evaluation's marker vouches for."""
    name, cell = "evaluation DONE", evaluated_cell(run, chosen[0])
    if cell is None:
        return held(name, None, reason=f"the plan has no evaluation `{chosen[0].task}`")
    try:
        found = read_cell(run, cell, world=world)
    except SiteError as err:
        return held(name, None, reason=str(err).partition("\n")[0])
    if found.record is None:
        return held(name, False if found.source else None, reason=found.reason)
    same = {each.sample_id: each for each in found.predictions} == {each.sample_id: each for each in chosen}
    log = f"`{PurePath(found.source).name}`, whose hash its marker holds"
    return held(name, same, reason=f"the predictions are {'' if same else 'not '}those of {log}")


def _checkpoint(run: PlannedRun, chosen: Sequence[Prediction], *, world: World) -> AuditCheck:
    """Return whether what answered is what lies on disk: the adapter that training wrote, or the base model."""
    name, claimed = "checkpoint", {each.checkpoint_sha256 for each in chosen}
    if len(claimed) > 1:
        return held(name, False, reason=f"the predictions come from {len(claimed)} checkpoints")
    (sha256,) = claimed
    if run.type != "fine-tuned":
        return _base(run, sha256, world=world)
    done = _done(run, world)
    if done is None:
        return held(name, None, reason="its training left no marker that can be read")
    own = [path for path, digest in done.artefacts.items() if path.endswith(ADAPTER_WEIGHTS) and digest == sha256]
    if not own:
        return held(name, False, reason="no adapter that its training wrote has the hash in the predictions")
    digest = world.store.digest(own[0])
    if digest is None:
        return held(name, None, reason=f"`{own[0]}` is not there any more")
    same = digest == sha256
    return held(name, same, reason=f"`{own[0]}` {'has' if same else 'has not'} the hash of what answered")


def _base(run: PlannedRun, sha256: str, *, world: World) -> AuditCheck:
    try:
        found = world.hub.facts(run.model_path).sha256
    except SiteError as err:
        return held("checkpoint", None, reason=str(err).partition("\n")[0])
    same = found == sha256
    return held(
        "checkpoint", same, reason=f"`{run.model_path}` {'has' if same else 'has not'} the hash of what answered"
    )


def _data(plan: Plan, run: PlannedRun, *, chosen: Sequence[Prediction], world: World) -> Iterator[AuditCheck]:
    """Yield whether the data trained on, and those evaluated, are the ones planned."""
    cell = evaluated_cell(run, chosen[0])
    other = None if cell is None or cell.task.dataset is None else str(world.store.root / cell.task.dataset)
    for facts in plan.datasets:
        if facts.key != run.dataset and str(world.store.root / facts.path) != other:
            continue
        name = f"data `{facts.key}`"
        try:
            same = data_sha256(world.store.root / facts.path) == facts.sha256
        except OSError as err:
            yield held(name, None, reason=f"`{facts.path}` cannot be read: {str(err.strerror).lower()}")
            continue
        yield held(name, same, reason=f"`{facts.path}` is {'' if same else 'not '}what was planned, by its hash")
