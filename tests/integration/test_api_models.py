"""Models behind an API: a server on this machine, asked through inspect's own provider, from design to report."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.bootstrap import open_world
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.runtime.eval_config import load_eval_config
from cruijff_kit.runtime.inspect_model import key_variable
from cruijff_kit.runtime.prompt_parity import is_here, prompt_parity
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Manifest
from cruijff_kit.workflow import (
    check_design,
    collect_results,
    recorded_plan,
    scaffold_runs,
    spot_check_run,
    write_design,
    write_report,
)
from tests.chat_server import Asked, Kind, chat_server
from tests.evaluated_run import ready_run
from tests.random_model import random_base

WORDS = ("house", "tree", "apples", "a", "river")
API = "openai-api/small-server/lab/tiny"
SECRET = "sk-not-for-any-file-4711"
SAMPLED = {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "seed": 7, "max_tokens": 3, "top_logprobs": 2}


def asking(model: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "served",
        "question": "Does the server answer as the model does?",
        "created": "2026-11-20",
        "tools": {"preparation": "none"},
        "models": [{"name": "served", "api": API, **model}],
        "data": {"training": {"path": "words.json"}, "tier": "green"},
        "controls": {"max_seq_len": 128, "system_prompt": "Be brief."},
        "evaluation": {"tasks": [{"name": "words", "task": "rows"}], "generation": SAMPLED},
        **changes,
    }


def opened(folder: Path) -> World:
    root = folder / "served"
    root.mkdir(parents=True)
    rows = [{"input": word, "output": word.title()} for word in WORDS]
    (root / "words.json").write_text(json.dumps({"test": rows}), encoding="utf-8")
    return open_world(root, root=folder, kind="human", name="ada", client=None)


def started(world: World, **surroundings: str) -> tuple[int, str]:
    (run,) = recorded_plan(world=world)[0].runs
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    done = subprocess.run(
        ["bash", str(world.store.root / RunLayout(run.id).eval_script)],
        env={**kept, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **surroundings},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def manifest_of(world: World) -> Manifest:
    (path,) = world.store.root.glob("runs/*/eval/*/manifest.json")
    return Manifest.model_validate_json(path.read_bytes())


def evaluated(folder: Path, kind: Kind, *, key: str = "") -> tuple[World, list[Asked], str]:
    base = random_base(folder / "models" / "base")
    world = opened(folder)
    with chat_server(base, kind) as (url, asked):
        model = {"base_url": url, "path": base}
        write_design(dump_yaml(asking(model)), reason="shown here", world=world)
        scaffold_runs(world=world)
        code, said = started(world, **({"SMALL_SERVER_API_KEY": key} if key else {}))
    assert code == 0, said
    return world, asked, said


def test_a_server_is_asked_with_every_setting_and_its_answers_are_reported(tmp_path: Path) -> None:
    world, asked, said = evaluated(tmp_path, "vllm", key=SECRET)
    chats = [each for each in asked if each.path == "/v1/chat/completions"]
    assert len(chats) == len(WORDS)
    for each in chats:
        body = {name: each.body[name] for name in ("model", "temperature", "top_p", "seed", "top_logprobs", "logprobs")}
        wanted = {"model": "lab/tiny", "temperature": 0.5, "top_p": 0.9, "seed": 7, "top_logprobs": 2, "logprobs": True}
        assert body == wanted
        assert each.body.get("max_tokens", each.body.get("max_completion_tokens")) == 3
        assert each.body["messages"][0]["content"] == "Be brief."
        assert each.headers["authorization"] == f"Bearer {SECRET}"
    assert {each.body["model"] for each in asked} == {"lab/tiny"}
    (run,) = recorded_plan(world=world)[0].runs
    (path,) = (world.store.root / RunLayout(run.id).cell_logs("words_base")).glob("*.eval")
    log = read_eval_log(str(path))
    assert (log.status, log.eval.metadata["prompt_parity"]) == ("success", "proven")  # type: ignore[index] -- set by us
    assert (log.plan.config.max_retries, log.plan.config.max_connections) == (6, 10)
    table = collect_results(world=world)
    assert [(row.n, row.value is not None) for row in table.rows] == [(5, True)]
    assert {each.checkpoint_sha256 for each in table.predictions} == {run.model.sha256}
    assert len({each.prompt_token_sha256 for each in table.predictions}) == 5
    assert all(each.confidence is not None for each in table.predictions)
    write_report(world=world)
    report = (world.store.root / "summary.md").read_text(encoding="utf-8")
    assert "prompt parity: proven, the server's token ids equal ours for 5 of 5 prompts" in report
    holding = [each for each in world.store.root.rglob("*") if each.is_file() and SECRET.encode() in each.read_bytes()]
    assert not holding
    samples = [str(sample.model_dump()) for sample in log.samples or []]
    assert SECRET not in said + "".join(samples) + str(log.eval.model_dump())
    with pytest.raises(RunError, match="which is not loaded here"):
        spot_check_run(run.id, world=world)


def test_a_server_on_this_machine_needs_no_key_and_its_silence_is_reported(tmp_path: Path) -> None:
    world, asked, _ = evaluated(tmp_path, "mute")
    assert {each.headers["authorization"] for each in asked if each.path == "/v1/chat/completions"} == {"Bearer none"}
    parity = manifest_of(world).prompt_parity
    assert parity is not None
    assert (parity.verdict, parity.reason) == ("unproven", "the server does not tell")
    write_report(world=world)
    report = (world.store.root / "summary.md").read_text(encoding="utf-8")
    assert "prompt parity: unproven, the server does not tell" in report


@pytest.mark.parametrize(
    "kind, copy, verdict, reason",
    (
        ("vllm", True, "proven", "the server's token ids equal ours for 6 of 6 prompts"),
        ("llama.cpp", True, "proven", "the server's rendered text equals ours for 6 of 6 prompts"),
        ("other template", True, "differs", "the server's token ids equal ours for 0 of 6 prompts"),
        ("mute", True, "unproven", "the server does not tell"),
        ("vllm", False, "unproven", "no local copy of the model was named to compare with"),
    ),
)
def test_parity_is_what_the_server_tells(kind: Kind, copy: bool, verdict: str, reason: str, tmp_path: Path) -> None:
    run = ready_run(tmp_path / "experiment")
    config = load_eval_config(run.configs[0])
    with chat_server(run.base, kind) as (url, _):
        behind = {"api": API, "base_url": url, "path": run.base if copy else ""}
        base = config.base_model.model_copy(update=behind)
        found = prompt_parity(config.model_copy(update={"base_model": base}))
    assert (found.verdict, found.reason) == (verdict, reason)


def test_prompts_of_a_task_of_ones_own_stay_unproven(tmp_path: Path) -> None:
    run = ready_run(tmp_path / "experiment", cells=({"task": "mine.py@words"},))
    config = load_eval_config(run.configs[0])
    api = config.base_model.model_copy(update={"api": API, "base_url": "http://127.0.0.1:1/v1"})
    found = prompt_parity(config.model_copy(update={"base_model": api}))
    assert (found.verdict, found.reason) == ("unproven", "a task of one's own makes its prompts as it runs")


def test_a_missing_key_is_named_and_nothing_is_asked(tmp_path: Path) -> None:
    world = opened(tmp_path)
    model = {"base_url": "https://models.example.org/v1"}
    write_design(dump_yaml(asking(model)), reason="shown here", world=world)
    scaffold_runs(world=world)
    code, said = started(world)
    assert code == 3
    assert "the environment holds no `SMALL_SERVER_API_KEY`" in said
    assert "Traceback" not in said


def test_a_design_says_what_is_not_known_of_an_api(tmp_path: Path) -> None:
    world = opened(tmp_path)
    found = check_design(dump_yaml(asking({}, resources={"gpus": 1})), world=world)
    (run,) = found.plan.runs
    assert (run.type, run.model.path, run.model_path) == ("control", None, "")
    told = {each.name: each for each in found.estimates}
    assert told["time and cost of requests to APIs"].source.startswith("not estimated")
    assert told["GPU-hours at most"].value == 0
    assert any("needs the network and a key" in warning for warning in found.warnings)
    assert any("stays unproven without a local copy" in warning for warning in found.warnings)
    write_design(dump_yaml(asking({}, resources={"gpus": 1, "gpu_type": "h100"})), reason="shown here", world=world)
    text = (world.store.root / "experiment_summary.md").read_text(encoding="utf-8")
    assert f"`{API}`, behind an API" in text
    scaffold_runs(world=world)
    script = (world.store.root / RunLayout(run.id).eval_script).read_text(encoding="utf-8")
    assert parse_script(script).gpus == 0
    assert "HF_HUB_OFFLINE=1" in script


def test_the_id_of_a_run_stands_for_provider_and_model_and_not_for_the_address(tmp_path: Path) -> None:
    world = opened(tmp_path)

    def run_of(model: dict[str, Any]) -> str:
        return check_design(dump_yaml(asking(model)), world=world).plan.runs[0].id

    plain = run_of({})
    assert plain == run_of({"base_url": "http://127.0.0.1:8000/v1"})
    assert plain != run_of({"api": "openai-api/small-server/other"})


@pytest.mark.parametrize(
    "model, changes, path, words",
    (
        ({}, {"data": {"training": {"path": "words.json"}, "tier": "red"}}, "models[0].api", "the data is red"),
        (
            {},
            {"data": {"training": {"path": "words.json"}, "tier": "yellow"}},
            "models[0].api",
            "no consent is on record",
        ),
        ({}, {"data": {"training": {"path": "words.json"}}}, "models[0].api", "the data is yellow"),
        ({"revision": "abc"}, {}, "models[0].api", "has no revision"),
        ({"api": "gpt-4o"}, {}, "models[0].api", "not allowed"),
        ({"base_url": "http://me:secret@host/v1"}, {}, "models[0].base_url", "not allowed"),
        ({}, {"tools": {"preparation": "peft"}, "runs": [{"name": "x"}]}, "runs[0].model", "answers behind an API"),
    ),
)
def test_what_may_not_be_sent_or_trained_is_refused_in_words(
    model: dict[str, Any], changes: dict[str, Any], path: str, words: str, tmp_path: Path
) -> None:
    world = opened(tmp_path)
    with pytest.raises(SpecError) as caught:
        check_design(dump_yaml(asking(model, **changes)), world=world)
    assert [problem.path for problem in caught.value.problems] == [path]
    assert words in caught.value.problems[0].message


def test_yellow_data_goes_out_with_recorded_consent(tmp_path: Path) -> None:
    consent = {"who": "ada", "when": "2026-11-20", "why": "the words are nobody's"}
    data = {"training": {"path": "words.json"}, "tier": "yellow", "consent": consent}
    assert check_design(dump_yaml(asking({}, data=data)), world=opened(tmp_path)).plan.runs


@pytest.mark.parametrize(
    "model, words",
    (
        ({"name": "x"}, "give `path`"),
        ({"name": "x", "path": "y", "base_url": "http://h/v1"}, "belongs to a model behind an `api`"),
    ),
)
def test_a_model_lies_in_a_directory_or_behind_an_api(model: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=words):
        check_design(dump_yaml(asking({}, models=[model])), world=opened(tmp_path))


def test_keys_are_named_as_the_providers_name_them() -> None:
    found = [key_variable(api) for api in ("openai/gpt-4o", "openai-api/my-lab/x", "anthropic/c", "grok/x")]
    assert found == ["OPENAI_API_KEY", "MY_LAB_API_KEY", "ANTHROPIC_API_KEY", None]
    here = ("http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]/v1")
    assert all(is_here(url) for url in here)
    assert not is_here("http://127.example.org/v1")
