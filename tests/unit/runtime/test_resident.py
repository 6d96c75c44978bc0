import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from cruijff_kit.errors import PlanError, ResultError, SiteError
from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.prediction import Completion
from tests.random_model import random_adapter, random_base

WORDS = ("a", "tree", "a much longer prompt than the others", "house")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_base(tmp_path_factory.mktemp("base"), spare_rows=3)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: str) -> str:
    return random_adapter(tmp_path_factory.mktemp("adapter"), base)


@pytest.fixture(scope="module")
def model(base: str) -> ResidentModel:
    return ResidentModel(base, device="cpu")


@pytest.fixture(scope="module")
def prompts(model: ResidentModel) -> list[tuple[int, ...]]:
    return [tuple(model.tokenizer.encode(word)) for word in WORDS]


def candidates(answer: Completion) -> list[list[int]]:
    return [[token.token_id for token in at] for at in answer.top]


def distance(one: Completion, other: Completion) -> float:
    assert candidates(one) == candidates(other)
    pairs = ((a, b) for at, bt in zip(one.top, other.top, strict=True) for a, b in zip(at, bt, strict=True))
    return max(abs(a.logprob - b.logprob) for a, b in pairs)


@pytest.mark.parametrize("worn", (False, True))
def test_a_batch_gives_each_prompt_what_it_gets_alone(
    model: ResidentModel, prompts: list[tuple[int, ...]], adapter: str, worn: bool
) -> None:
    limits, chosen = Limits(max_tokens=12, top_logprobs=3), adapter if worn else None
    together = model.complete(prompts, limits, adapter=chosen)
    alone = [model.complete([prompt], limits, adapter=chosen)[0] for prompt in prompts]
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
    assert max(map(distance, together, alone)) <= 1e-4


def test_answers_come_in_the_order_of_the_prompts_whatever_the_batches(
    model: ResidentModel, prompts: list[tuple[int, ...]]
) -> None:
    whole = model.complete(prompts, Limits(max_tokens=6))
    assert model.complete(prompts, Limits(max_tokens=6, batch_size=2)) == whole
    assert model.complete(prompts[::-1], Limits(max_tokens=6, batch_size=3)) == whole[::-1]


def test_answers_are_those_of_a_plain_forward_pass(base: str, model: ResidentModel) -> None:
    plain = AutoModelForCausalLM.from_pretrained(base, local_files_only=True).eval()
    ids, expected, logprobs = list(model.tokenizer.encode("tree")), [], []
    for _ in range(8):
        with torch.inference_mode():
            scores = plain(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        expected.append(int(scores.argmax()))
        logprobs.append(float(scores.max()))
        ids.append(expected[-1])
    prompt = tuple(model.tokenizer.encode("tree"))
    (answer,) = model.complete([prompt], Limits(max_tokens=8, top_logprobs=1))
    assert list(answer.token_ids) == expected
    assert [at[0].logprob for at in answer.top] == pytest.approx(logprobs, abs=1e-4)


def test_the_token_given_is_the_first_candidate(model: ResidentModel, prompts: list[tuple[int, ...]]) -> None:
    for answer in model.complete(prompts, Limits(max_tokens=10, top_logprobs=5)):
        assert answer.token_ids == tuple(at[0].token_id for at in answer.top)
        assert all(list(at) == sorted(at, key=lambda token: -token.logprob) for at in answer.top)


def test_an_answer_is_made_once_and_told_as_it_ends(model: ResidentModel, prompts: list[tuple[int, ...]]) -> None:
    for longest in (3, 0):
        told = list[Completion]()
        found = model.complete(prompts, Limits(longest), asides=[Aside(done=told.append)] * len(prompts))
        assert {id(each) for each in told} == {id(each) for each in found}
        assert len(told) == len(prompts)


def test_an_answer_stops_at_an_end_token_and_its_text_leaves_it_out(model: ResidentModel) -> None:
    prompt = tuple(model.tokenizer.encode("tree"))
    (free,) = model.complete([prompt], Limits(max_tokens=10))
    end = free.token_ids[3]
    at = free.token_ids.index(end)
    (ended,) = model.complete([prompt], Limits(max_tokens=10), stop_ids=[end])
    assert ended.stopped
    assert not free.stopped
    assert ended.token_ids == free.token_ids[: at + 1]
    known = [token for token in free.token_ids[:at] if token < len(model.tokenizer)]
    assert ended.text == model.tokenizer.decode(known, skip_special_tokens=True)


def test_a_row_that_ends_early_leaves_the_others_as_they_were(
    model: ResidentModel, prompts: list[tuple[int, ...]]
) -> None:
    free = model.complete(prompts, Limits(max_tokens=12))
    end = free[1].token_ids[2]
    for answer, ended in zip(free, model.complete(prompts, Limits(max_tokens=12), stop_ids=[end]), strict=True):
        cut = answer.token_ids.index(end) + 1 if end in answer.token_ids else None
        assert ended.token_ids == answer.token_ids[:cut]


def test_rows_beyond_the_tokenizer_are_candidates_without_text(model: ResidentModel) -> None:
    everything = Limits(max_tokens=1, top_logprobs=10_000)
    (answer,) = model.complete([tuple(model.tokenizer.encode("tree"))], everything)
    spare = [token for token in answer.top[0] if token.token_id >= len(model.tokenizer)]
    assert [token.token for token in spare] == ["", "", ""]


def test_an_adapter_changes_answers_and_leaves_the_base_as_it_was(
    base: str, adapter: str, tmp_path: Path, prompts: list[tuple[int, ...]]
) -> None:
    model, limits = ResidentModel(base, device="cpu"), Limits(max_tokens=6)
    other = random_adapter(tmp_path / "other", base, seed=2)
    bare = model.complete(prompts, limits)
    first, second = (model.complete(prompts, limits, adapter=folder) for folder in (adapter, other))
    assert len({tuple(bare), tuple(first), tuple(second)}) == 3
    assert model.complete(prompts, limits) == bare
    assert model.complete(prompts, limits, adapter=adapter) == first


def test_an_adapter_rewritten_in_place_is_read_anew(base: str, tmp_path: Path, prompts: list[tuple[int, ...]]) -> None:
    model, limits = ResidentModel(base, device="cpu"), Limits(max_tokens=6)
    folder = random_adapter(tmp_path / "adapter", base, seed=2)
    before = model.complete(prompts, limits, adapter=folder)
    random_adapter(tmp_path / "adapter", base, seed=3)
    assert model.complete(prompts, limits, adapter=folder) != before


def test_an_adapter_of_another_shape_is_refused(base: str, adapter: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "adapter"
    shutil.copytree(adapter, broken)
    weights = load_file(broken / "adapter_model.safetensors")
    renamed = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in weights.items()}
    save_file(renamed, broken / "adapter_model.safetensors")
    with pytest.raises(ResultError, match="does not fit the base model"):
        ResidentModel(base, device="cpu").complete([(1, 2)], Limits(max_tokens=1), adapter=str(broken))


def test_a_base_directory_with_an_adapter_in_it_is_refused(base: str, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(base, mixed)
    (mixed / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SiteError, match="carries an adapter"):
        ResidentModel(str(mixed))


def test_a_folder_without_adapter_weights_is_refused(model: ResidentModel, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="is no adapter"):
        model.complete([(1, 2)], Limits(max_tokens=1), adapter=str(tmp_path))


def test_a_directory_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be loaded"):
        ResidentModel(str(tmp_path))


def test_a_prompt_beyond_the_models_positions_is_refused(model: ResidentModel) -> None:
    with pytest.raises(PlanError, match="exceed the model's `256` positions"):
        model.complete([(1,) * 250], Limits(max_tokens=7))


def test_an_empty_prompt_is_refused(model: ResidentModel) -> None:
    with pytest.raises(PlanError, match="no tokens"):
        model.complete([()], Limits(max_tokens=1))


def test_logits_that_are_not_numbers_are_an_error_and_no_answer(base: str, adapter: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    diverged = tmp_path / "adapter"
    shutil.copytree(adapter, diverged)
    weights = load_file(diverged / "adapter_model.safetensors")
    save_file(
        {name: torch.full_like(tensor, float("nan")) for name, tensor in weights.items()},
        diverged / "adapter_model.safetensors",
    )
    with pytest.raises(ResultError, match="training diverged"):
        ResidentModel(base, device="cpu").complete([(1, 2)], Limits(max_tokens=1), adapter=str(diverged))
