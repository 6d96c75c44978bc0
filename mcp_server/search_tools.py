"""The tool that looks through earlier experiments."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.search_replies import SearchReply
from cruijff_kit.mcp_server.session import project, work
from cruijff_kit.mcp_server.surface import Cursor, Detail, Limit

__all__ = ["experiments_search"]

_Words = Annotated[str, Field(max_length=200)]


async def experiments_search(
    *,
    ctx: Context[Any, Any],
    words: Annotated[str, Field(max_length=200, description="Words that all must occur.")] = "",
    model: Annotated[str, Field(max_length=200, description="Name, or start of its SHA-256.")] | None = None,
    task: _Words | None = None,
    factor: Annotated[str, Field(max_length=200, description="NAME or NAME=LEVEL.")] | None = None,
    metric: _Words | None = None,
    cursor: Cursor = 0,
    limit: Limit = 20,
    response_format: Detail = "concise",
) -> SearchReply:
    """Search the project's experiments: question, factors, figures, speeds and lessons, each with its source.

    Use it before a design is made, to learn what was tried and how fast it ran. Of red data, and of yellow without
    consent, it tells only counts and hashes.
    """
    from cruijff_kit.schema.search import Query

    world = project("experiments_search", ctx)
    query = Query(words=words, model=model, task=task, factor=factor, metric=metric)
    page = await work(
        ctx,
        workflow.search_experiments,
        query=query,
        after=cursor,
        limit=limit,
        projects=(str(world.store.root),),
        world=world,
    )
    return SearchReply.of(page, cursor=cursor, detail=response_format)
