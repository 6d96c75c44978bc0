"""Sweep round: what a search tries next, decided from its record alone."""

from collections.abc import Mapping, Sequence

from cruijff_kit.errors import SiteError
from cruijff_kit.planning.search_space import (
    DEFAULT,
    default_point,
    fresh_name,
    fresh_seeds,
    number_of,
    point_key,
    proposal_seed,
    run_of,
    space_of,
    tidy,
    trial_name,
)
from cruijff_kit.ports import Proposer, World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.design_kinds import Level, SearchDesign, Space
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.spec import ExperimentSpec, RunSpec
from cruijff_kit.schema.sweep import SweepRecord, Tried
from cruijff_kit.scoring.figure_names import FIGURES, split_metric
from cruijff_kit.workflow.sweep_record import runs_named, say_once, search_of, trials_of

__all__ = ["best_trial", "minimises", "next_runs", "record_round"]

# After so many proposals that were tried already, chance alone proposes; after as many more there is nothing left.
_OWN_TRIES = 5
_ALL_TRIES = 300


def minimises(search: SearchDesign) -> bool:
    """Return whether less is better: as the design says, else as is known of the metric, else not."""
    if search.direction is not None:
        return search.direction == "minimize"
    figure = FIGURES.get(split_metric(search.metric)[1])
    return search.is_loss or (figure is not None and figure.better == "lower")


def best_trial(spec: ExperimentSpec, record: SweepRecord) -> str | None:
    """Return the trial with the best mean, the first of several; None where none beats the default's own mean."""
    sign = 1.0 if minimises(search_of(spec)) else -1.0
    told = {name: record.told_of(name) for name in (DEFAULT, *trials_of(spec))}
    means = {name: sign * each.mean for name, each in told.items() if each is not None and each.mean is not None}
    best = min(means, key=lambda name: means[name], default=DEFAULT)
    return None if best == DEFAULT or DEFAULT not in means else best


def next_runs(
    spec: ExperimentSpec, record: SweepRecord, *, plan: Plan, world: World
) -> tuple[tuple[RunSpec, ...], bool]:
    """Return the runs to add to the design, once all of it was told, and whether the space is exhausted.

    A round of trials; after the last of them the best trial and the default on fresh
    seeds, if any trial was better; after these nothing.

    Raises:
        SiteError: the extra that samples is not installed.
    """
    search, trials = search_of(spec), trials_of(spec)
    left = search.trials - len(trials)
    if left > 0 and not record.exhausted:
        count = min(search.at_once, left)
        proposed = _proposed(spec, record, count=count, plan=plan, world=world)
        if proposed:
            return proposed, len(proposed) < count
    best = best_trial(spec, record)
    known = {run.name: run for run in spec.runs}
    if best is None or fresh_name(best) in known:
        return (), True
    used = [*spec.controls.seeds, *(seed for run in spec.runs for seed in run.seeds or ())]
    seeds = fresh_seeds(search, used)
    model = {"model": runs_named(plan, DEFAULT)[0].model.name} if len(spec.models) > 1 else {}
    default = run_of(fresh_name(DEFAULT), model, seeds=seeds)
    return (default, known[best].model_copy(update={"name": fresh_name(best), "seeds": seeds})), True


def record_round(runs: Sequence[RunSpec], spec: ExperimentSpec, *, reason: str, world: World) -> None:
    """Tell the audit log what is tried next and from what that follows, before the design says so."""
    search = search_of(spec)
    events = [
        AuditEvent(
            actor=world.actor,
            verb="sweep",
            action=Action.DECIDE_CONFIG,
            subject=run.name,
            reason=reason or None,
            inputs={"sampler": search.sampler, "search_seed": str(search.seed)},
            outputs={
                **{name: str(level) for name, level in _point(run).items()},
                **({"seeds": ", ".join(map(str, run.seeds))} if run.seeds else {}),
            },
        )
        for run in runs
    ]
    say_once(events, world=world)


def _proposed(
    spec: ExperimentSpec, record: SweepRecord, *, count: int, plan: Plan, world: World
) -> tuple[RunSpec, ...]:
    """Return the trials of one round, each different from all others; fewer where the space holds no more."""
    search, default = search_of(spec), runs_named(plan, DEFAULT)[0]
    space = space_of(search, steps=default.total_steps)
    tried = _history(spec, record, own=default_point(space, default, data=plan.dataset(default.dataset)))
    first = len(trials_of(spec)) + 1
    runs = list[RunSpec]()
    for number in range(first, first + count):
        point = _new_point(space, tried, search=search, number=number, proposer=_proposer(world))
        if point is None:
            break
        tried.append(Tried(parameters=point, open=True))
        runs.append(run_of(trial_name(number), point))
    return tuple(runs)


def _history(spec: ExperimentSpec, record: SweepRecord, *, own: Mapping[str, Level]) -> list[Tried]:
    """Return the default and all trials of the design with what came of them."""
    points = {run.name: _point(run) for run in spec.runs if number_of(run.name) is not None}
    return [
        Tried(parameters=dict(point), value=None if told is None else told.mean, open=told is None)
        for name, point in {DEFAULT: own, **{name: points[name] for name in trials_of(spec)}}.items()
        for told in [record.told_of(name)]
    ]


def _point(run: RunSpec) -> dict[str, Level]:
    return dict(run.parameters) if run.model is None else {**run.parameters, "model": run.model}


def _new_point(
    space: Space, tried: Sequence[Tried], *, search: SearchDesign, number: int, proposer: Proposer
) -> dict[str, Level] | None:
    """Return a point that was not tried yet; None where none is found."""
    known = {point_key({name: each.parameters.get(name) for name in space}) for each in tried}
    for attempt in range(_ALL_TRIES):
        sampler = search.sampler if attempt < _OWN_TRIES else "random"
        seed = proposal_seed(search.seed, number, attempt=attempt)
        proposed = proposer.propose(space, tried, sampler=sampler, minimise=minimises(search), seed=seed)
        point = tidy(space, proposed)
        if point_key(point) not in known:
            return point
    return None


def _proposer(world: World) -> Proposer:
    if world.proposer is None:
        raise SiteError("nothing proposes trials here", hint="pip install 'cruijff-kit[search]'")
    return world.proposer
