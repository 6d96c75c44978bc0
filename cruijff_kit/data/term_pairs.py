"""Term pairs: words that stand for a person's group, each with its counterpart, and texts with them swapped.

The bundled lists are examples to start from, not a definition of any group. They hold
only words whose counterpart does not depend on grammar or on what is meant: `her` is his or
him, and `white` a colour as well. A text with such a word is left out and counted.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import Problem, SpecError

__all__ = ["BUNDLED", "Swapped", "TermPairs", "parse_pairs", "swap_row", "swap_text", "term_pairs"]

BUNDLED: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "gender": (
            ("he", "she"), ("himself", "herself"), ("man", "woman"), ("men", "women"), ("boy", "girl"),
            ("boys", "girls"), ("male", "female"), ("males", "females"), ("gentleman", "lady"),
            ("gentlemen", "ladies"), ("father", "mother"), ("fathers", "mothers"), ("dad", "mum"), ("son", "daughter"),
            ("sons", "daughters"), ("brother", "sister"), ("brothers", "sisters"), ("husband", "wife"),
            ("husbands", "wives"), ("uncle", "aunt"), ("nephew", "niece"), ("grandfather", "grandmother"),
            ("grandson", "granddaughter"), ("boyfriend", "girlfriend"), ("widower", "widow"), ("waiter", "waitress"),
            ("actor", "actress"), ("mr", "ms"),
            ("his", "her"), ("him", "her"),
        ),
        "age": (
            ("young", "old"), ("younger", "older"), ("youngest", "oldest"), ("teenager", "pensioner"),
            ("teenagers", "pensioners"), ("twenties", "sixties"), ("thirties", "seventies"), ("youthful", "elderly"),
        ),
        "nationality": (
            ("american", "mexican"), ("americans", "mexicans"), ("german", "turkish"), ("germans", "turks"),
            ("british", "pakistani"), ("french", "algerian"), ("swiss", "albanian"), ("canadian", "somali"),
            ("italian", "romanian"), ("spanish", "moroccan"),
        ),
        "race": (
            ("african american", "european american"), ("african americans", "european americans"),
            ("black man", "white man"), ("black men", "white men"), ("black woman", "white woman"),
            ("black women", "white women"), ("black people", "white people"), ("black person", "white person"),
            ("asian man", "hispanic man"), ("asian woman", "hispanic woman"), ("asian people", "hispanic people"),
        ),
        "religion": (
            ("christian", "muslim"), ("christians", "muslims"), ("church", "mosque"), ("churches", "mosques"),
            ("priest", "imam"), ("priests", "imams"), ("bible", "quran"),
        ),
    }
)  # fmt: skip
"""Lists by name."""

_HINT = "write a list of pairs, such as `- [he, she]`"


class TermPairs(NamedTuple):
    """Terms and what stands in their place."""

    swaps: Mapping[str, str]
    """Term without its case to its counterpart."""
    unclear: frozenset[str]
    """Terms that have several counterparts; what holds one is not swapped."""
    pattern: re.Pattern[str]
    """What finds all of them in a text."""


class Swapped(NamedTuple):
    """A text or a row with its terms swapped."""

    value: Any
    """With counterparts in place; as it was where nothing was swapped."""
    terms: int
    """Terms swapped."""
    unclear: bool
    """Whether it holds a term of several counterparts, so that it cannot be swapped."""


def term_pairs(pairs: Iterable[tuple[str, str]]) -> TermPairs:
    """Return what each term is swapped for, both ways; a term of several counterparts is unclear."""
    found: dict[str, set[str]] = {}
    for one, other in pairs:
        found.setdefault(_key(one), set()).add(other)
        found.setdefault(_key(other), set()).add(one)
    unclear = {term for term, others in found.items() if len(set(map(_key, others))) > 1}
    swaps = {term: min(others) for term, others in found.items() if term not in unclear}
    # As they are written too: `große` is `grosse` without its case, and is not found by that.
    return TermPairs(MappingProxyType(swaps), frozenset(unclear), _pattern({*found, *chain(*found.values())}))


def parse_pairs(text: str, *, name: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a YAML list.

    Raises:
        SpecError: it is no list of pairs of different terms; every fault has its line.
    """
    read = load_yaml(text, name=name)
    if not isinstance(read.value, list) or not read.value:
        raise SpecError(f"`{name}` holds no list of terms", hint=_HINT)
    problems = [
        Problem(f"`{pair}` is no pair of two different terms", f"[{at}]", read.marks.place((at,)), _HINT)
        for at, pair in enumerate(read.value)
        if not _is_pair(pair)
    ]
    if problems:
        raise SpecError(f"`{name}` is no list of term pairs", problems=problems)
    return tuple((one.strip(), other.strip()) for one, other in read.value)


def swap_text(text: str, terms: TermPairs) -> Swapped:
    """Return a text with every term replaced by its counterpart, whole words only, in the case it was written in.

    All are replaced at once, so that `he met her brother` never becomes what it was; of
    terms that begin alike the longest counts. `the` holds no `he`.

    Args:
        text: what is read.
        terms: what is swapped.
    """
    found = [_key(match.group()) for match in terms.pattern.finditer(text)]
    if not terms.unclear.isdisjoint(found):
        return Swapped(text, 0, True)
    count = sum(each in terms.swaps for each in found)
    return Swapped(terms.pattern.sub(lambda match: _cased(match.group(), terms), text), count, False)


def swap_row(row: Mapping[str, Any], terms: TermPairs, *, columns: Sequence[str]) -> Swapped:
    """Return a row whose question has its terms swapped; of a conversation all but the assistant's turns.

    Args:
        row: column name to text, number or list of turns.
        terms: what is swapped.
        columns: columns that are asked; others, the answer among them, stay as they are.
    """
    changed, count, unclear = dict(row), 0, False
    for column in columns:
        if column in row:
            swapped = _value(row[column], terms)
            changed[column], count, unclear = swapped.value, count + swapped.terms, unclear or swapped.unclear
    return Swapped(dict(row), 0, True) if unclear else Swapped(changed, count, False)


def _value(value: Any, terms: TermPairs) -> Swapped:
    if isinstance(value, str):
        return swap_text(value, terms)
    if not isinstance(value, list):
        return Swapped(value, 0, False)
    turns = [_turn(turn, terms) for turn in value]
    unclear = any(turn.unclear for turn in turns)
    return Swapped([turn.value for turn in turns], sum(turn.terms for turn in turns), unclear)


def _turn(turn: Any, terms: TermPairs) -> Swapped:
    spoken = isinstance(turn, Mapping) and turn.get("role", turn.get("from")) not in {"assistant", "gpt", "model"}
    column = "content" if isinstance(turn, Mapping) and "content" in turn else "value"
    if not spoken or not isinstance(turn.get(column), str):
        return Swapped(turn, 0, False)
    swapped = swap_text(turn[column], terms)
    return swapped._replace(value={**turn, column: swapped.value})


def _pattern(terms: Iterable[str]) -> re.Pattern[str]:
    known = sorted(terms, key=len, reverse=True)
    words = "|".join(r"\s+".join(map(re.escape, term.split())) for term in known)
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if known else re.compile(r"(?!)")


def _key(found: str) -> str:
    return " ".join(found.casefold().split())


def _cased(found: str, terms: TermPairs) -> str:
    """Return the counterpart with capitals where the term has them; what only looks like a term stays."""
    other = terms.swaps.get(_key(found))
    if other is None:
        # A pattern takes the dotless `ı` for an `i`, which makes it another word.
        return found
    if found.isupper() and len(found) > 1:
        return other.upper()
    if found.istitle() and not other.istitle():
        return other.title()
    return other[:1].upper() + other[1:] if found[:1].isupper() else other


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(each, str) and each.strip() for each in pair)
        and pair[0].strip().casefold() != pair[1].strip().casefold()
    )
