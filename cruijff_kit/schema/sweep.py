"""Sweep nouns: what was tried in a search, what came of it, and whether anything was won."""

from typing import Literal

from cruijff_kit.schema.design_kinds import Level
from cruijff_kit.schema.noun import Name, Noun, RunId, Sha256

__all__ = [
    "Approval",
    "RunValue",
    "SweepPreview",
    "SweepRecord",
    "SweepRow",
    "SweepView",
    "Told",
    "Tried",
    "Win",
]


class Tried(Noun):
    """One earlier point, as a sampler is told of it."""

    parameters: dict[str, Level]
    """Where it lies."""
    value: float | None = None
    """What came of it; None where nothing did, or does not yet."""
    open: bool = False
    """Whether it was proposed in the same round, so that nothing is known of it."""


class Approval(Noun):
    """What somebody agreed to when a search was begun: rounds are submitted within it unasked."""

    scope: Sha256
    """Hash of the design without its runs; a search that was changed must be agreed to anew."""
    trainings: int
    """Trainings in all at most, further attempts aside."""
    gpu_hours: float
    """GPU-hours in all at most: time limits x GPUs."""
    who: str
    """Who agreed."""


class RunValue(Noun):
    """What one run says of the metric, traced to its file."""

    run: RunId
    """The run."""
    value: float | None
    """The metric at the last epoch."""
    reason: str = ""
    """Why there is none."""
    source: str = ""
    """File it was read from, relative to the experiment."""
    source_sha256: Sha256 | None = None
    """Hash of that file."""


class Told(Noun):
    """One trial, or the default, once all of its runs had ended; never changed afterwards."""

    name: Name
    """Its name in the design: `default`, `trial-001`, or either with `-fresh`."""
    values: tuple[RunValue, ...]
    """One a seed."""

    @property
    def mean(self) -> float | None:
        """Return the mean over seeds; None where one of them has no value."""
        known = [each.value for each in self.values if each.value is not None]
        return sum(known) / len(known) if known and len(known) == len(self.values) else None

    @property
    def reason(self) -> str:
        """Return why there is no mean; empty where there is one."""
        return next((each.reason for each in self.values if each.value is None), "")


class SweepRecord(Noun):
    """`search.json`: what a search was told, in the order in which it was; parameters stand in the design."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    approval: Approval | None = None
    """What was agreed to."""
    told: tuple[Told, ...] = ()
    """What came of trials; proposals follow from nothing else."""
    exhausted: bool = False
    """Whether nothing more is proposed: the trials are used up, or the space is."""

    def told_of(self, name: str) -> Told | None:
        """Return what came of a trial; None where it is open."""
        return next((each for each in self.told if each.name == name), None)


class Win(Noun):
    """Whether the best trial beats the default on seeds that had no part in choosing it."""

    trial: Name
    """The trial that was best on the search's own seeds."""
    default: tuple[float, ...]
    """The default's values on the fresh seeds."""
    values: tuple[float, ...]
    """The trial's, seed by seed."""
    improvement: float
    """Mean difference, positive where the trial is better."""
    noise: float
    """Noise floor: standard error that chance alone gives a difference of two such means."""
    p_value: float
    """One-sided p-value of the exact sign-flip test of the paired differences."""
    alpha: float
    """Level at which it is tested: the share of searches without any effect that may claim a win."""
    won: bool
    """Whether the test rejects and the improvement is at least twice the noise floor."""


class SweepPreview(Noun):
    """What a search would ask of the scheduler in all; the confirmation question is made of it."""

    experiment: str
    """Name of the experiment."""
    scheduler: str
    """Scheduler that would take the jobs."""
    partition: str | None
    """Partition, where there is one."""
    trials: int
    """Trials at most."""
    trainings: int
    """Trainings at most: trials and default on every seed, and the best against the default on fresh ones."""
    gpu_hours: float
    """GPU-hours at most: time limits x GPUs."""
    max_gpu_hours: float
    """The site's cap on GPU-hours, which the whole search keeps."""
    cost: str = ""
    """What these GPU-hours cost; empty where the site tells no price."""
    scope: Sha256
    """Hash of the design without its runs."""
    approved: bool
    """Whether just this was agreed to before."""

    @property
    def question(self) -> str:
        """Return the question put to the user; it depends on the design alone."""
        where = f"{self.scheduler}, partition {self.partition}" if self.partition else self.scheduler
        cost = f", {self.cost}" if self.cost else ""
        return (
            f"Search {self.experiment} by up to {self.trials} trials, {self.trainings} trainings in all with their "
            f"evaluations, each round submitted to {where} without asking again (at most {self.gpu_hours:g} GPU-hours"
            f"{cost}; cap: {self.max_gpu_hours:g} GPU-hours; search {self.scope[:12]})?"
        )


class SweepRow(Noun):
    """One line of the table of trials."""

    name: Name
    """Its name."""
    parameters: dict[str, Level]
    """What differs from the controls; nothing for the default."""
    seeds: int
    """Runs it has."""
    value: float | None = None
    """Mean over its seeds."""
    note: str = ""
    """Why there is no value, or that it is the best so far."""

    def level_words(self, parameter: str) -> str | None:
        """Return a parameter as people read it; None where it is the default's."""
        if parameter not in self.parameters:
            return None
        level = self.parameters[parameter]
        return f"{level:.4g}" if isinstance(level, float) else "none" if level is None else str(level)


class SweepView(Noun):
    """A search as it stands: trials, the best so far, and what may be claimed."""

    experiment: str
    """Name of the experiment."""
    metric: str
    """What is searched for."""
    minimise: bool
    """Whether less is better."""
    trials: int
    """Trials planned."""
    rows: tuple[SweepRow, ...]
    """The default, trials in order, and what ran on fresh seeds."""
    incumbents: tuple[float | None, ...] = ()
    """Best value up to each trial, the default first; None while there was none."""
    spread: float | None = None
    """Standard deviation of the default between the search's own seeds; None where it has one seed."""
    win: Win | None = None
    """What the fresh seeds said; None before that."""
    words: tuple[str, ...] = ()
    """What all this says, in sentences."""
    curve: tuple[str, ...] = ()
    """The best value so far over the trials, as lines of plain text."""
    finished: bool = False
    """Whether nothing is left to propose or to wait for."""
    waiting: tuple[Name, ...] = ()
    """Trials whose runs have not all ended."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of what any trial varies, in the order in which they first occur."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.parameters))
