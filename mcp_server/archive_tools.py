"""The tool that puts experiments away and brings them back, once the user has confirmed."""

from typing import Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.archive_replies import ArchiveReply
from cruijff_kit.mcp_server.confirm import Answer, ask_archive, objection
from cruijff_kit.mcp_server.session import enter_moved, work
from cruijff_kit.mcp_server.surface import ExperimentId, Reason
from cruijff_kit.schema.archive import Drop

__all__ = ["experiment_archive"]

_Drop = Annotated[list[Drop], Field(max_length=2, description="What is removed first, for good.")]


async def experiment_archive(
    experiment: ExperimentId,
    reason: Reason,
    *,
    ctx: Context[Any, Any],
    answer: Annotated[ElicitationResult[Answer], Resolve(ask_archive)],
    dry_run: bool = True,
    back: bool = False,
    drop: _Drop | None = None,
) -> ArchiveReply:
    """Put a finished experiment away in archive/, or with `back` bring one back as it was.

    Use dry_run first and show the sizes; without it the user is asked. Every file is verified by hash before one leaves
    its place. Safe to repeat. `drop` names what can be made again: merged models, or checkpoints nobody needs (caches).
    """
    world = enter_moved(experiment, "experiment_archive", ctx)
    if dry_run and back:
        return ArchiveReply.back(await work(ctx, workflow.preview_unarchive, world=world))
    if dry_run:
        return ArchiveReply.away(await work(ctx, workflow.preview_archive, drop=tuple(drop or ()), world=world))
    if no := objection(answer):
        raise ToolError(f"{no}; nothing was moved")
    if back:
        return ArchiveReply.returned(await work(ctx, workflow.unarchive_experiment, reason=reason, world=world))
    receipt = await work(ctx, workflow.archive_experiment, drop=tuple(drop or ()), reason=reason, world=world)
    return ArchiveReply.moved(receipt)
