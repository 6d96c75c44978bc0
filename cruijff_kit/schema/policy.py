"""Policy nouns: how jobs are handed over, and what follows when one ends badly."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from cruijff_kit.schema.noun import Noun, RunId, Sha256, TimeLimit, Timestamp

__all__ = [
    "Backoff",
    "Decision",
    "DesignPolicy",
    "DesignRule",
    "Ending",
    "Policy",
    "Queue",
    "Reaction",
    "Rule",
    "Wanted",
]


class Ending(StrEnum):
    """How a job can end badly, as far as the reaction to it differs."""

    LOST = "lost"
    """Its node failed, it was preempted, or its processes vanished."""
    TIMED_OUT = "timed_out"
    """It was stopped at its time limit."""
    OUT_OF_MEMORY = "out_of_memory"
    """It ran out of memory of the GPU or of its node."""
    KILLED = "killed"
    """It was killed by a signal that nobody explains."""
    HELD = "held"
    """Another process that lives held its run, so it did nothing."""
    FAILED = "failed"
    """It ended with an error of its own: code, data or configuration."""
    ORPHANED = "orphaned"
    """It waited for a training that ended badly; not a rule of its own, it follows that training."""


class Reaction(StrEnum):
    """What may follow."""

    RETRY = "retry"
    """A further attempt of the same run; a training goes on from its checkpoint."""
    RESUME = "resume"
    """A further attempt, for the time that is left, where the last one came further than before, else a proposal."""
    PROPOSE = "propose"
    """A change is proposed and waits for approval."""
    STOP = "stop"
    """The run ends here, and so do the jobs that wait for it."""


class Backoff(Noun):
    """How long to wait before trying again: doubled each time, spread, and capped."""

    first: float = Field(default=5.0, ge=0)
    """Seconds before the second try."""
    longest: float = Field(default=300.0, ge=0)
    """Seconds at most."""
    tries: int = Field(default=3, ge=1)
    """Tries that `ck submit` makes before it leaves the rest to `ck watch`, which never gives up."""


class Queue(Noun):
    """How many jobs are handed over, and how fast; read again at every look of `ck watch`."""

    max_queued: int = Field(default=200, ge=1)
    """Jobs of one experiment that may be with the scheduler at once; the others wait."""
    arrays: int = Field(default=10, ge=0)
    """Like jobs from which on one array is submitted of them; 0: never."""
    stagger: float = Field(default=0.0, ge=0)
    """Seconds between two submissions, for caches and controllers that cannot take many at once."""
    backoff: Backoff = Backoff()
    """Waiting after a refusal that may pass."""


class Rule(Noun):
    """What follows one kind of ending."""

    reaction: Reaction
    """What follows."""
    retries: int = Field(default=3, ge=0)
    """Further attempts of one job that this rule may open by itself."""
    wait: float = Field(default=0.0, ge=0)
    """Seconds before the first of them; doubled for each further one, an hour at most."""


class Policy(Noun):
    """What follows when jobs end badly; each rule may be replaced in `site.yaml`."""

    lost: Rule = Rule(reaction=Reaction.RETRY, retries=10)
    """Node failure, preemption, vanished processes."""
    timed_out: Rule = Rule(reaction=Reaction.RESUME, retries=20)
    """Time limit."""
    out_of_memory: Rule = Rule(reaction=Reaction.PROPOSE)
    """Memory of GPU or node."""
    killed: Rule = Rule(reaction=Reaction.RETRY, retries=1)
    """An unexplained signal."""
    held: Rule = Rule(reaction=Reaction.RETRY, retries=10, wait=120.0)
    """The run was held by another process."""
    failed: Rule = Rule(reaction=Reaction.STOP)
    """An error of the job's own."""
    forgotten_after: float = Field(default=3600.0, ge=0)
    """Seconds without any sign after which a job whose tag the scheduler no longer holds counts as lost."""
    seen_within: float = Field(default=60.0, ge=0)
    """Seconds that what a node wrote last may take to be seen here, on a file system that machines share."""
    max_retries: int = Field(default=25, ge=0)
    """Further attempts of one job that all rules together may open."""
    max_gpu_hours: float | None = Field(default=None, ge=0)
    """GPU-hours that all attempts of an experiment may take; the site's cap for a submission where None."""


class DesignRule(Noun):
    """What a design asks to follow one kind of ending; what it leaves out is the site's."""

    reaction: Reaction | None = None
    """What follows."""
    retries: int | None = Field(default=None, ge=0)
    """Further attempts of one job that this rule may open by itself."""
    wait: float | None = Field(default=None, ge=0)
    """Seconds before the first of them; doubled for each further one, an hour at most."""


class DesignPolicy(Noun):
    """What a design asks to follow when its jobs end badly; what it leaves out is the site's."""

    lost: DesignRule = DesignRule()
    """Node failure, preemption, vanished processes."""
    timed_out: DesignRule = DesignRule()
    """Time limit."""
    out_of_memory: DesignRule = DesignRule()
    """Memory of GPU or node."""
    killed: DesignRule = DesignRule()
    """An unexplained signal."""
    held: DesignRule = DesignRule()
    """The run was held by another process."""
    failed: DesignRule = DesignRule()
    """An error of the job's own."""
    max_retries: int | None = Field(default=None, ge=0)
    """Further attempts of one job that all rules together may open; at most the site's."""
    max_gpu_hours: float | None = Field(default=None, ge=0)
    """GPU-hours that all attempts of the experiment may take; at most the site's."""

    @property
    def stated(self) -> dict[str, DesignRule]:
        """Return what is said of the endings that anything is said of, by their names."""
        return {name: rule for name, rule in self if isinstance(rule, DesignRule) and rule != DesignRule()}


class Decision(Noun):
    """What was decided on the end of one attempt."""

    rule: Ending
    """The rule that fired."""
    reaction: Literal[Reaction.RETRY, Reaction.PROPOSE, Reaction.STOP]
    """What follows."""
    reason: str
    """Why, in words."""
    proposal: dict[str, int] = {}
    """Settings that are proposed; nothing changes before they are approved."""
    not_before: Timestamp | None = None
    """When a further attempt may be handed over."""
    time: TimeLimit | None = None
    """Time limit that a further attempt asks for; its script's own where None."""
    decided: Timestamp
    """When it was decided."""

    @property
    def words(self) -> str:
        """Return the proposed settings as they would stand in a configuration."""
        return ", ".join(f"{name}: {value}" for name, value in self.proposal.items())


class Wanted(Noun):
    """`wanted.json`: which runs were asked to be submitted and are handed over as the queue has room."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    plan_id: Sha256
    """The sealed plan that was confirmed."""
    runs: tuple[RunId, ...]
    """Runs, in design order."""
    reason: str
    """Why they were submitted, in the words of whoever asked."""
    refusals: int = 0
    """Refusals of the scheduler in a row that may pass."""
    refusal: str = ""
    """What it said at the last of them."""
    try_at: Timestamp | None = None
    """When to ask it again after a refusal."""
