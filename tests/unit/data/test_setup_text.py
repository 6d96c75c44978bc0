"""Values of `setup_finetune.yaml`: every way of writing one that the first system took, and no other."""

from typing import Any

import pytest

from cruijff_kit.data.setup_text import DATASET_TYPES, SCHEDULES, read_flags, read_setup, setup_value
from cruijff_kit.schema.setup_keys import SETUP_KEYS


@pytest.mark.parametrize(
    "name,raw,value",
    (
        *(("packed", raw, True) for raw in (True, 1, "true", "True", "1", "yes", " YES ")),
        *(("packed", raw, False) for raw in (False, 0, "false", "0", "no")),
        ("epochs", "3", 3),
        ("epochs", 3, 3),
        ("lr", "1e-4", 1e-4),
        ("lr", 1, 1.0),
        ("lora_alpha", "null", None),
        ("max_grad_norm", "None", None),
        ("target_modules", "q_proj, v_proj", ("q_proj", "v_proj")),
        ("target_modules", ["q_proj"], ("q_proj",)),
        ("modules", "anaconda3/2025.6 cuda", ("anaconda3/2025.6", "cuda")),
        ("modules", "", None),
        ("epochs_to_save", "all", "all"),
        ("epochs_to_save", "0,2,4", (0, 2, 4)),
        ("epochs_to_save", [0, 2], (0, 2)),
        ("epochs_to_save", 2, (2,)),
        ("seed", "7", 7),
        ("mem", "80G", "80G"),
        ("mem", None, None),
        ("system_prompt", "none", "none"),
    ),
)
def test_a_value_is_read_in_every_form_people_write(name: str, raw: Any, value: Any) -> None:
    found = setup_value(SETUP_KEYS[name], raw)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "name,raw",
    (
        ("packed", "maybe"),
        ("packed", 2),
        ("epochs", True),
        ("epochs", 1.5),
        ("epochs", 0),
        ("epochs", None),
        ("lr", "fast"),
        ("lr", -1),
        ("lr", "nan"),
        ("lora_dropout", 1),
        ("epochs_to_save", "0,x"),
        ("epochs_to_save", [-1]),
        ("seed", -1),
        ("mem", "80"),
        ("time", "10:00"),
        ("gpus", 65),
        ("system_prompt", 3),
        ("dataset_type", "chatty"),
        ("lr_scheduler", "exponential"),
        ("lr_scheduler", "get_exponential_schedule_with_warmup"),
        ("dtype", "fp16"),
        ("target_modules", []),
    ),
)
def test_a_value_of_another_form_is_refused(name: str, raw: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        setup_value(SETUP_KEYS[name], raw)


def test_the_first_systems_schedules_and_data_set_types_have_a_meaning_here() -> None:
    assert {setup_value(SETUP_KEYS["lr_scheduler"], name) for name in SCHEDULES} == set(SCHEDULES.values())
    known = {name for name in DATASET_TYPES if name != "chat_dataset"}
    assert {setup_value(SETUP_KEYS["dataset_type"], name) for name in known} == {"chat_completion", "text_completion"}


def test_a_flag_of_nothing_says_null_where_null_is_a_value() -> None:
    given = read_flags({"partition": "", "venv": "null", "system_prompt": "", "experiment_name": "None"})
    assert given.values == {"partition": None, "venv": None, "system_prompt": "", "experiment_name": None}


def test_what_is_no_mapping_is_refused_and_nothing_is_no_problem() -> None:
    assert [problem.message for problem in read_setup("- a\n", name="x.yaml").problems]
    assert read_setup("# nothing yet\n", name="x.yaml").values == {}


def test_every_problem_has_the_line_of_its_key() -> None:
    given = read_setup("epochs: 3\nlora_rnk: 4\nlr: fast\n", name="setup_finetune.yaml")
    assert [(problem.path, problem.place) for problem in given.problems] == [
        ("lora_rnk", "setup_finetune.yaml:2"),
        ("lr", "setup_finetune.yaml:3"),
    ]
    assert given.values == {"epochs": 3}
