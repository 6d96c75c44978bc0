"""Yellow data is shown once the user let it: asked in the client, recorded with the content that was asked about."""

import getpass
from typing import TYPE_CHECKING, Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, Elicit, Resolve

from cruijff_kit import workflow
from cruijff_kit.mcp_server.confirm import Answer, objection
from cruijff_kit.mcp_server.session import enter, work

if TYPE_CHECKING:
    from cruijff_kit.schema.consent import AllowReceipt

__all__ = ["AnswersConsent", "Consent"]

_TOOL = "consent"
_WHY = "the user agreed when the client asked them"


async def _sought(experiment: str, ctx: Context[Any, Any]) -> Any:
    """Return what the user could be asked before data is shown; None where there is nothing, or nobody, to ask."""
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        # The verb says why nothing is shown, and which command the user may type.
        return None
    return await work(ctx, workflow.open_question, way="show", world=enter(experiment, _TOOL, ctx))


async def _sought_for(experiment: str, view: str, ctx: Context[Any, Any]) -> Any:
    """Return the same where answers are to be shown; figures need no leave."""
    return await _sought(experiment, ctx) if view == "answers" else None


def _ask(asked: Annotated[Any, Resolve(_sought)]) -> Elicit[Answer] | Answer:
    return Answer(confirm=False) if asked is None else Elicit(asked.question, Answer)


def _ask_for(asked: Annotated[Any, Resolve(_sought_for)]) -> Elicit[Answer] | Answer:
    return _ask(asked)


async def _settled(
    experiment: str,
    ctx: Context[Any, Any],
    asked: Annotated[Any, Resolve(_sought)],
    answer: Annotated[ElicitationResult[Answer], Resolve(_ask)],
) -> bool:
    """Record the user's yes, and return whether there was one; anything else leaves the data closed."""
    return await _recorded(experiment, ctx, asked=asked, answer=answer)


async def _settled_for(
    experiment: str,
    ctx: Context[Any, Any],
    asked: Annotated[Any, Resolve(_sought_for)],
    answer: Annotated[ElicitationResult[Answer], Resolve(_ask_for)],
) -> bool:
    return await _recorded(experiment, ctx, asked=asked, answer=answer)


async def _recorded(
    experiment: str, ctx: Context[Any, Any], *, asked: "AllowReceipt | None", answer: ElicitationResult[Answer]
) -> bool:
    if asked is None or objection(answer):
        return False
    world = enter(experiment, _TOOL, ctx)
    await work(ctx, workflow.allow_data, asked=asked, reason=_WHY, who=getpass.getuser(), world=world)
    return True


Consent = Annotated[bool, Resolve(_settled)]
"""Parameter of a tool that shows rows or logs: whether the user was asked just now and agreed. No model can give it."""

AnswersConsent = Annotated[bool, Resolve(_settled_for)]
"""The same for a tool that shows answers in one of its views."""
