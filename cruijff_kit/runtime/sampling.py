"""Greedy or drawn: what an evaluation and a server make of the same settings."""

from typing import NamedTuple

from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.schema.prediction import Completion

__all__ = ["DEFAULT_TOKENS", "Chance", "choose_chance", "prove_greedy"]

DEFAULT_TOKENS = 256
"""Longest answer where nobody says how long."""

# Tasks written for samplers that refuse 0 ask for a temperature close to it.
_GREEDY = 1e-4


class Chance(NamedTuple):
    """How a token is chosen."""

    temperature: float | None
    """Divides the logits before a token is drawn; None takes the most likely one."""
    top_p: float
    """Mass of the most likely tokens that are drawn from."""
    seed: int
    """Decides what is drawn."""


def choose_chance(temperature: float | None, top_p: float | None, *, seed: int | None) -> Chance:
    """Return how tokens are chosen by settings that may be absent: greedily unless a temperature is set.

    Raises:
        PlanError: a nucleus is asked for and nothing is drawn, or it is none.
    """
    mass = 1.0 if top_p is None else top_p
    if temperature is None and mass != 1:
        fact = "`top_p` is set and `temperature` is not, so nothing would be drawn"
        raise PlanError(fact, hint="set `temperature: 1.0` to draw from the nucleus, or leave `top_p` out")
    if not 0 < mass <= 1:
        raise PlanError(f"`top_p` is `{mass}`; it is above 0 and at most 1")
    if temperature is None or temperature <= _GREEDY:
        return Chance(None, 1.0, 0)
    return Chance(temperature, mass, seed or 0)


def prove_greedy(answer: Completion) -> None:
    """Refuse an answer one of whose tokens is not the most likely one.

    Raises:
        ResultError: there is such a token.
    """
    if any(token != at[0].token_id for token, at in zip(answer.token_ids, answer.top, strict=True)):
        raise ResultError("a greedy answer holds a token that was not the most likely one")
