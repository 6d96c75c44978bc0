"""What every hub does, the fake one as the real one."""

import shutil
from collections.abc import Sequence
from math import exp, log
from pathlib import Path

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Asking, ModelHub
from cruijff_kit.schema.prediction import Completion, PromptIds
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level
from tests.training_runs import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("hub"))


class Echo:
    """Says the prompt again, and has every option equally likely; sampled, it turns the prompt by the seed."""

    def ask(self, prompts: Sequence[PromptIds], asking: Asking, *, stop_ids: Sequence[int] = ()) -> list[Completion]:
        turn = 0 if asking.temperature is None else asking.seed
        scores = (log(1 / max(1, len(asking.options))),) * len(asking.options)
        return [
            Completion(token_ids=(ids[turn:] + ids[:turn])[: asking.max_tokens], text="", stopped=False,
                       option_logprobs=scores, option_mass=1.0 if scores else None)
            for ids in prompts
        ]  # fmt: skip


@pytest.fixture(params=("fake", "real"))
def hub_and_path(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> tuple[ModelHub, str]:
    if request.param == "real":
        return LocalHub(cache=tmp_path), str(base)
    facts = model_facts()
    told = {facts.path: Echo()}
    return FakeHub(facts, tokenizers={facts.path: byte_level()}, inferences=told), facts.path


def test_facts_of_a_model_are_the_same_each_time(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    facts = hub.facts(path)
    assert facts == hub.facts(path)
    assert facts.path == path
    assert (facts.architecture, facts.parameters, facts.layers) == ("LlamaForCausalLM", 329_088, 2)
    assert facts.has_chat_template


def test_a_directory_that_is_not_there_is_a_fault_of_the_site(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    for ask in (hub.facts, hub.tokenizer, hub.inference):
        with pytest.raises(SiteError, match="does not exist"):
            ask(f"{path}-gone")


def test_a_library_that_is_not_here_is_a_fault_of_the_site(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    with pytest.raises(SiteError, match="answering in MLX needs `mlx`"):
        hub.inference(path, backend="mlx")
    with pytest.raises(SiteError, match="converting models needs `mlx"):
        hub.convert(path, f"{path}-made", to="mlx")
    with pytest.raises(SiteError, match="does not exist"):
        hub.convert(f"{path}-gone", f"{path}-made", to="mlx")


def test_a_tokenizer_reads_and_writes_text(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    tokenizer = hub.tokenizer(path)
    ids = tokenizer.encode("naïve", add_special_tokens=False)
    assert tokenizer.decode(ids) == "naïve"
    assert tokenizer.chat_template


def test_a_model_scores_options_and_samples_by_seed(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    model, tokenizer = hub.inference(path), hub.tokenizer(path)
    prompts = [tuple(tokenizer.encode(text, add_special_tokens=False)) for text in ("naïve art", "plain words")]
    told = model.ask(prompts, Asking(3, options=("no", "yes")))
    assert told == model.ask(prompts, Asking(3, options=("no", "yes")))
    assert [len(each.option_logprobs) for each in told] == [2, 2]
    assert all(sum(map(exp, each.option_logprobs)) == pytest.approx(each.option_mass) for each in told)
    bare = model.ask(prompts, Asking(3))
    assert [(each.token_ids, each.option_logprobs) for each in bare] == [(each.token_ids, ()) for each in told]
    drawn = [model.ask(prompts, Asking(3, temperature=1.5, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_models_here_are_told_with_where_they_came_from(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    if isinstance(hub, LocalHub):
        hub = LocalHub(models_dir=str(Path(path).parent), cache=Path(path).parent / "cache")
    assert hub.present()[path] == {}


def test_checking_tells_what_is_wrong_and_raises_nothing(hub_and_path: tuple[ModelHub, str]) -> None:
    hub, path = hub_and_path
    assert all(trait.ok is not False for trait in hub.check(path))
    gone = hub.check(f"{path}-gone")
    assert [trait.ok for trait in gone] == [False]
    assert "does not exist" in gone[0].found


def test_a_model_that_is_removed_is_gone_and_no_other_directory_is_touched(
    hub_and_path: tuple[ModelHub, str], tmp_path: Path
) -> None:
    hub, path = hub_and_path
    if isinstance(hub, LocalHub):
        shutil.copytree(path, tmp_path / "models" / "tiny")
        shutil.copytree(path, tmp_path / "elsewhere")
        hub, path = LocalHub(models_dir=str(tmp_path / "models"), cache=tmp_path), str(tmp_path / "models" / "tiny")
    assert hub.size(path) > 1_000_000
    with pytest.raises(SiteError, match="is no model directory"):
        hub.remove(str(tmp_path / "elsewhere"))
    hub.remove(path)
    assert path not in hub.present()
    with pytest.raises(SiteError, match="is no model directory"):
        hub.remove(path)


def test_a_link_in_the_models_directory_is_not_followed(base: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "linked").symlink_to(base, target_is_directory=True)
    hub = LocalHub(models_dir=str(models), cache=tmp_path)
    for path in ("linked", "..", ".", f"../models/../{base.name}"):
        with pytest.raises(SiteError, match="is no model directory"):
            hub.remove(path)
    assert (base / "config.json").is_file()
