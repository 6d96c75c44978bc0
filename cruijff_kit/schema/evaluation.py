"""What is measured on every run: tasks, matrix and generation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cruijff_kit.schema.noun import Name, Noun
from cruijff_kit.schema.scoring_rules import Costs, ScorerName, ScoringRules

__all__ = ["EvalTask", "Evaluation", "Generation", "MatrixRow"]


class EvalTask(Noun):
    """One evaluation: a task over one split of a data set."""

    name: Name
    """Name of the evaluation, part of its directory."""
    task: str
    """Task of this package, `file.py@task`, or `package/task` of another package."""
    split: str = "test"
    """Split that is evaluated; never the training split."""
    dataset: str | None = None
    """Another data file than the run's own."""
    scorers: tuple[ScorerName, ...] = ("match",)
    """Scorers, the first one primary; an empty list keeps those that a task of yours brings."""
    options: tuple[str, ...] = ()
    """Answers of a closed set, each scored by its probability; the last of two is the event."""
    ignore_case: bool = False
    """Whether capital and small letters are the same to the scorers."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Probability from which `numeric_risk` takes the event to be foretold."""
    costs: Costs = {}
    """What wrong choices cost, true option first: `{yes: {no: 5}, no: {yes: 1}}`; 1 each where absent."""
    abstain_cost: float = Field(default=0.0, ge=0)
    """What declining to answer costs, beside `costs`."""
    samples: int | None = Field(default=None, ge=1)
    """Rows to evaluate: a seeded shuffled subset; all where absent."""

    @property
    def rules(self) -> ScoringRules:
        """Return what the scorers are told."""
        return ScoringRules(
            options=self.options,
            ignore_case=self.ignore_case,
            threshold=self.threshold,
            costs=self.costs,
            abstain_cost=self.abstain_cost,
        )


class Generation(Noun):
    """How answers are generated: greedy, unless sampling is asked for."""

    do_sample: bool = False
    """Whether answers are sampled at `temperature`; greedy ones have the log-probabilities of what the model says."""
    temperature: float | None = Field(default=None, ge=0, le=10)
    """Temperature of sampling, above 0; only with `do_sample: true`."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Probability mass that is sampled from; only with `do_sample: true`."""
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    """Seed of sampling; one of the provider's own where absent."""
    max_tokens: int = Field(default=20, ge=1)
    """Longest answer in tokens."""
    batch_size: int = Field(default=64, ge=1)
    """Prompts per forward pass."""
    max_connections: int | None = Field(default=None, ge=1)
    """Samples in flight at once; four batches of a local model, ten of one behind an API, where absent."""
    top_logprobs: int = Field(default=5, ge=0, le=20)
    """Candidate tokens recorded per generated position."""
    dropout_passes: int = Field(default=0, ge=0, le=1000)
    """Passes with LoRA's dropout on that the options' probabilities are the mean of; 0 for one without it.

    Answers are those without dropout. Base models have none and are asked once.
    """

    @model_validator(mode="after")
    def _passes_that_differ(self) -> "Generation":
        if self.dropout_passes == 1:
            raise ValueError("`dropout_passes` is `1`; two at least can differ, and 0 asks for none")
        return self

    @model_validator(mode="after")
    def _sampled_as_said(self) -> "Generation":
        if self.do_sample and not self.temperature:
            raise ValueError("`do_sample: true` needs a `temperature` above 0")
        if not self.do_sample and self.temperature:
            raise ValueError(f"`temperature` is `{self.temperature:g}`, and nothing is sampled; set `do_sample: true`")
        if not self.do_sample and self.top_p is not None:
            raise ValueError(f"`top_p` is `{self.top_p:g}`, and nothing is sampled; set `do_sample: true`")
        return self


class MatrixRow(Noun):
    """Which tasks and epochs a run is evaluated on."""

    run: Name
    """Run name or slug the row applies to."""
    tasks: tuple[Name, ...]
    """Evaluation tasks."""
    epochs: tuple[int, ...] | None = None
    """Epochs from 0; None for base models."""


class Evaluation(Noun):
    """What is measured on every run."""

    tasks: tuple[EvalTask, ...] = ()
    """Evaluation tasks."""
    epochs: Literal["last", "all"] | tuple[Annotated[int, Field(ge=0)], ...] = "last"
    """Epochs to evaluate; must be among those saved."""
    generation: Generation = Generation()
    """Generation settings."""
    matrix: tuple[MatrixRow, ...] = ()
    """Exceptions to `every run on every task at `epochs``."""
