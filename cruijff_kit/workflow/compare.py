"""Compare: figures of several experiments side by side, subtracted where they may be, and why not elsewhere."""

from collections.abc import Sequence
from string import ascii_uppercase

from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.compared import Across, ComparedExperiment, CompareRules
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import DesignLock, Plan
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.workflow.collect import gather_results
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import plan_tier

__all__ = ["compare_experiments"]

_RULES = CompareRules()
_FEWEST = 10
"""Samples below which no figure of data leaves that may not be shown."""

_NAMED = 8


def compare_experiments(
    worlds: Sequence[World], *, rules: CompareRules = _RULES, progress: Progress | None = None
) -> Across:
    """Return figures of several experiments, their differences, and what cannot be compared; never writes.

    Figures are those of logs that each run's `DONE` vouches for, at the last epoch planned. Two are
    subtracted only where task, data, split and metric are the same; whatever else differs is told
    beside the difference. Of data that may not be shown, prompts are told by their hashes, and no
    figure that rests on fewer than 10 samples.

    Args:
        worlds: each experiment with its surroundings, at least two.
        rules: what is compared, and at which confidence level.
        progress: told of runs read.

    Raises:
        SpecError: fewer than two experiments, one named twice, a level out of range, nothing that was asked for, or
            more differences than are told.
        PlanError: one of them is not scaffolded, or its record is damaged.
        SiteError: an extra that reads logs is not installed.
    """
    from cruijff_kit.analysis.across import MOST_CONTRASTS, compare_entries, pairs_of, read_entries
    from cruijff_kit.analysis.arms import Entry

    _refuse(worlds, rules)
    # Logs take seconds to read: an experiment that cannot be compared is told before any is.
    sealed = [_require_plan(each) for each in worlds]
    entries, experiments = [], []
    for label, world, (plan, lock) in zip(ascii_uppercase, worlds, sealed, strict=False):
        told = _experiment(label, plan, plan_id=lock.plan_id, world=world)
        table = gather_results(plan, progress=progress, world=world)
        table = _veiled(table, tier=told.tier) if told.closed else table
        entries.append(Entry(label, read_design(world), plan, table, hidden=bool(told.closed)))
        experiments.append(told)
    readings = read_entries(entries, rules)
    if not any(readings):
        raise _nothing(rules, [row for entry in entries for row in entry.table.rows])
    pairs = pairs_of(readings, matched=rules.matched)
    if len(pairs) > MOST_CONTRASTS:
        hint = "name fewer runs by `--run WORD`, one `--task`, or only equal levels by `--matched`"
        raise SpecError(f"{len(pairs)} differences would be told; at most {MOST_CONTRASTS} are", hint=hint)
    found = compare_entries(readings, pairs, level=rules.level)
    return Across(experiments=tuple(experiments), level=rules.level, **found._asdict())


def _experiment(label: str, plan: Plan, *, plan_id: str, world: World) -> ComparedExperiment:
    shut = closed_plan(plan, way="show", world=world)
    return ComparedExperiment(
        label=label,
        name=plan.experiment,
        folder=world.store.root.name,
        plan_id=plan_id,
        runs=len(plan.runs),
        tier=plan_tier(plan, world),
        closed="" if shut is None else shut.fact,
        imported=world.store.read(ExperimentLayout.imported) is not None,
    )


def _require_plan(world: World) -> tuple[Plan, DesignLock]:
    """Return the plan of an experiment with its seal; where there is none, say which experiment it is."""
    try:
        return recorded_plan(world=world)
    except PlanError as err:
        raise PlanError(f"`{world.store.root.name}` cannot be compared: {err.args[0]}", hint=err.hint) from err


def _refuse(worlds: Sequence[World], rules: CompareRules) -> None:
    roots = [world.store.root.resolve() for world in worlds]
    if not 2 <= len(roots) <= len(ascii_uppercase):
        hint = "name at least two experiments, such as `ck compare first second`"
        raise SpecError(f"{len(roots)} experiments are named; 2 to {len(ascii_uppercase)} are compared", hint=hint)
    twice = [root.name for at, root in enumerate(roots) if root in roots[:at]]
    if twice:
        raise SpecError(f"`{twice[0]}` is named twice", hint="an experiment's own runs are compared by `ck report`")
    if not 0 < rules.level < 1:
        raise SpecError(f"`level` is `{rules.level:g}`", hint="a confidence level lies between 0 and 1, such as 0.95")


def _nothing(rules: CompareRules, rows: Sequence[ResultRow]) -> SpecError:
    """Return why there is nothing to compare, and what there is."""
    evaluated = [row for row in rows if row.task != "training"]
    tasks, metrics = (", ".join(f"`{each}`" for each in dict.fromkeys(getattr(row, name) for row in evaluated))
                      for name in ("task", "metric"))  # fmt: skip
    asked = {"--metric": rules.metrics, "--task": rules.tasks, "--run": rules.runs}
    said = "; ".join(f"{flag} {', '.join(words)}" for flag, words in asked.items() if words)
    fact = f"no arm has a figure of {said}" if said else "none of the experiments has an evaluation"
    runs = ", ".join(f"`{each}`" for each in list(dict.fromkeys(row.run for row in evaluated))[:_NAMED])
    named = f"; runs are {runs}" if rules.runs and runs else ""
    return SpecError(fact, hint=f"tasks are {tasks or 'none'}; metrics are {metrics or 'none'}{named}")


def _veiled(table: ResultTable, *, tier: Tier) -> ResultTable:
    """Return a table without figures of few samples: those tell of single rows."""
    reason = f"withheld: it rests on fewer than {_FEWEST} samples, and the data is {tier}"
    rows = [
        row.model_copy(update={"value": None, "successes": None, "reason": reason})
        if row.value is not None and row.task != "training" and row.n < _FEWEST
        else row
        for row in table.rows
    ]
    return table.model_copy(update={"rows": tuple(rows)})
