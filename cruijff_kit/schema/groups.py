"""Group nouns: figures by group of samples, what differs, and what cannot be told."""

from typing import Literal

from pydantic import Field

from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.interval import Interval
from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["GroupDifference", "GroupMetric", "GroupResult", "GroupRules", "GroupsReceipt", "Heterogeneity", "Spread"]


class GroupRules(Noun):
    """How groups are compared; part of every result, so that it can be made again."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Two-sided significance level; intervals have level 1 - alpha."""
    min_n: int = Field(default=30, ge=2)
    """Samples below which a figure of a group is not estimable."""
    resamples: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap resamples."""
    correction: Literal["holm", "bh"] = "holm"
    """Which adjusted p-value makes a group an outlier: family-wise error, or false discovery rate."""
    seed: int = Field(default=0, ge=0)
    """Seed of the bootstrap."""


class GroupDifference(Noun):
    """One group against all other samples, in one metric."""

    figure: Interval
    """The group's figure minus that of the rest; n counts the group's samples."""
    effect: float
    """Effect size: Cohen's h for a proportion, the difference of probit-scaled d' for AUC, else the difference."""
    p_value: float
    """Two-sided p-value."""
    p_holm: float
    """Holm-adjusted over all groups and all metrics tested."""
    p_bh: float
    """Adjusted by Benjamini and Hochberg over the same tests."""
    outlier: Literal["", "lower", "higher"]
    """Which way the group stands out, by the correction chosen; empty where it does not."""


class GroupMetric(Noun):
    """One figure of one group, or of all samples."""

    metric: str
    """Which: `accuracy`, `auc`, `ece`…"""
    figure: Interval
    """The figure; n counts the samples in its denominator."""
    difference: GroupDifference | None = None
    """Against the rest; None where it was not tested."""
    reason: str = ""
    """Why there is no figure."""


class GroupResult(Noun):
    """One group of samples."""

    level: str
    """Value of the group column."""
    n: int
    """Samples, errored and unparsed ones included."""
    metrics: tuple[GroupMetric, ...]
    """Every metric, the ones that cannot be estimated with their reason."""


class Spread(Noun):
    """How far the groups lie apart in one metric."""

    metric: str
    """Which."""
    groups: int
    """Groups with a figure."""
    gap: Interval
    """Largest minus smallest figure, with a reflected bootstrap interval; chance alone makes it positive."""
    sd: float | None
    """Population standard deviation over the groups with a figure."""
    p_value: float | None
    """Test that all groups are alike (chi-squared); None where it was not made."""


class Heterogeneity(Noun):
    """How a model's figures differ between groups of samples."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    source: str
    """What was compared: run and task, or a file."""
    column: str
    """Group column."""
    tier: Tier
    """How freely its data may be shown."""
    n: int
    """Samples in all."""
    rules: GroupRules
    """How they were compared."""
    overall: tuple[GroupMetric, ...]
    """Figures over all samples."""
    groups: tuple[GroupResult, ...]
    """Figures by group."""
    spreads: tuple[Spread, ...]
    """Distances between groups."""
    tests: int
    """Tests that p-values were adjusted over."""
    found: bool
    """Whether any group is an outlier in any metric."""
    notes: tuple[str, ...] = ()
    """What a reader must know before using the figures."""


class GroupsReceipt(Noun):
    """What was compared and where it was written."""

    found: bool
    """Whether any group is an outlier in any metric."""
    table: str
    """The figures as text."""
    files: dict[str, Sha256]
    """Every file written and its hash."""
