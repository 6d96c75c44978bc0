"""The solver of structured answers: asks our own provider for their form, and any other as it is."""

from collections.abc import Sequence

from inspect_ai.model import get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from cruijff_kit.runtime.inspect_provider import CruijffAPI

__all__ = ["structured_classify"]


@solver
def structured_classify(*, options: Sequence[str]) -> Solver:
    """Ask for one structured answer, held to its form by models that are loaded here.

    Args:
        options: the labels.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if not isinstance(get_model().api, CruijffAPI):
            return await generate(state)
        return await generate(state, extra_body={"options": list(options), "form": "json"})

    return solve
