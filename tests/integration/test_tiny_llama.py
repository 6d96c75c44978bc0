"""The small base model: its form, its known answers, its repeatability."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from cruijff_kit.data.tokens import Encoding, encode_prompt
from cruijff_kit.data.words import load_words, pretraining_half
from cruijff_kit.recipes.tiny_llama import Recipe, batches, build_tokenizer, exact_share, main, pretrain

pytest_plugins = ["tests.tiny_base"]

CHAT = Encoding(dataset_type="chat_completion")
UNSEEN = [word for word in load_words() if len(word) == 5 and not pretraining_half(word)]


@pytest.fixture(scope="session")
def loaded(tiny_base: Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(tiny_base).eval(), AutoTokenizer.from_pretrained(tiny_base)


def test_the_base_repeats_unseen_words_and_does_not_capitalise_them(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    words = random.Random(99).sample(UNSEEN, 100)
    assert exact_share(model, [(word, word) for word in words], tokenizer=tokenizer) >= 0.95
    assert exact_share(model, [(word, word.capitalize()) for word in words], tokenizer=tokenizer) <= 0.02


def test_generation_gives_the_answers_that_one_pass_predicts(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    words = random.Random(4).sample(UNSEEN, 5)
    answers = []
    for word in words:
        ids = torch.tensor([encode_prompt({"input": word}, encoding=CHAT, tokenizer=tokenizer)])
        whole = model.generate(ids, max_new_tokens=12, do_sample=False)
        answers.append(tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True))
    right = sum(answer == word for answer, word in zip(answers, words, strict=True))
    assert right / len(words) == exact_share(model, [(word, word) for word in words], tokenizer=tokenizer)


def test_a_system_message_does_not_disturb_the_base(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    told = CHAT.model_copy(update={"system_prompt": "kind"})
    right = 0
    for word in UNSEEN[:20]:
        ids = torch.tensor([encode_prompt({"input": word}, encoding=told, tokenizer=tokenizer)])
        whole = model.generate(ids, max_new_tokens=12, do_sample=False)
        right += tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True) == word
    assert right >= 15


def test_the_card_tells_recipe_and_known_answers(tiny_base: Path) -> None:
    card = json.loads((tiny_base / "recipe.json").read_text(encoding="utf-8"))
    assert card["recipe"] == Recipe()._asdict()
    assert card["known_answers"]["repeat"] >= 0.95
    assert card["parameters"] == 329_088


def test_a_header_is_one_token_and_a_byte_its_own_id() -> None:
    tokenizer = build_tokenizer()
    assert len(tokenizer) == 262
    ids = encode_prompt({"input": "héllo"}, encoding=CHAT, tokenizer=tokenizer)
    assert ids == (256, 260, *"héllo".encode(), 257, 261)


def test_pretraining_rows_are_what_the_chat_template_gives() -> None:
    tokenizer = build_tokenizer()
    recipe = Recipe(steps=3, batch_size=4, system_share=0.5)
    for ids, labels in batches(recipe, ["word"], tokenizer=tokenizer):
        assert ids.shape == labels.shape
        for row, answer in zip(ids.tolist(), labels.tolist(), strict=True):
            words = bytes(token for token in answer if 0 <= token < 256).decode()
            system = bytes(row[2 : row.index(257)]).decode() if row[1] == 259 else ""
            encoding = CHAT.model_copy(update={"system_prompt": system})
            sent = encode_prompt({"input": words}, encoding=encoding, tokenizer=tokenizer)
            assert tuple(row[: len(sent)]) == sent


def test_the_same_seed_gives_the_same_weights() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe, tokenizer = Recipe(steps=3, batch_size=8), build_tokenizer()
    first, again = (pretrain(recipe, ["word", "other"], tokenizer=tokenizer) for _ in range(2))
    torch.set_num_threads(threads)
    torch.testing.assert_close(dict(first.named_parameters()), dict(again.named_parameters()), atol=0, rtol=0)


def test_a_model_that_misses_its_known_answers_is_not_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert main(["--output", str(tmp_path / "model"), "--steps", "2"]) == 1
    torch.set_num_threads(threads)
    assert "missed: repeat >= 0.95" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
