r"""Persons of the American Community Survey, told in words and asked about.

    {"input": "- The age is: 41 years\n…\n\nWas this person's income in the past 12 months more than 50,000 dollars? …",
     "output": "1", "SEX": "female", "RAC1P": "Asian", "row": 1207}

`acs` reads the person file that its user has from the Census Bureau. `acs_stand_in` makes persons up
(`data/acs/population.py`): same tasks, same words, and the probability of each answer in `chance_0` and `chance_1`.
"""

from collections.abc import Mapping
from io import BytesIO

from cruijff_kit.data.acs.arguments import SPLITS, Acs, AcsPersons, AcsStandIn
from cruijff_kit.data.acs.persons import tell_persons
from cruijff_kit.data.acs.population import population
from cruijff_kit.data.acs.words import read_codes
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.table_rows import Openers, TableRows
from cruijff_kit.data.tabular.readers import Table, open_table
from cruijff_kit.ports import Progress

__all__ = ["FILES", "SPLITS", "VERSION", "draw", "draw_stand_in", "generate", "generate_stand_in", "stem"]

VERSION = "1"
FILES = ("source", "dictionary")
"""Arguments of `acs` that name a file."""


def generate(arguments: Acs, files: Mapping[str, bytes]) -> Splits:
    """Return the splits; `files` holds the person file, and the dictionary where it was named.

    Raises:
        SpecError: the file is no such file, or there are too few persons in it.
    """
    return draw(arguments, {name: lambda content=content: BytesIO(content) for name, content in files.items()}).splits


def generate_stand_in(arguments: AcsStandIn, files: Mapping[str, bytes]) -> Splits:
    """Return the splits; the generator reads no files.

    Raises:
        SpecError: there are too few persons in the population.
    """
    return draw_stand_in(arguments, {}).splits


def draw(arguments: Acs, opened: Openers, *, progress: Progress | None = None) -> TableRows:
    """Return the persons drawn from a file that is opened anew for each reading.

    Raises:
        SpecError: the file is no such file, or there are too few persons in it.
    """
    codes = read_codes(opened["dictionary"](), str(arguments.dictionary)) if arguments.dictionary else {}

    def table() -> Table:
        return open_table(opened["source"](), arguments.source)

    return tell_persons(arguments, table, source=arguments.source, codes=codes, progress=progress)


def draw_stand_in(arguments: AcsStandIn, opened: Openers, *, progress: Progress | None = None) -> TableRows:
    """Return the persons drawn from a population made up; it opens nothing.

    Raises:
        SpecError: there are too few persons in the population.
    """

    def table() -> Table:
        return population(arguments.people, seed=arguments.population_seed)

    return tell_persons(arguments, table, source="the population", codes={}, progress=progress)


def stem(arguments: AcsPersons) -> str:
    """Return the start of the file's name."""
    made_up = "StandIn_" if isinstance(arguments, AcsStandIn) else ""
    return f"{made_up}{arguments.task}_{arguments.form}_"
