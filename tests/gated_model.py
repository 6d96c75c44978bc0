"""A real model that takes each step only when it is let, for tests of what happens meanwhile."""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Semaphore
from typing import Any

from cruijff_kit.runtime.inference import Aside, Limits
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["GatedModel"]


class GatedModel(ResidentModel):
    """Answers as the model does, each token behind a gate."""

    def __init__(self, base: str, *, gated: Sequence[PromptIds] | None = None) -> None:
        """Load a base; every prompt is gated, or those named."""
        super().__init__(base, device="cpu")
        self.steps: SimpleQueue[PromptIds] = SimpleQueue()
        self.batches: list[int] = []
        self.go = Semaphore(0)
        self._gated = gated

    def let(self, steps: int) -> None:
        """Let so many tokens be made."""
        for _ in range(steps):
            self.go.release()

    def taken(self) -> int:
        """Return how many tokens came to the gate since this was last asked."""
        count = 0
        while not self.steps.empty():
            self.steps.get()
            count += 1
        return count

    def complete(
        self, prompts: Sequence[PromptIds], limits: Limits, *, asides: Sequence[Aside] = (), **rest: Any
    ) -> list[Completion]:
        self.batches.append(len(prompts))
        gated = [
            aside if self._gated is not None and prompt not in self._gated else self._behind(prompt, aside)
            for prompt, aside in zip(prompts, asides, strict=True)
        ]
        return super().complete(prompts, limits, asides=gated, **rest)

    def _behind(self, prompt: PromptIds, aside: Aside) -> Aside:
        hear: Callable[[int, Step], bool] = aside.hear or (lambda _at, _step: True)

        def heard(at: int, step: Step) -> bool:
            self.steps.put(prompt)
            assert self.go.acquire(timeout=60)
            return hear(at, step)

        return aside._replace(hear=heard)
