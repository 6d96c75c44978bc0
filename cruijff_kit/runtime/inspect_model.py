"""The model of a cell as inspect-ai knows it, and what is asked of it."""

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import Model, get_model

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.inspect_provider import CruijffAPI
from cruijff_kit.runtime.prompt_parity import is_here
from cruijff_kit.schema.config import BaseModelConfig, EvalConfig

__all__ = ["asked_of", "cell_model", "key_variable"]

_BATCHES = 4
_REQUESTS = 10
_RETRIES = 6
_NO_KEY = "none"
_KEYS = MappingProxyType(
    {
        "anthropic": "ANTHROPIC_API_KEY",
        "google": "GOOGLE_API_KEY",
        "mistral": "MISTRAL_API_KEY",
        "openai": "OPENAI_API_KEY",
    }
)


def cell_model(config: EvalConfig, answered: Callable[[int], None]) -> Model:
    """Return the model that a cell evaluates.

    Args:
        config: the cell.
        answered: told how many samples each batch answered.
    """
    if config.base_model.api is not None:
        return _api_model(config.base_model)
    suffix = "base" if config.epoch is None else f"epoch_{config.epoch}"
    model = get_model(
        f"cruijff/{config.run_id}_{suffix}",
        memoize=False,
        model_path=config.base_model.path,
        adapter=config.adapter,
        dataset_type=config.dataset.dataset_type,
        template=config.dataset.template,
        template_date=config.dataset.template_date,
        max_seq_len=config.dataset.max_seq_len,
        batch_size=config.generation.batch_size,
        dtype=config.dtype,
        backend=config.backend,
        device=config.device,
        dropout_passes=config.generation.dropout_passes if config.adapter is not None else 0,
        dropout_seed=config.seed,
    )
    if isinstance(model.api, CruijffAPI):
        model.api.answered = answered
    return model


def _api_model(base: BaseModelConfig) -> Model:
    """Return a model of one of inspect's own providers; its key comes from the environment alone.

    Raises:
        SiteError: the key is missing, or the provider's package is not installed.
    """
    api = str(base.api)
    variable = key_variable(api)
    missing = variable is not None and not os.environ.get(variable)
    local = base.base_url is not None and is_here(base.base_url)
    if missing and not local:
        hint = f"set `{variable}` where the job is started; a queue here hands no keys on, so start it by `bash`"
        raise SiteError(f"`{api}` needs a key, and the environment holds no `{variable}`", hint=hint)
    try:
        # A server on this machine asks for none, and its client for anything but nothing.
        return get_model(api, base_url=base.base_url, api_key=_NO_KEY if missing else None, memoize=False)
    except (PrerequisiteError, ValueError, ImportError) as err:
        fact = str(err).strip().partition("\n")[0]
        hint = "pip install 'cruijff-kit[api]', and mend `api` in `models`"
        raise SiteError(f"`{api}` cannot be asked: {fact}", hint=hint) from err


def key_variable(api: str) -> str | None:
    """Return the environment variable that holds the key of a provider; None where inspect knows it alone."""
    provider, _, rest = api.partition("/")
    if provider in {"openai-api", "openai-api-completions"}:
        return f"{rest.partition('/')[0].upper().replace('-', '_')}_API_KEY"
    return _KEYS.get(provider)


def asked_of(config: EvalConfig) -> dict[str, Any]:
    """Return every generation setting as inspect-ai takes it; a task's own settings never stand in for one.

    Greedy is said as temperature 0, because servers sample where nothing is said.
    """
    generation = config.generation
    usual = _REQUESTS if config.base_model.api is not None else _BATCHES * generation.batch_size
    waiting = generation.max_connections or usual
    return {
        "temperature": generation.temperature if generation.do_sample else 0.0,
        "top_p": generation.top_p,
        "seed": generation.seed,
        "max_tokens": generation.max_tokens,
        # A server that is gone would else be asked until the job's time is up.
        "max_retries": _RETRIES if config.base_model.api is not None else None,
        "max_connections": waiting,
        "max_samples": waiting,
        # Samples that ended together are written together.
        "log_buffer": 2 * waiting,
        "logprobs": True,
        "top_logprobs": generation.top_logprobs,
    }
