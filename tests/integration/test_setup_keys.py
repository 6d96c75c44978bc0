"""The table of keys is true: each key does what it says, in the file and as a flag, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.setup_text import setup_value
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.setup_keys import ABSENT, DERIVED, REQUIRED, SETUP_KEYS, SITE, SetupKey
from cruijff_kit.workflow.setup_finetune import write_finetune
from tests.setups import BESIDE, CHANGED, dry, minimal, written


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "parity_run"
    folder.mkdir()
    return folder


def test_the_least_file_gives_the_defaults_of_the_table(root: Path) -> None:
    receipt = dry(minimal(root))
    told = {name: each.value for name, each in receipt.values.items()}
    made = {"input_dir_base", "input_formatting", "dataset_label", "models_dir", "dataset_ext"}
    plain = {name: key.ours for name, key in SETUP_KEYS.items() if key.ours not in {DERIVED, REQUIRED, SITE}}
    assert {name: told[name] for name in plain if name not in made} == {
        name: value for name, value in plain.items() if name not in made
    }
    derived = {name for name, key in SETUP_KEYS.items() if key.ours == DERIVED}
    assert {receipt.values[name].source for name in derived} == {"derived"}
    assert (told["lora_alpha"], told["batch_size_val"], told["dtype"]) == (128.0, 4, "bf16")
    assert (told["custom_recipe"], told["model_checkpoint"]) == ("lora_single_device", "Llama-3.2-1B-Instruct")
    assert {told[name] for name, key in SETUP_KEYS.items() if key.ours == SITE and name != "models_dir"} == {
        None,
        str(root),
    }


@pytest.mark.parametrize("key", SETUP_KEYS.values(), ids=lambda key: key.name)
def test_where_the_two_forms_differ_the_later_one_counts_or_the_table_says_why_not(key: SetupKey) -> None:
    first = key.autumn if key.later == ABSENT else key.later
    if isinstance(first, str) and first.startswith("fixed: ") and not key.note:
        first = setup_value(key, first.removeprefix("fixed: "))
    assert key.ours == first or len(key.note) >= len("a new key")


def test_the_known_differences_of_the_two_forms_are_in_the_table() -> None:
    both = {name: (key.autumn, key.later, key.ours) for name, key in SETUP_KEYS.items() if key.autumn != key.later}
    known = ("save_adapter_weights_only", "seed", "packed", "dataset_ext", "custom_recipe")
    assert [both[name] for name in known] == [
        (False, True, True),
        ("fixed: 1234", 14, 14),
        ("fixed: true", False, False),
        (".json", "", ""),
        (None, DERIVED, DERIVED),
    ]
    assert "q, v, output and the MLP" in SETUP_KEYS["target_modules"].note


def test_every_key_is_tried_here() -> None:
    assert set(CHANGED) == set(SETUP_KEYS)


@pytest.mark.parametrize("way", ("file", "flag"))
@pytest.mark.parametrize("name", [name for name in CHANGED if name != "config_file"])
def test_a_key_changes_what_the_table_says_it_changes(name: str, way: str, root: Path) -> None:
    beside, key = BESIDE.get(name, {}), SETUP_KEYS[name]
    write_finetune(flags={"my_wandb_run_name": "before", **beside}, world=minimal(root))
    config, job = written(root)
    flags = {"my_wandb_run_name": "before", **beside} | ({name: CHANGED[name]} if way == "flag" else {})
    if way == "file":
        flags = {each: text for each, text in flags.items() if each != name}
    world = minimal(root, **({name: CHANGED[name]} if way == "file" else {}))
    receipt = write_finetune(flags=flags, world=world)
    after, asked = written(root)
    assert receipt.values[name].source == way
    if key.way == "config":
        old, new = (_at(each, key.place) for each in (config, after))
        assert old != new
        assert _same(name, receipt.values[name].value, new)
        others = {place for place in _changed(config, after) if place != key.target}
        assert others <= {"dataset.sha256", "model.lora_alpha", "batch_size_val", "epochs_to_save"}
    elif key.way == "job":
        assert getattr(asked, key.target) != getattr(job, key.target)
        assert _changed(config, after) <= ({"dtype", "device"} if name == "gpus" else set())
    else:
        assert (config, job) != (after, asked)


def test_what_only_the_scheduler_reads_stays_out_of_the_training_configuration(root: Path) -> None:
    asked = {
        name: CHANGED[name] for name, key in SETUP_KEYS.items() if key.way == "job" and name not in {"gpus", "venv"}
    }
    write_finetune(flags=asked, world=minimal(root))
    text = (root / "finetune.yaml").read_text(encoding="utf-8")
    assert not [word for word in ("80G", "a100", "ttenv", "anaconda", "partition", "account") if word in text]


def _at(config: TrainConfig, place: tuple[str, ...]) -> Any:
    value: Any = config
    for name in place:
        value = getattr(value, name)
    return value


def _same(name: str, said: Any, found: Any) -> bool:
    return name == "epochs_to_save" or said == found


def _changed(before: TrainConfig, after: TrainConfig) -> set[str]:
    old, new = before.model_dump(), after.model_dump()
    flat = [
        {
            f"{key}.{inner}": each
            for key, value in plain.items()
            if isinstance(value, dict)
            for inner, each in value.items()
        }
        | {key: value for key, value in plain.items() if not isinstance(value, dict)}
        for plain in (old, new)
    ]
    return {place for place, value in flat[0].items() if flat[1][place] != value}
