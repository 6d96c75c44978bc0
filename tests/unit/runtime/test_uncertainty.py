"""Passes with dropout on, and ensembles: they really differ, by their seed alone, and leave the model as it was."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.lora_dropout import dropping_layers
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.uncertainty import DeepEnsembleWrapper, MCDropoutWrapper, UncertaintyCalibrator
from cruijff_kit.scoring.ensembles import mean_logprobs, pool_members
from cruijff_kit.scoring.temperature import option_probabilities
from tests.drawn import drawn_answers
from tests.random_model import random_adapter, random_base

OPTIONS = ("no", "yes", "unsure")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("uncertainty")
    base = random_base(folder / "base")
    random_adapter(folder / "drops", base, dropout=0.3)
    random_adapter(folder / "dora", base, dropout=0.3, dora=True)
    random_adapter(folder / "dry", base, seed=2)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> ResidentModel:
    return ResidentModel(str(folder / "base"), device="cpu")


@pytest.fixture(scope="module")
def prompts(model: ResidentModel) -> list[tuple[int, ...]]:
    return [tuple(model.tokenizer.encode(text)) for text in ("a tree", "a house by the river")]


def plain(model: ResidentModel, prompts: list[tuple[int, ...]], adapter: str | None) -> np.ndarray:
    found = model.complete(prompts, Limits(0), adapter=adapter, options=[OPTIONS] * len(prompts))
    return np.array([each.option_logprobs for each in found])


@pytest.mark.parametrize("name", ("drops", "dora"))
def test_every_pass_drops_something_else_and_the_model_is_afterwards_as_it_was(
    name: str, model: ResidentModel, prompts: list[tuple[int, ...]], folder: Path
) -> None:
    adapter = str(folder / name)
    before, dice = plain(model, prompts, adapter), torch.random.get_rng_state()
    rows = MCDropoutWrapper(model=model, adapter=adapter, passes=6).option_logprobs(prompts=prompts, options=OPTIONS)
    assert rows.shape == (6, 2, 3)
    assert all(len(np.unique(rows[:, at, 0].round(6))) == 6 for at in range(2))
    assert np.abs(rows - before).min() > 0
    assert np.array_equal(plain(model, prompts, adapter), before)
    assert torch.equal(torch.random.get_rng_state(), dice)


def test_passes_are_fixed_by_their_seed_and_seeds_share_none(
    model: ResidentModel, prompts: list[tuple[int, ...]], folder: Path
) -> None:
    def rows(seed: int) -> np.ndarray:
        several = MCDropoutWrapper(model=model, adapter=str(folder / "drops"), passes=4, seed=seed)
        return several.option_logprobs(prompts=prompts, options=OPTIONS)

    first = rows(7)
    assert np.array_equal(first, rows(7))
    assert len(np.unique(np.concatenate([first, rows(8)])[:, 0, 0])) == 8


def test_what_is_dropped_is_lora_s_input_at_its_own_rate(model: ResidentModel, folder: Path) -> None:
    with model.network(str(folder / "drops")) as network:
        names = list(network.peft_config)
        layers = [each for name in names for each in dropping_layers(network, name)]
        inner = [module for each in layers for module in each.modules()]
        rates = {module.p for module in inner if isinstance(module, torch.nn.Dropout)}
    assert layers
    assert rates == {0.3}


def test_an_adapter_without_dropout_and_a_bare_base_are_refused_in_words(
    model: ResidentModel, prompts: list[tuple[int, ...]], folder: Path
) -> None:
    dry = MCDropoutWrapper(model=model, adapter=str(folder / "dry"))
    with pytest.raises(ResultError, match="was trained without dropout, so passes would not differ"):
        dry.option_logprobs(prompts=prompts, options=OPTIONS)
    with pytest.raises(ResultError, match="a bare base model has no LoRA dropout"):
        MCDropoutWrapper(model=model, adapter=None)
    with pytest.raises(SpecError, match="two at least can differ"):
        MCDropoutWrapper(model=model, adapter=str(folder / "drops"), passes=1)


def test_an_ensemble_is_the_mean_of_its_adapters(
    model: ResidentModel, prompts: list[tuple[int, ...]], folder: Path
) -> None:
    adapters = [str(folder / name) for name in ("drops", "dry")]
    alone = np.array([plain(model, prompts, each) for each in adapters])
    both = DeepEnsembleWrapper(model=model, adapters=adapters)
    assert np.array_equal(both.option_logprobs(prompts=prompts, options=OPTIONS), alone)
    found = both.predict(prompts=prompts, options=OPTIONS)
    for at, each in enumerate(found):
        wanted = option_probabilities(alone[:, at]).mean(axis=0)
        assert each.probabilities == pytest.approx(wanted)
        assert each.uncertainty.mutual_information > 0
        assert (each.uncertainty.source, each.uncertainty.members) == ("ensemble", 2)
    for wrong in ([adapters[0]], [adapters[0]] * 2):
        with pytest.raises(SpecError, match="two adapters at least, each once"):
            DeepEnsembleWrapper(model=model, adapters=wrong)


def test_entropies_add_up_and_members_that_agree_share_no_information() -> None:
    torn = pool_members(np.log([[0.9, 0.1], [0.1, 0.9]]), source="ensemble")
    assert torn.probabilities == pytest.approx([0.5, 0.5])
    own = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    told = torn.uncertainty
    assert (told.predictive_entropy, told.expected_entropy) == pytest.approx((np.log(2), own))
    assert told.mutual_information == pytest.approx(np.log(2) - own)
    assert told.deviations == pytest.approx((0.4, 0.4))
    agreed = pool_members(np.log([[0.9, 0.1]] * 3), source="mc_dropout").uncertainty
    assert agreed.mutual_information == pytest.approx(0.0, abs=1e-12)
    assert mean_logprobs([1.0, 0.0])[0] == 0.0
    with pytest.raises(ResultError, match="two members at least"):
        pool_members(np.log([[0.9, 0.1]]), source="ensemble")


def test_a_temperature_of_single_answers_or_of_their_mean_is_fitted_by_likelihood() -> None:
    logits, labels = drawn_answers(2_000, seed=1, options=3, spread=2.0)
    single, several = UncertaintyCalibrator(), UncertaintyCalibrator()
    assert single.fit(logprobs=2 * logits, labels=labels) == pytest.approx(2.0, rel=0.1)
    rows = single.probabilities(logprobs=2 * logits)
    assert rows == pytest.approx(option_probabilities(2 * logits, temperature=single.temperature))
    # Members that are all the same are one model.
    assert several.fit(logprobs=np.array([2 * logits] * 3), labels=labels) == pytest.approx(single.temperature)
    with pytest.raises(ResultError, match="determine no temperature"):
        UncertaintyCalibrator().fit(logprobs=[[0.0, -1.0]], labels=[0])
