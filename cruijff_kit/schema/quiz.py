"""Quiz nouns: questions on a finished experiment, each answer with the figure that it was read from."""

from cruijff_kit.schema.noun import Noun, Sha256

__all__ = ["Question", "Quiz", "QuizReceipt"]


class Question(Noun):
    """One question with several answers, of which one is right."""

    text: str
    """What is asked."""
    options: tuple[str, ...]
    """Answers to choose from, in the order shown."""
    right: int
    """Place of the right one, from 0."""
    why: str
    """What makes it the right one, told once somebody has answered."""
    source: str
    """Figure, or key of the design, that the answer was read from."""
    path: str
    """File that this stands in, below the experiment."""
    sha256: Sha256 | None
    """Hash of that file."""


class Quiz(Noun):
    """The questions on one experiment."""

    experiment: str
    """Name of the experiment."""
    question: str
    """What the experiment asked."""
    seed: int
    """Decides which questions are asked, and which answers stand beside the right one."""
    questions: tuple[Question, ...]
    """The questions, in the order shown."""
    report_sha256: Sha256
    """Hash of the figures that they were made of."""


class QuizReceipt(Noun):
    """What a quiz was written to."""

    path: str
    """The page, below the experiment."""
    sha256: Sha256
    """Its hash."""
    questions: int
    """Questions in it."""
    changed: bool
    """Whether anything was written."""
