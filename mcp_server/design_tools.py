"""Tools from base model to scaffold: nothing here costs compute."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from pydantic import Field

from cruijff_kit import workflow
from cruijff_kit.mcp_server.replies import DesignReply, ModelReply, ScaffoldReply, WrittenReply
from cruijff_kit.mcp_server.session import enter, spoken, work
from cruijff_kit.mcp_server.surface import ExperimentId, Reason

__all__ = [
    "experiment_amend",
    "experiment_validate",
    "experiment_write_summary",
    "model_make_tiny",
    "runs_scaffold",
]

_Level = str | int | float | bool | None
_Design = Annotated[
    str, Field(max_length=200_000, description="The design as YAML: the front matter of experiment_summary.md.")
]


async def model_make_tiny(experiment: ExperimentId, ctx: Context[Any, Any], force: bool = False) -> ModelReply:
    """Train the small CPU base model, or return it from the cache.

    Use it only where no base model is at hand, as in the demo. Takes about a minute once; reports progress.
    Its `path` goes into `models` of a design.
    """
    world = enter(experiment, "model_make_tiny", ctx)
    return ModelReply.of(await work(ctx, workflow.make_tiny_model, force=force, world=world))


def experiment_validate(experiment: ExperimentId, design: _Design, ctx: Context[Any, Any]) -> DesignReply:
    """Check and cost a design; writes nothing.

    Use it first, and after every change: it lists all problems at once, each with its place and remedy.
    """
    with spoken():
        world = enter(experiment, "experiment_validate", ctx)
        return DesignReply.of(workflow.check_design(design, world=world))


def experiment_write_summary(
    experiment: ExperimentId, design: _Design, reason: Reason, ctx: Context[Any, Any]
) -> WrittenReply:
    """Write experiment_summary.md from a checked design that the user approved.

    The only way that file is written. Repeating it with the same design changes nothing.
    """
    with spoken():
        world = enter(experiment, "experiment_write_summary", ctx)
        return WrittenReply.of(workflow.write_design(design, reason=reason, world=world))


def experiment_amend(
    experiment: ExperimentId,
    reason: Reason,
    ctx: Context[Any, Any],
    seeds: list[int] | None = None,
    levels: dict[str, list[_Level]] | None = None,
) -> WrittenReply:
    """Add replicate seeds or factor levels to a written design; existing runs keep their ids.

    Follow with runs_scaffold, which adds the new runs and leaves the old ones untouched.
    """
    with spoken():
        world = enter(experiment, "experiment_amend", ctx)
        receipt = workflow.amend_design(seeds=tuple(seeds or ()), levels=levels or {}, reason=reason, world=world)
        return WrittenReply.of(receipt)


async def runs_scaffold(
    experiment: ExperimentId, ctx: Context[Any, Any], dry_run: bool = True, overwrite: list[str] | None = None
) -> ScaffoldReply:
    """Write every run's configurations and job scripts; with dry_run only show them.

    Use dry_run first and show the files. Returns the plan_id that job_submit needs. A second call changes
    nothing; a file a person edited is shown as a diff and kept, unless named in `overwrite`.
    """
    world = enter(experiment, "runs_scaffold", ctx)
    paths = tuple(overwrite or ())
    receipt = await work(ctx, workflow.scaffold_runs, dry_run=dry_run, overwrite=paths, world=world)
    return ScaffoldReply.of(receipt)
