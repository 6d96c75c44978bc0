"""The statement: what a design said before any result could be known, kept in its seal."""

from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.ports import World
from cruijff_kit.schema.design_kinds import SearchDesign
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan, Statement
from cruijff_kit.schema.spec import Analysis, ExperimentSpec

__all__ = ["analysis_hash", "claim_hashes", "design_hash_without_trials", "keep_statement"]


def keep_statement(spec: ExperimentSpec, plan: Plan, *, sealed: DesignLock | None, world: World) -> Statement:
    """Return what the seal to be shall keep: what was stated first, once a job was handed over.

    Until then nothing can have been learnt, and a design may change freely. A seal of
    before statements were kept tells of its design and runs alone.

    Args:
        spec: the design.
        plan: its plan.
        sealed: the seal on disk.
        world: the experiment; only read.
    """
    now = Statement(
        spec_sha256=design_hash_without_trials(spec),
        analysis_sha256=analysis_hash(spec.analysis),
        claims=claim_hashes(spec.analysis),
        runs=tuple(run.id for run in plan.runs),
    )
    if sealed is None or not any(world.store.glob(ExperimentLayout.runs, "*/attempts/*/intent.json")):
        return now
    return sealed.stated or Statement(spec_sha256=sealed.spec_sha256, runs=sealed.runs)


def design_hash_without_trials(spec: ExperimentSpec) -> str:
    """Return the hash of a design; a search lists its trials by itself, which changes nothing it said."""
    told = spec.model_copy(update={"runs": ()}) if isinstance(spec.design, SearchDesign) else spec
    return content_hash(told.model_dump(mode="json"))


def analysis_hash(analysis: Analysis) -> str:
    """Return the hash of an analysis without its claims, each of which has its own."""
    return content_hash(analysis.model_copy(update={"claims": ()}).model_dump(mode="json"))


def claim_hashes(analysis: Analysis) -> tuple[str, ...]:
    """Return the hash of each claim with the level and the figure it is judged by."""
    ground = [analysis.alpha, analysis.primary_metric, analysis.primary_task, analysis.cluster]
    return tuple(content_hash([*ground, claim.model_dump(mode="json")]) for claim in analysis.claims)
