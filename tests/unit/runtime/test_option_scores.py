"""Option log-probabilities against plain forward passes of transformers, one spelling a row."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from transformers import AutoModelForCausalLM

from cruijff_kit.data.labels import label_spellings
from cruijff_kit.errors import PlanError, ResultError
from cruijff_kit.runtime.causal_lm import load_causal_lm
from cruijff_kit.runtime.inference import Decoder, Limits
from cruijff_kit.runtime.option_scores import OptionTable, option_table
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.prediction import Completion
from tests.model_families import CAPPED, FAMILIES, save_family
from tests.random_model import random_adapter, random_base
from tests.tokenizer_families import FAMILIES as TOKENIZERS
from tests.tokenizer_zoo import byte_level, merging

SHARED = tuple(range(20, 45))
PROMPTS: dict[str, list[tuple[int, ...]]] = {
    "apart": [(5, 6, 7), (9,) * 12, (1, 2, 3, 4, 5, 6, 7, 8)],
    "one beginning": [(*SHARED, 7, 8, 9), (*SHARED, 3), (*SHARED, *range(50, 70)), (*SHARED, 100, 101)],
}
LABELS = {"one token": ("A", "B", "C"), "several tokens": ("yes", "no", "not sure"), "in each other": ("1", "10", "12")}
LIMITS = Limits(max_tokens=2, top_logprobs=1)


def spelt(table: OptionTable, prompt: Sequence[int], *, model: Any, left: bool) -> list[float]:
    """Return every spelling's log-probability from one pass over padded rows of prompt and spelling."""
    rows = [(*prompt, *ids) for ids in table.spellings]
    width = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    for at, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[at, place], mask[at, place] = torch.tensor(row), 1
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).logits
    found = []
    for at, (row, spelling) in enumerate(zip(rows, table.spellings, strict=True)):
        first = (width - len(row) if left else 0) + len(prompt) - 1
        said = logits[at, first : first + len(spelling)].double().log_softmax(-1)
        found.append(float(said[range(len(spelling)), list(spelling)].sum()))
    return found


def pooled_by_hand(options: Sequence[str], table: OptionTable, logprobs: Sequence[float]) -> list[float]:
    """Return each option's probability: its spellings' less what goes on to another spelling, found by looking."""
    chances = dict(zip(table.spellings, map(math.exp, logprobs), strict=True))
    alone = {
        ids: chance - sum(chances[other] for other in chances if parent_of(other, chances) == ids)
        for ids, chance in chances.items()
    }
    owned = list(zip(table.spellings, table.owners, strict=True))
    return [sum(alone[ids] for ids, owner in owned if owner == at) for at in range(len(options))]


def parent_of(ids: tuple[int, ...], known: Any) -> tuple[int, ...] | None:
    return next((ids[:end] for end in range(len(ids) - 1, 0, -1) if ids[:end] in known), None)


def check(answer: Completion, prompt: Sequence[int], *, options: Sequence[str], model: Any, tokenizer: Any) -> None:
    table = option_table(options, tokenizer=tokenizer)
    for left in (False, True):
        chances = pooled_by_hand(options, table, spelt(table, prompt, model=model, left=left))
        assert list(answer.option_logprobs) == pytest.approx([math.log(chance) for chance in chances], abs=1e-4)
        assert answer.option_mass == pytest.approx(sum(chances), abs=1e-6)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Decoder]:
    """Return a model as transformers loads it, and a decoder around another copy of it."""
    folder = save_family(tmp_path_factory.mktemp("family") / request.param, request.param)
    attention = "eager" if folder.name == CAPPED else "sdpa"
    plain = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
    network = load_causal_lm(folder, dtype=torch.float32, device=torch.device("cpu"))
    return plain, Decoder(network, byte_level(), vocabulary=261, max_positions=128, ends=())


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("prompts", PROMPTS)
def test_options_have_the_probabilities_of_a_plain_pass_in_every_architecture(
    family: tuple[Any, Decoder], prompts: str, labels: str
) -> None:
    plain, decoder = family
    options, asked = LABELS[labels], PROMPTS[prompts]
    together = decoder.complete(asked, LIMITS, options=[options] * len(asked))
    alone = [decoder.complete([prompt], LIMITS, options=[options])[0] for prompt in asked]
    for prompt, one, other in zip(asked, together, alone, strict=True):
        check(one, prompt, options=options, model=plain, tokenizer=byte_level())
        assert one.option_logprobs == pytest.approx(other.option_logprobs, abs=1e-4)
        assert one.token_ids == other.token_ids


def test_scoring_options_leaves_the_answers_as_they_are(family: tuple[Any, Decoder]) -> None:
    decoder, asked = family[1], PROMPTS["apart"]
    limits = Limits(max_tokens=9, top_logprobs=2)
    scored = decoder.complete(asked, limits, options=[("yes", "no")] * len(asked))
    assert [one.token_ids for one in scored] == [one.token_ids for one in decoder.complete(asked, limits)]


def test_each_prompt_has_options_of_its_own_or_none(family: tuple[Any, Decoder]) -> None:
    plain, decoder = family
    own = [("yes", "no"), (), ("A", "B", "C, or rather D")]
    first, second, third = decoder.complete(PROMPTS["apart"], LIMITS, options=own)
    assert (second.option_logprobs, second.option_mass) == ((), None)
    for answer, prompt, options in ((first, PROMPTS["apart"][0], own[0]), (third, PROMPTS["apart"][2], own[2])):
        check(answer, prompt, options=options, model=plain, tokenizer=byte_level())


def test_options_are_scored_by_the_model_with_its_adapter(tmp_path: Path) -> None:
    base = random_base(tmp_path / "base", spare_rows=3)
    adapter = random_adapter(tmp_path / "adapter", base)
    asked, options = PROMPTS["one beginning"], LABELS["several tokens"]
    resident = ResidentModel(base, device="cpu")
    worn = resident.complete(asked, LIMITS, adapter=adapter, options=[options] * len(asked))
    bare = resident.complete(asked, LIMITS, options=[options] * len(asked))
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
    for prompt, with_adapter, without in zip(asked, worn, bare, strict=True):
        check(with_adapter, prompt, options=options, model=plain, tokenizer=resident.tokenizer)
        with plain.disable_adapter():
            check(without, prompt, options=options, model=plain, tokenizer=resident.tokenizer)


class Letters:
    """A tokenizer whose ids are characters."""

    chat_template = None
    bos_token_id = eos_token_id = None

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        return [ord(char) for char in text]


def table_of(*options: str) -> OptionTable:
    return option_table(options, tokenizer=Letters())  # pyright: ignore[reportArgumentType] -- it only encodes


def test_an_option_that_begins_another_counts_only_what_does_not_go_on_to_it() -> None:
    table = table_of("1", "10")
    assert table.spellings == ((49,), (32, 49), (49, 48), (32, 49, 48))
    scores = table.pool([math.log(each) for each in (0.5, 0.2, 0.3, 0.05)])
    assert [math.exp(each) for each in scores.logprobs] == pytest.approx([0.2 + 0.15, 0.35])
    assert scores.mass == pytest.approx(0.7)


def test_an_option_that_always_goes_on_to_another_keeps_a_finite_score() -> None:
    scores = table_of("1", "10").pool([math.log(0.5), math.log(0.2), math.log(0.5), math.log(0.2)])
    assert -20 < scores.logprobs[0] < -10
    assert scores.mass == pytest.approx(0.7)


def test_what_cannot_be_has_a_score_that_a_file_can_hold() -> None:
    scores = table_of("a", "b").pool([-math.inf, -math.inf, math.log(0.5), -math.inf])
    assert scores.logprobs == (-1e4, math.log(0.5))


def test_what_is_no_number_is_not_taken_for_what_cannot_be() -> None:
    with pytest.raises(ResultError, match="are not numbers"):
        table_of("a", "b").pool([math.nan, -1.0, -1.0, -1.0])


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=6, unique=True), st.randoms())
def test_the_mass_of_any_options_is_a_probability(options: list[str], draw: Any) -> None:
    """Spellings get the chances of a random walk, in which each character's successors share its chance."""
    table = table_of(*options)
    chances: dict[tuple[int, ...], float] = {(): 1.0}
    walks = {spelling[:end] for spelling in table.spellings for end in range(1, len(spelling) + 1)}
    for ids in sorted(walks, key=len):
        siblings = sum(chance for other, chance in chances.items() if other and other[:-1] == ids[:-1])
        chances[ids] = draw.random() * max(0.0, chances[ids[:-1]] - siblings)
    scores = table.pool([math.log(max(chances[ids], 1e-300)) for ids in table.spellings])
    leaves = sum(chances[ids] for ids in table.spellings if parent_of(ids, table.spellings) is None)
    assert 0 <= scores.mass <= 1
    assert scores.mass == pytest.approx(leaves, abs=1e-5)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("label", ("yes", "Amber", "10", "not sure", "ünï"))
def test_a_label_has_a_spelling_for_every_way_a_tokenizer_distinguishes(name: str, label: str) -> None:
    tokenizer = TOKENIZERS[name].build()
    found = label_spellings(label, tokenizer=tokenizer)
    assert found[0] == tuple(tokenizer.encode(label, add_special_tokens=False))
    assert found[1] == tuple(tokenizer.encode(f" {label}", add_special_tokens=False))
    assert len(set(found)) == len(found) == (3 if name in ("llama2", "mistral1", "zephyr") else 2)
    assert all(one[: len(other)] != other for one in found for other in found if one != other)
    # Behind other text each is read as the label, with a blank in front or without.
    before = tokenizer.encode("x", add_special_tokens=False)
    assert {tokenizer.decode([*before, *ids]).removeprefix("x").strip() for ids in found} == {label}


def test_a_label_is_spelt_as_training_spells_it_although_it_would_merge_with_the_prompt() -> None:
    tokenizer = merging(["Answer: yes"] * 9)
    assert len(tokenizer.encode("Answer: yes", add_special_tokens=False)) == 1
    assert tuple(tokenizer.encode("yes", add_special_tokens=False)) in label_spellings("yes", tokenizer=tokenizer)


def test_outer_blanks_are_no_part_of_a_label() -> None:
    tokenizer = byte_level()
    assert label_spellings(" yes\n", tokenizer=tokenizer) == label_spellings("yes", tokenizer=tokenizer)


@pytest.mark.parametrize(
    "options, fact", (((), "no options"), (("yes", " "), "option ` ` has no tokens"), (("yes", " yes"), "same tokens"))
)
def test_options_that_cannot_be_scored_are_refused(options: tuple[str, ...], fact: str) -> None:
    with pytest.raises(PlanError, match=fact):
        option_table(options, tokenizer=byte_level())


def test_nodes_hold_all_their_own_beginnings_shorter_ones_first() -> None:
    nodes = option_table(("yes", "yesterday", "no"), tokenizer=byte_level()).nodes
    assert all(len(one) <= len(other) for one, other in pairwise(nodes))
    assert {ids[:-1] for ids in nodes if len(ids) > 1} <= set(nodes)
