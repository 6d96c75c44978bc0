"""Configuration files of `ck train`: each key works, or is refused with its reason and what to say instead."""

from typing import Any

import pytest

from cruijff_kit.data.train_file import read_profile, read_train_file
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.schema.train_keys import TRAIN_KEYS
from cruijff_kit.schema.train_terms import PLACES, TERMS

# What the original's `TrainingConfig.to_dict` holds with its own defaults, a validation file and an output aside.
ORIGINAL: dict[str, Any] = {
    "model": {
        "name": "org/base",
        "cache_dir": None,
        "load_in_4bit": False,
        "torch_dtype": "auto",
        "trust_remote_code": False,
    },
    "data": {
        "train_file": "rows.jsonl",
        "validation_file": None,
        "template": "alpaca",
        "max_length": 1024,
        "validation_split": 0.2,
        "validate_files": False,
    },
    "lora": {"r": 16, "alpha": 32.0, "dropout": 0.1, "target_modules": ["q_proj", "v_proj"]},
    "optimization": {
        "learning_rate": 3e-4,
        "batch_size": 2,
        "epochs": 4,
        "warmup_steps": 10,
        "weight_decay": 0.02,
        "gradient_accumulation_steps": 3,
        "lr_scheduler": "linear",
        "save_steps": 500,
        "eval_steps": 50,
    },
    "output_dir": "./out",
    "seed": 7,
}


def test_the_original_s_own_form_is_read_whole() -> None:
    found = read_train_file(dump_yaml(ORIGINAL), name="train.yml")
    assert found.problems == ()
    assert found.values == {
        "model": "org/base",
        "quantization": "none",
        "data": "rows.jsonl",
        "template": "alpaca",
        "max_seq_len": 1024,
        "val_split": 0.2,
        "lora_rank": 16,
        "lora_alpha": 32.0,
        "lora_dropout": 0.1,
        "target_modules": ["q_proj", "v_proj"],
        "lr": 3e-4,
        "batch_size": 2,
        "epochs": 4,
        "num_warmup_steps": 10,
        "weight_decay": 0.02,
        "gradient_accumulation_steps": 3,
        "lr_scheduler": "linear",
        "checkpoint_every_n_steps": 500,
        "run_val_every_n_steps": 50,
        "output": "./out",
        "seed": 7,
    }


def test_every_place_tells_the_line_it_stands_on() -> None:
    found = read_train_file(dump_yaml(ORIGINAL), name="train.yml")
    lines = dump_yaml(ORIGINAL).splitlines()
    at = 1 + next(number for number, line in enumerate(lines) if "learning_rate" in line)
    assert found.places["lr"] == f"train.yml:{at}"


@pytest.mark.parametrize("name", sorted(TERMS))
def test_every_key_of_the_original_works_or_is_refused_with_a_reason(name: str) -> None:
    term = TERMS[name]
    section, dot, key = name.partition(".")
    other = read_train_file(dump_yaml({section: {key: "no such value"}} if dot else {section: "any"}), name="train.yml")
    if term.key is not None and not term.values:
        assert other.problems == ()
        assert set(other.values) == {term.key}
        assert term.key in {*TRAIN_KEYS, *PLACES}
        return
    (problem,) = other.problems
    assert problem.path == name
    assert problem.place.startswith("train.yml:")
    assert len(problem.hint) > 10
    for value, ours in term.values.items():
        taken = read_train_file(dump_yaml({section: {key: value}}), name="train.yml")
        assert taken.problems == ()
        assert taken.values == ({} if term.key is None or ours is None else {term.key: ours})


def test_a_truth_value_is_no_number_and_a_list_is_no_word() -> None:
    found = read_train_file("model:\n  load_in_4bit: 1\n  device: [cpu]\n", name="train.yml")
    assert [problem.path for problem in found.problems] == ["model.load_in_4bit", "model.device"]


@pytest.mark.parametrize("value", ("3", "[rows.jsonl]", "true"))
@pytest.mark.parametrize("key", PLACES)
def test_what_is_no_text_names_no_place(key: str, value: str) -> None:
    found = read_train_file(f"lr: 0.1\n{key}: {value}\n", name="train.yml")
    assert [(problem.path, problem.place) for problem in found.problems] == [(key, "train.yml:2")]
    assert read_train_file(f'{key}: "{value}"\n', name="train.yml").values == {key: value}


def test_our_own_keys_stand_beside_those_of_the_original() -> None:
    text = "profile: chat\nlora_rank: 4\nlr_scheduler: get_cosine_schedule_with_warmup\nmodel:\n  name: x\n"
    found = read_train_file(text, name="train.yml")
    assert found.values == {"profile": "chat", "lora_rank": 4, "lr_scheduler": "cosine", "model": "x"}


def test_two_keys_that_say_one_thing_differently_are_told() -> None:
    found = read_train_file("seed: 1\ndataset:\n  seed: 2\n", name="train.yml")
    assert "differ" in found.problems[0].message
    assert read_train_file("seed: 1\ndataset:\n  seed: 1\n", name="train.yml").problems == ()


def test_unknown_keys_are_told_with_the_nearest() -> None:
    found = read_train_file("lora_rnak: 8\nlora:\n  ranks: 1\n", name="train.yml")
    assert [problem.message for problem in found.problems] == ["unknown key `lora_rnak`", "unknown key `lora.ranks`"]
    assert "`lora_rank`" in found.problems[0].hint


@pytest.mark.parametrize("text", ("", "- 1\n", "just words\n"))
def test_what_holds_no_keys_is_told_as_that(text: str) -> None:
    assert read_train_file(text, name="train.yml").problems


def test_a_profile_says_neither_model_nor_data_and_knows_no_sections() -> None:
    found = read_profile("model: x\nlora:\n  r: 8\nlora_rank: 8\n", name="mine.yaml")
    assert [problem.path for problem in found.problems] == ["model", "lora"]
    assert found.values == {"lora_rank": 8}
