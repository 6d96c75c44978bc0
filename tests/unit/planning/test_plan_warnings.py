"""What is allowed but doubtful is said once, however many runs it is about."""

from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.planning.plan_warnings import plan_warnings
from cruijff_kit.workflow.plan import make_plan
from tests.fakes.designed import DESIGN, design, world_at

CONTROLS = {**DESIGN["controls"], "num_warmup_steps": 2, "batch_size": 1}
TWO = [*DESIGN["models"], {"name": "spare", "path": "/models/tiny"}]


def warnings(root: Path, **changes: Any) -> list[str]:
    spec = design(**{"controls": CONTROLS, **changes})
    return plan_warnings(spec, make_plan(spec, world=world_at(root)))


def test_two_epochs_over_twenty_four_rows_are_few_steps_and_said_once(tmp_path: Path) -> None:
    (only,) = warnings(tmp_path)
    assert only.startswith("fewer than 50 optimiser steps: `rank4_lr3e-4_seed1-")
    assert only.endswith("and 4 more")


@pytest.mark.parametrize(
    "changes,says",
    (
        ({"controls": {**CONTROLS, "num_warmup_steps": 20}}, "warm-up takes more than a third"),
        ({"controls": {**CONTROLS, "training_samples": 99}}, "asks for 99 training rows and has 24"),
        ({"controls": {**CONTROLS, "seeds": [1]}}, "one seed"),
        ({"runs": []}, "no control run"),
        ({"controls": {**CONTROLS, "dtype": "bf16"}}, "bf16"),
        ({"controls": {**CONTROLS, "stash_adapter_weights": True}}, "`stash_adapter_weights` does nothing"),
        ({"controls": {**CONTROLS, "quantization": "nf4"}}, "is not for torchtune's recipes"),
        ({"controls": {**CONTROLS, "quantization": "nf4"}, "tools": {"preparation": "peft"}}, "`resources.gpus` is 0"),
        ({"resources": {"gpus": 4}}, "3 of 4 GPUs would idle"),
    ),
)
def test_what_is_doubtful_is_named(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert any(says in warning for warning in warnings(tmp_path, **changes))


def test_enough_steps_are_no_reason_to_warn(tmp_path: Path) -> None:
    assert warnings(tmp_path, controls={**CONTROLS, "epochs": 3}) == []
