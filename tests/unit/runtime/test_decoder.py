"""Batches: whatever their order, size and memory, each prompt gets what it gets alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import DynamicCache

from cruijff_kit.errors import PlanError, SiteError
from cruijff_kit.runtime import inference
from cruijff_kit.runtime.causal_lm import load_causal_lm
from cruijff_kit.runtime.inference import Decoder, Limits
from cruijff_kit.runtime.key_values import read_on, shared_prefix
from cruijff_kit.runtime.memory_budget import footprint
from cruijff_kit.schema.prediction import Completion
from tests.model_families import FAMILIES, save_family
from tests.tokenizer_zoo import byte_level

SHARED = tuple(range(20, 60))
PROMPTS = (
    *((*SHARED, *own) for own in ((7,), (8, 9, 10), tuple(range(90, 120)))),
    (5, 6, 7),
    (9,) * 12,
    (1, 2),
    tuple(range(1, 31)),
)
OPTIONS = ("yes", "no", "1", "10")
LIMITS = Limits(max_tokens=5, top_logprobs=2)


class Narrow:
    """A network on a GPU whose memory holds so many tokens side by side, and what was asked of it."""

    def __init__(self, network: Any, *, holds: int = 10**9) -> None:
        self._network = network
        self.holds = holds
        self.shapes: list[tuple[int, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, **inputs: Any) -> Any:
        rows, width = inputs["input_ids"].shape
        self.shapes.append((rows, width))
        if rows * inputs["attention_mask"].shape[-1] > self.holds:
            raise torch.OutOfMemoryError(f"{rows} rows")
        return self._network(**inputs)


class Bench(NamedTuple):
    """A model, and what it answers to each prompt alone."""

    network: Any
    alone: tuple[Completion, ...]


def decoder(network: Any) -> Decoder:
    return Decoder(network, byte_level(), vocabulary=261, max_positions=128, ends=(33, 44, 55, 66))


def answers(network: Any, prompts: Sequence[tuple[int, ...]], limits: Limits = LIMITS) -> list[Completion]:
    return decoder(network).complete(prompts, limits, options=[OPTIONS] * len(prompts))


@pytest.fixture(scope="module", params=("llama", "gpt_neox", "mistral", "gemma3_text"))
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = save_family(tmp_path_factory.mktemp("family") / request.param, request.param)
    network = load_causal_lm(folder, dtype=torch.float32, device=torch.device("cpu"))
    return Bench(network, tuple(answers(network, [prompt])[0] for prompt in PROMPTS))


def same(found: Completion, expected: Completion) -> None:
    assert found.token_ids == expected.token_ids
    assert found.option_logprobs == pytest.approx(expected.option_logprobs, abs=1e-4)
    logprobs = [[token.logprob for token in at] for at in found.top]
    assert logprobs == [pytest.approx([token.logprob for token in at], abs=1e-4) for at in expected.top]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, len(PROMPTS) - 1), min_size=1, max_size=9),
    st.integers(1, 5),
    st.sampled_from((None, 0.9)),
)
def test_any_order_and_any_batch_size_give_each_prompt_what_it_gets_alone(
    bench: Bench, chosen: list[int], size: int, temperature: float | None
) -> None:
    limits = LIMITS._replace(batch_size=size, temperature=temperature, top_p=0.95, seed=3)
    for at, found in zip(chosen, answers(bench.network, [PROMPTS[at] for at in chosen], limits), strict=True):
        same(found, bench.alone[at] if temperature is None else answers(bench.network, [PROMPTS[at]], limits)[0])


def test_a_temperature_of_zero_is_greedy(bench: Bench) -> None:
    same(answers(bench.network, [PROMPTS[1]], LIMITS._replace(temperature=0.0))[0], bench.alone[1])


def test_a_task_whose_samples_all_have_their_own_options_fills_no_memory(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(inference, "_TABLES", 2)
    made = decoder(bench.network)
    own = [(f"yes {at}", "no") for at in range(5)]
    found = made.complete([PROMPTS[3]] * 5, LIMITS, options=own)
    alone = [decoder(bench.network).complete([PROMPTS[3]], LIMITS, options=[each])[0] for each in own]
    for one, other in zip(found, alone, strict=True):
        same(one, other)


def test_what_all_prompts_begin_with_is_read_once_where_the_model_allows_it(bench: Bench) -> None:
    prompts = PROMPTS[:3]
    heard = Narrow(bench.network)
    for found, expected in zip(answers(heard, prompts), bench.alone, strict=False):
        same(found, expected)
    kind = bench.network.config.model_type
    shares = kind in ("llama", "gpt_neox")
    assert (shared_prefix(bench.network, prompts) is not None) == shares
    widths = [width for _, width in heard.shapes]
    assert (widths[:2] == [len(SHARED), 30]) if shares else (max(widths) == len(SHARED) + 30)


def test_a_beginning_that_is_short_or_one_prompts_alone_is_not_read_apart(bench: Bench) -> None:
    assert shared_prefix(bench.network, [PROMPTS[0]]) is None
    assert shared_prefix(bench.network, [(1, 2, 3), (1, 2, 4)]) is None
    assert shared_prefix(bench.network, PROMPTS) is None


def test_positions_that_stretch_with_the_longest_row_let_nothing_be_read_apart(tmp_path: Path) -> None:
    folder = save_family(tmp_path / "llama", "llama")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["rope_parameters"] = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    network = load_causal_lm(folder, dtype=torch.float32, device=torch.device("cpu"))
    assert shared_prefix(network, PROMPTS[:3]) is None


def test_equal_prompts_keep_a_token_of_their_own(bench: Bench) -> None:
    for found in answers(bench.network, [PROMPTS[0]] * 3):
        same(found, bench.alone[0])


@pytest.mark.parametrize("holds", (800, 300, 150))
def test_a_batch_too_large_for_the_gpu_is_tried_again_in_halves(bench: Bench, holds: int) -> None:
    heard = Narrow(bench.network, holds=holds)
    plain = Limits(max_tokens=5, top_logprobs=2)
    prompts = [*PROMPTS, *PROMPTS[::-1]]
    found = decoder(heard).complete(prompts, plain)
    expected = [*bench.alone, *bench.alone[::-1]]
    assert [each.token_ids for each in found] == [each.token_ids for each in expected]
    assert max(rows for rows, _ in heard.shapes) == len(prompts)
    assert min(rows for rows, width in heard.shapes if width > 1) <= len(prompts) // 2


def test_a_single_prompt_that_exceeds_the_memory_is_an_error_that_names_it(bench: Bench) -> None:
    with pytest.raises(PlanError, match="`70` tokens alone exceeds the memory of `cpu`"):
        answers(Narrow(bench.network, holds=60), PROMPTS)


def test_free_memory_decides_how_many_rows_share_a_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    takes = footprint(bench.network.config, torch.float32).of(3, tokens=17, logits=3)
    monkeypatch.setattr(inference, "free_bytes", lambda device: takes / inference.SHARE)
    heard = Narrow(bench.network)
    found = decoder(heard).complete([PROMPTS[4]] * 8, LIMITS)
    assert [each.token_ids for each in found] == [bench.alone[4].token_ids] * 8
    assert [rows for rows, width in heard.shapes if width == 12] == [3, 3, 2]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_batch_is_not_thought_smaller_than_its_keys_and_values_and_logits(kind: str, tmp_path: Path) -> None:
    network = load_causal_lm(save_family(tmp_path / kind, kind), dtype=torch.float32, device=torch.device("cpu"))
    ids = torch.ones(4, 5, dtype=torch.long)
    with torch.inference_mode():
        output = network(input_ids=ids, use_cache=True, logits_to_keep=1)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in output.past_key_values.layers)
    takes = footprint(network.config, torch.float32)
    assert held <= 4 * 5 * takes.token <= 40 * held
    assert output.logits.nbytes <= 4 * takes.logits


class Renamed:
    """A network that calls keys and values as newer libraries do, and answers with what it was given."""

    def forward(self, *, cache: Any, **inputs: Any) -> Any:
        return SimpleNamespace(logits=inputs["input_ids"], cache=cache)

    def __call__(self, **inputs: Any) -> Any:
        return self.forward(**inputs)


class Wrapped(Renamed):
    """The same behind an adapter, whose own arguments say nothing."""

    def forward(self, **inputs: Any) -> Any:
        return Renamed().forward(**inputs)

    def get_base_model(self) -> Renamed:
        return Renamed()


@pytest.mark.parametrize("network", (Renamed(), Wrapped()))
def test_keys_and_values_are_handed_over_by_the_name_that_the_network_has_for_them(network: Any) -> None:
    ids, kept = torch.ones(1, 2), DynamicCache()
    assert read_on(network, ids, mask=ids, positions=ids, cache=kept) == (ids, kept)


def test_weights_that_mlx_packed_are_refused_with_what_reads_them(tmp_path: Path) -> None:
    folder = save_family(tmp_path / "llama", "llama")
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    config |= {"quantization_config": {"group_size": 64, "bits": 4, "mode": "affine"}}
    (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SiteError, match="packed by mlx-lm into 4 bits") as caught:
        load_causal_lm(folder, dtype=torch.float32, device=torch.device("cpu"))
    assert "`--backend mlx`" in caught.value.hint
