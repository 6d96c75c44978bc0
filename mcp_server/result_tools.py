"""Tools that read answers, results and the record."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.result_replies import AuditReply, ReportReply, SpotReply, VerdictReply
from cruijff_kit.mcp_server.session import enter, spoken, work
from cruijff_kit.mcp_server.surface import ExperimentId, Limit, RunName

__all__ = ["audit_read", "audit_verify", "results_report", "spot_check"]


async def spot_check(
    experiment: ExperimentId,
    run: RunName,
    ctx: Context[Any, Any],
    count: Annotated[int, Field(ge=1, le=20)] = 5,
) -> SpotReply:
    """Show a few answers of a finished run: prompt, token ids, expected, got, probabilities.

    Use it to see that a run does what its accuracy says. Refused for red data, and for yellow without consent.
    """
    with spoken():
        world = enter(experiment, "spot_check", ctx)
        return SpotReply.of(workflow.spot_check_run(run, count=count, world=world))


async def results_report(experiment: ExperimentId, ctx: Context[Any, Any], reason: str = "") -> ReportReply:
    """Collect all results and write summary.md and report/index.html.

    Use it when job_watch says finished; unfinished runs are listed as incomplete with the reason. Cite its
    table; every figure traces to a file by hash.
    """
    world = enter(experiment, "results_report", ctx)
    return ReportReply.of(await work(ctx, workflow.write_report, reason=reason, world=world))


def audit_read(
    experiment: ExperimentId, ctx: Context[Any, Any], after: Annotated[int, Field(ge=-1)] = -1, limit: Limit = 20
) -> AuditReply:
    """Read the audit log, oldest first: who did what, when, why, with which files.

    Use `next_after` as `after` for the next page.
    """
    with spoken():
        world = enter(experiment, "audit_read", ctx)
        return AuditReply.of(workflow.read_audit(after=after, limit=limit, world=world))


def audit_verify(experiment: ExperimentId, ctx: Context[Any, Any]) -> VerdictReply:
    """Check that the audit log was not altered; names the first line that does not hold.

    Use it before citing results.
    """
    with spoken():
        return VerdictReply.of(workflow.verify_audit(world=enter(experiment, "audit_verify", ctx)))
