"""Model audit nouns: what is asked of a model, what was found, and each verdict with its grounds."""

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.scoring_rules import Costs

__all__ = [
    "COMPONENTS",
    "AuditCheck",
    "AuditComponent",
    "AuditFile",
    "AuditReceipt",
    "AuditRequest",
    "AuditRules",
    "ComponentName",
    "GroupFigure",
    "ModelAudit",
    "Verdict",
]

ComponentName = Literal[
    "calibration", "coverage", "cost", "groups", "counterfactual", "procedures", "consistency", "provenance"
]
"""Parts of an audit."""

COMPONENTS: tuple[ComponentName, ...] = get_args(ComponentName)
"""All of them, in the order of the report."""

Verdict = Literal["pass", "fail", "not_assessed"]
"""`pass` where the interval supports the limit, `fail` where it contradicts it, else `not_assessed`."""

_Word = Annotated[str, StringConstraints(min_length=1)]
_Share = Annotated[float, Field(ge=0, le=1)]


class AuditRules(Noun):
    """What an audit asks of a model: fixed in the design under `analysis.audit`, before any result is seen."""

    components: tuple[ComponentName, ...] = Field(default=COMPONENTS, min_length=1)
    """Parts that the verdict rests on; the others are left out, and named as such."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level that all intervals of a part have together."""
    ece: _Share = 0.05
    """Largest debiased calibration error."""
    mce: _Share = 0.2
    """Largest gap of a bin, of ten equally filled ones."""
    coverage_margin: _Share = 0.05
    """How far below 1 - alpha the coverage of conformal sets may lie, overall and in each group."""
    cost: float | None = Field(default=None, ge=0)
    """Largest mean cost of a sample; without one the calibrator's, where it controls a risk."""
    costs: Costs = {}
    """What wrong choices cost, true option first: `{yes: {no: 5}, no: {yes: 1}}`; the evaluation's where empty."""
    abstain_cost: float | None = Field(default=None, ge=0)
    """What declining to answer costs; the evaluation's where absent."""
    gap: _Share = 0.1
    """Largest distance between two groups in any of their figures."""
    groups: tuple[_Word, ...] = ()
    """Group columns; those of `analysis.groups` where empty."""
    favourable: tuple[_Word, ...] = ()
    """Options whose choice is compared between groups; the last of two, each of more, where empty."""
    flips: _Share = 0.05
    """Largest share of answers that change when a term of a person is swapped."""
    shift: _Share = 0.05
    """Largest mean change of the chosen option's probability by such a swap."""
    terms: tuple[_Word, ...] = ()
    """Lists of terms that `--ask` swaps: bundled ones by name, or files of pairs."""
    procedures: _Word | None = None
    """Rules that answers keep: a bundled example by name, or a file."""
    compliance: _Share = 0.95
    """Smallest share of answers that keep a rule."""
    agreement: _Share = 0.8
    """Smallest agreement of several sampled answers to one question."""
    min_n: int = Field(default=30, ge=30)
    """Samples below which nothing is said of a group."""
    resamples: int = Field(default=2000, ge=200, le=100_000)
    """Bootstrap resamples."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap, and of answers that `--ask` samples."""


class AuditCheck(Noun):
    """One figure against its limit."""

    name: str
    """What is checked, such as `ece_debiased` or `accuracy gap by site`."""
    verdict: Verdict
    """What the interval says of the limit."""
    rule: Literal["at most", "at least", "holds"]
    """How the figure is to stand to the limit; `holds` for what is true or not."""
    threshold: float | None = None
    """The limit; None where there is none."""
    figure: Interval | None = None
    """The figure with its interval and n; None where there is none."""
    needed: int | None = None
    """About how many samples would decide it if the figure stayed as it is; None where that is not the trouble."""
    reason: str
    """Why this verdict, in words."""


class AuditComponent(Noun):
    """One part of an audit: it fails if a check fails, and passes only if all do."""

    name: ComponentName
    """Which."""
    verdict: Verdict
    """Over its checks."""
    checks: tuple[AuditCheck, ...] = ()
    """What was checked."""
    reason: str = ""
    """Why nothing was checked, or what to know of all checks."""


class GroupFigure(Noun):
    """One figure of one group of samples."""

    column: str
    """Group column."""
    level: str
    """Value of it."""
    metric: str
    """Which figure."""
    figure: Interval
    """The figure; n counts the samples in its denominator."""
    reason: str = ""
    """Why there is no figure."""


class ModelAudit(Noun):
    """What an audit of one model on one evaluation found."""

    run: RunId
    """The run."""
    task: str
    """Evaluation audited."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    split: str
    """Split of its samples."""
    tier: Tier
    """How freely its data may be shown."""
    n: int
    """Samples, errored ones included."""
    verdict: Verdict
    """`fail` if a part fails, `pass` if all asked for pass, else `not_assessed`; nothing is averaged."""
    failed: tuple[ComponentName, ...]
    """Parts that fail."""
    not_assessed: tuple[ComponentName, ...]
    """Parts asked for of which too little is known."""
    left_out: tuple[ComponentName, ...]
    """Parts that nobody asked for."""
    components: tuple[AuditComponent, ...]
    """Every part asked for."""
    figures: tuple[GroupFigure, ...] = ()
    """Figures by group of samples."""
    rules: AuditRules
    """What was asked."""
    sources: dict[str, str]
    """Where each value of the rules comes from."""
    temperature: float
    """What log-probabilities were divided by: the calibrator's temperature, else 1."""
    checkpoint_sha256: Sha256 | None
    """Hash of the adapter, or of the base model for a control; None where numbers alone were given."""
    inputs: dict[str, Sha256]
    """Files that figures were computed from."""
    notes: tuple[str, ...] = ()
    """What a reader must know before relying on it."""
    version: str
    """Version of this package."""

    @property
    def subject(self) -> str:
        """Return what of the run was audited: evaluation, checkpoint and samples, as far as they have names."""
        epoch = "base" if self.epoch is None else f"epoch {self.epoch}"
        return f"{self.task or 'arrays'}, {epoch}, {self.n:,} samples of split {self.split or '-'}"


class AuditRequest(Noun):
    """Which answers are audited, and what differs from the design."""

    task: str = ""
    """Evaluation; may be empty where one alone has the split."""
    split: str = "test"
    """Split of its samples."""
    epoch: int | None = Field(default=None, ge=0)
    """Epoch from 0; None for the calibrator's, or the last one evaluated."""
    file: str | None = None
    """YAML file of rules, which goes before the design."""
    values: dict[str, str] = {}
    """Single rules as YAML text, such as `gap: 0.05`, which go before the file."""
    ask: bool = False
    """Whether the model is loaded and asked what no evaluation has asked: swapped terms, and each question again."""
    most: int = Field(default=200, ge=30, le=10_000)
    """Questions put to it, the first ones of the split."""
    draws: int = Field(default=5, ge=2, le=50)
    """Answers sampled to each."""
    temperature: float = Field(default=0.7, gt=0, le=10)
    """Temperature of sampling."""


class AuditReceipt(Noun):
    """An audit, and where it was written."""

    audit: ModelAudit
    """What was found."""
    path: str
    """`audit.json`, relative to the experiment."""
    sha256: Sha256
    """Hash of that file."""
    text: str
    """The audit as text for a terminal."""


class AuditFile(Noun):
    """`audit.json`: the last audit of each model and evaluation."""

    schema_version: Literal[1] = 1
    """Version of this form; newer ones are refused with the remedy."""
    audits: tuple[ModelAudit, ...] = ()
    """One for each run, evaluation and epoch, in the order of their names."""
