"""Memory: cards of every experiment of some projects, kept in a cache that holds nothing of its own."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from cruijff_kit import __version__
from cruijff_kit.analysis.recall import covered
from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import SiteError, SpecError
from cruijff_kit.ports import Library, Stamped
from cruijff_kit.schema.archive import ArchiveMark
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ARCHIVE, ExperimentLayout
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.search import Card
from cruijff_kit.workflow.cards import FILES, UNTOLD, make_card
from cruijff_kit.workflow.tiers import marks_of

__all__ = ["Memory", "remember"]

_FORM = f"{__version__}/3"
"""Another version of this package reads files otherwise, and so trusts no card of this one."""
_MOST_KEPT = 5_000


class Memory(NamedTuple):
    """What is known of the experiments of some projects."""

    cards: tuple[Card, ...]
    """Those that can be read."""
    damaged: tuple[str, ...]
    """Those that cannot, each with the file at fault."""
    notes: tuple[str, ...]
    """Links that were not followed."""


class _Kept(Noun):
    """A card, and the stamps of the files it was made of."""

    stamps: dict[str, str]
    """Path to stamp."""
    card: Card
    """The card."""


class _Cache(Noun):
    """`experiments.json`: cards by the absolute directory of their experiment."""

    form: str
    """Who made it."""
    kept: dict[str, _Kept]
    """Directory to card."""


_CACHE = TypeAdapter(_Cache)


def remember(projects: Sequence[str], *, library: Library) -> Memory:
    """Return what is known of the experiments of some projects; only those that changed are read.

    Raises:
        SiteError: a project is no directory, or cannot be read.
    """
    found = [each for project in dict.fromkeys(projects) for each in _surveyed(project, library)]
    away = [told for project in dict.fromkeys(projects) for told in _elsewhere(project, library)]
    links = [each.name for each in found if each.linked]
    held = [each for each in found if ExperimentLayout.summary in each.stamps or ExperimentLayout.plan in each.stamps]
    named = [each for each in held if each.name.isprintable() and each.name.isascii()]
    cards = _current(named, library)
    unread = [card for card in cards if card.withheld == UNTOLD]
    odd = [
        f"a directory of {len(each.name)} characters: its name is not plain text" for each in held if each not in named
    ]
    notes = [f"{len(links)} links were not followed, such as `{ascii(links[0])[1:-1]}`"] if links else []
    return Memory(
        cards=tuple(_marked(card for card in cards if card not in unread)),
        damaged=(*(f"{card.experiment}: {'; '.join(card.problems)}" for card in unread), *odd),
        notes=(*notes, *away),
    )


def _surveyed(project: str, library: Library) -> Iterator[Stamped]:
    """Yield the directories of a project, and those archived in it."""
    found = library.survey(project, FILES)
    yield from found
    if any(each.name == ARCHIVE and not each.linked for each in found):
        yield from library.survey(f"{project}/{ARCHIVE}", FILES)


def _elsewhere(project: str, library: Library) -> Iterator[str]:
    """Yield where experiments went that are archived outside their project, which is not searched unasked."""
    folder = f"{project}/{ARCHIVE}"
    for name in library.names(folder, ".json"):
        try:
            mark = ArchiveMark.model_validate_json(library.read(folder, name) or b"")
        except (ValidationError, SiteError):
            continue
        if mark.archive.startswith("/"):
            place = mark.archive.rpartition("/")[0]
            told = ascii(f"`{mark.experiment}` is archived in `{place}`; `ck search --root {place}` looks there")
            yield told[1:-1]


def _current(found: Sequence[Stamped], library: Library) -> list[Card]:
    cache = _recalled(library)
    kept = {f"{each.project}/{each.name}": _card(each, cache, library=library) for each in found}
    if any(cache.kept.get(folder) is not card for folder, card in kept.items()):
        # Those of other projects stay, the oldest of them going first.
        whole = {**{folder: card for folder, card in cache.kept.items() if folder not in kept}, **kept}
        latest = dict(list(whole.items())[-_MOST_KEPT:])
        library.keep(_CACHE.dump_json(_Cache(form=_FORM, kept=latest)))
    return [each.card for each in kept.values()]


def _recalled(library: Library) -> _Cache:
    """Return the cache; an empty one where there is none, or it is damaged or of another version."""
    try:
        cache = _CACHE.validate_json(library.recall() or b"")
    except ValidationError:
        return _Cache(form=_FORM, kept={})
    return cache if cache.form == _FORM else _Cache(form=_FORM, kept={})


def _card(found: Stamped, cache: _Cache, *, library: Library) -> _Kept:
    before = cache.kept.get(f"{found.project}/{found.name}")
    if before is not None and before.stamps == found.stamps:
        return before
    return _Kept(stamps=dict(found.stamps), card=make_card(found, library=library))


def _marked(cards: Iterable[Card]) -> list[Card]:
    """Return cards, those withheld whose data somebody marked more closely kept than the design says."""
    told = []
    for card in cards:
        said: list[Tier] = [card.tier]
        for place in () if card.withheld else card.places:
            said += _marks(place, card)
        tier = strictest(said)
        told.append(card if tier == card.tier else covered(card, f"its data is marked {tier}", tier=tier))
    return told


def _marks(place: str, card: Card) -> list[Tier]:
    """Return what marks data by now; red where nobody can tell."""
    try:
        return marks_of(Path(place), root=Path(card.project, card.experiment))
    except (OSError, SpecError):
        return ["red"]
