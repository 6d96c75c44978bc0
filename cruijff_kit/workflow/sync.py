"""Sync: send the offline runs of an experiment to the tracking service its design names."""

from cruijff_kit.errors import PlanError
from cruijff_kit.ports import Tracking, World
from cruijff_kit.rendering.configs import read_config
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.receipt import SyncReceipt, TrackedRun
from cruijff_kit.workflow.audit import recording, render_views
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier

__all__ = ["sync_wandb"]


def sync_wandb(*, dry_run: bool = False, tracking: Tracking, world: World) -> SyncReceipt:
    """Send every run's curve and configuration to Weights & Biases, under the account set there.

    What is sent holds numbers by step, settings, prompts and names; no row of data, no answer, no output of a job. So
    yellow data need no consent for it.

    Args:
        dry_run: tell what would be sent, and send and write nothing.
        tracking: where offline runs lie, and who sends them.
        world: the experiment and its surroundings.

    Raises:
        PlanError: nothing was scaffolded, or the data are red: what was made of them stays here.
        SiteError: `wandb` is not installed, is set offline, or could not send.
    """
    plan, _ = recorded_plan(world=world)
    if plan_tier(plan, world) == "red":
        hint = "look at the curves here: `wandb leet`, or the report of `ck report`"
        raise PlanError("the data of this experiment are `red`: nothing its runs made is sent anywhere", hint=hint)
    configs = [_config(run.id, world) for run in plan.runs if run.type == "fine-tuned"]
    asked = [config for config in configs if config is not None and config.wandb_project is not None]
    found = {config.run_id: _tracked(config, tracking=tracking, world=world) for config in asked}
    runs = tuple(run for run in found.values() if run is not None)
    without = tuple(run_id for run_id, run in found.items() if run is None)
    if runs and not dry_run:
        subject = plan.experiment
        with recording(world, verb="sync", action=Action.SYNC_RUNS, subject=subject) as entry:
            entry.inputs.update({run.run_id: run.project for run in runs})
            tracking.upload([run.folder for run in runs])
        render_views(world=world)
    return SyncReceipt(runs=runs, without=without, sent=bool(runs) and not dry_run)


def _config(run_id: str, world: World) -> TrainConfig | None:
    path = RunLayout(run_id).config
    text = world.store.read_text(path)
    return None if text is None else read_config(TrainConfig, text, name=path)


def _tracked(config: TrainConfig, *, tracking: Tracking, world: World) -> TrackedRun | None:
    layout = RunLayout(config.run_id)
    folder = f"{config.output_dir.removesuffix(layout.output)}{layout.tracking}"
    size = tracking.size(folder)
    if size is None:
        return None
    points = (world.store.read(layout.metrics) or b"").count(b"\n")
    return TrackedRun(run_id=config.run_id, project=str(config.wandb_project), folder=folder, bytes=size, points=points)
