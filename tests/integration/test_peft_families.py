"""The peft backend on every family of models: the same logits, losses and gradients as the model's own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from cruijff_kit.data.tokens import IGNORE, Encoded
from cruijff_kit.errors import SiteError
from cruijff_kit.runtime import losses, output_layer
from cruijff_kit.runtime.adapter_files import save_adapter
from cruijff_kit.runtime.adapter_merge import merge_adapter
from cruijff_kit.runtime.batches import Batch, batches
from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.target_modules import TARGETS
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.trainee import whole_adapter
from cruijff_kit.schema.config import TrainConfig
from tests.model_families import CAPPED, FAMILIES, VOCABULARY, save_family
from tests.training_runs import write_run

PLAIN = (
    "llama",
    "qwen2",
    "qwen3",
    "mistral",
    "gemma",
    "gemma3_text",
    "phi3",
    "glm",
    "glm4",
    "gpt_neox",
    "olmo",
    "smollm3",
)


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("family") / request.param, request.param)


def configuration(folder: Path, base: Path, **changes: Any) -> TrainConfig:
    return load_train_config(write_run(folder, base, **changes))


def trainee(config: TrainConfig) -> PeftLora:
    """Return a model whose update is not zero."""
    torch.manual_seed(5)
    model = PeftLora.from_config(config)
    with torch.no_grad():
        for weight in trainable(model).values():
            weight.add_(0.1 * torch.randn_like(weight))
    return model


def trainable(model: PeftLora) -> dict[str, torch.nn.Parameter]:
    return {name: weight for name, weight in model.network.named_parameters() if weight.requires_grad}


def batch(*, packed: bool = False) -> Batch:
    """Return three rows of unlike length, the longest longer than any window, some of each supervised."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for length in (4, 13, 9):
        ids = tuple(torch.randint(1, VOCABULARY, (length,), generator=generator).tolist())
        labels = (*(IGNORE,) * (length // 2), *ids[length // 2 :])
        rows.append(Encoded(ids, labels, length // 2))
    return next(batches(rows, size=3, packed=packed))


def own_model(folder: Path, *, like: Path | None = None) -> Any:
    """Return a model as transformers loads it, with the attention that its family was made with."""
    attention = "eager" if (like or folder).name == CAPPED else "sdpa"
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()


def loss_of(model: PeftLora, given: Batch) -> torch.Tensor:
    return model.loss(model.hidden(given), given.labels[given.labels != IGNORE])


def test_logits_loss_and_gradients_are_those_of_peft_on_the_whole_model(base: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path, base)
    model = trainee(config)
    save_adapter(whole_adapter(model, Ranks()), tmp_path / "adapter", config=config, ranks=Ranks())
    whole = PeftModel.from_pretrained(own_model(base), str(tmp_path / "adapter"), is_trainable=True)
    given = batch()
    wanted = given.labels != IGNORE
    theirs = whole(input_ids=given.ids, attention_mask=torch.ones_like(given.ids)).logits[wanted]
    ours = model.logits(model.hidden(given))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    loss = loss_of(model, given)
    expected = cross_entropy(theirs, given.labels[wanted], reduction="sum")
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-5)
    loss.backward()
    expected.backward()
    gradients = {name: weight.grad for name, weight in whole.named_parameters() if weight.requires_grad}
    for name, weight in trainable(model).items():
        torch.testing.assert_close(
            weight.grad, gradients[f"base_model.model.{model.inner}.{name}"], atol=1e-4, rtol=1e-3
        )


def test_the_loss_is_the_same_however_few_logits_are_held_at_a_time(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, sliced = (trainee(configuration(tmp_path / name, base)) for name in ("whole", "sliced"))
    expected = loss_of(whole, batch())
    expected.backward()
    for module in (losses, output_layer):
        monkeypatch.setattr(module, "LOGITS_AT_ONCE", 4 * VOCABULARY)
    loss = loss_of(sliced, batch())
    loss.backward()
    torch.testing.assert_close(loss, expected, atol=0, rtol=1e-6)
    for name, weight in trainable(whole).items():
        torch.testing.assert_close(trainable(sliced)[name].grad, weight.grad, atol=1e-5, rtol=1e-4)


def test_merged_into_the_files_of_its_base_an_adapter_gives_the_same_logits(base: Path, tmp_path: Path) -> None:
    config = configuration(tmp_path, base)
    save_adapter(whole_adapter(trainee(config), Ranks()), tmp_path / "adapter", config=config, ranks=Ranks())
    count = merge_adapter(tmp_path / "adapter", tmp_path / "merged", base=base)
    assert count == 2 * len(TARGETS.get(base.name, TARGETS["llama"]))
    tuned = PeftModel.from_pretrained(own_model(base), str(tmp_path / "adapter")).eval()
    ids = batch().ids
    with torch.no_grad():
        expected, merged = tuned(input_ids=ids).logits, own_model(tmp_path / "merged", like=base)(input_ids=ids).logits
    torch.testing.assert_close(merged, expected, atol=2e-5, rtol=1e-5)


def test_only_logits_that_are_a_plain_product_are_taken_for_one(base: Path, tmp_path: Path) -> None:
    assert PeftLora.from_config(configuration(tmp_path, base)).head.plain == (base.name in PLAIN)


def test_every_linear_layer_of_the_blocks_is_adapted_and_no_other(base: Path, tmp_path: Path) -> None:
    model = PeftLora.from_config(configuration(tmp_path, base))
    whole = own_model(base)
    inside = {
        name.removeprefix(f"{model.inner}.")
        for name, part in whole.named_modules()
        if isinstance(part, torch.nn.Linear) and part is not whole.get_output_embeddings()
    }
    assert {name.rpartition(".lora_")[0] for name in trainable(model)} == inside
    if base.name in TARGETS:
        assert set(model.targets) == set(TARGETS[base.name])
    assert len(model.blocks()) == 2


def test_packed_rows_have_the_loss_and_the_gradients_of_padded_ones(base: Path, tmp_path: Path) -> None:
    packed = configuration(tmp_path, base, packed=True)
    if base.name == CAPPED:
        with pytest.raises(SiteError, match="its attention caps scores"):
            PeftLora.from_config(packed)
        return
    one, other = trainee(configuration(tmp_path, base)), trainee(packed)
    padded, end_to_end = loss_of(one, batch()), loss_of(other, batch(packed=True))
    torch.testing.assert_close(end_to_end, padded, atol=0, rtol=1e-5)
    padded.backward()
    end_to_end.backward()
    for name, weight in trainable(one).items():
        torch.testing.assert_close(weight.grad, trainable(other)[name].grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("packed", (False, True), ids=("padded", "packed"))
def test_of_a_model_that_also_reads_images_only_the_decoder_is_adapted(packed: bool, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "gemma3", "gemma3")
    model = PeftLora.from_config(configuration(tmp_path, folder, packed=packed))
    names = [name for name, weight in own_model(folder).named_modules() if name.endswith("q_proj")]
    assert [name for name in names if name in model.targets] == [name for name in names if ".language_model." in name]
    assert len(names) == 4
    model.network.train()
    given, padded = batch(packed=packed), batch()
    wanted = padded.labels != IGNORE
    with torch.no_grad():
        logits = own_model(folder)(input_ids=padded.ids).logits[wanted]
    expected = cross_entropy(logits, padded.labels[wanted], reduction="sum")
    torch.testing.assert_close(loss_of(model, given), expected, atol=0, rtol=1e-5)
