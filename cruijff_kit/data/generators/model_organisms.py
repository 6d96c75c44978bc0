r"""Sequences and a rule that answers them: the smallest tasks whose best possible result is known exactly.

    {"input": "0 1 1 0 1 0 0 1", "output": "0"}

Twelve rules over bits, digits or letters, written in five ways. `test` holds unseen sequences of the kind trained on,
`validation_ood_0` and `test_ood_0` those of another kind, as `ood_tests` describe it. Where chance decides an
answer, `chance_0` and `chance_1` hold its true probabilities, which no prompt shows. No sequence stands in
two splits, however it is written; only a `memorization` validates on the very rows it trains on.
"""

from collections.abc import Iterator, Mapping
from itertools import count, islice, product
from typing import Any

from cruijff_kit.data.draws import below, ordered
from cruijff_kit.data.generators.known_ceilings import entropy_of, ruled_ceiling
from cruijff_kit.data.generators.organism_checks import argument_problems
from cruijff_kit.data.generators.organism_kinds import Kind, kinds_of
from cruijff_kit.data.generators.organism_rules import ALPHABETS, Law
from cruijff_kit.data.known_chances import chance_columns, chances_in
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.ceiling import Ceiling
from cruijff_kit.schema.organism import ModelOrganisms, OrganismFormat, OrganismInput

__all__ = ["SPLITS", "VERSION", "ceilings", "generate", "repeats_rows"]

VERSION = "1"
SPLITS = ("train", "validation", "test")
"""Splits of the default arguments."""

_JOINTS: Mapping[OrganismFormat, str] = {"spaced": " ", "dense": "", "comma": ",", "tab": "\t", "pipe": "|"}
# Up to so many sequences all are laid out and shuffled; of more they are drawn one by one.
_LAID_OUT = 2**16


def generate(arguments: ModelOrganisms, files: Mapping[str, bytes]) -> Splits:
    """Return the splits; the generator reads no files.

    Raises:
        SpecError: the arguments do not fit each other.
    """
    problems = argument_problems(arguments)
    if problems:
        raise SpecError("the arguments do not fit", problems=problems)
    splits: dict[str, list[dict[str, Any]]] = {}
    used: set[str] = set()
    for kind, law in _laws(arguments):
        fresh = (each for each in _sequences(kind.input_type, kind.k, seed=arguments.seed) if each not in used)
        drawn = list(islice(fresh, sum(kind.sizes.values())))
        _refuse_shortage(kind, len(drawn))
        used.update(drawn)
        rows = iter(drawn)
        for split, size in kind.sizes.items():
            splits[split] = [_row(each, kind, law=law, seed=arguments.seed) for each in islice(rows, size)]
        if arguments.design == "memorization":
            splits = {"train": splits["train"], "validation": splits["train"], **splits}
    return splits


def ceilings(arguments: ModelOrganisms, splits: Splits) -> dict[str, Ceiling]:
    """Return what can be known of the answers of each split."""
    seen = ("train", "validation") if repeats_rows(arguments) else ("train",)
    found = {}
    for kind, law in _laws(arguments):
        bayes = law.bayes_accuracy()
        own = dict.fromkeys(seen) if "train" in kind.sizes else {}
        for split in {**own, **kind.sizes}:
            rows, joint = splits[split], _JOINTS[kind.format]
            best = [law.best(row["input"].replace(joint, "") if joint else row["input"]) for row in rows]
            chances = (chance for row in rows for chance in chances_in(row, options=("0", "1")) or ())
            entropy = entropy_of(chances) / len(rows)
            found[split] = ruled_ceiling(rows, best, accuracy=bayes, entropy=entropy, seen=split in seen)
    return found


def repeats_rows(arguments: ModelOrganisms) -> bool:
    """Return whether two splits hold the same rows on purpose."""
    return arguments.design == "memorization"


def _laws(arguments: ModelOrganisms) -> Iterator[tuple[Kind, Law]]:
    """Yield each kind with its rule; sums of other kinds are written with as many digits as those trained on."""
    own, *others = kinds_of(arguments)
    law = own.law()
    yield own, law
    width = law.width if own.rule == "weighted_sum" else 0
    yield from ((other, other.law(least_width=width)) for other in others)


def _sequences(input_type: OrganismInput, k: int, *, seed: int) -> Iterator[str]:
    """Yield every sequence of a make and length once, in a random order that a seed fixes."""
    alphabet, label = ALPHABETS[input_type], f"{input_type} {k}"
    universe = len(alphabet) ** k
    if universe <= _LAID_OUT:
        yield from ordered(map("".join, product(alphabet, repeat=k)), seed=seed, label=label)
        return
    seen: set[int] = set()
    for draw in count():
        if len(seen) == universe:
            return
        number = below(universe, str(draw), seed=seed, label=label)
        if number not in seen:
            seen.add(number)
            yield _spelled(number, alphabet, k=k)


def _spelled(number: int, alphabet: str, *, k: int) -> str:
    symbols = []
    for _ in range(k):
        number, digit = divmod(number, len(alphabet))
        symbols.append(alphabet[digit])
    return "".join(symbols)


def _refuse_shortage(kind: Kind, found: int) -> None:
    """Refuse where sequences of one make were used up by another that writes the same, as bits among digits."""
    wanted = sum(kind.sizes.values())
    if found < wanted:
        fact = f"`{wanted}` sequences of {kind.k} {kind.input_type} that stand in no other split; there are {found}"
        raise SpecError(
            "the arguments do not fit", problems=[Problem(fact, "ood_tests", hint="lower `N`, or raise `k`")]
        )


def _row(sequence: str, kind: Kind, *, law: Law, seed: int) -> dict[str, Any]:
    chance = law.chance(sequence)
    known = {} if chance is None else chance_columns({"0": round(1 - chance, 6), "1": chance})
    return {"input": _JOINTS[kind.format].join(sequence), "output": law.answer(sequence, seed=seed), **known}
