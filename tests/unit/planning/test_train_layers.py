"""Layers of a training: defaults, profile, file, flags; and who said each value."""

import pytest

from cruijff_kit.planning.train_layers import TrainLayer, lay_over, value_problems, with_machine, with_steps
from cruijff_kit.schema.train_keys import PROFILES, TRAIN_KEYS

CHAT = TrainLayer("profile chat", PROFILES["chat"])


def test_a_flag_counts_over_the_file_the_file_over_the_profile_and_that_over_defaults() -> None:
    file = TrainLayer("file train.yml", {"lora_rank": 12, "lr": 5e-4, "epochs": 7})
    flags = TrainLayer("flag", {"lora_rank": 16})
    found = lay_over("start", CHAT, file, flags)
    assert (found["lora_rank"].value, found["lora_rank"].source) == (16, "flag")
    assert (found["lr"].value, found["lr"].source) == (5e-4, "file train.yml")
    assert (found["template"].value, found["template"].source) == ("chatml", "profile chat")
    assert (found["seed"].value, found["seed"].source) == (42, "default")


def test_a_flag_that_equals_the_default_counts_all_the_same() -> None:
    found = lay_over("start", TrainLayer("profile code", PROFILES["code"]), TrainLayer("flag", {"lora_rank": 8}))
    assert (found["lora_rank"].value, found["lora_rank"].source) == (8, "flag")


def test_a_flag_that_was_not_given_overrides_nothing() -> None:
    assert lay_over("start", CHAT, TrainLayer("flag", {})) == lay_over("start", CHAT)


def test_quick_and_start_differ_in_their_defaults_alone() -> None:
    quick, start = lay_over("quick"), lay_over("start")
    differing = {name for name in quick if quick[name] != start[name]}
    assert differing == {"epochs", "batch_size", "lr"}
    assert (quick["epochs"].value, start["epochs"].value) == (1, 3)


def test_what_nobody_said_follows_from_the_rest_and_says_so() -> None:
    found = with_machine(lay_over("start", TrainLayer("flag", {"lora_rank": 3})), cpus=6, gpus=2)
    told = {name: (found[name].value, found[name].source) for name in ("lora_alpha", "cpus", "gpus", "dtype")}
    assert told == {
        "lora_alpha": (6.0, "derived"),
        "cpus": (6, "derived"),
        "gpus": (1, "derived"),
        "dtype": ("bf16", "derived"),
    }
    said = with_machine(lay_over("start", TrainLayer("flag", {"gpus": 0, "lora_alpha": 9.0})), cpus=1, gpus=2)
    assert (said["gpus"].value, said["dtype"].value, said["lora_alpha"].value) == (0, "fp32", 9.0)


@pytest.mark.parametrize("steps,warmup", ((20, 2), (5, 0), (5_000, 100)))
def test_a_warm_up_that_nobody_said_leaves_most_steps_to_training(steps: int, warmup: int) -> None:
    assert with_steps(lay_over("start"), steps=steps)["num_warmup_steps"].value == warmup
    assert with_steps(lay_over("start", CHAT), steps=steps)["num_warmup_steps"].value == 100


def test_every_profile_and_every_default_is_valid() -> None:
    for mode in ("quick", "start"):
        assert list(value_problems(lay_over(mode))) == []
    for name, values in PROFILES.items():
        layer = TrainLayer(f"profile {name}", values)
        assert set(values) <= set(TRAIN_KEYS)
        assert list(value_problems(lay_over("start", layer), layer)) == []


@pytest.mark.parametrize(
    "key,value",
    (
        ("lora_rank", 0),
        ("lora_rank", "8"),
        ("lr", None),
        ("val_split", 1.0),
        ("seed", -1),
        ("tier", "blue"),
        ("dtype", "fp16"),
        ("cpus", 0),
        ("overlong", "maybe"),
        ("epochs_to_save", "first"),
        ("lora_dropout", 1.0),
        ("evaluate", "yes"),
    ),
)
def test_a_value_that_its_key_does_not_take_is_told_with_who_said_it(key: str, value: object) -> None:
    layer = TrainLayer("file train.yml", {key: value}, {key: "train.yml:3"})
    (problem,) = value_problems(lay_over("start", layer), layer)
    assert (problem.path, problem.place) == (key, "train.yml:3")
