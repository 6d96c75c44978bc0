"""Optuna's samplers, each asked once: the study is built from what was tried and thrown away."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cruijff_kit.errors import SiteError
from cruijff_kit.planning.spans import drawn_whole
from cruijff_kit.schema.design_kinds import Dimension, Level, Space, Span
from cruijff_kit.schema.sweep import Tried

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

__all__ = ["OptunaSampler"]


class OptunaSampler:
    """An in-memory study a question; nothing of Optuna's is written to disk."""

    def propose(
        self,
        space: Space,
        tried: Sequence[Tried],
        *,
        sampler: Literal["tpe", "random", "gp"],
        minimise: bool,
        seed: int,
    ) -> dict[str, Level]:
        """Return one point of a space; the same arguments give the same point.

        Raises:
            SiteError: the extra that samples is not installed.
        """
        try:
            import optuna
        except ImportError as err:
            hint = "pip install 'cruijff-kit[search]'"
            raise SiteError(f"searching needs `{err.name}`, which is not installed", hint=hint) from err
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            # What a sampler itself stands on it imports only now.
            direction = "minimize" if minimise else "maximize"
            study = optuna.create_study(sampler=_sampler(sampler, seed), direction=direction)
            # Of levels the places are told, for Optuna compares and warns of values that are neither text nor number.
            offered = {name: _distribution(name, each) for name, each in space.items()}
            study.add_trials([found for each in tried if (found := _trial(each, space, offered=offered))])
            asked = study.ask(offered).params
        except ImportError as err:
            hint = "pip install 'cruijff-kit[train,report]', or take `sampler: tpe`"
            raise SiteError(
                f"sampler `{sampler}` needs more than Optuna: {str(err).partition('.')[0]}", hint=hint
            ) from err
        finally:
            optuna.logging.set_verbosity(before)
        return {name: _level(space[name], value) for name, value in asked.items()}


def _sampler(name: str, seed: int) -> "BaseSampler":
    from optuna.samplers import GPSampler, RandomSampler, TPESampler

    if name == "random":
        return RandomSampler(seed=seed)
    if name == "gp":
        return GPSampler(seed=seed)
    # Trials of one round know nothing of each other's ends: those that are open count as bad, so that they spread.
    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _distribution(name: str, dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(dimension, Span):
        return CategoricalDistribution(range(len(dimension)))
    low, high, step = dimension.low, dimension.high, dimension.step
    if drawn_whole(name, dimension):
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=dimension.log, step=None if step is None else float(step))


def _trial(tried: Tried, space: Space, *, offered: Mapping[str, "BaseDistribution"]) -> "FrozenTrial | None":
    """Return an earlier point as a trial of the study; None where it lies outside the space."""
    from optuna.trial import TrialState, create_trial

    ended = TrialState.FAIL if tried.value is None else TrialState.COMPLETE
    try:
        parameters = {name: _place(each, tried.parameters.get(name)) for name, each in space.items()}
        return create_trial(
            state=TrialState.RUNNING if tried.open else ended,
            params=parameters,
            distributions=dict(offered),
            value=tried.value,
        )
    except (TypeError, ValueError):
        return None


def _place(dimension: Dimension, level: Level) -> Any:
    if isinstance(dimension, Span):
        return level
    kind = isinstance(level, bool)
    return next((at for at, each in enumerate(dimension) if each == level and isinstance(each, bool) is kind), None)


def _level(dimension: Dimension, value: Any) -> Level:
    return value if isinstance(dimension, Span) else dimension[value]
