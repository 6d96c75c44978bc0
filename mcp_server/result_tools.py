"""Tools that read answers, results and the record."""

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.consent import AnswersConsent
from cruijff_kit.mcp_server.result_replies import AuditReply, FiguresReply, ReportReply
from cruijff_kit.mcp_server.session import enter, work
from cruijff_kit.mcp_server.surface import Cursor, Detail, ExperimentId, Limit, Reason, RunName

__all__ = ["audit_read", "results_read", "results_report"]


async def results_report(
    experiment: ExperimentId, reason: Reason, ctx: Context[Any, Any], response_format: Detail = "concise"
) -> ReportReply:
    """Collect all results and write summary.md and report/index.html.

    Use it when job_watch says finished; unfinished runs are listed as incomplete with the reason. Cite its
    table; every figure traces to a file by hash.
    """
    world = enter(experiment, "results_report", ctx)
    receipt = await work(ctx, workflow.write_report, reason=reason, world=world)
    return ReportReply.of(receipt, detail=response_format)


async def results_read(
    experiment: ExperimentId,
    *,
    ctx: Context[Any, Any],
    consent: AnswersConsent,
    view: Annotated[Literal["figures", "verification", "answers"], Field(description="What to read.")] = "figures",
    match: Annotated[str, Field(max_length=200, description="Words a figure's name or place must contain.")] = "",
    run: RunName | None = None,
    cursor: Cursor = 0,
    limit: Limit = 20,
    response_format: Detail = "concise",
) -> FiguresReply:
    """Read figures of the report, verify them all, or look at a few answers of one run.

    Use it after results_report. Figures have interval and source, and are named accuracy/, training/, mean/, effect/,
    base/ (against the base model), probability/, guarantee/ or group/ and what they are about. view=verification
    computes all again from the raw logs: it names what differs, and each number of findings.md that cites no figure.
    view=answers needs `run`, loads its model and shows prompts, token ids and probabilities; refused for red data, for
    yellow the user is asked.
    """
    world = enter(experiment, "results_read", ctx)
    if view == "verification":
        verified = await work(ctx, workflow.verify_experiment, world=world)
        return FiguresReply.verified_by(verified, match=match, cursor=cursor, limit=limit, detail=response_format)
    if view == "answers":
        if run is None:
            raise ToolError("view=answers needs `run`: the run whose answers are to be shown")
        count = min(limit, 10)
        return FiguresReply.answered(await work(ctx, workflow.spot_check_run, run=run, count=count, world=world))
    words = f"{match} {run or ''}"
    found = await work(ctx, workflow.read_results, match=words, after=cursor, limit=limit, world=world)
    return FiguresReply.of(found, cursor=cursor, detail=response_format)


async def audit_read(
    experiment: ExperimentId,
    *,
    ctx: Context[Any, Any],
    after: Annotated[int, Field(ge=-1, description="next_after of the page before.")] = -1,
    limit: Limit = 20,
    verify: bool = False,
    response_format: Detail = "concise",
) -> AuditReply:
    """Read the audit log, oldest first: who did what, when, why, with which files. With verify, prove it first.

    Use it with verify before citing results: that names the first line that does not hold.
    """
    world = enter(experiment, "audit_read", ctx)
    verdict = await work(ctx, workflow.verify_audit, world=world) if verify else None
    page = await work(ctx, workflow.read_audit, after=after, limit=limit, world=world)
    if verdict is not None and verdict.ok and not page.total:
        raise ToolError(f"`{experiment}` has no audit log, so nothing is proven; is that the experiment's name?")
    page = await work(ctx, workflow.page_without_texts, page=page, world=world)
    return AuditReply.of(page, verdict=verdict, detail=response_format)
