"""Yellow data is shown once the user let it: asked in the client, recorded with the content that was asked about."""

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, Elicit, Resolve

from cruijff_kit import workflow
from cruijff_kit.mcp_server.confirm import Answer, objection
from cruijff_kit.mcp_server.session import enter, work

if TYPE_CHECKING:
    from cruijff_kit.schema.consent import AllowReceipt

__all__ = ["AnswersConsent", "LogConsent", "RowsConsent"]

_TOOL = "consent"
_WHY = "the user agreed when the client asked them"


async def _of_design(experiment: str, ctx: Context[Any, Any]) -> Any:
    """Return what the user could be asked before rows of the design are shown; None where nothing, or nobody, is."""
    return await _sought(experiment, ctx, sealed=False)


async def _of_runs(experiment: str, ctx: Context[Any, Any]) -> Any:
    """Return the same before logs of runs are shown: where the data they were made with may be, nothing is asked."""
    return await _sought(experiment, ctx, sealed=True)


async def _of_answers(experiment: str, view: str, ctx: Context[Any, Any]) -> Any:
    """Return the same where answers of runs are to be shown; figures need no leave."""
    return await _sought(experiment, ctx, sealed=True) if view == "answers" else None


async def _sought(experiment: str, ctx: Context[Any, Any], *, sealed: bool) -> "AllowReceipt | None":
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        # The verb says why nothing is shown, and which command the user may type.
        return None
    return await work(ctx, workflow.open_question, way="show", sealed=sealed, world=enter(experiment, _TOOL, ctx))


def _settled(sought: Callable[..., Any]) -> Resolve:
    """Return what asks the user where something is sought, and tells whether they agreed; a yes is on record then."""

    def ask(asked: Annotated[Any, Resolve(sought)]) -> Elicit[Answer] | Answer:
        return Answer(confirm=False) if asked is None else Elicit(asked.question, Answer)

    async def settle(
        experiment: str,
        ctx: Context[Any, Any],
        asked: Annotated[Any, Resolve(sought)],
        answer: Annotated[ElicitationResult[Answer], Resolve(ask)],
    ) -> bool:
        if asked is None or objection(answer):
            return False
        world = enter(experiment, _TOOL, ctx)
        await work(ctx, workflow.allow_data, asked=asked, reason=_WHY, who=getpass.getuser(), world=world)
        return True

    return Resolve(settle)


RowsConsent = Annotated[bool, _settled(_of_design)]
"""Parameter of a tool that shows rows: whether the user was asked just now and agreed. No model can give it."""

LogConsent = Annotated[bool, _settled(_of_runs)]
"""The same for a tool that shows what jobs have printed."""

AnswersConsent = Annotated[bool, _settled(_of_answers)]
"""The same for a tool that shows answers in one of its views."""
