"""The estimate of memory is near what the real recipe's steps are measured to need."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.planning.memory import LOGITS_AT_ONCE
from cruijff_kit.runtime import losses
from cruijff_kit.runtime.live_bytes import LiveBytes
from tests.memory_cells import Cell, measure, predict, save_model

SMALL = Cell(64, 3, 4, 2, 160, 500, 8, 4, 48)
FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"activation_checkpointing": True, "lora_variant": "dora"},
    {"packed": True, "dtype": "bf16"},
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(SMALL, tmp_path_factory.mktemp("cells") / "base")


@pytest.mark.parametrize("form", FORMS, ids=("plain", "again-dora", "packed-bf16"))
def test_the_sum_of_the_parts_is_near_the_measured_peak(form: dict[str, Any], base: Path, tmp_path: Path) -> None:
    cell = SMALL._replace(controls=tuple(form.items()), ragged=0.5 if form.get("packed") else 0.0)
    predicted = predict(cell, LocalHub(cache=tmp_path).facts(str(base)))
    assert predicted.tensors == pytest.approx(measure(cell, base).tensors, rel=0.2)


def test_the_estimate_knows_how_many_logits_the_loss_holds() -> None:
    assert LOGITS_AT_ONCE == losses.LOGITS_AT_ONCE


def test_a_storage_is_counted_once_until_its_last_tensor_is_gone() -> None:
    before = torch.zeros(100)
    live = LiveBytes([before, before[:50]])
    assert live.now == 400
    with live:
        made = torch.ones(1000)
        view = made[10:]
        made.add_(1)
        assert live.now == 4400
        del made
        assert live.now == 4400
        del view
        assert live.now == 400
        (torch.ones(500) + torch.ones(500)).sum()
    assert live.now == 400
    assert live.peak >= 6000
    live.restart()
    assert live.peak == 400


def test_what_the_backward_pass_keeps_and_frees_is_seen() -> None:
    weight = torch.ones(200, requires_grad=True)
    live = LiveBytes([weight])
    with live:
        loss = (weight * weight).exp().sum()
        assert live.now > 800 + 800
        loss.backward()
        del loss
    # The weight and its gradient.
    assert live.now == 1600
