"""Tools from a machine to a scaffold: nothing here costs compute."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.consent import RowsConsent
from cruijff_kit.mcp_server.design_replies import (
    DataReply,
    DecisionReply,
    DesignReply,
    ScaffoldReply,
    WrittenReply,
)
from cruijff_kit.mcp_server.session import enter, spoken, work
from cruijff_kit.mcp_server.surface import Detail, ExperimentId, Reason, RunName
from cruijff_kit.schema.decision import Chooser

__all__ = [
    "data_show",
    "decision_record",
    "experiment_validate",
    "experiment_write_summary",
    "runs_scaffold",
]

_Level = str | int | float | bool | None
_Design = Annotated[
    str, Field(max_length=200_000, description="The design as YAML: the front matter of experiment_summary.md.")
]
_Words = Annotated[str, Field(min_length=1, max_length=1000)]
_Options = Annotated[list[_Words], Field(max_length=20, description="What was offered.")]


async def experiment_validate(
    experiment: ExperimentId,
    ctx: Context[Any, Any],
    design: _Design | None = None,
    response_format: Detail = "concise",
) -> DesignReply:
    """Check a design, cost it and tell the smallest difference it can show; without one, try the machine or cluster.

    Use it first, and after every change: it lists all problems at once, each with its place and remedy; writes nothing.
    Without `design`, on a new machine and when submissions are refused, it tries scheduler, partitions, Python, folders
    and disk. `ck site setup` mends these in the user's terminal.
    """
    world = enter(experiment, "experiment_validate", ctx)
    if design is None:
        return DesignReply.of_site(await work(ctx, workflow.check_site, world=world), detail=response_format)
    return DesignReply.of(await work(ctx, workflow.check_design, text=design, world=world), detail=response_format)


def experiment_write_summary(
    experiment: ExperimentId,
    reason: Reason,
    *,
    ctx: Context[Any, Any],
    design: _Design | None = None,
    seeds: Annotated[list[int], Field(max_length=100)] | None = None,
    levels: dict[str, list[_Level]] | None = None,
) -> WrittenReply:
    """Write experiment_summary.md from a checked design that the user approved, or add to the one written.

    Use it with `design`; the only way that file is written. With `seeds` or `levels` (factor to values) instead it
    adds replicates or factor levels: existing runs keep their ids, and runs_scaffold adds the new ones.
    """
    if (design is None) == (seeds is None and levels is None):
        raise ToolError("give either `design`, or `seeds` and `levels` to add to the design on disk")
    with spoken():
        world = enter(experiment, "experiment_write_summary", ctx)
        if design is not None:
            return WrittenReply.of(workflow.write_design(design, reason=reason, world=world))
        receipt = workflow.amend_design(seeds=tuple(seeds or ()), levels=levels or {}, reason=reason, world=world)
        return WrittenReply.of(receipt)


async def data_show(
    experiment: ExperimentId,
    ctx: Context[Any, Any],
    consent: RowsConsent,
    run: RunName | None = None,
    count: Annotated[int, Field(ge=1, le=20)] = 3,
) -> DataReply:
    """Show training rows as a run's model reads them, what is learnt in brackets, and whether masks are proven.

    Use it once a design is written, before anything is submitted. Red data is counted and proven but not shown; for
    yellow data the user is asked first.
    """
    world = enter(experiment, "data_show", ctx)
    return DataReply.of(await work(ctx, workflow.show_data, run=run, count=count, world=world))


def decision_record(
    experiment: ExperimentId,
    question: _Words,
    choice: _Words,
    reason: Reason,
    *,
    ctx: Context[Any, Any],
    options: _Options | None = None,
    chosen_by: Chooser = "user",
) -> DecisionReply:
    """Keep a decision in the audit log: the question, what was offered, what was chosen, by whom and why.

    Use it after each question you asked the user, and for each default you chose for them (`chosen_by`).
    """
    with spoken():
        world = enter(experiment, "decision_record", ctx)
        receipt = workflow.record_decision(
            question, choice=choice, options=tuple(options or ()), chosen_by=chosen_by, reason=reason, world=world
        )
        return DecisionReply(**receipt.model_dump())


async def runs_scaffold(
    experiment: ExperimentId,
    reason: Reason,
    *,
    ctx: Context[Any, Any],
    dry_run: bool = True,
    overwrite: list[str] | None = None,
    response_format: Detail = "concise",
) -> ScaffoldReply:
    """Write every run's configurations and job scripts; with dry_run only show them.

    Use dry_run first and show the files. Returns the plan_id that job_submit needs. A second call changes
    nothing; a file a person edited is shown as a diff and kept, unless named in `overwrite`.
    """
    world = enter(experiment, "runs_scaffold", ctx)
    receipt = await work(
        ctx, workflow.scaffold_runs, dry_run=dry_run, overwrite=tuple(overwrite or ()), reason=reason, world=world
    )
    return ScaffoldReply.of(receipt, detail=response_format)
