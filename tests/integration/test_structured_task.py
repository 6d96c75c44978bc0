"""The task `structured` through inspect-ai: answers held to JSON, labels scored where the decision stands."""

import json
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.data.structured import answer_json
from cruijff_kit.errors import CruijffError
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.schema.prediction import Prediction
from tests.evaluated_run import ready_run

OPTIONS = ["HIGH_RISK", "LOW_RISK", "HIGH"]
ROWS = tuple(
    {
        "input": f"text {number}",
        "label": OPTIONS[number % 3],
        "output": answer_json(OPTIONS[number % 3], rationale="so"),
        "word_length": "1",
    }
    for number in range(5)
)


def cell(tokens: int) -> dict[str, object]:
    return {
        "task": "structured",
        "scorers": ["decision", "risk"],
        "rules": {"options": OPTIONS},
        "generation": {"max_tokens": tokens, "batch_size": 4, "top_logprobs": 3},
    }


def test_every_answer_is_json_whose_decision_is_the_likeliest_label_and_the_label_is_the_target(
    tmp_path: Path,
) -> None:
    run = ready_run(tmp_path / "experiment", cells=(cell(100),), rows=ROWS)
    config = load_eval_config(run.configs[0])
    found = run_cell(config, run.configs[0], place=place_of(config), facts={}, answered=lambda _: None)
    samples = read_eval_log(str(found.path)).samples or []
    assert len(samples) == len(ROWS)
    for sample, row in zip(samples, ROWS, strict=True):
        answer = json.loads(sample.output.completion)
        assert list(answer) == ["decision", "rationale", "abstain"]
        assert sample.target == row["label"]
        scores = (sample.scores or {}).items()
        seen = {name: Prediction.model_validate((score.metadata or {})["prediction"]) for name, score in scores}
        decided, risk = seen["decision"], seen["risk"]
        assert decided.parse_ok
        assert len(decided.option_logprobs) == len(OPTIONS)
        assert decided.abstain or (decided.prediction, decided.confidence) == (risk.prediction, risk.confidence)
        assert isinstance((sample.output.metadata or {})["abstain_logprob"], float)


def test_answers_too_short_for_the_form_are_refused_with_how_long_they_must_be(tmp_path: Path) -> None:
    run = ready_run(tmp_path / "experiment", cells=(cell(20),), rows=ROWS)
    config = load_eval_config(run.configs[0])
    with pytest.raises(CruijffError, match=r"a structured one takes up to \d+"):
        run_cell(config, run.configs[0], place=place_of(config), facts={}, answered=lambda _: None)
