"""`ck lesson add` and `list`: what was learnt, with the figures that show it."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.lesson import Lesson

__all__ = ["lesson"]


@click.group()
def lesson() -> None:
    """Write a lesson with its evidence to findings.md, or list those there."""


@lesson.command("add")
@click.argument("text")
@click.option("--evidence", multiple=True, required=True, help="Figure of the report, as `ck results` names it.")
@click.pass_obj
def add(experiment: str, text: str, evidence: tuple[str, ...]) -> None:
    """Append TEXT to findings.md; each number in it must be one that a cited figure holds."""
    receipt = workflow.add_lesson(text, evidence=evidence, world=enter(experiment))
    click.echo(f"{receipt.path} {'written' if receipt.changed else 'says so already'}")


@lesson.command("list")
@click.pass_obj
def listed(experiment: str) -> None:
    """Show the lessons of findings.md, and which are stale."""
    found = workflow.read_lessons(world=enter(experiment))
    click.echo("\n\n".join(workflow.safe_text(_told(each)) for each in found) or "no lesson was written yet")


def _told(lesson: Lesson) -> str:
    figures = [f"  {each.figure} = {each.value}  {each.path} {each.sha256[:12]}" for each in lesson.evidence]
    stale = [f"  stale: {lesson.stale}"] if lesson.stale else []
    return "\n".join([f"{lesson.ts:%Y-%m-%d} {lesson.text}", *figures, *stale])
