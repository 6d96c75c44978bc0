"""The LoRA recipe on real models: what it learns, what it leaves, what it refuses."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cruijff_kit.data.generators.capitalization import Capitalization, generate
from cruijff_kit.data.tokens import Encoding, encode_prompt
from cruijff_kit.recipes.lora_single_device import build, main
from cruijff_kit.recipes.tiny_llama import exact_share
from cruijff_kit.runtime.adapter_files import save_adapter
from cruijff_kit.runtime.job_files import artefact_hashes
from cruijff_kit.runtime.loop import Loop
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.runtime.ranks import Ranks
from cruijff_kit.runtime.seeding import seed_everything
from cruijff_kit.runtime.train_config import load_train_config
from cruijff_kit.runtime.trainee import whole_adapter
from cruijff_kit.runtime.training_rows import load_rows
from cruijff_kit.runtime.tune_lora import TuneLora
from cruijff_kit.schema.run import Done, JobStatus, Manifest
from tests.training_runs import capital_rows, metric_points, random_base, write_run

pytest_plugins = ["tests.tiny_base"]

ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "base_model.json")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("random base"))


def train(config: Path) -> int:
    return main(["--config", str(config)])


def logits(model: TuneLora, ids: torch.Tensor) -> torch.Tensor:
    return model.head(model.network(ids))


def adapter_of(config: Path, epoch: int = 0) -> Path:
    return Path(load_train_config(config).output_dir) / f"epoch_{epoch}"


def weights_of(config: Path, epoch: int = 0) -> dict[str, torch.Tensor]:
    # Read, not mapped: a test may damage the file under its tensors.
    return load((adapter_of(config, epoch) / "adapter_model.safetensors").read_bytes())


def status_of(config: Path) -> JobStatus:
    return JobStatus.model_validate_json((config.parent / "status.json").read_bytes())


def test_a_short_training_teaches_the_base_words_it_has_never_met(tiny_base: Path, tmp_path: Path) -> None:
    splits = generate(Capitalization(), {})
    config = write_run(
        tmp_path,
        tiny_base,
        splits=splits,
        model={"lora_rank": 16, "lora_alpha": 32},
        epochs=2,
        epochs_to_save=[1],
        lr_scheduler={"num_warmup_steps": 20},
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    model = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    unseen = [(row["input"], row["output"]) for row in splits["test"]]
    assert exact_share(model, unseen, tokenizer=tokenizer) <= 0.05
    assert train(config) == 0
    tuned = PeftModel.from_pretrained(model, str(adapter_of(config, 1))).eval()
    assert exact_share(tuned, unseen, tokenizer=tokenizer) >= 0.9
    points = metric_points(config)
    assert len(points) == 400
    assert (points[-1].val_loss or 9) < 0.1 * (points[0].loss or 0)


def test_peft_gives_the_logits_that_were_trained(base: Path, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, base, optimizer={"lr": 1e-2}))
    ids = torch.tensor([random.Random(0).choices(range(262), k=30)])
    seed_everything(config.seed)
    model = build(config, Ranks())
    reloaded = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        bare = reloaded(input_ids=ids).logits
        torch.testing.assert_close(logits(model, ids), bare, atol=1e-5, rtol=0)
    assert [point.step for point in Loop(config, model, rows=load_rows(config)).take()] == [1, 2, 3, 4]
    save_adapter(whole_adapter(model, Ranks()), Path(config.output_dir) / "epoch_0", config=config, ranks=Ranks())
    tuned = PeftModel.from_pretrained(reloaded, f"{config.output_dir}/epoch_0").eval()
    with torch.no_grad():
        trained = logits(model, ids)
        assert (trained - bare).abs().max() > 0.01
        torch.testing.assert_close(tuned(input_ids=ids).logits, trained, atol=1e-5, rtol=0)


def test_a_llama_without_tied_embeddings_or_scaling_is_the_same_in_torchtune(tmp_path: Path) -> None:
    form: dict[str, Any] = {"vocab_size": 262, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "tie_word_embeddings": False}
    plain = LlamaForCausalLM(LlamaConfig(**form, **heads)).eval()
    plain.save_pretrained(tmp_path / "plain")
    model = build(load_train_config(write_run(tmp_path, tmp_path / "plain")), Ranks())
    ids = torch.arange(30)[None]
    with torch.no_grad():
        torch.testing.assert_close(logits(model, ids), plain(input_ids=ids).logits, atol=1e-5, rtol=0)


def test_a_run_may_compute_in_bf16_and_adapt_only_some_projections(base: Path, tmp_path: Path) -> None:
    some = {"target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.1}
    config = write_run(tmp_path, base, dtype="bf16", model=some)
    assert train(config) == 0
    weights = weights_of(config)
    assert {name.split(".")[-3] for name in weights} == {"q_proj", "v_proj"}
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}


def test_training_reads_the_ids_that_an_evaluation_sends(base: Path, tmp_path: Path) -> None:
    config = load_train_config(write_run(tmp_path, base, dataset={"system_prompt": "Capitalise."}))
    tokenizer = AutoTokenizer.from_pretrained(base)
    for row, encoded in zip(capital_rows(), load_rows(config).train, strict=True):
        sent = encode_prompt({"input": row["input"]}, encoding=Encoding.of(config.dataset), tokenizer=tokenizer)
        assert encoded.ids[: encoded.prompt_length] == sent


def test_a_run_leaves_proof_of_what_it_did(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    config = write_run(tmp_path, base, epochs=2, epochs_to_save=[0, 1])
    assert train(config) == 0
    done = Done.model_validate_json((config.parent / "DONE").read_bytes())
    assert done.exit_code == 0
    kept = ("epoch_0", "epoch_1", "best")
    names = {f"outputs/ck-out-{config.parent.name}/{folder}/{name}" for folder in kept for name in ADAPTER}
    run = f"runs/{config.parent.name}"
    assert set(done.artefacts) == {*names, f"{run}/metrics.jsonl", f"{run}/manifest.json"}
    assert artefact_hashes(map(tmp_path.joinpath, done.artefacts), experiment=tmp_path) == done.artefacts
    manifest = Manifest.model_validate_json((config.parent / "manifest.json").read_bytes())
    assert manifest.job_ids == ("4711",)
    assert manifest.inputs["model"] == model_sha256(base)
    assert set(manifest.seeds.values()) == {1}
    status = status_of(config)
    assert (status.state, status.step, status.total, status.job_id) == ("done", 8, 8, "4711")
    settings = json.loads((adapter_of(config) / "adapter_config.json").read_text(encoding="utf-8"))
    assert settings["base_model_name_or_path"] == str(base)
    assert settings["task_type"] == "CAUSAL_LM"


def test_a_finished_run_started_again_ends_at_once(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base)
    assert train(config) == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert train(config) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_whose_adapter_was_damaged_starts_afresh(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base)
    assert train(config) == 0
    whole = weights_of(config)
    (adapter_of(config) / "adapter_model.safetensors").write_bytes(b"torn")
    assert train(config) == 0
    assert len(metric_points(config)) == 4
    torch.testing.assert_close(weights_of(config), whole, atol=0, rtol=0)


def test_a_run_under_another_configuration_is_not_taken_for_finished(base: Path, tmp_path: Path) -> None:
    assert train(write_run(tmp_path, base)) == 0
    config = write_run(tmp_path, base, epochs=2, epochs_to_save=[1])
    assert train(config) == 0
    assert len(metric_points(config)) == 8
    assert not adapter_of(config, 0).exists()


def test_the_seed_fixes_the_weights(base: Path, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, base, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))]
    assert [train(config) for config in runs] == [0, 0, 0]
    first, again, other = map(weights_of, runs)
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_step_is_the_same_however_it_is_split_into_passes(base: Path, tmp_path: Path) -> None:
    rows = [{"input": "a" * length, "output": "b" * (11 - length)} for length in range(1, 11)]
    splits = {"train": rows, "validation": rows}
    whole = write_run(tmp_path / "whole", base, splits=splits, batch_size=8)
    split = write_run(tmp_path / "split", base, splits=splits, batch_size=2, gradient_accumulation_steps=4)
    assert [train(whole), train(split)] == [0, 0]
    assert [point.step for point in metric_points(split)] == [1, 2]
    torch.testing.assert_close(weights_of(whole), weights_of(split), atol=1e-6, rtol=0)
    losses = [[point.loss for point in metric_points(config)] for config in (whole, split)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_validation_runs_once_at_each_step_that_is_due(base: Path, tmp_path: Path) -> None:
    config = write_run(
        tmp_path,
        base,
        epochs=2,
        batch_size=2,
        gradient_accumulation_steps=2,
        run_val_every_n_steps=3,
        log_every_n_steps=5,
        epochs_to_save=[1],
    )
    assert train(config) == 0
    seen = {point.step: point.val_loss is not None for point in metric_points(config)}
    assert seen == {3: True, 4: True, 5: False, 6: True, 8: True}


def test_an_epoch_may_end_early(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, epochs=2, max_steps_per_epoch=1, epochs_to_save=[1])
    assert train(config) == 0
    assert [(point.step, point.epoch) for point in metric_points(config)] == [(1, 0), (2, 1)]


def test_tokens_are_counted_without_padding(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, training_samples=7, split_val=None)
    assert train(config) == 0
    first, last = metric_points(config)
    # BOS, two headers, two ends of turn, and a word of five letters twice.
    assert (first.tokens, last.tokens, last.supervised_tokens) == (4 * 15, 7 * 15, 7 * 6)
    assert last.val_loss is None


def test_changed_data_are_refused_before_training(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_run(tmp_path, base)
    (tmp_path / "data" / "words.json").write_text('{"train": []}', encoding="utf-8")
    assert train(config) == 5
    assert "is not the one that was planned" in capsys.readouterr().err
    assert status_of(config).state == "failed"
    assert not (config.parent / "DONE").exists()


def test_a_changed_base_is_refused_before_training(base: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, base, base_model={"sha256": "0" * 64})
    assert train(config) == 5
    assert "base model" in status_of(config).message


def test_rows_that_are_too_long_are_listed_together(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*capital_rows(2), {"input": "x" * 90, "output": "X"}, {"input": "y" * 91, "output": "Y"}]
    config = write_run(tmp_path, base, splits={"train": rows, "validation": capital_rows(2)})
    assert train(config) == 2
    told = capsys.readouterr().err
    assert "2 of 4 rows of split `train`" in told
    assert "train[2]" in told
    assert "train[3]" in told


def test_a_diverged_training_fails_in_words(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_run(tmp_path, base, epochs=8, epochs_to_save=[7], optimizer={"lr": 1e30}, clip_grad_norm=None)
    assert train(config) == 5
    assert "the loss is `nan` at step" in capsys.readouterr().err


def test_a_missing_configuration_is_told_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "finetune.yaml") == 2
    assert "ck scaffold" in capsys.readouterr().err
