"""An experiment of the first system as a design and plan of ours, from what was found of it; pure."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any, NamedTuple

from cruijff_kit.data.first_config import FirstConfig
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.schema.data import DatasetFacts, DataSpec, Tier, TrainingData
from cruijff_kit.schema.evaluation import EvalTask, Evaluation
from cruijff_kit.schema.imported import UNKNOWN, Unknown
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun, Resolved, Source
from cruijff_kit.schema.spec import Analysis, Controls, ExperimentSpec, Level, ModelRef, RunSpec, Tools

__all__ = ["Evaluated", "FoundData", "FoundRun", "Imported", "Sketch", "plain_name", "plan_imported"]

_LONGEST = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# What only shapes files, logs and memory is no level that runs are told apart by.
_NO_FACTORS = {"log_every_n_steps", "epochs_to_save", "save_adapter_weights_only", "stash_adapter_weights"}


class Evaluated(NamedTuple):
    """One evaluation of a run."""

    task: str
    """Task as the log names it."""
    split: str
    """Split; `unknown` where the log does not say."""
    data: str
    """Where the data lay; empty where that is not known."""
    epoch: int | None
    """Epoch from 0; None for a base model."""
    scorers: tuple[str, ...]
    """Scorers of the log."""
    samples: int
    """Samples evaluated."""
    generation: Mapping[str, Any]
    """Generation settings that the log holds."""


class FoundRun(NamedTuple):
    """One run."""

    name: str
    """Its name in the first system."""
    sha256: str
    """Hash over the files imported of it."""
    trained: bool
    """Whether it was trained."""
    model: str
    """Directory or name of its base model; empty where that is not known."""
    config: FirstConfig | None
    """What it was configured with."""
    epochs: tuple[int, ...]
    """Epochs whose adapter is there."""
    steps: int
    """Steps of its training that are on record."""
    evaluated: tuple[Evaluated, ...]
    """Its evaluations."""


class FoundData(NamedTuple):
    """A data set that runs or logs name."""

    path: str
    """Where it lay."""
    sha256: str | None
    """Hash of what lies there now; None where nothing does."""
    bytes: int = 0
    """Its size."""


class Sketch(NamedTuple):
    """Everything found of an experiment."""

    name: str
    """Name of the experiment to be."""
    question: str
    """The question; empty where that is not known."""
    hypothesis: str
    """What was expected; empty where that is not known."""
    type: str
    """`sanity_check`, `experiment`, or empty."""
    created: str
    """Day of the design."""
    runs: tuple[FoundRun, ...]
    """Its runs."""
    data: tuple[FoundData, ...]
    """Data sets named."""
    tier: Tier
    """How freely its data may be shown."""


class Imported(NamedTuple):
    """What it becomes."""

    spec: ExperimentSpec
    """The design."""
    plan: Plan
    """The plan."""
    ids: Mapping[str, str]
    """Name in the first system to run here."""
    unknown: tuple[Unknown, ...]
    """What cannot be known."""


def plan_imported(sketch: Sketch) -> Imported:
    """Return design and plan of an experiment that has run already; what is not known is said to be so."""
    models, datasets = _models(sketch.runs), _datasets(sketch)
    tasks = _tasks(sketch.runs)
    spec = _design(sketch, models=models, tasks=tasks)
    varied = _varied(sketch.runs)
    runs = tuple(
        _run(each, model=models[each.model], varied=varied, tasks=tasks, key=datasets[_own_data(each)].key)
        for each in sketch.runs
    )
    plan = Plan(
        experiment=spec.name,
        spec_sha256=content_hash(spec.model_dump(mode="json")),
        datasets=tuple(datasets.values()),
        runs=runs,
        tier=sketch.tier,
    )
    ids = {found.name: run.id for found, run in zip(sketch.runs, runs, strict=True)}
    return Imported(spec, plan, ids, tuple(_unknown(sketch, models=models, datasets=datasets, tasks=tasks)))


def plain_name(text: str) -> str:
    """Return a text as a name that is safe in paths and scripts."""
    return _UNSAFE.sub("-", text).strip("-._")[:_LONGEST].rstrip("-._") or UNKNOWN


def _free(stem: str, taken: Container[str], *, joint: str = "-") -> str:
    """Return a name that nothing has yet: the stem, or as much of it as leaves room for a number behind it."""
    ends = chain([""], (f"{joint}{n}" for n in count(2)))
    return next(name for end in ends if (name := f"{stem[: _LONGEST - len(end)]}{end}") not in taken)


def _models(runs: Sequence[FoundRun]) -> dict[str, ModelRef]:
    """Return the base models by their directories; those of one name get a number."""
    found: dict[str, ModelRef] = {}
    for run in runs:
        if run.model in found:
            continue
        stem = plain_name(run.model.rstrip("/").rpartition("/")[2] or UNKNOWN)
        name = _free(stem, {each.name for each in found.values()})
        found[run.model] = ModelRef(name=name, path=run.model or UNKNOWN)
    return found


def _datasets(sketch: Sketch) -> dict[str, DatasetFacts]:
    """Return facts of each data set by its path; one that nobody knows stands for what was never said."""
    found: dict[str, DatasetFacts] = {}
    for each in sketch.data:
        stem = plain_name(each.path.rstrip("/").rpartition("/")[2].partition(".")[0])
        key = _free(stem, {facts.key for facts in found.values()})
        # Rows are not counted: which splits were read in training nobody recorded.
        found[each.path] = DatasetFacts(
            key=key, path=each.path, sha256=each.sha256 or UNKNOWN_SHA256, bytes=each.bytes, splits={}
        )
    if any(not _own_data(run) for run in sketch.runs):
        found[""] = DatasetFacts(key=f"{UNKNOWN}-data", path=UNKNOWN, sha256=UNKNOWN_SHA256, bytes=0, splits={})
    return found


def _own_data(run: FoundRun) -> str:
    """Return where a run's data lay: as it was trained, else as it was evaluated."""
    trained = run.config.data if run.config is not None else ""
    return trained or next((each.data for each in run.evaluated if each.data), "")


_TaskKey = tuple[str, str, str]


def _tasks(runs: Sequence[FoundRun]) -> dict[_TaskKey, EvalTask]:
    """Return a task for each task, split and data; those of one name get the split, or a number, behind it."""
    found: dict[_TaskKey, EvalTask] = {}
    for run in runs:
        for each in run.evaluated:
            other = each.data if each.data != _own_data(run) else ""
            key = (each.task, each.split, other)
            if key in found:
                continue
            stem = plain_name(each.task.rpartition("/")[2])
            taken = {task.name for task in found.values()}
            split = f"{stem}_{plain_name(each.split)}"[:_LONGEST]
            name = split if stem in taken and split not in taken else _free(stem, taken, joint="_")
            found[key] = EvalTask(name=name, task=each.task, split=each.split, dataset=other or None, scorers=())
    return found


def _design(sketch: Sketch, *, models: Mapping[str, ModelRef], tasks: Mapping[_TaskKey, EvalTask]) -> ExperimentSpec:
    shared = _shared(sketch.runs)
    seeds = tuple(dict.fromkeys(_seed(run) for run in sketch.runs if run.trained)) or (14,)
    scorers = [name for run in sketch.runs for each in run.evaluated for name in each.scorers]
    training = next((data for run in sketch.runs if (data := _own_data(run))), UNKNOWN)
    return ExperimentSpec(
        name=sketch.name,
        type="sanity_check" if sketch.type == "sanity_check" else "experiment",
        question=sketch.question or f"{UNKNOWN}: the directory it was imported from does not say",
        hypothesis=sketch.hypothesis,
        created=sketch.created,
        tools=Tools(
            preparation="torchtune" if any(run.trained for run in sketch.runs) else "none",
            evaluation="inspect-ai" if tasks else "none",
        ),
        models=tuple(models.values()),
        data=DataSpec(training=TrainingData(path=training), tier=sketch.tier),
        design="list",
        runs=tuple(_listed(run, models=models, shared=shared) for run in sketch.runs),
        controls=Controls.model_validate({**shared, "seeds": seeds}),
        evaluation=Evaluation(tasks=tuple(tasks.values()), epochs="all"),
        analysis=Analysis(primary_metric=scorers[0] if scorers else "match"),
    )


def _settings(run: FoundRun) -> dict[str, tuple[Any, Source]]:
    if run.config is None:
        return {}
    found: dict[str, tuple[Any, Source]] = {name: (value, "default") for name, value in run.config.defaults.items()}
    found.update({name: (value, "design") for name, value in run.config.controls.items()})
    return found


def _shared(runs: Sequence[FoundRun]) -> dict[str, Any]:
    """Return the controls in which all trained runs agree."""
    every = [{name: value for name, (value, _) in _settings(run).items()} for run in runs if run.config is not None]
    first = every[0] if every else {}
    return {name: value for name, value in first.items() if all(each.get(name) == value for each in every)}


def _varied(runs: Sequence[FoundRun]) -> list[str]:
    """Return the controls in which trained runs differ: what was varied."""
    every = [_settings(run) for run in runs if run.trained and run.config is not None]
    names = dict.fromkeys(name for each in every for name in each)
    told = [name for name in names if len({repr(each.get(name, (None,))[0]) for each in every}) > 1]
    # Twice the rank is no factor of its own.
    return [name for name in told if name not in _NO_FACTORS and not (name == "lora_alpha" and "lora_rank" in told)]


def _listed(run: FoundRun, *, models: Mapping[str, ModelRef], shared: Mapping[str, Any]) -> RunSpec:
    own: dict[str, Level] = {
        name: value
        for name, (value, _) in _settings(run).items()
        if name not in shared and isinstance(value, str | int | float | bool)
    }
    kind = "fine-tuned" if run.trained else "control"
    return RunSpec(name=plain_name(run.name), type=kind, model=models[run.model].name, parameters=own)


def _run(
    run: FoundRun, *, model: ModelRef, varied: Sequence[str], tasks: Mapping[_TaskKey, EvalTask], key: str
) -> PlannedRun:
    settings = _settings(run)
    levels: dict[str, Level] = {
        name: settings[name][0]
        for name in varied
        if run.trained and name in settings and isinstance(settings[name][0], str | int | float | bool)
    }
    cells = [
        Cell(task=tasks[each.task, each.split, each.data if each.data != _own_data(run) else ""], epoch=each.epoch)
        for each in run.evaluated
    ]
    return PlannedRun(
        id=f"{plain_name(run.name)}-{run.sha256[:8]}",
        type="fine-tuned" if run.trained else "control",
        model=model,
        model_path=run.model or UNKNOWN,
        dataset=key,
        factors=levels,
        seed=_seed(run),
        settings={
            name: Resolved(value=value, source="factor" if name in levels else source)
            for name, (value, source) in settings.items()
        },
        total_steps=run.steps,
        epochs_saved=run.epochs,
        cells=tuple(cells),
    )


def _seed(run: FoundRun) -> int:
    """Return the seed that was said; 0 stands where none was, which `imported.json` tells."""
    said = run.config.seed if run.config is not None else None
    return 0 if said is None else said


def _unknown(
    sketch: Sketch,
    *,
    models: Mapping[str, ModelRef],
    datasets: Mapping[str, DatasetFacts],
    tasks: Mapping[_TaskKey, EvalTask],
) -> Iterator[Unknown]:
    if not sketch.question:
        yield Unknown(what="question", reason="neither form of `experiment_summary` in the directory says it")
    for path, model in models.items():
        why = "its directory is no part of what was imported, and nothing recorded its hash"
        yield Unknown(
            what=f"hash of model `{model.name}`", reason=why if path else "no file of the run names its base model"
        )
    for path, facts in datasets.items():
        if facts.sha256 == UNKNOWN_SHA256:
            why = f"nothing lies at `{path}` any more" if path else "no file of the run says where its data lay"
            yield Unknown(what=f"hash of data `{facts.key}`", reason=why)
    for task in tasks.values():
        if task.split == UNKNOWN:
            yield Unknown(what=f"split of task `{task.name}`", reason="its logs do not say which split was evaluated")
    for run in sketch.runs:
        if run.trained and (run.config is None or run.config.seed is None):
            yield Unknown(what=f"seed of `{run.name}`", reason="neither of its configurations says it; 0 stands for it")
        if run.trained and not run.steps:
            yield Unknown(what=f"losses of `{run.name}`", reason="no `slurm-*.out` of it holds a line of losses")
