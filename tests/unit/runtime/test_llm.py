import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.tokens import encode_row
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.runtime import llm
from cruijff_kit.runtime.llm import (
    CHAT,
    TEXT,
    LoadedModel,
    ResidentModel,
    Sampling,
    get_embeddings,
    get_logits,
    get_next_tokens,
    load_model,
    load_prompts_and_targets,
    tokenize_prompts,
)
from cruijff_kit.runtime.pooling import COUNTS_PADDING
from cruijff_kit.schema.embedding import Padding, Pool
from tests.random_model import random_adapter, random_base

PROMPTS = ("a", "tree", "a much longer prompt than the others", "house", "no")
SIDES: tuple[Padding, ...] = ("left", "right")
STEADY = [pool for pool in get_args(Pool) if pool not in {*COUNTS_PADDING, "none"}]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base = random_base(tmp_path_factory.mktemp("base"), spare_rows=3)
    return base, random_adapter(tmp_path_factory.mktemp("adapter"), base)


@pytest.fixture(scope="module")
def loaded(folders: tuple[str, str]) -> LoadedModel:
    return load_model(folders[0], adapter=folders[1], device="cpu")


@pytest.fixture(scope="module")
def plain(folders: tuple[str, str]) -> Any:
    """Return the same model as the libraries load it."""
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(folders[0], local_files_only=True)
    return PeftModel.from_pretrained(base, folders[1]).eval()


def alone(plain: Any, loaded: LoadedModel, prompt: str) -> Any:
    """Return a plain forward pass over one prompt, nothing padded."""
    ids = torch.tensor(tokenize_prompts(loaded.tokenizer, [prompt]).prompts())
    with torch.inference_mode():
        return plain(input_ids=ids, output_hidden_states=True)


def test_a_loaded_model_has_the_size_and_tokens_of_its_directory(folders: tuple[str, str], loaded: LoadedModel) -> None:
    untouched = AutoTokenizer.from_pretrained(folders[0])
    assert len(loaded.tokenizer) == len(untouched)
    assert loaded.tokenizer.pad_token_id == untouched.pad_token_id
    assert loaded.model.get_input_embeddings().weight.shape[0] == len(untouched) + 3
    assert not loaded.model.training
    assert {each.dtype for each in load_model(folders[0], dtype="bf16", device="cpu").model.parameters()} == {
        torch.bfloat16
    }


@pytest.mark.parametrize(
    "encoding", (CHAT, TEXT, CHAT.model_copy(update={"system_prompt": "Be brief.", "prompt": "Q: {input} ({kind})"}))
)
def test_prompt_ids_are_those_of_training_on_either_side(loaded: LoadedModel, encoding: Encoding) -> None:
    rows = [{"input": prompt, "kind": "x", "output": "yes"} for prompt in PROMPTS]
    trained = [encode_row(row, encoding=encoding, tokenizer=loaded.tokenizer) for row in rows]
    for side in SIDES:
        tokens = tokenize_prompts(loaded.tokenizer, rows, encoding=encoding, padding_side=side)
        assert tokens.prompts() == [row.ids[: row.prompt_length] for row in trained]
        edge = tokens.attention_mask[:, 0 if side == "left" else -1]
        assert edge.sum() == 1


def test_all_prompts_that_cannot_be_tokenised_are_named_at_once(loaded: LoadedModel) -> None:
    short = TEXT.model_copy(update={"max_seq_len": 6})
    with pytest.raises(SpecError) as caught:
        tokenize_prompts(loaded.tokenizer, PROMPTS, encoding=short)
    assert [problem.place for problem in caught.value.problems] == ["prompt 2", "prompt 3"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("batch_size", (1, 2, 32))
def test_logits_are_those_of_a_plain_forward_pass(
    loaded: LoadedModel, plain: Any, side: Padding, batch_size: int
) -> None:
    found = get_logits(
        loaded.model, tokenize_prompts(loaded.tokenizer, PROMPTS, padding_side=side), batch_size=batch_size
    )
    expected = torch.stack([alone(plain, loaded, prompt).logits[0, -1] for prompt in PROMPTS])
    assert found.shape == (len(PROMPTS), len(loaded.tokenizer) + 3)
    assert (found - expected).abs().max() <= 1e-4


def test_epochs_are_compared_on_one_base_in_memory(folders: tuple[str, str], loaded: LoadedModel) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, PROMPTS)
    resident, found = ResidentModel(folders[0], device="cpu"), {}
    for name, adapter in {"base": None, "epoch_0": folders[1], "base again": None}.items():
        with resident.network(adapter) as model:
            found[name] = get_logits(model, tokens).softmax(-1)
    bare = get_logits(load_model(folders[0], device="cpu").model, tokens).softmax(-1)
    tuned = get_logits(loaded.model, tokens).softmax(-1)
    for name, expected in {"base": bare, "base again": bare, "epoch_0": tuned}.items():
        assert (found[name] - expected).abs().max() <= 1e-6, name
    assert (bare - tuned).abs().max() > 0.01


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("batch_size", (2, 32))
def test_next_tokens_are_those_of_the_library_s_own_greedy_search(
    loaded: LoadedModel, plain: Any, side: Padding, batch_size: int
) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, PROMPTS, padding_side=side)
    found = get_next_tokens(loaded.model, tokens, max_new_tokens=9, batch_size=batch_size)
    greedy = GenerationConfig(
        max_new_tokens=9, do_sample=False, pad_token_id=0, eos_token_id=loaded.tokenizer.eos_token_id
    )
    for row, prompt in zip(found.tolist(), tokens.prompts(), strict=True):
        expected = plain.generate(input_ids=torch.tensor([prompt]), generation_config=greedy)[0, len(prompt) :].tolist()
        assert row[: len(expected)] == expected


def test_an_answer_ends_at_its_end_token_and_is_filled_up_with_it(loaded: LoadedModel) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, PROMPTS)
    free = get_next_tokens(loaded.model, tokens, max_new_tokens=8, stop_ids=())
    end = int(free[1, 2])
    for row, whole in zip(
        get_next_tokens(loaded.model, tokens, max_new_tokens=8, stop_ids=[end]).tolist(), free.tolist(), strict=True
    ):
        cut = whole.index(end) + 1 if end in whole else len(whole)
        assert row == (whole[:cut] + [end] * 8)[: len(row)]


def test_sampled_answers_do_not_depend_on_neighbours_and_follow_the_model(loaded: LoadedModel) -> None:
    tokens, drawn = tokenize_prompts(loaded.tokenizer, PROMPTS), Sampling(sequences=3, temperature=1.5, seed=4)
    found = get_next_tokens(loaded.model, tokens, max_new_tokens=5, sampling=drawn, stop_ids=())
    assert found.shape == (len(PROMPTS), 3, 5)
    assert torch.equal(
        found, get_next_tokens(loaded.model, tokens, max_new_tokens=5, sampling=drawn, stop_ids=(), batch_size=2)
    )
    assert not torch.equal(
        found, get_next_tokens(loaded.model, tokens, max_new_tokens=5, sampling=drawn._replace(seed=5), stop_ids=())
    )
    assert len({tuple(row) for row in found[0].tolist()}) > 1
    sure = get_next_tokens(
        loaded.model, tokens, max_new_tokens=5, sampling=Sampling(sequences=2, top_p=1e-6), stop_ids=()
    )
    assert torch.equal(sure[:, 1], get_next_tokens(loaded.model, tokens, max_new_tokens=5, stop_ids=()))


def test_samples_come_as_often_as_the_model_says(loaded: LoadedModel) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, ["tree"])
    chances = (get_logits(loaded.model, tokens)[0] / 2).softmax(-1)
    drawn = get_next_tokens(
        loaded.model, tokens, sampling=Sampling(sequences=2000, temperature=2.0), stop_ids=(), batch_size=500
    )
    counted = torch.bincount(drawn.flatten(), minlength=len(chances)) / 2000
    assert ((counted - chances).abs() <= 5 * (chances * (1 - chances) / 2000).sqrt() + 1e-3).all()


@pytest.mark.parametrize("sampling", (Sampling(temperature=0), Sampling(top_p=0), Sampling(sequences=0)))
def test_sampling_out_of_range_is_refused(loaded: LoadedModel, sampling: Sampling) -> None:
    with pytest.raises(SpecError):
        get_next_tokens(loaded.model, tokenize_prompts(loaded.tokenizer, ["a"]), sampling=sampling)


@pytest.mark.parametrize("pool", STEADY)
def test_embeddings_are_the_same_on_either_side_and_in_any_batch(loaded: LoadedModel, pool: Pool) -> None:
    found = [
        get_embeddings(
            loaded.model,
            tokenize_prompts(loaded.tokenizer, PROMPTS, padding_side=side),
            pool=pool,
            layers="all",
            batch_size=size,
        )
        for side in SIDES
        for size in (1, 3, 32)
    ]
    assert found[0].tensor.shape == (len(PROMPTS), 3, 32)
    assert max((found[0].tensor - each.tensor).abs().max() for each in found) <= 1e-4


@pytest.mark.parametrize("side", SIDES)
def test_embeddings_of_any_layer_are_those_of_a_plain_forward_pass(
    loaded: LoadedModel, plain: Any, side: Padding
) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, PROMPTS, padding_side=side)
    found = get_embeddings(loaded.model, tokens, pool="none", layers=(0, -1, 1), batch_size=2)
    assert found.tensor.shape == (len(PROMPTS), 3, tokens.input_ids.shape[1], 32)
    for at, prompt in enumerate(PROMPTS):
        states = alone(plain, loaded, prompt).hidden_states
        own = found.tensor[at][:, tokens.attention_mask[at].bool()]
        assert (own - torch.cat([states[0], states[2], states[1]])).abs().max() <= 1e-4
        assert not found.tensor[at][:, ~tokens.attention_mask[at].bool()].any()
    last = get_embeddings(loaded.model, tokens).tensor[:, 0]
    assert (
        last - torch.stack([alone(plain, loaded, prompt).hidden_states[-1][0, -1] for prompt in PROMPTS])
    ).abs().max() <= 1e-4


@pytest.mark.parametrize("pool", sorted(COUNTS_PADDING))
def test_pools_that_count_padding_see_the_tensor_as_it_was_given(loaded: LoadedModel, pool: Pool) -> None:
    left, right = (tokenize_prompts(loaded.tokenizer, PROMPTS, padding_side=side) for side in SIDES)
    of_left, of_right = (get_embeddings(loaded.model, each, pool=pool).tensor for each in (left, right))
    assert torch.allclose(of_left, get_embeddings(loaded.model, left, pool=pool, batch_size=2).tensor, atol=1e-4)
    assert not torch.allclose(of_left, of_right, atol=1e-2)
    if pool == "last":
        assert torch.allclose(of_left, get_embeddings(loaded.model, right, pool="last_non_padding").tensor, atol=1e-4)


def test_a_layer_that_is_not_there_and_a_prompt_without_tokens_are_refused(loaded: LoadedModel) -> None:
    tokens = tokenize_prompts(loaded.tokenizer, PROMPTS)
    for layer in (3, -4):
        with pytest.raises(PlanError, match=r"no layer .*from 0 to 2, or from -1 back to -3"):
            get_embeddings(loaded.model, tokens, layers=(layer,))
    empty = llm.TokenBatch(torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2, dtype=torch.long))
    with pytest.raises(PlanError, match="no tokens"):
        get_logits(loaded.model, empty)


def test_prompts_targets_and_ids_come_from_files_of_any_format(tmp_path: Path) -> None:
    rows = [{"q": f"word {at}", "a": at, "key": f"k{at}"} for at in range(4)]
    (tmp_path / "x.json").write_text(json.dumps({"train": rows[:1], "test": rows[1:]}), encoding="utf-8")
    (tmp_path / "x.csv").write_text(
        "q,a,key\n" + "".join(f"word {at},{at},k{at}\n" for at in range(4)), encoding="utf-8"
    )
    found = load_prompts_and_targets(
        tmp_path / "x.json", split="test", num_obs=2, input_colname="q", output_colname="a"
    )
    assert found == (["word 1", "word 2"], ["1", "2"], ["test-0", "test-1"])
    named = load_prompts_and_targets(tmp_path / "x.csv", input_colname="q", output_colname="a", id_colname="key")
    assert named.ids == ["k0", "k1", "k2", "k3"]
    with pytest.raises(SpecError, match=r"no split `dev`; it has `test`, `train`"):
        load_prompts_and_targets(tmp_path / "x.json", split="dev")
