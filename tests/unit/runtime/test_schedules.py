"""Learning-rate schedules, beside those of transformers."""

import pytest
import torch
from transformers import get_scheduler

from cruijff_kit.runtime.schedules import rate_at
from cruijff_kit.schema.config import ScheduleConfig
from cruijff_kit.schema.spec import Schedule

TOTAL = 40


def reference(name: str, warmup: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=TOTAL)
    rates = []
    for _ in range(TOTAL):
        rates.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("warmup", (0, 7, 60))
@pytest.mark.parametrize("name", ("cosine", "linear", "constant", "constant_with_warmup"))
def test_a_schedule_equals_the_one_of_that_name_in_transformers(name: Schedule, warmup: int) -> None:
    rate = rate_at(ScheduleConfig(name=name, num_warmup_steps=warmup), total_steps=TOTAL)
    assert [rate(step) for step in range(TOTAL)] == pytest.approx(reference(name, warmup))
