"""The error tree: what can go wrong, in the user's words.

CruijffError                 carries `.hint`; never raised itself
 ├ SpecError(ValueError)     what you wrote           exit 2
 ├ PlanError(ValueError)     cannot be planned        exit 2
 ├ SiteError                 this machine or cluster  exit 3
 ├ SchedulerError            the scheduler said no    exit 4
 │  └ DependencyError        it waits for a lost job  exit 4
 ├ RunError                  a run went wrong         exit 5
 └ ResultError               results not usable       exit 6

To add one, subclass the nearest leaf, inherit the standard-library type that
callers would expect, and give the message the house grammar: a lower-case fact
with the value in backticks, what was allowed, and the remedy in `hint`.
"""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "CruijffError",
    "DependencyError",
    "PlanError",
    "Problem",
    "ResultError",
    "RunError",
    "SchedulerError",
    "SiteError",
    "SpecError",
]


class Problem(NamedTuple):
    """One thing that is wrong with what the user wrote, and how to mend it."""

    message: str
    """The fact, lower case, with the offending value in backticks."""
    path: str = ""
    """Dotted YAML path of the offending key, such as `controls.lora_rank`."""
    place: str = ""
    """`file:line` of the offending key, empty where there is no file."""
    hint: str = ""
    """The edit or command that mends it."""

    def __str__(self) -> str:
        """Return the problem as the user reads it, one or two lines."""
        where = " ".join(part for part in (self.place, self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class CruijffError(Exception):
    """Base of every error a user can mend; faces print it without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        """Keep the message, its remedy and the problems found, in reading order."""
        super().__init__(message)
        self.hint = hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """Return message, then each problem, then the hint after a blank line."""
        lines = [super().__str__(), *(f"- {problem}" for problem in self.problems)]
        text = "\n".join(lines)
        return f"{text}\n\nhint: {self.hint}" if self.hint else text


class SpecError(CruijffError, ValueError):
    """What the user wrote is not a valid design; lists every problem at once."""

    exit_code = 2


class PlanError(CruijffError, ValueError):
    """The design is valid but cannot be planned or differs from what was sealed."""

    exit_code = 2


class SiteError(CruijffError):
    """This machine or cluster lacks something: a program, a partition, an extra."""

    exit_code = 3


class SchedulerError(CruijffError):
    """The scheduler refused or did not answer; its own words are kept."""

    exit_code = 4

    def __init__(self, message: str, *, transient: bool, stderr: str = "", hint: str = "") -> None:
        """Keep what the scheduler said and whether trying again makes sense."""
        super().__init__(message, hint=hint)
        self.transient = transient
        self.stderr = stderr


class DependencyError(SchedulerError):
    """A job would wait for one that the scheduler does not know, or that ended badly; nothing else is held up."""

    def __init__(self, message: str, *, stderr: str = "", hint: str = "") -> None:
        """Keep what the scheduler said; trying again makes sense once that job was settled."""
        super().__init__(message, transient=False, stderr=stderr, hint=hint)


class RunError(CruijffError):
    """A run went wrong; names the run and shows its last log lines."""

    exit_code = 5

    def __init__(self, message: str, *, run_id: str, log_lines: Sequence[str] = (), hint: str = "") -> None:
        """Keep the run and the last lines it logged."""
        super().__init__(message, hint=hint)
        self.run_id = run_id
        self.log_lines = tuple(log_lines)


class ResultError(CruijffError):
    """Results are missing, torn or do not match the design they claim to answer."""

    exit_code = 6
