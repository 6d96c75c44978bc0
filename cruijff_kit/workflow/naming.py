"""Propose names: for an experiment, or for runs that a design names one by one; none that is there already."""

import re

from cruijff_kit.planning.word_names import drawn_names
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout

__all__ = ["propose_names"]

# What follows a run's words in its id.
_TAIL = re.compile(r"(_seed\d+)?-[0-9a-f]{8}$")


def propose_names(number: int = 1, *, seed: int = 0, world: World) -> tuple[str, ...]:
    """Return names of an adjective and a noun that nothing here is called by; the same again until one is taken.

    Args:
        number: how many, from 1 to 100,000.
        seed: another one gives another order.
        world: the folder of experiments, or the experiment, whose folders and runs count as taken.

    Raises:
        SpecError: there is no such number of names.
    """
    places = (world.store.root, world.store.root / ExperimentLayout.runs)
    found = [path.name for place in places if place.is_dir() for path in place.iterdir()]
    return drawn_names(number, seed=seed, taken={_TAIL.sub("", name) for name in found})
