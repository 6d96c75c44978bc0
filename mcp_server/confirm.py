"""What costs or stops is confirmed by the user: the questions, and what counts as a yes."""

from typing import Any

from mcp.server.elicitation import AcceptedElicitation, DeclinedElicitation
from mcp.server.mcpserver import Context, Elicit, ElicitationResult
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.session import enter, enter_moved, spoken, work
from cruijff_kit.schema.archive import Drop

__all__ = ["Answer", "ask_archive", "ask_cancel", "ask_submit", "objection"]


class Answer(BaseModel):
    """The user's answer to a confirmation."""

    confirm: bool = Field(description="Tick to go on.")


async def ask_submit(
    experiment: str,
    plan_id: str,
    *,
    ctx: Context[Any, Any],
    runs: list[str] | None = None,
    retry: bool = False,
    apply_proposal: bool = False,
) -> Elicit[Answer]:
    """Ask whether the jobs of a plan, or the failed ones of some runs, are to be queued."""
    chosen = tuple(runs or ())
    if not retry:
        if apply_proposal:
            raise ToolError("apply_proposal goes with retry=true; nothing was done")
        named = "".join(f" --run {run}" for run in chosen)
        _must_be_able_to_ask(ctx, f"ck -C {experiment} submit {plan_id[:12]}{named}")
        with spoken():
            world = enter(experiment, "job_submit", ctx)
            return Elicit(workflow.preview_submission(plan_id, runs=chosen, world=world).question, Answer)
    if not chosen:
        raise ToolError("retry=true needs `runs`: name those whose failed jobs are to be queued again")
    change = " --apply-proposal" if apply_proposal else ""
    _must_be_able_to_ask(ctx, "; ".join(f"ck -C {experiment} retry {run}{change} --reason …" for run in chosen[:5]))
    with spoken():
        world = enter(experiment, "job_submit", ctx)
        return Elicit(
            workflow.preview_retry(plan_id, runs=chosen, apply_proposal=apply_proposal, world=world).question, Answer
        )


async def ask_cancel(experiment: str, ctx: Context[Any, Any], runs: list[str] | None = None) -> Elicit[Answer]:
    """Ask whether jobs are to be stopped."""
    named = "".join(f" {run}" for run in runs or ())
    _must_be_able_to_ask(ctx, f"ck -C {experiment} cancel{named} --reason …")
    with spoken():
        world = enter(experiment, "job_cancel", ctx)
        return Elicit(workflow.preview_cancel(runs=tuple(runs or ()), world=world).question, Answer)


async def ask_archive(
    experiment: str,
    *,
    ctx: Context[Any, Any],
    dry_run: bool = True,
    back: bool = False,
    drop: list[Drop] | None = None,
) -> Elicit[Answer] | Answer:
    """Ask whether an experiment is to be moved; where it is only looked at, nobody is."""
    if dry_run:
        return Answer(confirm=False)
    chosen = tuple(dict.fromkeys(drop or ()))
    if back and chosen:
        raise ToolError("`drop` goes with putting away, not with `back`; nothing was done")
    flags = "".join(f" --drop-{each}" for each in chosen)
    _must_be_able_to_ask(ctx, f"ck -C {experiment} {'unarchive' if back else 'archive'}{flags} --reason …")
    world = enter_moved(experiment, "experiment_archive", ctx)
    if back:
        # Every file is held against the manifest once the user has agreed; twice would take twice as long.
        return Elicit((await work(ctx, workflow.preview_unarchive, proven=False, world=world)).question, Answer)
    return Elicit((await work(ctx, workflow.preview_archive, drop=chosen, world=world)).question, Answer)


def objection(answer: ElicitationResult[Answer]) -> str:
    """Return why an answer is no yes, in words that claim no more than is known; empty where it is one."""
    if isinstance(answer, AcceptedElicitation):
        return "" if answer.data.confirm else "the user sent the question back without the tick that means yes"
    if isinstance(answer, DeclinedElicitation):
        return "the user said no"
    return "the question came back without an answer: the user dismissed it, or nobody was there to be asked"


def _must_be_able_to_ask(ctx: Context[Any, Any], command: str) -> None:
    capabilities = ctx.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        raise ToolError(
            "This client cannot ask the user, so nothing was done. Show the user what would be done; "
            f"they can run `{command}` in their own terminal."
        )
