"""The tool that looks through earlier experiments, and compares some of them."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.search_replies import SearchReply
from cruijff_kit.mcp_server.session import enter, project, work
from cruijff_kit.mcp_server.surface import Cursor, Detail, ExperimentId, Limit

__all__ = ["experiments_search"]

_Words = Annotated[str, Field(max_length=200)]
_Compared = Annotated[list[ExperimentId], Field(min_length=2, max_length=6, description="Experiments to compare.")]


async def experiments_search(
    *,
    ctx: Context[Any, Any],
    words: Annotated[str, Field(max_length=200, description="Words that all must occur.")] = "",
    model: Annotated[str, Field(max_length=200, description="Name, or start of its SHA-256.")] | None = None,
    task: _Words | None = None,
    factor: Annotated[str, Field(max_length=200, description="NAME or NAME=LEVEL.")] | None = None,
    metric: _Words | None = None,
    compare: _Compared | None = None,
    matched: bool = False,
    cursor: Cursor = 0,
    limit: Limit = 20,
    response_format: Detail = "concise",
) -> SearchReply:
    """Search the project's experiments, or compare some: question, factors, figures, speeds, lessons, with sources.

    Use it before a design is made, to learn what was tried and how fast it ran. Of red data, and of yellow without
    consent, it tells only counts and hashes. With `compare`, arms of these experiments are subtracted where they may
    be; task, metric and factor narrow that, `matched` keeps to equal levels.
    """
    from cruijff_kit.schema.compared import CompareRules
    from cruijff_kit.schema.search import Query

    if compare:
        if model is not None:
            raise ToolError("`model` goes with searching; of experiments to compare, name `factor`, `task` or `metric`")
        rules = CompareRules(
            metrics=_given(metric),
            tasks=_given(task),
            runs=_given(factor and factor.replace("=", " ")),
            matched=matched,
        )
        worlds = [enter(each, "experiments_search", ctx) for each in compare]
        found = await work(ctx, workflow.compare_experiments, worlds=worlds, rules=rules)
        return SearchReply.compared_by(found, words=words, cursor=cursor, limit=limit, detail=response_format)
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


def _given(word: str | None) -> tuple[str, ...]:
    return (word,) if word else ()
