"""How sure a model is of its options: passes with dropout on, several adapters, and a temperature.

LoRA's dropout is the only dropout that fine-tuned models have: an adapter trained
without it gives the same answer in every pass, and is refused.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.tokens import prompt_sha256
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.inference import Limits
from cruijff_kit.runtime.option_scores import OptionScores, OptionTable
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.scoring.ensembles import Pooled, mean_logprobs, pool_members
from cruijff_kit.scoring.estimates import Floats
from cruijff_kit.scoring.temperature import fit_temperature, option_probabilities

__all__ = ["DeepEnsembleWrapper", "MCDropoutWrapper", "UncertaintyCalibrator"]

_NOTHING_SAID = Limits(max_tokens=0)


class MCDropoutWrapper:
    """A model whose LoRA dropout is on while it answers, so that each pass is another draw."""

    def __init__(self, *, model: Resident, adapter: str | None, passes: int = 10, seed: int = 0) -> None:
        """Take a model and what it wears.

        Args:
            model: the base, in memory.
            adapter: directory of the adapter whose dropout is turned on.
            passes: how often each prompt is read.
            seed: decides what is dropped.

        Raises:
            ResultError: there is no adapter, so nothing to drop.
            SpecError: fewer than two passes.
        """
        if adapter is None:
            hint = "name an adapter or a run that was trained with `lora_dropout` above 0"
            raise ResultError("a bare base model has no LoRA dropout, so passes would not differ", hint=hint)
        if passes < 2:
            raise SpecError(f"`passes` is `{passes}`; two at least can differ")
        self._model, self._adapter = model, adapter
        self._passes, self._seed = passes, seed

    def option_logprobs(self, *, prompts: Sequence[PromptIds], options: Sequence[str]) -> Floats:
        """Return the options' log-probabilities, shape (passes, prompts, options).

        A prompt is read by itself, and what is dropped is fixed by it and the seed, whatever its neighbours.

        Raises:
            ResultError: the adapter was trained without dropout, or does not fit.
            SiteError: it cannot be loaded, or what computes has no passes with dropout on.
        """
        found = [self._rows(prompt, options) for prompt in prompts]
        return np.array([[each.logprobs for each in rows] for rows in found]).swapaxes(0, 1)

    def mean(self, *, prompt: PromptIds, options: Sequence[str] | OptionTable) -> OptionScores:
        """Return the mean of the passes' probabilities, and of what all options have together.

        Raises:
            As `option_logprobs` says.
        """
        rows = self._rows(prompt, options)
        mass = float(np.mean([row.mass for row in rows]))
        pooled = pool_members([row.logprobs for row in rows], source="mc_dropout").probabilities
        return OptionScores(mean_logprobs(pooled * mass), mass)

    def predict(
        self, *, prompts: Sequence[PromptIds], options: Sequence[str], temperature: float = 1.0
    ) -> list[Pooled]:
        """Return each prompt's mean probabilities, entropies and mutual information."""
        found = self.option_logprobs(prompts=prompts, options=options)
        return _pooled(found, source="mc_dropout", temperature=temperature)

    def _rows(self, prompt: PromptIds, options: Sequence[str] | OptionTable) -> list[OptionScores]:
        # Seeds that follow each other share no pass.
        name = prompt_sha256(prompt)
        draws = (uniform(f"{name}/{at}", seed=self._seed, label="dropout") for at in range(self._passes))
        found = self._model.complete_dropping(
            [prompt],
            _NOTHING_SAID,
            adapter=self._adapter,
            options=[options],
            seeds=[int(draw * 2**53) for draw in draws],
        )
        return [OptionScores(each.option_logprobs, each.option_mass or 0.0) for (each,) in found]


class DeepEnsembleWrapper:
    """Several adapters on one base, such as the seeds of one cell, that answer together."""

    def __init__(self, *, model: Resident, adapters: Sequence[str | None]) -> None:
        """Take a model and what it wears in turn.

        Raises:
            SpecError: fewer than two adapters, or one that is there twice.
        """
        if len(set(adapters)) < max(2, len(adapters)):
            raise SpecError(f"an ensemble has two adapters at least, each once; these are {len(adapters)}")
        self._model, self._adapters = model, tuple(adapters)

    def option_logprobs(self, *, prompts: Sequence[PromptIds], options: Sequence[str]) -> Floats:
        """Return the options' log-probabilities, shape (adapters, prompts, options).

        Raises:
            ResultError: an adapter does not fit the base.
            SiteError: one cannot be loaded.
        """
        asked = [tuple(options)] * len(prompts)
        found = [self._model.complete(prompts, _NOTHING_SAID, adapter=each, options=asked) for each in self._adapters]
        return np.array([[each.option_logprobs for each in answers] for answers in found])

    def predict(
        self, *, prompts: Sequence[PromptIds], options: Sequence[str], temperature: float = 1.0
    ) -> list[Pooled]:
        """Return each prompt's mean probabilities, entropies and mutual information."""
        found = self.option_logprobs(prompts=prompts, options=options)
        return _pooled(found, source="ensemble", temperature=temperature)


class UncertaintyCalibrator:
    """A temperature for options' log-probabilities, fitted to samples whose true options are known.

    With (members, n, K) log-probabilities it is one for the mean of the members.
    """

    def __init__(self) -> None:
        """Begin at temperature 1."""
        self.temperature = 1.0

    def fit(self, *, logprobs: ArrayLike, labels: ArrayLike) -> float:
        """Find the temperature of the least negative log-likelihood, keep it and return it.

        Args:
            logprobs: (n, K) log-probabilities, or (members, n, K).
            labels: index of each sample's true option.

        Raises:
            ResultError: the samples determine none.
        """
        fitted = fit_temperature(logprobs=_together(logprobs), labels=labels)
        if fitted.value is None:
            raise ResultError(f"the samples determine no temperature: {fitted.reason}", hint="use more samples")
        self.temperature = fitted.value
        return fitted.value

    def probabilities(self, *, logprobs: ArrayLike) -> Floats:
        """Return (n, K) probabilities at the temperature."""
        return option_probabilities(_together(logprobs), temperature=self.temperature)


def _together(logprobs: ArrayLike) -> Floats:
    """Return (n, K) log-probabilities: those given, or the logarithm of their members' mean probability."""
    given = np.asarray(logprobs, dtype=np.float64)
    if given.ndim != 3:
        return given
    mean = np.mean([option_probabilities(each) for each in given], axis=0)
    return np.log(np.maximum(mean, np.finfo(np.float64).tiny))


def _pooled(found: Floats, *, source: Literal["mc_dropout", "ensemble"], temperature: float) -> list[Pooled]:
    return [pool_members(found[:, at], source=source, temperature=temperature) for at in range(found.shape[1])]
