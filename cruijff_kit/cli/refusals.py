"""Options that no noun can be made of, refused in words."""

from pydantic import ValidationError

from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import fact_of

__all__ = ["refusal"]


def refusal(fact: str, err: ValidationError, *, hint: str) -> SpecError:
    """Return the error of a command whose options a noun does not take, each option that is wrong told."""
    problems = [Problem(fact_of(each["msg"]), ".".join(map(str, each["loc"]))) for each in err.errors()]
    return SpecError(fact, problems=problems, hint=hint)
