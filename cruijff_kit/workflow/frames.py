"""Frames: what was collected of an experiment, as tables of pandas, each checked by hash first."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from cruijff_kit.errors import Problem, ResultError, SiteError
from cruijff_kit.ports import World
from cruijff_kit.rendering.tables import read_predictions
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import MetricPoint
from cruijff_kit.workflow.audit import acts_of
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.training_results import read_history

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResultFrames", "frame_results"]

_HINT = "`ck collect` gathers them anew"
_WHOLE = ("seed", "epoch", "n", "successes", "step", "tokens", "supervised_tokens", "total_steps", "peak_memory_bytes")
# What tells of a row: its words, what it was answered, and who it is about.
_TEXTS = ("target", "options", "prediction", "completion", "rationale", "reason", "error", "number")


class ResultFrames(NamedTuple):
    """The tables of one experiment."""

    results: "pd.DataFrame"
    """One row per run, task, epoch and metric; missing values have reasons."""
    predictions: "pd.DataFrame"
    """One row per sample and evaluated model."""
    metrics: "pd.DataFrame"
    """One row per logged step of each training."""
    runs: "pd.DataFrame"
    """One row per planned run: what it was, and every control."""
    hashes: Mapping[str, str]
    """File that was read, below the experiment, to its SHA-256."""
    withheld: str = ""
    """Why texts and sample ids of `predictions` are not told; empty where they are."""


def frame_results(*, world: World) -> ResultFrames:
    """Return the tables of what was collected, every file of them checked by its hash; never writes.

    Raises:
        PlanError: the experiment is not scaffolded, or its record is damaged.
        ResultError: nothing was collected, or a file is not what was collected; lists them all.
        SiteError: pandas or pyarrow is not installed.
    """
    pd = _pandas()
    plan, _ = recorded_plan(world=world)
    contents, hashes = _collected(plan, world)
    table = pd.read_parquet(_opened(contents.pop(ExperimentLayout.results)))
    _require_sources(table, world)
    shut = closed_plan(plan, way="show", world=world)
    samples = [record for path, content in contents.items() for record in read_predictions(content, name=path)]
    levels = {run.id: _levels(run) for run in plan.runs}
    metrics, told = _metrics(plan, world)
    return ResultFrames(
        results=_framed([_row(each, levels=levels) for each in table.to_dict("records")], first=tuple(table.columns)),
        predictions=_framed(
            [_sample(each, hidden=shut is not None) for each in samples], first=tuple(Prediction.model_fields)
        ),
        metrics=_framed(metrics, first=("run", *MetricPoint.model_fields)),
        runs=_framed([_run(run, plan) for run in plan.runs], first=("run",)),
        hashes={**hashes, **told},
        withheld="" if shut is None else shut.fact,
    )


def _pandas() -> Any:
    try:
        import pandas
        import pyarrow  # noqa: F401  # pandas reads parquet with it
    except ImportError as err:
        hint = "pip install 'cruijff-kit[tables]'"
        raise SiteError(f"tables need `{err.name}`, which is not installed", hint=hint) from err
    return pandas


def _opened(content: bytes) -> Any:
    from io import BytesIO

    return BytesIO(content)


def _collected(plan: Plan, world: World) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files that were collected last, and their hashes.

    Raises:
        ResultError: there are none, or some are others.
    """
    events = acts_of("collect", Action.COLLECT_RESULTS, world=world)
    if not events:
        raise ResultError("nothing was collected yet", hint=_HINT)
    recorded, problems, contents = events[-1].outputs, list[Problem](), dict[str, bytes]()
    wanted = [ExperimentLayout.results, *(ExperimentLayout.predictions_of(run.id) for run in plan.runs)]
    for path in (each for each in wanted if each in recorded):
        content = world.store.read(path)
        if content is None:
            problems.append(Problem("it was collected and is gone", place=path))
        elif sha256(content).hexdigest() != recorded[path]:
            problems.append(Problem("it is not what was collected last", place=path))
        else:
            contents[path] = content
    if problems or ExperimentLayout.results not in contents:
        raise ResultError("results on disk are not those that were collected", hint=_HINT, problems=problems)
    return contents, {path: recorded[path] for path in contents}


def _require_sources(table: "pd.DataFrame", world: World) -> None:
    """Refuse figures of files that are others by now.

    Raises:
        ResultError: lists every such file.
    """
    known = table[table["source_sha256"].notna() & table["source"].ne("")]
    pairs = set(zip(known["source"], known["source_sha256"], strict=True))
    changed = [path for path, digest in sorted(pairs) if world.store.digest(path) != digest]
    if changed:
        problems = [Problem("it is not what its figures were read from", place=path) for path in changed]
        raise ResultError("results were collected from other files than those on disk", hint=_HINT, problems=problems)


def _levels(run: PlannedRun) -> dict[str, Any]:
    return {f"factor_{name}": level for name, level in run.factors.items()}


def _row(row: Mapping[str, Any], *, levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    # Levels are text in the file; those of the plan are what they are.
    return {**{name: value for name, value in row.items() if name != "factors"}, **levels.get(str(row["run"]), {})}


def _sample(record: Prediction, *, hidden: bool) -> dict[str, Any]:
    row = record.model_dump()
    groups = {f"group_{name}": value for name, value in row.pop("groups").items()}
    if not hidden:
        return {**row, **groups}
    name = sha256(record.sample_id.encode()).hexdigest()[:16]
    return {**row, **dict.fromkeys(_TEXTS), **dict.fromkeys(groups), "sample_id": name}


def _metrics(plan: Plan, world: World) -> tuple[list[dict[str, Any]], dict[str, str]]:
    rows, hashes = list[dict[str, Any]](), dict[str, str]()
    for run in (each for each in plan.runs if each.type == "fine-tuned"):
        history = read_history(run, world=world)
        if history.points and history.source_sha256:
            hashes[history.source] = history.source_sha256
        for point in history.points:
            told = point.model_dump()
            custom = {f"custom_{name}": value for name, value in told.pop("custom").items()}
            rows.append({"run": run.id, **told, "seed": run.seed, **_levels(run), **custom})
    return rows, hashes


def _run(run: PlannedRun, plan: Plan) -> dict[str, Any]:
    facts = plan.dataset(run.dataset)
    return {
        "run": run.id,
        "type": run.type,
        "model": run.model.name,
        "model_sha256": run.model.sha256,
        "dataset": facts.key,
        "dataset_sha256": facts.sha256,
        "seed": run.seed,
        "total_steps": run.total_steps,
        **_levels(run),
        **{f"control_{name}": each.value for name, each in run.settings.items()},
    }


def _framed(rows: Iterable[Mapping[str, Any]], *, first: tuple[str, ...]) -> "pd.DataFrame":
    """Return rows as a table: columns in a fixed order, whole numbers as such where some are missing."""
    pd, listed = _pandas(), list(rows)
    there = dict.fromkeys(name for row in listed for name in row)
    known = [name for name in first if name in there or (not listed and name not in {"groups", "custom", "factors"})]
    frame = pd.DataFrame(listed, columns=[*known, *(name for name in there if name not in known)])
    return frame.astype({name: "Int64" for name in _WHOLE if name in frame.columns})
