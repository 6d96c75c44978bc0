"""Audit nouns: the actor, the event handed in, the record on disk, the verdict."""

from enum import StrEnum
from typing import Literal

from cruijff_kit.schema.noun import Noun, Sha256, Timestamp

__all__ = ["Action", "Actor", "Anchor", "AuditEvent", "AuditRecord", "AuditVerdict", "Outcome"]


class Actor(Noun):
    """Who took an action."""

    kind: Literal["human", "assistant", "job", "tool"]
    """What kind of actor it was."""
    name: str
    """Login name, job name or tool name."""
    client: str | None = None
    """Name and version of the MCP client, where one spoke for the actor."""


class Action(StrEnum):
    """What was done, in the words of the text views."""

    VERIFY_MODEL = "VERIFY_MODEL"
    """A model directory was read and hashed."""
    VERIFY_DATASET = "VERIFY_DATASET"
    """A data set was read, counted and hashed."""
    VERIFY_EVAL_TASK = "VERIFY_EVAL_TASK"
    """An evaluation task was resolved."""
    CHECK_DISK = "CHECK_DISK"
    """Free disk space was compared with the estimate."""
    SEARCH_PRIOR_RUNS = "SEARCH_PRIOR_RUNS"
    """Earlier runs were searched for measured speeds."""
    CALCULATE_TIME = "CALCULATE_TIME"
    """Training and evaluation time was estimated."""
    CALCULATE_DISK = "CALCULATE_DISK"
    """Checkpoint size was estimated."""
    DECIDE_NAMING = "DECIDE_NAMING"
    """Run ids were derived from the design."""
    DECIDE_CONFIG = "DECIDE_CONFIG"
    """A decision on the configuration, in the words of whoever took it."""
    CREATE_SUMMARY = "CREATE_SUMMARY"
    """`experiment_summary.md` was written."""
    CREATE_RUN_DIR = "CREATE_RUN_DIR"
    """Run directories were published."""
    GENERATE_YAML = "GENERATE_YAML"
    """Configurations were rendered."""
    GENERATE_SLURM = "GENERATE_SLURM"
    """Job scripts were rendered."""
    SUBMIT_JOB = "SUBMIT_JOB"
    """A training job was handed to the scheduler."""
    SUBMIT_EVAL = "SUBMIT_EVAL"
    """An evaluation job was handed to the scheduler."""
    STATE_CHANGE = "STATE_CHANGE"
    """A job was seen in a new state."""
    APPLY_POLICY = "APPLY_POLICY"
    """The failure policy decided what follows a job that ended badly; `rule` tells which rule fired."""
    RETRY = "RETRY"
    """A further attempt was opened for a run."""
    CANCEL = "CANCEL"
    """Jobs were cancelled."""
    ALL_COMPLETE = "ALL_COMPLETE"
    """Every job of the experiment has ended."""
    COLLECT_RESULTS = "COLLECT_RESULTS"
    """Results were read from logs into the result table."""
    CALIBRATE = "CALIBRATE"
    """A calibrator was fitted to the predictions of a split and written."""
    AUDIT_MODEL = "AUDIT_MODEL"
    """A run's model was audited, and `audit.json` written."""
    JUDGE_CHECK = "JUDGE_CHECK"
    """A sanity check was judged against its bands, and `sanity.json` written."""
    RECORD_PILOTS = "RECORD_PILOTS"
    """Results of pilots were written to `pilots.json`, for the floors of a sanity check."""
    EMBED = "EMBED"
    """Texts were embedded and the vectors written."""
    GENERATE_SUMMARY = "GENERATE_SUMMARY"
    """`summary.md` and the report were rendered."""
    GENERATE_QUIZ = "GENERATE_QUIZ"
    """A quiz was made of the figures of the report."""
    ADD_LESSON = "ADD_LESSON"
    """A lesson was written to `findings.md`, with the figures it cites."""
    SYNC_RUNS = "SYNC_RUNS"
    """Offline runs were sent to a tracking service."""
    IMPORT = "IMPORT"
    """An experiment of another system was taken over, every file by its hash."""
    ARCHIVE = "ARCHIVE"
    """An experiment is about to be put away."""
    UNARCHIVE = "UNARCHIVE"
    """An archived experiment is about to be brought back."""
    EXPORT = "EXPORT"
    """An experiment is about to be exported for other tools."""
    COMPLETE = "COMPLETE"
    """A verb finished."""
    ERROR = "ERROR"
    """A verb failed."""
    WARNING = "WARNING"
    """Something was noticed that needs a person's eye."""


class Outcome(StrEnum):
    """How an action ended."""

    SUCCESS = "success"
    """It did what it said."""
    FAILURE = "failure"
    """It did not."""
    WARNING = "warning"
    """It did, with something to look at."""


class AuditEvent(Noun):
    """What a verb hands to the audit log; the log adds order and time."""

    actor: Actor
    """Who took the action."""
    verb: str
    """The workflow verb: design, scaffold, submit, watch, cancel, collect, report, sync."""
    action: Action
    """What was done."""
    subject: str
    """What it was done to: an experiment, a run id, a path."""
    reason: str | None = None
    """Why, in the words of whoever decided."""
    inputs: dict[str, str] = {}
    """What went in: names mapped to values or SHA-256 digests."""
    outputs: dict[str, str] = {}
    """What came out: names mapped to values or SHA-256 digests."""
    result: Outcome = Outcome.SUCCESS
    """How it ended."""
    error: str | None = None
    """The error's message where it failed."""
    duration_ms: int | None = None
    """Wall time in milliseconds, measured by code."""
    versions: dict[str, str] = {}
    """Package versions that shaped the outcome."""


class AuditRecord(AuditEvent):
    """One line of `logs/audit.jsonl`."""

    seq: int
    """Position of the line, from 0."""
    ts: Timestamp
    """When the line was written."""
    prev: str
    """SHA-256 of the previous raw line; 64 zeros for the first."""


class Anchor(Noun):
    """The head of an audit log at one moment, kept where a forger cannot reach."""

    seq: int
    """Position of the last line."""
    sha256: Sha256
    """SHA-256 of the last raw line, without its newline."""


class AuditVerdict(Noun):
    """What verifying an audit log found."""

    ok: bool
    """Whether chain and anchors hold."""
    lines: int
    """How many lines were read."""
    anchored: bool
    """Whether an anchor outside the log was compared."""
    line: int | None = None
    """First line, counted from 1, at which the log does not hold."""
    problem: str | None = None
    """What does not hold there, in words."""
    notes: tuple[str, ...] = ()
    """What a reader should know although the log holds: no anchor, an append cut short."""
