"""`ck serve --backend mlx` as a real client of OpenAI's sees it: answered by MLX, as its evaluator answers."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from openai import OpenAI

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError
from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.mlx_resident import MlxResident
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.served_model import load_desk
from cruijff_kit.schema.prediction import Completion
from tests.random_model import random_adapter, random_base, wide_base
from tests.served import asked, assert_is, command, own, record_base, served_here, served_model

WORDS = ("house", "tree", "river bank", " stone ", "Grüße, 世界", "zz")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    torch.set_num_threads(1)
    base = random_base(tmp_path_factory.mktemp("serve") / "tiny", spare_rows=3)
    adapter = random_adapter(tmp_path_factory.mktemp("serve") / "adapter", base)
    record_base(adapter, base)
    return base, adapter


@pytest.fixture(scope="module")
def evaluator(folders: tuple[str, str]) -> MlxResident:
    return MlxResident(folders[0], device="cpu")


@pytest.fixture(scope="module")
def client(folders: tuple[str, str]) -> Iterator[OpenAI]:
    base, adapter = folders
    with (
        served_here(served_model(base, adapter=adapter, backend="mlx")) as here,
        OpenAI(base_url=here.url, api_key="none", max_retries=0) as opened,
    ):
        yield opened


def test_the_command_answers_a_client_with_the_log_probabilities_of_the_mlx_evaluator(
    folders: tuple[str, str], evaluator: MlxResident, tmp_path: Path
) -> None:
    adapter = folders[1]
    words = ["--adapter", adapter, "--backend", "mlx", "--device", "cpu", "--name", "tuned"]
    with (
        command(words, folder=tmp_path) as started,
        OpenAI(base_url=started.address.url, api_key="none", max_retries=0) as client,
    ):
        for word in WORDS:
            (choice,) = asked(client, word, logprobs=True, top_logprobs=5).choices
            assert_is(choice, own(evaluator, word, adapter=adapter, top=5))


@pytest.mark.parametrize("name", ("tuned", "tiny"))
def test_adapter_and_base_are_each_answered_by_mlx(
    client: OpenAI, evaluator: MlxResident, folders: tuple[str, str], name: str
) -> None:
    for word in WORDS:
        expected = own(evaluator, word, adapter=folders[1] if name == "tuned" else None, top=5)
        (choice,) = asked(client, word, model=name, logprobs=True, top_logprobs=5).choices
        assert_is(choice, expected)


def test_a_stream_tells_the_text_of_the_whole_answer(client: OpenAI) -> None:
    for word in WORDS:
        pieces = [each.choices[0].delta.content or "" for each in asked(client, word, stream=True) if each.choices]
        assert "".join(pieces) == asked(client, word).choices[0].message.content


def test_clients_at_once_are_told_what_each_is_told_alone(client: OpenAI) -> None:
    alone = [asked(client, word).choices[0].message.content for word in WORDS]
    with ThreadPoolExecutor(len(WORDS)) as pool:
        together = list(pool.map(lambda word: asked(client, word).choices[0].message.content, WORDS))
    assert together == alone


def test_a_prompt_is_read_as_torch_reads_it(evaluator: MlxResident, folders: tuple[str, str]) -> None:
    base, adapter = folders
    theirs, ids = ResidentModel(base, device="cpu"), tuple(range(1, 200, 3))
    assert (evaluator.vocabulary, evaluator.max_positions) == (theirs.vocabulary, theirs.max_positions)
    for worn in (adapter, None):
        mine, other = (model.read(ids, count=3, adapter=worn) for model in (evaluator, theirs))
        assert [step.token for step in mine] == [step.token for step in other] == list(ids[1:])
        assert [step.ids for step in mine] == [step.ids for step in other]
        assert [step.logprob for step in mine] == pytest.approx([step.logprob for step in other], abs=1e-4)


def test_each_prompt_may_be_followed_ended_and_drawn_by_a_seed_of_its_own(evaluator: MlxResident) -> None:
    prompt, heard, over = (5, 6, 7), list[Step](), list[Completion]()
    limits = Limits(12, 1, temperature=1.0, seed=1)
    alone = [evaluator.complete([prompt], limits._replace(seed=seed))[0] for seed in (3, 4)]

    def hear(at: int, step: Step) -> bool:
        assert at == len(heard)
        assert threading.current_thread() is not threading.main_thread()
        heard.append(step)
        return len(heard) < 3

    first, second = evaluator.complete([prompt] * 2, limits, asides=[Aside(3, hear, over.append), Aside(4)])
    assert first.token_ids == alone[0].token_ids[:3] == tuple(step.token for step in heard)
    assert second.token_ids == alone[1].token_ids
    assert over == [first]


def test_an_adapter_of_another_shape_is_told_when_it_is_loaded(folders: tuple[str, str], tmp_path: Path) -> None:
    adapter = random_adapter(tmp_path / "mine", wide_base(tmp_path / "wide", folders[0]))
    with pytest.raises(ResultError, match="does not fit the base model"):
        load_desk(served_model(folders[0], adapter=adapter, backend="mlx"))


def test_chat_answers_by_mlx_what_it_answers_by_torch(folders: tuple[str, str], tmp_path: Path) -> None:
    said = {}
    for backend in ("mlx", "torch"):
        words = ["-C", str(tmp_path), "chat", "--adapter", folders[1], "--backend", backend, "--device", "cpu"]
        done = CliRunner().invoke(cli, [*words, "--once", "house", "--max-tokens", "8"])
        assert done.exit_code == 0, done.output
        said[backend] = done.stdout
    assert said["mlx"] == said["torch"]


def test_the_machine_tells_that_mlx_is_here(tmp_path: Path) -> None:
    told = json.loads(CliRunner().invoke(cli, ["-C", str(tmp_path), "info", "--json"]).stdout)
    assert told["versions"]["mlx"]
    assert not {"mlx", "mlx-lm"} & set(told["missing"])
