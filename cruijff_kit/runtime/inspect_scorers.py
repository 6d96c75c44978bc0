"""The planned scorers as inspect-ai knows them; the first leaves a prediction."""

from collections.abc import Sequence
from typing import Any

from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from cruijff_kit.schema.noun import Noun, RunId, Sha256
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.scoring.answers import SCORERS, Verdict, confidence, parse_answer

__all__ = ["Subject", "includes", "match", "planned_scorers"]


class Subject(Noun):
    """What is evaluated: everything a prediction says that is not the sample's own."""

    run: RunId
    """The run."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    task: str
    """Evaluation name."""
    split: str
    """Split evaluated."""
    groups: tuple[str, ...] = ()
    """Columns copied from a sample's metadata."""
    checkpoint_sha256: Sha256
    """Hash of the adapter, or of the base model for a control."""


@scorer(metrics=[accuracy(), stderr()])
def match(subject: dict[str, Any] | None = None) -> Scorer:
    """Accept an answer equal to the target but for outer white space.

    Args:
        subject: a `Subject` as JSON; each score then carries a `Prediction`.
    """
    return _scorer(SCORERS["match"], subject)


@scorer(metrics=[accuracy(), stderr()])
def includes(subject: dict[str, Any] | None = None) -> Scorer:
    """Accept an answer in which the target occurs.

    Args:
        subject: a `Subject` as JSON; each score then carries a `Prediction`.
    """
    return _scorer(SCORERS["includes"], subject)


_BY_NAME = {"includes": includes, "match": match}


def planned_scorers(names: Sequence[str], subject: Subject) -> list[Scorer]:
    """Return exactly the scorers planned, in order; the first carries the predictions."""
    facts = subject.model_dump(mode="json")
    return [_BY_NAME[name](facts if at == 0 else None) for at, name in enumerate(names)]


def _scorer(right: Verdict, subject: dict[str, Any] | None) -> Scorer:
    about = None if subject is None else Subject.model_validate(subject)

    async def score(state: TaskState, target: Target) -> Score:
        completion = state.output.completion
        correct = right(completion, target.text)
        metadata: dict[str, Any] | None = None
        if about is not None:
            prediction = _prediction(about, state, target=target.text, correct=correct)
            metadata = {"prediction": prediction.model_dump(mode="json")}
        return Score(value=CORRECT if correct else INCORRECT, answer=parse_answer(completion), metadata=metadata)

    return score


def _prediction(about: Subject, state: TaskState, *, target: str, correct: bool) -> Prediction:
    output = state.output
    logprobs = output.choices[0].logprobs if output.choices else None
    answer = parse_answer(output.completion)
    return Prediction(
        sample_id=str(state.sample_id),
        run=about.run,
        epoch=about.epoch,
        task=about.task,
        split=about.split,
        groups={name: str(state.metadata[name]) for name in about.groups if name in state.metadata},
        target=target,
        prediction=answer,
        correct=correct,
        confidence=confidence([token.logprob for token in logprobs.content]) if logprobs else None,
        parse_ok=answer is not None,
        completion=output.completion,
        prompt_token_sha256=(output.metadata or {})["prompt_token_sha256"],
        checkpoint_sha256=about.checkpoint_sha256,
    )
