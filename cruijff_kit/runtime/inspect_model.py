"""The model of a cell as inspect-ai knows it, and what is asked of it."""

from collections.abc import Callable
from typing import Any

from inspect_ai.model import Model, get_model

from cruijff_kit.runtime.inspect_provider import CruijffAPI
from cruijff_kit.schema.config import EvalConfig

__all__ = ["asked_of", "cell_model"]

_BATCHES = 4


def cell_model(config: EvalConfig, answered: Callable[[int], None]) -> Model:
    """Return the model that a cell evaluates.

    Args:
        config: the cell.
        answered: told how many samples each batch answered.
    """
    suffix = "base" if config.epoch is None else f"epoch_{config.epoch}"
    model = get_model(
        f"cruijff/{config.run_id}_{suffix}",
        memoize=False,
        model_path=config.base_model.path,
        adapter=config.adapter,
        dataset_type=config.dataset.dataset_type,
        template_date=config.dataset.template_date,
        max_seq_len=config.dataset.max_seq_len,
        batch_size=config.generation.batch_size,
        dtype=config.dtype,
    )
    if isinstance(model.api, CruijffAPI):
        model.api.answered = answered
    return model


def asked_of(config: EvalConfig) -> dict[str, Any]:
    """Return every generation setting as inspect-ai takes it; a task's own settings never stand in for one.

    Greedy is said as temperature 0, because servers sample where nothing is said.
    """
    generation = config.generation
    waiting = generation.max_connections or _BATCHES * generation.batch_size
    return {
        "temperature": generation.temperature if generation.do_sample else 0.0,
        "top_p": generation.top_p,
        "seed": generation.seed,
        "max_tokens": generation.max_tokens,
        "max_connections": waiting,
        "max_samples": waiting,
        "logprobs": True,
        "top_logprobs": generation.top_logprobs,
    }
