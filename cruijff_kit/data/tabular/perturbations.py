"""Perturbations: the same row said otherwise, drawn from seed, perturbation, row and copy alone.

    synonym          another name of a variable
    shorthand        a shorter form of a name, a unit or a value
    reorder          lines or sentences in another order
    clause_addition  one value said a second time, in a sentence of its own

Names, units and words change; cells never do, so no target can.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.tabular.features import Feature
from cruijff_kit.schema.table import Perturbation

__all__ = ["Draw", "added", "renamed", "reordered"]


class Draw(NamedTuple):
    """The dice of one text: the same wherever and whenever it is made."""

    seed: int
    """Seed of the data set."""
    row: int
    """Place of the row in the table, from 1."""
    copy: int
    """Which of the texts of this row, from 0."""
    kinds: tuple[Perturbation, ...]
    """What may change."""

    def roll(self, kind: str, what: str) -> float:
        """Return a number in [0, 1) for one decision."""
        return uniform(f"{self.seed}:{kind}:{self.row}:{self.copy}:{what}", seed=self.seed, label=f"table {kind}")

    def pick(self, kind: str, what: str, *, choices: Sequence[str]) -> str:
        """Return one of several, each as likely."""
        return choices[int(self.roll(kind, what) * len(choices))]


def renamed(features: Sequence[Feature], draw: Draw) -> list[Feature]:
    """Return features with other names and shorter words, half of the time each."""
    found = list(features)
    if "synonym" in draw.kinds:
        found = [_synonym(feature, draw) for feature in found]
    if "shorthand" in draw.kinds:
        found = [_shorthand(feature, draw) for feature in found]
    return found


def reordered(clauses: Sequence[str], draw: Draw) -> list[str]:
    """Return clauses in an order of their own."""
    if "reorder" not in draw.kinds:
        return list(clauses)
    order = sorted(range(len(clauses)), key=lambda at: (draw.roll("reorder", str(at)), at))
    return [clauses[at] for at in order]


def added(features: Sequence[Feature], draw: Draw) -> list[str]:
    """Return the sentence that says one value again; none where no variable has any."""
    able = [feature for feature in features if feature.variable.restatements and feature.words is not None]
    if "clause_addition" not in draw.kinds or not able:
        return []
    chosen = able[int(draw.roll("clause_addition", "variable") * len(able))]
    sentence = draw.pick("clause_addition", "sentence", choices=chosen.variable.restatements)
    return [sentence.replace("{value}", str(chosen.words))]


def _synonym(feature: Feature, draw: Draw) -> Feature:
    names = (feature.variable.display_name, *feature.variable.synonyms)
    return feature._replace(label=draw.pick("synonym", feature.name, choices=names)) if len(names) > 1 else feature


def _shorthand(feature: Feature, draw: Draw) -> Feature:
    short = feature.variable.shorthand_map
    if not short:
        return feature

    def perhaps(part: str, text: str) -> str:
        return short[text] if text in short and draw.roll("shorthand", f"{feature.name}.{part}") < 0.5 else text

    value = feature.value if feature.value is None else perhaps("value", feature.value)
    return feature._replace(label=perhaps("name", feature.label), value=value, unit=perhaps("unit", feature.unit))
