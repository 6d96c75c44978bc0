"""Every generation setting is read back from a real run: from its log, and from what the provider was asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import Logprob, ModelOutput
from pydantic import ValidationError

from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.schema.evaluation import Generation
from tests.evaluated_run import ready_run

GREEDY = {"seed": 5, "max_tokens": 3, "batch_size": 2, "max_connections": 3, "top_logprobs": 2}
SAMPLED = {**GREEDY, "do_sample": True, "temperature": 0.7, "top_p": 0.8}


def ran(folder: Path, generation: Mapping[str, Any]) -> EvalLog:
    run = ready_run(folder, cells=({"generation": generation},))
    config = load_eval_config(run.configs[0])
    return read_eval_log(
        str(run_cell(config, run.configs[0], place=place_of(config), facts={}, answered=lambda _: None).path)
    )


def asked(log: EvalLog) -> list[dict[str, Any]]:
    events = [event for sample in log.samples or () for event in sample.events if isinstance(event, ModelEvent)]
    return [event.config.model_dump(exclude_none=True) for event in events]


def _logprobs(output: ModelOutput) -> list[Logprob]:
    found = output.choices[0].logprobs
    assert found is not None
    return found.content


def test_greedy_settings_reach_log_and_provider_and_bind_the_answers(tmp_path: Path) -> None:
    log = ran(tmp_path / "experiment", GREEDY)
    wanted = {"temperature": 0.0, "seed": 5, "max_tokens": 3, "logprobs": True, "top_logprobs": 2}
    planned = log.plan.config.model_dump(exclude_none=True)
    assert {name: planned[name] for name in (*wanted, "max_connections")} == {**wanted, "max_connections": 3}
    requests = asked(log)
    assert len(requests) == 6
    assert all({name: each[name] for name in wanted} == wanted for each in requests)
    assert log.eval.config.max_samples == 3
    outputs = [sample.output for sample in log.samples or ()]
    assert {len(output.metadata["output_token_ids"]) for output in outputs if output.metadata} == {3}
    kept = {len(token.top_logprobs or ()) for output in outputs for token in _logprobs(output)}
    assert kept == {2}
    assert log.eval.model_args["batch_size"] == 2


def test_sampling_settings_reach_log_and_provider(tmp_path: Path) -> None:
    log = ran(tmp_path / "experiment", SAMPLED)
    wanted = {"temperature": 0.7, "top_p": 0.8, "seed": 5}
    planned = log.plan.config.model_dump(exclude_none=True)
    assert {name: planned[name] for name in wanted} == wanted
    assert all({name: each[name] for name in wanted} == wanted for each in asked(log))


@pytest.mark.parametrize(
    "settings, words",
    (
        ({"do_sample": True}, "needs a `temperature` above 0"),
        ({"do_sample": True, "temperature": 0}, "needs a `temperature` above 0"),
        ({"temperature": 0.7}, "nothing is sampled; set `do_sample: true`"),
        ({"top_p": 0.7}, "nothing is sampled; set `do_sample: true`"),
    ),
)
def test_settings_that_contradict_each_other_are_refused_in_words(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Generation.model_validate(settings)
