"""Reproduction nouns: a run's files made again from its sealed design, and what differs here from where it ran."""

from typing import Literal

from cruijff_kit.schema.noun import Noun, RunId, Sha256

__all__ = ["ComparedFigure", "Difference", "FoundInput", "RebuiltFile", "Reproduction"]


class RebuiltFile(Noun):
    """One scaffolded file of a run, made again."""

    path: str
    """Path relative to the experiment."""
    sealed: Sha256 | None
    """Hash of the text that the seal says was rendered; None where it knows of no such file."""
    rebuilt: Sha256 | None
    """Hash of what was made now; None where it could not be made."""
    found: Literal["as sealed", "adopted", "changed", "missing"]
    """What lies in the original: its file as sealed, an edit that was adopted, another text, or nothing."""
    detail: str = ""
    """How what was made now differs, of files that hold no rows; or why nothing was made."""

    @property
    def identical(self) -> bool:
        """Return whether the same bytes were made again."""
        return self.rebuilt is not None and self.rebuilt == self.sealed


class FoundInput(Noun):
    """A model, data set or file of code that the run was made with, looked for here."""

    kind: Literal["model", "data", "code"]
    """What it is."""
    name: str
    """Its name, or its path as sealed."""
    sealed: Sha256
    """Its hash when the design was sealed."""
    found: Sha256 | None
    """Its hash here; None where it is not there or cannot be read."""
    reason: str = ""
    """Why it has no hash here."""

    @property
    def same(self) -> bool:
        """Return whether it is what it was."""
        return self.found == self.sealed


class Difference(Noun):
    """One thing that is not here as it was there."""

    what: str
    """What it is: a package, the commit, the device…"""
    then: str
    """As it was when the run was made; empty where it was not there."""
    here: str
    """As it is here; empty where it is not."""


class ComparedFigure(Noun):
    """One figure of the original beside the one that was measured again."""

    figure: str
    """`<task>/<epoch>/<metric>`."""
    then: float | None
    """Value in the original; None with a reason where there is none."""
    again: float | None
    """Value measured again; None with a reason."""
    within: bool
    """Whether they agree as closely as was asked."""
    reason: str = ""
    """Why a value is missing."""


class Reproduction(Noun):
    """What became of making one run again."""

    run_id: RunId
    """The run."""
    original: str
    """Directory of the original; it is only read."""
    into: str | None
    """Directory that the design was scaffolded in anew; None where nothing was written."""
    planned: str
    """Empty where the design gives the very run that was sealed; else why the sealed plan stands in for it."""
    places: tuple[Difference, ...]
    """Directories and programs that files name: where they were, and where they are here. Files are compared with
    the first in place of the second."""
    files: tuple[RebuiltFile, ...]
    """Every file that jobs of the run read."""
    inputs: tuple[FoundInput, ...]
    """Models, data and code."""
    environment: tuple[Difference, ...]
    """What differs between where the run ran, by its manifests, and here."""
    notes: tuple[str, ...] = ()
    """What a reader should know: no manifest, results that are not there."""
    tolerance: float | None = None
    """How far figures may differ, absolutely; None where nothing was run."""
    rule: str = ""
    """Why that far, in words."""
    figures: tuple[ComparedFigure, ...] = ()
    """Figures of the original beside those measured again; none where nothing was run."""

    @property
    def faults(self) -> tuple[str, ...]:
        """Return what was not reproduced, in words; differences of the environment alone are no fault."""
        files = tuple(f"`{each.path}` is not the same" for each in self.files if not each.identical)
        inputs = tuple(f"{each.kind} `{each.name}` is not what it was" for each in self.inputs if not each.same)
        figures = tuple(f"`{each.figure}` differs" for each in self.figures if not each.within)
        return (*files, *inputs, *figures)
