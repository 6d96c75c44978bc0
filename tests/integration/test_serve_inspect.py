"""A served model is evaluated like one that the job loads: inspect's own provider asks it, over real evaluations."""

from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai.event import ModelEvent
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import Logprob

from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.runtime.prompt_parity import prompt_parity
from cruijff_kit.schema.config import EvalConfig
from tests.evaluated_run import Evaluated, ready_run
from tests.served import command, record_base, served_here, served_model

GENERATION = {"max_tokens": 6, "batch_size": 1, "max_connections": 1, "top_logprobs": 3}


def cell(made: Evaluated, **changes: Any) -> EvalConfig:
    """Return the run's one cell, some of its keys replaced; the file on disk says the same."""
    path = made.configs[0]
    config = EvalConfig.model_validate({**load_eval_config(path).model_dump(mode="json"), **changes})
    path.write_text(dump_yaml(config.model_dump(mode="json")), encoding="utf-8")
    return config


def behind(made: Evaluated, url: str, name: str) -> EvalConfig:
    """Return the cell as it asks a server instead of loading the model."""
    known = cell(made)
    base = {**known.base_model.model_dump(), "api": f"openai-api/ck/{name}", "base_url": url}
    return cell(made, base_model=base, adapter=None, epoch=None)


def ran(config: EvalConfig, made: Evaluated) -> EvalLog:
    place = place_of(config)
    return read_eval_log(str(run_cell(config, made.configs[0], place=place, facts={}, answered=lambda _: None).path))


def answers(log: EvalLog) -> list[tuple[str, str, list[Any]]]:
    """Return of each sample its id, its answer, and every token's log-probabilities, candidates with them."""
    assert log.status == "success"
    found = []
    for sample in log.samples or ():
        (choice,) = sample.output.choices
        assert choice.logprobs is not None
        found.append((str(sample.id), choice.message.text, [_told(at) for at in choice.logprobs.content]))
    return sorted(found)


def _told(at: Logprob) -> tuple[str, float, list[tuple[str, float]]]:
    return at.token, at.logprob, [(each.token, each.logprob) for each in at.top_logprobs or ()]


def scores(log: EvalLog) -> dict[str, float]:
    found = log.results.scores if log.results else []
    return {f"{each.name}/{name}": one.value for each in found for name, one in each.metrics.items()}


def read_tokens(log: EvalLog) -> list[int]:
    events = (event for sample in log.samples or () for event in sample.events if isinstance(event, ModelEvent))
    return sorted(event.output.usage.input_tokens for event in events if event.output.usage)


@pytest.mark.parametrize("system", ("", "Be brief."))
def test_inspect_s_openai_provider_gets_what_our_own_provider_gets_to_the_last_bit(tmp_path: Path, system: str) -> None:
    torch.set_num_threads(1)
    made = ready_run(tmp_path / "experiment", cells=({"generation": GENERATION},))
    dataset = {**load_eval_config(made.configs[0]).dataset.model_dump(), "system_prompt": system}
    own = ran(cell(made, dataset=dataset), made)
    served = served_model(made.base, adapter=made.adapter, dataset=dataset, system_prompt=system)
    with served_here(served) as here:
        config = behind(made, here.url, "tuned")
        parity = prompt_parity(config)
        other = ran(config, made)
    assert (parity.verdict, parity.reason) == ("proven", "the server's token ids equal ours for 6 of 6 prompts")
    assert len(answers(own)) == 6
    assert answers(other) == answers(own)
    assert scores(own)
    assert scores(other) == scores(own)
    assert len(read_tokens(own)) == 6
    assert read_tokens(other) == read_tokens(own)


def test_samples_asked_at_once_are_answered_as_one_after_the_other(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    many = {**GENERATION, "batch_size": 8, "max_connections": 8}
    made = ready_run(tmp_path / "experiment", cells=({"generation": many},))
    own = ran(cell(made), made)
    with served_here(served_model(made.base, adapter=made.adapter)) as here:
        other = ran(behind(made, here.url, "tuned"), made)
    for (_, text, tokens), (_, expected, wanted) in zip(answers(other), answers(own), strict=True):
        assert text == expected
        assert [each[0] for each in tokens] == [each[0] for each in wanted]
        assert all(abs(one[1] - two[1]) < 1e-4 for one, two in zip(tokens, wanted, strict=True))


def test_the_command_serves_an_adapter_as_its_training_put_its_questions(tmp_path: Path) -> None:
    made = ready_run(tmp_path / "experiment", cells=({"generation": GENERATION},))
    record_base(made.adapter, made.base)
    own = ran(cell(made), made)
    with command(["--adapter", made.adapter, "--device", "cpu"], folder=tmp_path) as started:
        other = ran(behind(made, started.address.url, started.address.model), made)
        _, said = started.ended()
    assert answers(other) == answers(own)
    assert "note:" not in said
    assert len([line for line in said.splitlines() if line.startswith("POST /v1/chat/completions 200")]) == 6
