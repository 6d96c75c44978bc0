"""Kinds of rows of a model organism: those trained on, and each other kind that it is tested on."""

from collections.abc import Mapping
from typing import NamedTuple

from cruijff_kit.data.generators.organism_rules import Law
from cruijff_kit.schema.organism import (
    ModelOrganisms,
    OodTest,
    OrganismFormat,
    OrganismInput,
    OrganismRule,
    RuleKwargs,
)

__all__ = ["Kind", "kinds_of"]

_DRAWN = frozenset({"weight_max", "sparsity", "weight_seed"})


class Kind(NamedTuple):
    """Sequences of one make under one rule, and the splits they fill."""

    input_type: OrganismInput
    """What sequences are made of."""
    k: int
    """Symbols of each."""
    format: OrganismFormat
    """How they are written beside each other."""
    rule: OrganismRule
    """What is answered."""
    kwargs: RuleKwargs
    """What the rule is told."""
    sizes: Mapping[str, int]
    """Split to how many sequences it takes, in drawing order."""

    def like(self, other: "Kind") -> bool:
        """Return whether rows are of the same kind, whatever splits they fill."""
        return self[:5] == other[:5]

    def law(self, *, least_width: int = 0) -> Law:
        """Return its rule with what it was told."""
        return Law(self.rule, self.input_type, k=self.k, kwargs=self.kwargs, least_width=least_width)


def kinds_of(arguments: ModelOrganisms) -> tuple[Kind, ...]:
    """Return the kind that is trained on, then those of the tests of other kinds, in their order."""
    share = round(arguments.split_ratio * arguments.N)
    trained = arguments.N if arguments.design == "memorization" else share
    sizes = {
        "train": trained,
        "validation": arguments.N - trained,
        "calibration": arguments.calibration_size,
        "test": arguments.N - share if arguments.test_size is None else arguments.test_size,
    }
    own = Kind(
        arguments.input_type, arguments.k, arguments.format, arguments.rule, arguments.rule_kwargs, _filled(sizes)
    )
    return (own, *(_other(own, test, index=index) for index, test in enumerate(arguments.ood_tests)))


def _other(own: Kind, test: OodTest, *, index: int) -> Kind:
    names = {f"{split}_ood_{index}": own.sizes.get(split, 0) for split in ("validation", "test")}
    sizes = {name: size and (test.N or size) for name, size in names.items()}
    return Kind(
        test.input_type or own.input_type,
        test.k or own.k,
        test.format or own.format,
        own.rule,
        own.kwargs if test.rule_kwargs is None else _told(own.kwargs, test.rule_kwargs),
        _filled(sizes),
    )


def _told(own: RuleKwargs, other: RuleKwargs) -> RuleKwargs:
    """Return what a rule is told where some of it is told anew; given weights and drawn ones replace each other."""
    named = other.told()
    kept = {name: value for name, value in own.told().items() if not ("weights" in named and name in _DRAWN)}
    if _DRAWN & named.keys():
        kept.pop("weights", None)
    return RuleKwargs.model_validate({**kept, **named})


def _filled(sizes: Mapping[str, int]) -> dict[str, int]:
    return {split: size for split, size in sizes.items() if size}
