"""`ck search`: earlier experiments, what they found and how fast they ran, each figure with its file."""

from collections.abc import Iterator
from pathlib import Path

import click

from cruijff_kit import workflow
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.search import Card, Query, SearchPage

__all__ = ["search"]


@click.command()
@click.argument("words", nargs=-1)
@click.option("--model", help="Name of a base model, or the start of its SHA-256.")
@click.option("--task", help="An evaluation task.")
@click.option("--factor", metavar="NAME[=LEVEL]", help="A factor, or one of its levels.")
@click.option("--metric", help="A metric.")
@click.option("--root", "roots", multiple=True, help="A project to search; once for each.")
@click.option("--after", default=0, help="Experiments to pass over.")
@click.option("-n", "--limit", default=20, show_default=True, help="Experiments to show.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, hashes whole.")
@click.pass_context
def search(
    ctx: click.Context,
    /,
    *,
    words: tuple[str, ...],
    roots: tuple[str, ...],
    after: int,
    limit: int,
    as_json: bool,
    **named: str | None,
) -> None:
    """Search experiments whose name, question, models, tasks, factors or lessons hold all WORDS.

    The project is the current directory, or the one around it where that is an experiment. Of red data, and of
    yellow data without consent, only counts and hashes are told.
    """
    here = Path(ctx.obj).resolve()
    # An experiment that is not there yet is searched for beside the others, too.
    inside = not here.is_dir() or (here / ExperimentLayout.summary).exists() or (here / ExperimentLayout.plan).exists()
    projects = [str(Path(root).resolve()) for root in roots] or [str(here.parent if inside else here)]
    page = workflow.search_experiments(
        Query(words=" ".join(words), **named), after=after, limit=limit, projects=projects, world=enter(ctx.obj)
    )
    click.echo(page.model_dump_json(indent=2) if as_json else "\n".join(_lines(page, after)))


def _lines(page: SearchPage, after: int) -> Iterator[str]:
    for card in page.hits:
        yield from (workflow.safe_text(line) for line in _card(card))
        yield ""
    yield from (f"damaged: {workflow.safe_text(text)}" for text in page.damaged)
    yield from (f"note: {text}" for text in page.notes)
    end = after + len(page.hits)
    on = f"; go on with --after {end}" if end < page.total else ""
    yield f"{page.total} of {page.experiments} experiments match{on}"


def _card(card: Card) -> Iterator[str]:
    hidden = f", withheld: {card.withheld}" if card.withheld else ""
    away = f", archived {card.archived}" if card.archived else ""
    yield f"{card.experiment}  {card.stage}{away}, {card.runs} runs{hidden}  {card.changed or card.created}".rstrip()
    if card.question:
        yield f"  {card.question}"
    yield from (f"  model {each.name} {(each.sha256 or 'not hashed yet')[:12]}" for each in card.models)
    if card.tasks:
        yield f"  tasks {', '.join(card.tasks)}"
    yield from (f"  {name}: {', '.join(map(str, levels))}" for name, levels in card.factors.items())
    if card.superseded:
        yield "  its report is older than its results: `ck report` writes it anew"
    for each in card.figures:
        yield f"  {each.figure} = {each.words}  {each.path} {(each.sha256 or 'missing')[:12]}"
    for speed in card.speeds:
        yield f"  {speed.words} ({speed.run})  {speed.path} {speed.sha256[:12]}"
    for lesson in card.lessons:
        yield f"  lesson: {lesson.text}" + (f" [stale: {lesson.stale}]" if lesson.stale else "")
    yield from (f"  damaged: {text}" for text in card.problems)
