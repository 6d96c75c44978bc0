"""Arguments of the two generators that tell persons of the survey: from a file, or from a population made up."""

from typing import Any, Literal

from pydantic import Field, field_validator

from cruijff_kit.data.acs.tasks import TASKS, TaskName
from cruijff_kit.errors import Problem
from cruijff_kit.schema.noun import Noun

__all__ = ["SPLITS", "Acs", "AcsPersons", "AcsStandIn", "argument_problems", "sizes_of"]

SPLITS = ("train", "validation", "calibration", "test")
"""Splits, and arguments that say how large each is."""


class AcsPersons(Noun):
    """What both generators have in common."""

    task: TaskName
    """What is asked: `ACSIncome`, `ACSEmployment`, `ACSMobility`, `ACSPublicCoverage`, `ACSTravelTime` or a number."""
    form: Literal["verbose", "condensed", "terse"] = "verbose"
    """A line a variable, all in one line, or all in one line in short words."""
    order: Literal["published", "once", "each"] = "published"
    """Variables in the order of the task, in one other that the seed fixes, or in another for each person."""
    balanced: bool = False
    """Whether half of each split is answered yes; else as many as there are."""
    answers: tuple[str, str] = ("0", "1")
    """How no and yes are written; a model may know other words better."""
    groups: tuple[str, ...] = ("SEX", "RAC1P")
    """Variables kept as columns too, in words, so that results can be told apart by them."""
    train: int = Field(default=5000, ge=1)
    """Persons to train on."""
    validation: int = Field(default=500, ge=0)
    """Persons to choose by."""
    calibration: int = Field(default=0, ge=0)
    """Persons kept for calibrating."""
    test: int = Field(default=500, ge=0)
    """Persons kept for judging."""
    seed: int = Field(default=42, ge=0)
    """Fixes who is drawn, and orders; the same persons whatever form and order."""

    @field_validator("groups", "answers", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Take names with commas between them too: levels of a factor are no lists."""
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


class Acs(AcsPersons):
    """Arguments of the generator that reads a person file of the survey."""

    source: str
    """Person file of the Public Use Microdata Sample as published: `.csv`, or the `.zip` of it."""
    dictionary: str | None = None
    """Data dictionary of its year as published in CSV, for the words of occupations and places of birth."""


class AcsStandIn(AcsPersons):
    """Arguments of the generator whose persons are made up."""

    people: int = Field(default=40_000, ge=1)
    """Persons of the population that splits are drawn from."""
    population_seed: int = Field(default=0, ge=0)
    """Fixes the population."""


def sizes_of(arguments: AcsPersons) -> dict[str, int]:
    """Return the size of each split that has rows."""
    sizes = {split: getattr(arguments, split) for split in SPLITS}
    return {split: size for split, size in sizes.items() if size}


def argument_problems(arguments: AcsPersons) -> list[Problem]:
    """Return what is wrong with arguments taken together; paths are argument names."""
    problems, task = [], TASKS[arguments.task]
    no, yes = (each.strip() for each in arguments.answers)
    if arguments.balanced and task.yes is None:
        fact = f"task `{arguments.task}` answers with a number, and has no halves to balance"
        problems.append(Problem(fact, "balanced", hint="remove `balanced`"))
    if not no or not yes or no.casefold() == yes.casefold():
        hint = "write two words, such as `no,yes`"
        problems.append(Problem("no and yes are not two words that can be told apart", "answers", hint=hint))
    if task.target in arguments.groups:
        fact = f"`{task.target}` is the answer of `{arguments.task}`"
        problems.append(Problem(fact, "groups", hint="remove it"))
    return problems
