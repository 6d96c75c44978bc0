"""What a check is: sizes, arms, and what is known of each arm before anything is trained."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cruijff_kit.data.encoding import Row
from cruijff_kit.schema.spec import Level

__all__ = ["Arm", "Check", "Known", "Size"]


class Size(NamedTuple):
    """How large a check is made."""

    name: str
    """What it is called on the command line."""
    words: str
    """What it is for, in a line."""
    arguments: Mapping[str, Any]
    """Arguments of the generator that all arms share."""
    controls: Mapping[str, Any]
    """Controls that all arms share."""
    max_tokens: int
    """Longest answer in tokens."""
    resources: Mapping[str, Any]
    """What its jobs ask for."""


class Known(NamedTuple):
    """What can be derived of an arm: nothing in it is measured."""

    accuracy: float
    """Share of right answers of whoever knows the rule and nothing more: the Bayes-optimal accuracy."""
    entropy: float
    """Entropy of an answer given its question, in nats: no loss on held-out rows can be expected below it."""
    spread: float
    """Standard deviation of one answer's surprise about that entropy, in nats."""
    question: float
    """Entropy of a held-out question for whoever has read the training rows, in nats; learnt where prompts are."""
    law: Callable[[Row], bool] | None
    """Whether a row's answer is the likeliest one; None where all are equally likely."""
    guessed: float = 0.0
    """Share of right answers of whoever knows their form and guesses which; 0 where nobody knows."""


class Arm(NamedTuple):
    """One run of a check, repeated by seeds."""

    name: str
    """Name of the run in the design."""
    words: str
    """What it must show, in a line."""
    parameters: Mapping[str, Level]
    """Parameters of the run in the design."""
    known: Known
    """What is known of it."""

    @property
    def on_input(self) -> bool:
        """Return whether its prompts are learnt too."""
        return bool(self.parameters.get("train_on_input"))


class Check(NamedTuple):
    """One smallest experiment with a known answer."""

    name: str
    """Name of the check, and of its folder here."""
    words: str
    """What it checks, in a line."""
    question: str
    """Question of the design."""
    hypothesis: str
    """What is known beforehand, in words."""
    generator: str
    """Generator of its rows."""
    sizes: Mapping[str, Size]
    """Sizes by name, the smallest first."""
    arms: Callable[[Size], tuple[Arm, ...]]
    """Arms at a size."""
