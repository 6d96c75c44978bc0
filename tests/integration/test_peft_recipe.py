"""The peft recipe: what its settings do, what it leaves, what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cruijff_kit.errors import SiteError
from cruijff_kit.recipes.peft_lora import build, main
from cruijff_kit.runtime.batches import batches
from cruijff_kit.runtime.peft_lora import PeftLora
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.seeding import seed_everything
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.training_job import Build, TrainingJob
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.schema.config import TrainConfig
from tests.model_families import save_family
from tests.training_runs import capital_rows, metric_points, random_base, write_run


def train(config: Path) -> int:
    return main(["--config", str(config)])


def adapter_of(config: Path, name: str = "epoch_0") -> Path:
    return Path(load_train_config(config).output_dir) / name


def built(config: Path) -> PeftLora:
    settings = load_train_config(config)
    seed_everything(settings.seed)
    return build(settings, Ranks())


def curve(config: Path) -> list[float | None]:
    assert train(config) == 0
    return [point.loss for point in metric_points(config)]


@pytest.mark.parametrize("variant", ("lora", "rslora", "dora"))
def test_peft_gives_the_logits_that_were_trained_by_every_variant(variant: str, base: Path, tmp_path: Path) -> None:
    path = write_run(tmp_path, base, model={"variant": variant}, optimizer={"lr": 1e-2})
    assert train(path) == 0
    names = {name.rpartition("layers.1.mlp.")[2] for name in load_file(adapter_of(path) / "adapter_model.safetensors")}
    assert ("up_proj.lora_magnitude_vector" in names) == (variant == "dora")
    whole = AutoModelForCausalLM.from_pretrained(base).eval()
    config = load_train_config(path)
    (batch,) = batches(load_rows(config).train[:4], size=4, packed=False)
    with torch.no_grad():
        bare = whole(input_ids=batch.ids).logits
        tuned = PeftModel.from_pretrained(whole, str(adapter_of(path))).eval()
        assert (tuned(input_ids=batch.ids).logits - bare).abs().max() > 0.01
    model = built(path)
    saved = load_file(adapter_of(path) / "adapter_model.safetensors")
    with torch.no_grad():
        for name, weight in model.network.named_parameters():
            if weight.requires_grad:
                (theirs,) = model.adapter({name: weight})
                weight.copy_(saved.pop(theirs))
        assert not saved
        ours = model.logits(model.hidden(batch))
        torch.testing.assert_close(ours, tuned(input_ids=batch.ids).logits[batch.labels != -100], atol=1e-5, rtol=0)


def test_the_update_is_zero_at_first_and_the_seed_fixes_it(base: Path, tmp_path: Path) -> None:
    models = [built(write_run(tmp_path / str(at), base, seed=seed)) for at, seed in enumerate((5, 5, 6))]
    first, again, other = (
        {name: weight for name, weight in model.network.named_parameters() if weight.requires_grad} for model in models
    )
    assert all(not weight.any() for name, weight in first.items() if "lora_B" in name)
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert any(not torch.equal(weight, other[name]) for name, weight in first.items())


@pytest.mark.parametrize("packed", (False, True), ids=("padded", "packed"))
def test_recomputing_blocks_changes_no_loss(packed: bool, base: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"packed": packed, "model": {"lora_dropout": 0.1}}
    kept = curve(write_run(tmp_path / "kept", base, **settings))
    again = curve(write_run(tmp_path / "again", base, enable_activation_checkpointing=True, **settings))
    assert again == pytest.approx(kept, rel=1e-6)


def test_each_block_is_compiled_where_that_is_asked_for(base: Path, tmp_path: Path) -> None:
    plain, fast = (built(write_run(tmp_path / str(asked), base, compile=asked)) for asked in (False, True))
    assert [block._compiled_call_impl is not None for block in (*plain.blocks(), *fast.blocks())] == [False] * 2 + [
        True
    ] * 2


def test_a_run_may_compute_in_bf16_and_adapt_only_some_layers(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, dtype="bf16", model={"target_modules": ["q_proj", "down_proj"]})
    assert train(config) == 0
    weights = load_file(adapter_of(config) / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in weights} == {"q_proj", "down_proj"}
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}


def test_names_that_the_model_lacks_are_refused_with_those_it_has(base: Path, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, base, model={"target_modules": ["q_proj", "c_attn"]}))
    with pytest.raises(SiteError, match=r"`c_attn`; the blocks of this `llama` model have .*`q_proj`.*`down_proj`"):
        PeftLora.from_config(config)


def test_four_bits_are_refused_where_they_are_not_to_be_had(base: Path, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, base, model={"quantization": "nf4"}))
    with pytest.raises(SiteError, match="`quantization: nf4` needs a GPU of CUDA"):
        PeftLora.from_config(config)


def test_a_base_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    base = save_family(tmp_path / "llama", "llama")
    settings = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps({**settings, "num_hidden_layers": 3}), encoding="utf-8")
    with pytest.raises(SiteError, match=r"lacks \d+ weights .* `model.layers.2"):
        PeftLora.from_config(load_train_config(write_run(tmp_path, base)))


def test_an_adapter_names_its_base_by_path_repository_and_content(tmp_path: Path, recwarn: Any) -> None:
    commit = "0e9e39f249a16976918f6564b8830bc894c89659"
    base = random_base(tmp_path / "hub" / "models--meta--tiny-llama" / "snapshots" / commit)
    config = write_run(tmp_path, base)
    assert train(config) == 0
    for name in ("epoch_0", "best"):
        record = json.loads((adapter_of(config, name) / "base_model.json").read_text(encoding="utf-8"))
        assert (record["repo_id"], record["revision"], record["path"]) == ("meta/tiny-llama", commit, str(base))
        assert record["sha256"] == load_train_config(config).base_model.sha256
    recwarn.clear()
    assert PeftConfig.from_pretrained(str(adapter_of(config))).base_model_name_or_path == str(base)
    assert not [warning for warning in recwarn if "nexpected" in str(warning.message)]


def test_broken_off_in_the_middle_a_training_resumes_to_the_same_curve(base: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 3, "epochs_to_save": [2], "batch_size": 2, "checkpoint_every_n_steps": 3}
    settings |= {"model": {"lora_dropout": 0.1, "variant": "dora"}, "packed": True}
    splits = {"train": capital_rows(16), "validation": capital_rows(4)}
    whole, broken = (write_run(tmp_path / name, base, splits=splits, **settings) for name in ("whole", "broken"))
    assert train(whole) == 0
    with pytest.raises(_PowerCutError):
        TrainingJob(load_train_config(broken), broken).run(_failing_at(8), resume=True)
    assert len(metric_points(broken)) == 7
    assert main(["--config", str(broken), "--resume"]) == 0
    points, expected = metric_points(broken), metric_points(whole)
    assert [point.loss for point in points] == pytest.approx([point.loss for point in expected], rel=1e-6)
    weights = [load_file(adapter_of(config, "epoch_2") / "adapter_model.safetensors") for config in (broken, whole)]
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-6)


class _PowerCutError(Exception):
    """The machine goes down."""


def _failing_at(step: int) -> Build:
    """Return a builder of models that fail in the forward pass of a step, which takes one pass."""

    def builder(config: TrainConfig, ranks: Ranks) -> PeftLora:
        model, left = build(config, ranks), iter(range(1, step))

        def count(*_: Any) -> None:
            if next(left, None) is None:
                raise _PowerCutError

        model.network.register_forward_pre_hook(count)
        return model

    return builder
