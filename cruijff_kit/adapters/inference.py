"""A model held in this process, for spot checks and audits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Asking
from cruijff_kit.schema.backend import Library
from cruijff_kit.schema.prediction import Completion, PromptIds

if TYPE_CHECKING:
    from cruijff_kit.runtime.residents import Resident

__all__ = ["LocalInference", "load_inference"]


class LocalInference:
    """Answers of a resident base model, with or without one adapter on it."""

    def __init__(self, model: "Resident", *, adapter: str | None = None) -> None:
        """Take a loaded base and the adapter directory to use with it."""
        self._model = model
        self._adapter = adapter

    def ask(self, prompts: Sequence[PromptIds], asking: Asking, *, stop_ids: Sequence[int] = ()) -> list[Completion]:
        """Answer each prompt, greedily or sampled, and score the options behind it.

        Raises:
            PlanError: prompt and answer exceed the model's positions, or two options are one.
            ResultError: the adapter does not fit the base.
            SiteError: the adapter cannot be loaded.
        """
        from cruijff_kit.runtime.inference import Limits

        limits = Limits(asking.max_tokens, asking.top_logprobs, temperature=asking.temperature, seed=asking.seed)
        options = [asking.options] * len(prompts) if asking.options else ()
        return self._model.complete(prompts, limits, adapter=self._adapter, stop_ids=stop_ids, options=options)


def load_inference(path: str, *, adapter: str | None = None, backend: Library = "torch") -> LocalInference:
    """Load a base model directory; the adapter is loaded with the first prompt.

    Raises:
        SiteError: the directory cannot be loaded, or the extra that loads it is not installed.
    """
    try:
        from cruijff_kit.runtime.residents import load_resident
    except ImportError as err:
        hint = "pip install 'cruijff-kit[train]'"
        raise SiteError(f"loading models needs `{err.name}`, which is not installed", hint=hint) from err
    return LocalInference(load_resident(path, backend=backend), adapter=adapter)
