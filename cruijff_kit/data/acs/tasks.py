"""Tasks on persons of the American Community Survey: whom they are about, what is told, what is asked.

The five that answer yes or no are those of Ding, Hardt, Miller and Schmidt, "Retiring Adult: New
Datasets for Fair Machine Learning" (NeurIPS 2021): features, filters and thresholds are theirs.
The four that answer with a number tell the same features but for the one asked for.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from cruijff_kit.data.tabular.cells import number_of

__all__ = ["TASKS", "AcsTask", "Bounds", "TaskName"]

TaskName = Literal[
    "ACSIncome",
    "ACSEmployment",
    "ACSMobility",
    "ACSPublicCoverage",
    "ACSTravelTime",
    "age",
    "income",
    "hours",
    "commute",
]
"""Names of the tasks."""


class Bounds(NamedTuple):
    """What a column must hold: a number between two bounds, both included."""

    column: str
    """The column."""
    least: int | None = None
    """Smallest number; no bound where None."""
    most: int | None = None
    """Greatest number; no bound where None."""

    def holds(self, cell: str) -> bool:
        """Return whether a cell holds such a number; one without a number does not."""
        number = number_of(cell)
        if number is None:
            return False
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


class AcsTask(NamedTuple):
    """One task."""

    features: tuple[str, ...]
    """Columns told, in the order they were published in."""
    keep: tuple[Bounds, ...]
    """Whom it is about: all of these hold."""
    target: str
    """Column that is asked for."""
    yes: Bounds | None
    """When the answer is yes; None where the answer is a number."""
    question: str
    """What is asked."""


_ADULTS = (Bounds("AGEP", 17), Bounds("PINCP", 101), Bounds("WKHP", 1), Bounds("PWGTP", 1))
_AT_WORK = (Bounds("AGEP", 17), Bounds("PWGTP", 1), Bounds("ESR", 1, 1))
_INCOME = ("AGEP", "COW", "SCHL", "MAR", "OCCP", "POBP", "RELP", "WKHP", "SEX", "RAC1P")
_TRAVEL = ("AGEP", "SCHL", "MAR", "SEX", "DIS", "ESP", "MIG", "RELP", "RAC1P", "PUMA", "ST", "CIT", "OCCP", "JWTR",
           "POWPUMA", "POVPIP")  # fmt: skip
_EMPLOYMENT = ("AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE",
               "DREM", "SEX", "RAC1P")  # fmt: skip
_MOBILITY = ("AGEP", "SCHL", "MAR", "SEX", "DIS", "ESP", "CIT", "MIL", "ANC", "NATIVITY", "RELP", "DEAR", "DEYE",
             "DREM", "RAC1P", "GCL", "COW", "ESR", "WKHP", "JWMNP", "PINCP")  # fmt: skip
_COVERAGE = ("AGEP", "SCHL", "MAR", "SEX", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE",
             "DREM", "PINCP", "ESR", "ST", "FER", "RAC1P")  # fmt: skip


def _but(features: tuple[str, ...], column: str) -> tuple[str, ...]:
    return tuple(each for each in features if each != column)


TASKS: Mapping[str, AcsTask] = MappingProxyType(
    {
        "ACSIncome": AcsTask(
            _INCOME,
            _ADULTS,
            "PINCP",
            Bounds("PINCP", 50_001),
            "Was this person's income in the past 12 months more than 50,000 dollars?",
        ),
        "ACSEmployment": AcsTask(
            _EMPLOYMENT,
            (Bounds("AGEP", 17, 89), Bounds("PWGTP", 1)),
            "ESR",
            Bounds("ESR", 1, 1),
            "Is this person a civilian who is employed and at work?",
        ),
        "ACSMobility": AcsTask(
            _MOBILITY,
            (Bounds("AGEP", 19, 34),),
            "MIG",
            Bounds("MIG", 1, 1),
            "Did this person live at the same address a year ago?",
        ),
        "ACSPublicCoverage": AcsTask(
            _COVERAGE,
            (Bounds("AGEP", None, 64), Bounds("PINCP", None, 30_000)),
            "PUBCOV",
            Bounds("PUBCOV", 1, 1),
            "Is this person covered by public health insurance?",
        ),
        "ACSTravelTime": AcsTask(
            _TRAVEL, _AT_WORK, "JWMNP", Bounds("JWMNP", 21), "Does this person travel more than 20 minutes to work?"
        ),
        "age": AcsTask(_but(_INCOME, "AGEP"), _ADULTS, "AGEP", None, "How old is this person, in years?"),
        "income": AcsTask(
            _INCOME, _ADULTS, "PINCP", None, "What was this person's income in the past 12 months, in dollars?"
        ),
        "hours": AcsTask(
            _but(_INCOME, "WKHP"), _ADULTS, "WKHP", None, "How many hours a week does this person usually work?"
        ),
        "commute": AcsTask(
            _TRAVEL, (*_AT_WORK, Bounds("JWMNP", 1)), "JWMNP", None, "How many minutes does this person travel to work?"
        ),
    }
)
"""Tasks by name."""
