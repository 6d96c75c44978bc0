"""Report nouns: estimates with intervals, effects, comparisons, and where each came from."""

from functools import cached_property
from typing import Literal

from cruijff_kit.schema.audit import Anchor, AuditVerdict
from cruijff_kit.schema.ceiling import KnownBest
from cruijff_kit.schema.claims import ClaimVerdict
from cruijff_kit.schema.compute import ComputeReport
from cruijff_kit.schema.diagnosis import Diagnosis, Guarantee
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.model_audit import ModelAudit
from cruijff_kit.schema.noun import Noun, Sha256, Timestamp
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.result import RunResult
from cruijff_kit.schema.run import StepStatus
from cruijff_kit.schema.sanity import SanityVerdict
from cruijff_kit.schema.spec import ExperimentSpec, Level
from cruijff_kit.schema.sweep import SweepView

__all__ = [
    "AuditState",
    "CellCheck",
    "CellFigure",
    "Comparison",
    "Deviation",
    "Dossier",
    "Effect",
    "Finding",
    "Findings",
    "GroupFigure",
    "Incomplete",
    "Interval",
    "LossFigure",
    "MadeWith",
    "Reference",
    "ResultsPage",
    "TiedSet",
    "Trace",
]


class Finding(Noun):
    """Accuracy of one run on one task at one epoch."""

    run: str
    """The run."""
    task: str
    """The task."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    metric: str
    """The scorer."""
    figure: Interval
    """The figure."""
    errored: int = 0
    """Samples that ended in an error; they count as wrong."""
    unparsed: int = 0
    """Samples whose answer could not be parsed; they count as wrong."""
    at_best: float | None = None
    """The figure had every errored and unparsed sample been right; the figure itself is the worst case."""
    source: str = ""
    """Log the figure comes from."""
    best: KnownBest | None = None
    """The best possible figure, where the generator of its rows tells it."""
    reason: str = ""
    """Why it is missing."""


class GroupFigure(Noun):
    """A figure for one group of samples of one run."""

    run: str
    """The run."""
    task: str
    """The task."""
    group: str
    """Group column."""
    level: str
    """Value of the column."""
    figure: Interval
    """The figure."""


class Effect(Noun):
    """Effect of a factor, or an interaction, on the primary metric over seeds."""

    factor: str
    """Factor name, or names joined by ` x ` for an interaction."""
    contrast: str
    """What is compared, such as `16 - 4`."""
    figure: Interval
    """Difference in the primary metric; n counts runs."""
    p_value: float | None
    """Two-sided p-value of the t-test; None where the error cannot be estimated."""
    p_adjusted: float | None = None
    """Holm-adjusted over all effects shown."""
    reason: str = ""
    """Why it is missing."""


class CellFigure(Noun):
    """The outcome of one combination of factor levels, over its seeds."""

    factors: dict[str, Level]
    """Factor levels."""
    runs: tuple[str, ...]
    """Runs averaged."""
    figure: Interval
    """Mean over the runs; its error is pooled over all combinations."""
    reason: str = ""
    """Why the mean or its interval is missing."""


class Comparison(Noun):
    """A fine-tuned run against its base model on the same samples; any run against the first where none is trained."""

    run: str
    """The run that was trained, or a later one."""
    base: str
    """The control run, or the first one."""
    task: str
    """The task."""
    difference: Interval
    """Paired difference in accuracy; n counts shared samples."""
    gained: int
    """Samples right after and wrong before."""
    lost: int
    """Samples wrong after and right before."""
    bootstrap: Interval
    """The same difference with a paired bootstrap's interval, clusters drawn whole."""
    test: str
    """Which test: `exact McNemar test`, or `t-test over clusters`."""
    p_value: float
    """Two-sided p-value."""
    mid_p: float | None = None
    """McNemar's mid-p-value, less cautious than the exact one; None for a test over clusters."""
    p_adjusted: float
    """Holm-adjusted over all comparisons shown."""


class TiedSet(Noun):
    """Runs of which none is told apart from the best of them."""

    place: int
    """Place of the first, from 1."""
    runs: tuple[str, ...]
    """From best to worst."""
    best: float
    """Highest accuracy among them."""
    worst: float
    """Lowest accuracy among them."""
    n: int
    """Samples that all ranked runs answered."""


class LossFigure(Noun):
    """How training went for one run."""

    run: str
    """The run."""
    factors: dict[str, Level]
    """Factor levels."""
    seed: int
    """Replicate seed."""
    first: float | None
    """Loss of the first step logged."""
    final: float | None
    """Mean loss of the last tenth of the steps."""
    validation: float | None
    """Last validation loss."""
    steps: int
    """Optimiser steps done."""
    seconds: float | None
    """Training time in seconds."""
    tokens_per_second: float | None
    """Median processed tokens per second."""
    source: str
    """File the figures come from."""


class CellCheck(Noun):
    """One look across all cells, for what no single figure tells."""

    kind: Literal["ceiling", "saturation", "floor", "monotonicity", "equal cells", "seeds"]
    """What was looked for."""
    flagged: bool
    """Whether it was found."""
    words: str
    """What was found, or what was looked at, in a sentence."""
    runs: tuple[str, ...] = ()
    """Runs it is about."""
    figures: dict[str, float] = {}
    """Numbers of its words that are no figures of runs, by name: what guessing gives, means along a factor."""


class Deviation(Noun):
    """Something that is not as it was when the first job was handed over."""

    kind: Literal["design", "analysis", "claim", "edit", "extra run", "dropped run"]
    """What is different."""
    words: str
    """How, in a sentence."""
    runs: tuple[str, ...] = ()
    """Runs whose figures are exploratory for it."""
    whole: bool = False
    """Whether every figure over several runs is."""
    reason: str = ""
    """Why, in the words of whoever decided, from the record."""


class Incomplete(Noun):
    """Something planned that has no result, and why."""

    run: str
    """The run."""
    what: str
    """Training, or the evaluation cell."""
    reason: str
    """Why, in words."""


class Findings(Noun):
    """Everything the report shows; each figure was computed from the result table."""

    experiment: str
    """Name of the experiment."""
    bottom_line: tuple[str, ...]
    """Plain sentences made from the figures below."""
    losses: tuple[LossFigure, ...]
    """Training results."""
    findings: tuple[Finding, ...]
    """Evaluation results."""
    effects: tuple[Effect, ...]
    """Effects of the factors."""
    comparisons: tuple[Comparison, ...]
    """Base against fine-tuned."""
    groups: tuple[GroupFigure, ...]
    """Breakdowns."""
    ranking: tuple[TiedSet, ...] = ()
    """Runs from best to worst on the outcome's task, in tied sets."""
    outcome: str = ""
    """What the effects are effects on, in words."""
    task: str = ""
    """Task of the outcome, `training` for a loss."""
    metric: str = ""
    """Metric of the outcome."""
    cells: tuple[CellFigure, ...] = ()
    """Mean outcome of each combination of factor levels."""
    lower_is_better: bool = False
    """Whether the outcome is a loss."""
    diagnoses: tuple[Diagnosis, ...] = ()
    """How far probabilities can be believed, by run and task at its last epoch."""
    guarantees: tuple[Guarantee, ...] = ()
    """What each calibrator promises, and what it does on the test split."""
    claims: tuple[ClaimVerdict, ...] = ()
    """What became of each claim."""
    checks: tuple[CellCheck, ...] = ()
    """Looks across all cells."""
    notes: tuple[str, ...] = ()
    """What a reader must know before using the figures."""
    incomplete: tuple[Incomplete, ...]
    """What is missing."""
    complete: int
    """Runs with every planned result."""
    planned: int
    """Runs planned."""
    verdict: Literal["complete", "partial", "empty"]
    """How much of the plan has results."""


class Reference(Noun):
    """A place in a file, by hash, that figures were computed from."""

    label: str
    """Short label shown beside a figure, such as `e3`."""
    path: str
    """File, relative to the experiment."""
    sha256: Sha256 | None
    """Hash of its bytes; None where the file is missing."""
    pointer: str
    """Which part of the file."""


class Trace(Noun):
    """One figure shown, and the reference that leads to its bytes."""

    figure: str
    """Which figure, such as `accuracy/<run>/<task>/<epoch>/match`."""
    value: float | None
    """The figure."""
    low: float | None = None
    """Lower limit."""
    high: float | None = None
    """Upper limit."""
    n: int | None = None
    """Samples or runs it rests on."""
    references: tuple[str, ...]
    """Labels of the files it was computed from."""


class ResultsPage(Noun):
    """Figures of the report on disk, each with the file that it was computed from."""

    figures: tuple[Trace, ...]
    """A page of figures, in the order of the report."""
    sources: dict[str, Reference]
    """Label to file, hash and pointer, for the labels on this page."""
    total: int
    """Figures that match."""
    report_sha256: Sha256
    """Hash of `report/trace.json`, from which they were read."""


class MadeWith(Noun):
    """A package version, device or commit that trainings had."""

    name: str
    """Name of the package, `device` or `commit`."""
    value: str
    """Version, kind of device or hash."""
    runs: int
    """Trainings that had it."""


class AuditState(Noun):
    """The audit log as it stood when the results were in, before any report."""

    verdict: AuditVerdict
    """What verifying the whole log found."""
    head: Anchor | None
    """Last line that no report wrote; None where there is none."""
    action: str = ""
    """What that line records."""
    ts: Timestamp | None = None
    """When that line was written."""


class Dossier(Noun):
    """Everything a report is made of; the same dossier gives the same bytes."""

    spec: ExperimentSpec
    """The design."""
    plan: Plan
    """The sealed plan."""
    plan_id: Sha256
    """Its id."""
    findings: Findings
    """The figures."""
    histories: tuple[RunResult, ...]
    """Training histories, for the curves."""
    statuses: tuple[StepStatus, ...]
    """Where every step of every run stands, from the files alone."""
    audit: AuditState
    """The record."""
    references: tuple[Reference, ...]
    """Files the figures come from."""
    traces: tuple[Trace, ...]
    """Each figure and its reference."""
    version: str
    """Version of this package."""
    cited: dict[str, tuple[str, ...]] = {}
    """Sentence to labels of the files that its numbers come from."""
    files: dict[str, Sha256 | None] = {}
    """Files of the runs that it rests on, and their hashes; None for one that is not there."""
    compute: ComputeReport | None = None
    """What the jobs took; None before all have ended."""
    audits: tuple[ModelAudit, ...] = ()
    """Audits of the models of these runs."""
    stale: tuple[str, ...] = ()
    """Runs whose audit was made of other predictions, or with another calibrator, than those that lie here now."""
    deviations: tuple[Deviation, ...] = ()
    """What is not as it was stated before the first job."""
    made_with: tuple[MadeWith, ...] = ()
    """Versions and devices of the trainings."""
    anchor: Anchor | None = None
    """Line of the record that told of the seal."""
    sweep: SweepView | None = None
    """The search, where the design is one."""
    sanity: SanityVerdict | None = None
    """The verdict on a sanity check; None of other experiments, and before it was judged."""
    misjudged: bool = False
    """Whether that was made of other figures than lie here now."""

    @cached_property
    def labels(self) -> dict[str, str]:
        """Return the label of each file that figures come from, by its path."""
        return {reference.path: reference.label for reference in self.references}

    @cached_property
    def labelled(self) -> dict[str, Reference]:
        """Return the references by their labels."""
        return {reference.label: reference for reference in self.references}
