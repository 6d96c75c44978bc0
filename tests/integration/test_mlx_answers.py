"""Answers found by MLX: those that torch finds, to the same ids, with the same log-probabilities."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cruijff_kit.data.tokens import Encoding
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.runtime.classifying import Asker
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.mlx_resident import MlxResident
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.answer import AnswerForm, Question
from cruijff_kit.schema.prediction import Completion
from tests.random_model import random_adapter, random_base

PROMPTS = tuple(
    tuple(torch.randint(1, 200, (length,), generator=torch.Generator().manual_seed(length)).tolist())
    for length in (9, 3, 14, 14, 40, 6)
)
LONG = tuple((*range(20, 60), *prompt) for prompt in PROMPTS)
OPTIONS = (("yes", "no"), (), ("a", "ab", "abc"), ("one of these", "two of those"), ("1",), ("no", "none"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_base(tmp_path_factory.mktemp("base") / "base", spare_rows=3)


@pytest.fixture(scope="module")
def adapter(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return random_adapter(tmp_path_factory.mktemp("adapter") / "adapter", base)


@pytest.fixture(scope="module")
def dora(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("dora") / "adapter"
    torch.manual_seed(5)
    lora = LoraConfig(r=2, lora_alpha=8, target_modules=["o_proj", "down_proj"], use_dora=True, init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora).save_pretrained(str(folder))
    return str(folder)


@pytest.fixture(scope="module")
def ours(base: str) -> MlxResident:
    return MlxResident(base, device="cpu")


@pytest.fixture(scope="module")
def theirs(base: str) -> ResidentModel:
    return ResidentModel(base, device="cpu")


@pytest.fixture(scope="module")
def both(ours: MlxResident, theirs: ResidentModel) -> tuple[MlxResident, ResidentModel]:
    return ours, theirs


def assert_same(found: list[Completion], expected: list[Completion]) -> None:
    for mine, other in zip(found, expected, strict=True):
        assert (mine.token_ids, mine.text, mine.stopped) == (other.token_ids, other.text, other.stopped)
        assert [each.logprob for each in mine.given] == pytest.approx([each.logprob for each in other.given], abs=1e-4)
        for candidates, wanted in zip(mine.top, other.top, strict=True):
            assert [each.logprob for each in candidates] == pytest.approx([e.logprob for e in wanted], abs=1e-4)
        assert mine.option_logprobs == pytest.approx(other.option_logprobs, abs=1e-4)
        assert mine.option_mass == pytest.approx(other.option_mass, abs=1e-4)


@pytest.mark.parametrize("prompts", (PROMPTS, LONG), ids=("nothing shared", "a long beginning shared"))
@pytest.mark.parametrize(
    "limits",
    (
        Limits(12, 4, batch_size=4),
        Limits(12, 2, batch_size=2),
        Limits(12, 2, temperature=0.9, top_p=0.9, seed=3),
    ),
    ids=("in batches", "in pairs", "drawn"),
)
def test_answers_and_options_are_those_of_torch_with_and_without_an_adapter(
    prompts: tuple[tuple[int, ...], ...],
    limits: Limits,
    both: tuple[MlxResident, ResidentModel],
    adapter: str,
    dora: str,
) -> None:
    ours, theirs = both
    answers = {}
    # Adapters are changed to and fro, so that none of one is left when another is asked for.
    for worn in (None, adapter, dora, None, adapter):
        asked: dict[str, Any] = {"adapter": worn, "options": OPTIONS, "stop_ids": [17]}
        answers[worn] = ours.complete(prompts, limits, **asked)
        assert_same(answers[worn], theirs.complete(prompts, limits, **asked))
    assert answers[None] != answers[adapter] != answers[dora]


def test_a_greedy_answer_is_the_most_likely_token_at_every_place(ours: MlxResident, adapter: str) -> None:
    for answer in ours.complete(PROMPTS, Limits(20, 3), adapter=adapter):
        assert [at[0].token_id for at in answer.top] == list(answer.token_ids)


def test_the_logits_of_a_text_are_those_of_torch(ours: MlxResident, theirs: ResidentModel, adapter: str) -> None:
    for worn in (None, adapter):
        found, expected = (model.logits(PROMPTS[4], adapter=worn) for model in (ours, theirs))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_what_does_not_fit_is_refused_and_the_base_answers_on(ours: MlxResident, adapter: str, tmp_path: Path) -> None:
    before = ours.complete(PROMPTS, Limits(4, 1))
    for name, changed in (("deep", ("layers.1", "layers.7")), ("wide", ("q_proj", "k_proj"))):
        strange = shutil.copytree(adapter, tmp_path / name)
        weights = load_file(strange / "adapter_model.safetensors")
        renamed = {key.replace(*changed): each for key, each in weights.items()}
        save_file(renamed, strange / "adapter_model.safetensors")
        with pytest.raises(ResultError, match="does not fit the base model"):
            ours.complete(PROMPTS, Limits(4, 1), adapter=str(strange))
    with pytest.raises(PlanError, match="exceed the model's `256` positions"):
        ours.complete([tuple(range(1, 200))], Limits(100))
    assert ours.complete(PROMPTS, Limits(4, 1)) == before


def test_magnitudes_that_an_adapter_s_settings_deny_are_told(ours: MlxResident, dora: str, tmp_path: Path) -> None:
    strange = shutil.copytree(dora, tmp_path / "strange")
    settings = json.loads((strange / "adapter_config.json").read_text(encoding="utf-8"))
    (strange / "adapter_config.json").write_text(json.dumps({**settings, "use_dora": False}), encoding="utf-8")
    with pytest.raises(ResultError, match=r"does not fit the base model: `.*\.m` has no counterpart"):
        ours.complete(PROMPTS[:1], Limits(1, 1), adapter=str(strange))


def test_the_provider_answers_by_mlx_with_the_ids_it_sends_by_torch(base: str, adapter: str) -> None:
    async def ask(backend: str) -> Any:
        settings: dict[str, Any] = {"model_path": base, "adapter": adapter, "device": "cpu", "backend": backend}
        model = get_model("cruijff/tiny", memoize=False, max_seq_len=256, **settings)
        config = GenerateConfig(max_tokens=8, logprobs=True, top_logprobs=3, temperature=0)
        return await model.generate([ChatMessageUser(content="amber")], config=config)

    ours, theirs = (asyncio.run(ask(backend)) for backend in ("mlx", "torch"))
    for name in ("prompt_token_ids", "output_token_ids", "prompt_token_sha256"):
        assert ours.metadata[name] == theirs.metadata[name]
    assert ours.completion == theirs.completion


def test_structured_answers_are_held_to_their_form_and_are_those_of_torch(
    base: str, adapter: str, ours: MlxResident, theirs: ResidentModel
) -> None:
    form = AnswerForm(options=("HIGH_RISK", "LOW_RISK"), max_tokens=90, batch_size=4)
    encoding = Encoding(dataset_type="chat_completion", prompt="{text}", input_key="text")
    questions = [Question(text=f"text {number} é") for number in range(6)]
    for worn in (None, adapter):
        said = [
            Asker(model, encoding, form=form, adapter=worn, clock=lambda: 0.0).ask(questions)
            for model in (ours, theirs)
        ]
        for mine, other in zip(*said, strict=True):
            assert list(json.loads(mine.text)) == ["decision", "rationale", "abstain"]
            assert mine.text == other.text
            assert mine.logprobs == pytest.approx(other.logprobs, abs=1e-3)
