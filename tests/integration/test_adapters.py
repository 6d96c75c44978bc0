"""Adapters after training: checked, merged, ported, and saved beside merged models without harm."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from peft import PeftConfig, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_world
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import CruijffError, ResultError, RunError, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.recipes import lora_single_device, peft_lora
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.job_files import finished
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.schema.adapter import AdapterLimits
from tests import random_model
from tests.training_runs import random_base, write_run

IDS = torch.randint(262, (2, 20), generator=torch.Generator().manual_seed(0))
RECIPES: Mapping[str, Any] = {"torchtune": lora_single_device.main, "peft": peft_lora.main}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base in several shards."""
    folder = random_base(tmp_path_factory.mktemp("base"))
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="300KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an experiment whose one run is trained."""
    experiment = tmp_path_factory.mktemp("trained")
    train(experiment, base)
    return experiment


@pytest.fixture
def experiment(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of it: an experiment that has moved."""
    return shutil.copytree(trained, tmp_path / "moved", symlinks=True)


def train(experiment: Path, base: Path, *, recipe: str = "peft", **changes: Any) -> Path:
    """Train and return the run's output directory."""
    config = write_run(experiment, base, epochs=2, epochs_to_save=[0, 1], optimizer={"lr": 2e-2}, **changes)
    assert RECIPES[recipe](["--config", str(config)]) == 0
    return Path(load_train_config(config).output_dir)


def output(experiment: Path) -> Path:
    return experiment / "outputs" / "ck-out-rank4-0a1b2c3d"


def settings(adapter: Path) -> dict[str, Any]:
    return json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))


def logits(model: Path, adapter: Path | None = None) -> torch.Tensor:
    network = AutoModelForCausalLM.from_pretrained(model)
    whole = network if adapter is None else PeftModel.from_pretrained(network, str(adapter))
    with torch.no_grad():
        return whole.eval()(input_ids=IDS).logits


def ck(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("variant", ("lora", "rslora", "dora"))
def test_a_merged_model_gives_the_adapters_logits(variant: str, base: Path, tmp_path: Path) -> None:
    adapter = train(tmp_path / "run", base, model={"variant": variant}) / "epoch_1"
    before = {path.name: path.read_bytes() for path in adapter.iterdir()}
    result = ck("adapter", "merge", str(adapter), "--out", str(tmp_path / "merged"))
    assert result.exit_code == 0, result.output
    assert f"the adapter is still in {adapter}" in result.output
    expected = logits(base, adapter)
    torch.testing.assert_close(logits(tmp_path / "merged"), expected, atol=2e-5, rtol=0)
    assert (expected - logits(base)).abs().max() > 0.05
    copied = {path.name for path in base.iterdir()} | {"merged_from.json"}
    assert {path.name for path in (tmp_path / "merged").iterdir()} == copied
    assert {path.name: path.read_bytes() for path in adapter.iterdir()} == before


@pytest.mark.parametrize(
    "place, fact", (("moved/epoch_1/merged", "adapter's own"), ("base/merged", "base model's own"), ("taken", "exists"))
)
def test_merged_weights_never_go_where_an_adapter_or_a_base_is(
    place: str, fact: str, experiment: Path, base: Path, tmp_path: Path
) -> None:
    shutil.copytree(base, tmp_path / "base")
    (tmp_path / "taken").mkdir()
    shutil.move(output(experiment) / "epoch_1", tmp_path / "moved" / "epoch_1")
    with pytest.raises(SiteError, match=fact):
        merge(tmp_path / "moved" / "epoch_1", tmp_path / place, tmp_path / "base")
    assert not (tmp_path / place / "config.json").exists()


def merge(adapter: Path, target: Path, base: Path) -> None:
    workflow.merge_adapter(str(adapter), output=str(target), base=str(base), world=world_of(adapter.parent))


def world_of(experiment: Path) -> World:
    return open_world(experiment, root=experiment.parent, kind="human", name="ada", client=None)


@pytest.mark.parametrize(
    "change, fact",
    (
        ({"fine_tune_type": "lora"}, "is an adapter of mlx-lm"),
        ({"fan_in_fan_out": True}, "`fan_in_fan_out: True`, which is not merged on files"),
        ({"bias": "all"}, "`bias: all`"),
        ({"init_lora_weights": "pissa"}, "`init_lora_weights: pissa`"),
        ({"some_form_to_come": 3}, "`some_form_to_come: 3`"),
        ({"peft_type": "LOHA"}, "`peft_type: LOHA`"),
        ({"modules_to_save": ["lm_head"]}, "`modules_to_save"),
    ),
)
def test_what_cannot_be_merged_on_files_is_refused_and_leaves_nothing(
    change: dict[str, Any], fact: str, experiment: Path, base: Path
) -> None:
    adapter = output(experiment) / "epoch_0"
    (adapter / "adapter_config.json").write_text(json.dumps({**settings(adapter), **change}), encoding="utf-8")
    with pytest.raises(SiteError, match=fact):
        merge(adapter, experiment / "merged", base)
    assert not [path for path in experiment.iterdir() if "merged" in path.name]


def test_an_adapter_of_another_base_is_not_merged(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"has shape|have no weight"):
        merge(output(experiment) / "epoch_0", tmp_path / "merged", Path(random_model.random_base(tmp_path / "other")))


def test_a_check_tells_an_effect_by_the_thresholds_it_is_given(experiment: Path) -> None:
    adapter = str(output(experiment) / "epoch_1")
    found = ck("adapter", "check", adapter, "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["effect"]
    assert told["limits"] == {"ppl_threshold": 0.5, "mse_threshold": 0.01}
    moved = abs(told["adapter_ppl"] - told["base_ppl"])
    assert 0 < told["logit_mse"] < told["logit_max"] ** 2
    for ppl, mse, effect in ((2, 2, False), (0.5, 2, True), (2, 0.5, True)):
        limits = AdapterLimits(ppl_threshold=ppl * moved, mse_threshold=mse * told["logit_mse"])
        check = workflow.check_adapter(adapter, limits=limits, world=world_of(experiment))
        assert check.effect == effect
        assert ("has an effect" if effect else "very similar") in check.verdict


def test_a_check_computes_the_perplexity_of_the_text_it_is_given(experiment: Path, base: Path) -> None:
    adapter = output(experiment) / "epoch_1"
    check = workflow.check_adapter(str(adapter), prompt="a stitch in time", world=world_of(experiment))
    model = ResidentModel(str(base))
    ids = torch.tensor([model.tokenizer.encode("a stitch in time")])
    whole = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        assert check.base_ppl == pytest.approx(whole(input_ids=ids, labels=ids).loss.exp().item(), rel=1e-4)
        tuned = PeftModel.from_pretrained(whole, str(adapter)).eval()
        assert check.adapter_ppl == pytest.approx(tuned(input_ids=ids, labels=ids).loss.exp().item(), rel=1e-4)
    assert check.tokens == ids.shape[1]
    with pytest.raises(SpecError, match="a perplexity needs two"):
        workflow.check_adapter(str(adapter), prompt="", world=world_of(experiment))


def test_an_adapter_that_never_took_a_step_is_told_apart(experiment: Path) -> None:
    path = output(experiment) / "epoch_1" / "adapter_model.safetensors"
    zero = {name: torch.zeros_like(value) if "lora_B" in name else value for name, value in load_file(path).items()}
    save_file(zero, path)
    check = workflow.check_adapter(str(path.parent), world=world_of(experiment))
    assert check.untouched
    assert not check.effect
    assert "before its first step" in check.verdict
    assert check.logit_max == 0


def test_a_check_warns_of_a_base_that_moved_or_differs_and_of_weights_beside(
    experiment: Path, base: Path, tmp_path: Path
) -> None:
    adapter = output(experiment) / "epoch_1"
    assert workflow.check_adapter(str(adapter), world=world_of(experiment)).warnings == ()
    other = shutil.copytree(base, tmp_path / "other")
    (other / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    gone = {**settings(adapter), "base_model_name_or_path": "/gone/model"}
    (adapter / "adapter_config.json").write_text(json.dumps(gone), encoding="utf-8")
    shutil.copy(next(base.glob("*.safetensors")), adapter / "model.safetensors")
    warnings = workflow.check_adapter(str(adapter), base=str(other), world=world_of(experiment)).warnings
    for fact in ("`/gone/model`, which is not there", "is not the model it was trained on", "applies LoRA twice"):
        assert any(fact in warning for warning in warnings), fact


def test_a_check_of_something_else_is_refused_in_words(experiment: Path, base: Path, tmp_path: Path) -> None:
    for folder, named, kind, fact in (
        (tmp_path, None, SiteError, "is no adapter"),
        (output(experiment) / "epoch_0", str(tmp_path / "gone"), SiteError, "is not found"),
    ):
        with pytest.raises(kind, match=fact):
            workflow.check_adapter(str(folder), base=named, world=world_of(experiment))
    path = output(experiment) / "epoch_0" / "adapter_model.safetensors"
    save_file({name: value + float("nan") for name, value in load_file(path).items()}, path)
    with pytest.raises(ResultError, match="are not numbers"):
        workflow.check_adapter(str(path.parent), base=str(base), world=world_of(experiment))


def test_all_adapters_of_a_run_are_ported_and_its_training_still_vouches_for_them(
    experiment: Path, base: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(base, tmp_path / "moved base")
    result = ck("-C", str(experiment), "adapter", "port", str(output(experiment)), "--base", str(moved))
    assert result.exit_code == 0, result.output
    for name in ("epoch_0", "epoch_1", "best"):
        adapter = output(experiment) / name
        assert settings(adapter)["base_model_name_or_path"] == str(moved)
        assert json.loads((adapter / "base_model.json").read_text(encoding="utf-8"))["path"] == str(moved)
        assert PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path == str(moved)
    assert finished(experiment / "runs" / "rank4-0a1b2c3d" / "DONE", experiment=experiment)
    (record,) = world_of(experiment).audit.records()
    assert (record.verb, record.inputs["base"]) == ("port", str(moved))
    again = ck("-C", str(experiment), "adapter", "port", str(output(experiment)), "--base", str(moved))
    assert "0 files" in again.output


def test_a_port_broken_off_after_the_markers_is_mended_by_the_same_call(experiment: Path, tmp_path: Path) -> None:
    world = world_of(experiment)
    folder, marker = str(output(experiment)), experiment / "runs" / "rank4-0a1b2c3d" / "DONE"
    before = {path: path.read_bytes() for path in output(experiment).rglob("*.json")}
    workflow.port_adapter(folder, repo_id="meta/tiny", world=world)
    for path, content in before.items():
        path.write_bytes(content)
    assert not finished(marker, experiment=experiment)
    workflow.port_adapter(folder, repo_id="meta/tiny", world=world)
    assert finished(marker, experiment=experiment)


@pytest.mark.parametrize(
    "options, kind, fact",
    (
        ({"base": "/gone"}, SiteError, "does not exist"),
        ({"repo_id": "no slash"}, SpecError, "is no repository"),
        ({"repo_id": "a/b", "base": "/gone"}, SpecError, "both given"),
        ({}, SpecError, "does not record its base's repository"),
    ),
)
def test_a_port_to_nowhere_is_refused(
    options: dict[str, str], kind: type[CruijffError], fact: str, experiment: Path
) -> None:
    with pytest.raises(kind, match=fact):
        workflow.port_adapter(str(output(experiment)), **options, world=world_of(experiment))


def test_a_port_to_another_model_is_refused(experiment: Path, base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    (other / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    with pytest.raises(SiteError, match="was trained on"):
        workflow.port_adapter(str(output(experiment)), base=str(other), world=world_of(experiment))


def test_a_runs_adapter_is_not_ported_behind_its_experiments_back(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished training of this experiment vouches"):
        workflow.port_adapter(str(output(experiment)), repo_id="meta/tiny", world=world_of(tmp_path))
    copied = shutil.copytree(output(experiment) / "epoch_0", tmp_path / "shared")
    workflow.port_adapter(str(copied), repo_id="meta/tiny", world=world_of(tmp_path))
    assert settings(copied)["base_model_name_or_path"] == "meta/tiny"


def test_the_repository_that_the_first_system_noted_is_restored(experiment: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(output(experiment) / "epoch_0", tmp_path / "old")
    (adapter / "base_model.json").unlink()
    (adapter / "original_repo_id.json").write_text('{"repo_id": "meta-llama/Llama-3.2-1B"}', encoding="utf-8")
    workflow.port_adapter(str(adapter), world=world_of(tmp_path))
    assert settings(adapter)["base_model_name_or_path"] == "meta-llama/Llama-3.2-1B"


def test_a_merged_model_that_could_not_be_saved_is_refused_before_the_first_step(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = shutil.copytree(base, tmp_path / "base")
    settings = json.loads((renamed / "config.json").read_text(encoding="utf-8"))
    settings["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": False}
    (renamed / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    config = write_run(tmp_path, renamed, save_adapter_weights_only=False)
    assert lora_single_device.main(["--config", str(config)]) == 3
    assert "holds quantised weights" in capsys.readouterr().err
    assert not (config.parent / "metrics.jsonl").exists()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("stash", (False, True), ids=("merged below", "adapter below"))
def test_merged_models_are_saved_apart_from_adapters_and_answer_alike(
    stash: bool, recipe: str, base: Path, tmp_path: Path
) -> None:
    options = {"save_adapter_weights_only": False, "stash_adapter_weights": stash}
    folder = train(tmp_path, base, recipe=recipe, **options) / "epoch_1"
    adapter, merged = (folder / "adapter_weights", folder) if stash else (folder, folder / "merged")
    torch.testing.assert_close(logits(merged), logits(base, adapter), atol=2e-5, rtol=0)
    assert (adapter / "adapter_config.json").is_file()
    for config in folder.rglob("adapter_config.json"):
        assert {path.name for path in config.parent.glob("*.safetensors")} == {"adapter_model.safetensors"}
    prompts, limits = [tuple(row) for row in IDS.tolist()], Limits(8)
    answers = ResidentModel(str(base)).complete(prompts, limits, adapter=str(adapter))
    assert ResidentModel(str(merged)).complete(prompts, limits) == answers
    assert finished(tmp_path / "runs" / "rank4-0a1b2c3d" / "DONE", experiment=tmp_path)


# --- the form of another library ---


def test_an_adapter_goes_to_mlx_lm_and_comes_back_as_it_was(base: Path, tmp_path: Path) -> None:
    adapter = train(tmp_path / "run", base, model={"variant": "dora"}) / "epoch_1"
    away, back = tmp_path / "away", tmp_path / "back"
    for source, target, form in ((adapter, away, "mlx"), (away, back, "peft")):
        done = CliRunner().invoke(cli, ["adapter", "convert", str(source), "--to", form, "--out", str(target)])
        assert done.exit_code == 0, done.output
    told = settings(away)
    assert (told["fine_tune_type"], told["num_layers"], told["model"]) == ("dora", -1, str(base))
    assert told["lora_parameters"]["scale"] == 2.0
    assert "self_attn.q_proj" in told["lora_parameters"]["keys"]
    shared = ("r", "lora_alpha", "use_dora", "peft_type", "task_type", "base_model_name_or_path")
    assert {name: settings(back)[name] for name in shared} == {name: settings(adapter)[name] for name in shared}
    assert sorted(settings(back)["target_modules"]) == sorted(settings(adapter)["target_modules"])
    assert (back / "base_model.json").read_bytes() == (adapter / "base_model.json").read_bytes()
    weights, again = (load_file(each / "adapter_model.safetensors") for each in (adapter, back))
    assert weights.keys() == again.keys()
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def mlx_form(folder: Path, base: Path, **changes: Any) -> Path:
    """Write an adapter of mlx-lm of one layer, its configuration changed."""
    folder.mkdir()
    weights = {"model.layers.0.self_attn.q_proj.lora_a": torch.ones(128, 2)}
    weights["model.layers.0.self_attn.q_proj.lora_b"] = torch.ones(2, 128)
    save_file({**weights, **changes.pop("weights", {})}, folder / "adapters.safetensors")
    told = {"fine_tune_type": "lora", "lora_parameters": {"rank": 2, "scale": 3.0}, "model": str(base), **changes}
    (folder / "adapter_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "changes, fact",
    (
        ({"fine_tune_type": "full"}, "`fine_tune_type: full`"),
        ({"lora_parameters": {"rank": 2, "alpha": 4}}, "no number `scale`"),
        ({"weights": {"model.layers.0.mlp.experts.lora_a": torch.ones(3, 2, 4)}}, "no LoRA weight of a linear layer"),
        ({"weights": {"h.9.x.lora_a": torch.ones(4, 2), "h.9.x.lora_b": torch.ones(2, 4)}}, "no weight `h.9.x.weight`"),
        ({"model": "gone"}, "is not found"),
    ),
)  # fmt: skip
def test_what_has_no_form_in_peft_is_refused_and_nothing_is_written(
    changes: dict[str, Any], fact: str, base: Path, tmp_path: Path
) -> None:
    adapter = mlx_form(tmp_path / "mlx", base, **changes)
    with pytest.raises(SiteError, match=fact):
        workflow.convert_adapter(str(adapter), output=str(tmp_path / "made"), to="peft", world=world_of(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlx"]


def test_an_adapter_is_converted_from_the_form_it_has(base: Path, tmp_path: Path) -> None:
    adapter = mlx_form(tmp_path / "mlx", base)
    with pytest.raises(SiteError, match=r"no adapter of peft: it lacks `adapter_model\.safetensors`"):
        workflow.convert_adapter(str(adapter), output=str(tmp_path / "made"), to="mlx", world=world_of(tmp_path))
