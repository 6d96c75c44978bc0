"""Search: earlier experiments by model, task, factor, metric and words, each figure with its source."""

from collections.abc import Iterator, Sequence

from cruijff_kit.analysis.recall import matches
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.search import Card, CardFigure, Query, SearchPage
from cruijff_kit.schema.spec import Factors
from cruijff_kit.workflow.memory import remember

__all__ = ["earlier_experiments", "search_experiments"]

_MOST = 500
_MOST_EARLIER = 3
_ANY = Query()


def search_experiments(
    query: Query = _ANY, *, after: int = 0, limit: int = 20, projects: Sequence[str] = (), world: World
) -> SearchPage:
    """Return experiments that match, latest first; what is told of each was read from its files.

    Nothing is written but a cache in the user's own directory, which may be deleted at any
    time. Of experiments whose data is red, or yellow without consent, only name, stage,
    counts and hashes are told.

    Args:
        query: what is looked for; with nothing in it every experiment matches.
        after: experiments to pass over, of those that match.
        limit: how many to return, from 1 to 500.
        projects: directories that hold experiments; the one around this experiment where none is named.
        world: the experiment and its surroundings.

    Raises:
        SpecError: `limit` or `after` is out of range.
        SiteError: a project is no directory, or cannot be read.
    """
    if not 1 <= limit <= _MOST or after < 0:
        raise SpecError(f"`limit` goes from 1 to {_MOST} and `after` from 0", hint="ask for the next page")
    if world.library is None:
        raise SiteError("experiments cannot be searched here", hint="search on the machine that holds them")
    memory = remember(projects or [str(world.store.root.parent)], library=world.library)
    chosen = sorted((card for card in memory.cards if matches(card, query)), key=lambda card: card.experiment)
    chosen.sort(key=lambda card: card.changed or card.created, reverse=True)
    chosen.sort(key=lambda card: bool(card.withheld))
    return SearchPage(
        hits=tuple(chosen[after : after + limit]),
        total=len(chosen),
        experiments=len(memory.cards) + len(memory.damaged),
        damaged=memory.damaged,
        notes=memory.notes,
    )


def earlier_experiments(plan: Plan, factors: Factors, *, world: World) -> tuple[str, ...]:
    """Return what earlier experiments on the same model, with the same data or a task of the same name, have found.

    Those that varied the same levels come first. Each line names the file that its figure was read from.

    Args:
        plan: what a design implies.
        factors: what it varies.
        world: the experiment and its surroundings.
    """
    project = world.store.root.parent
    if world.library is None or not project.is_dir():
        return ()
    try:
        known = remember([str(project)], library=world.library).cards
    except SiteError:
        # A folder that may be entered but not listed is no fault of the design.
        return ()
    cards = [card for card in known if card.experiment != world.store.root.name and _alike(card, plan)]
    cards.sort(key=lambda card: (bool(factors) and card.factors == factors, card.created), reverse=True)
    told = [_told(card, plan, factors=factors) for card in cards[:_MOST_EARLIER]]
    more = len(cards) - len(told)
    return (*told, *([f"{more} more experiments are like this one; `ck search` lists them"] if more else []))


def _alike(card: Card, plan: Plan) -> bool:
    models = {run.model.sha256 for run in plan.runs} - {None}
    if not models & {each.sha256 for each in card.models}:
        return False
    tasks = {cell.task.name for run in plan.runs for cell in run.cells}
    return _same_data(card, plan) or bool(tasks & set(card.tasks))


def _same_data(card: Card, plan: Plan) -> bool:
    return bool({facts.sha256 for facts in plan.datasets} & set(card.datasets))


def _told(card: Card, plan: Plan, *, factors: Factors) -> str:
    shared = "same model and data" if _same_data(card, plan) else "same model and a task of the same name"
    if card.withheld:
        return f"`{card.experiment}`: {shared}, {card.runs} runs, {card.stage}; no more is told, as {card.withheld}"
    what = "ran this very grid" if factors and card.factors == factors else "is like this one"
    if card.stage != "reported":
        what = what.replace("ran", "has")
    return "; ".join([f"`{card.experiment}` {what} ({shared}, {card.created}, {card.stage})", *_facts(card)])


def _facts(card: Card) -> Iterator[str]:
    if card.superseded:
        yield "its report is older than its results, so no figure of it is told"
        return
    yield from (_figure(each, card) for each in card.figures[:2])
    yield from (
        f"lesson in `findings.md`: {each.text[:200]}{' (stale)' if each.stale else ''}" for each in card.lessons[-1:]
    )


def _figure(each: CardFigure, card: Card) -> str:
    return f"{each.figure} = {each.words}, `report/trace.json` {(card.report_sha256 or '')[:12]}"
