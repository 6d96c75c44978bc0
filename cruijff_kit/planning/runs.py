"""Runs: grid points and what the world said of their inputs, made into planned runs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.planning.cells import epochs_saved, plan_cells, unused_rows, vain_passes
from cruijff_kit.planning.grid import Point, Variant
from cruijff_kit.planning.loss_checks import minimised, unfit_points
from cruijff_kit.planning.mlx_checks import unlike_backend
from cruijff_kit.planning.run_ids import content_hash, run_id, shorten
from cruijff_kit.planning.word_names import name_of_hash
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.plan import Cell, PlannedRun, Resolved
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import ExperimentSpec, ModelRef

__all__ = ["NEUTRAL", "Inputs", "plan_runs", "science", "total_steps"]

# How rows become tokens: all that a base model's answers depend on besides itself and the data.
_SHARED = (
    *("dataset_type", "prompt", "system_prompt", "template", "template_date"),
    *("max_seq_len", "overlong", "dtype"),
)
NEUTRAL = frozenset(
    {
        "batch_size",
        "gradient_accumulation_steps",
        "batch_size_val",
        "log_every_n_steps",
        "run_val_every_n_steps",
        "epochs_to_save",
        "keep_best",
        "save_adapter_weights_only",
        "stash_adapter_weights",
        "checkpoint_every_n_steps",
        "packed",
        "activation_checkpointing",
        "compile",
        "strategy",
        "custom_metrics",
    }
)
"""These shape files, logs and memory, never the result; the two batch controls count as their product."""

# Controls that came later: at these values a run is what it was before there was such a control.
_LATER = MappingProxyType({"lora_variant": "lora", "target_modules": None, "quantization": "none", "template": "model"})
# Recipes that give the same results on another number of devices.
_ALIKE = MappingProxyType({"lora_distributed": "lora_single_device"})


class Inputs(NamedTuple):
    """What was found on disk for a design."""

    models: Mapping[str, ModelFacts]
    """Model name to facts."""
    datasets: Mapping[Variant, DatasetFacts]
    """Data set asked for to facts."""
    files: Mapping[str, DatasetFacts] = {}
    """Evaluation file, as named in the design, to facts."""
    recipes: Mapping[str, str] = {}
    """Recipe written by the user, as named in the design, to the hash of its file."""
    columns: tuple[str, str] = ("input", "output")
    """Columns of question and answer."""
    renamed: Mapping[str, str] = {}
    """Columns renamed as rows are read; part of what a run is where there are any."""


def plan_runs(spec: ExperimentSpec, points: tuple[Point, ...], *, inputs: Inputs) -> tuple[PlannedRun, ...]:
    """Return the runs of a design in its order.

    Raises:
        PlanError: two runs are the same, or epochs, splits or tasks do not fit; lists every problem.
    """
    problems = [
        *unused_rows(points, spec.evaluation),
        *unlike_backend(points, spec),
        *unfit_points(points, inputs.datasets),
        *vain_passes(points, spec.evaluation),
    ]
    refs = _hashed(spec.models, inputs.models)
    runs, digests = [], []
    for point in points:
        saved, unsaved = epochs_saved(point)
        cells, unfit = plan_cells(point, saved, spec=spec)
        facts = inputs.datasets[point.data]
        problems += [*unsaved, *unfit, *_missing_split(point, facts), *_missing_rows(cells, facts, inputs=inputs)]
        digest = content_hash(science(point, inputs))
        digests.append(digest)
        slug = _worded(point, inputs) if spec.output.naming == "words" else point.slug
        model = (refs[point.model.name], inputs.models[point.model.name].path)
        runs.append(_run(point, run_id(slug, digest), model=model, facts=facts, reach=(saved, cells)))
    problems += _twins(points, digests)
    if problems:
        raise PlanError("the design cannot be planned", problems=list(dict.fromkeys(problems)))
    return tuple(runs)


def science(point: Point, inputs: Inputs) -> dict[str, Any]:
    """Return what can change a run's results: the content that its id hashes.

    Paths, site, resources and log intervals are left out; batch size and
    accumulation count as their product, the effective batch.
    """
    facts = inputs.datasets[point.data]
    values = {name: setting.value for name, setting in point.settings.items()}
    model = inputs.models[point.model.name].sha256
    shared = {"type": point.type, "model": model, "dataset": facts.sha256, "columns": list(inputs.columns)}
    if inputs.renamed:
        shared["renamed"] = dict(inputs.renamed)
    if point.generation is not None:
        said = point.generation.model_dump(mode="json")
        shared["generation"] = {name: value for name, value in said.items() if name != "dropout_passes" or value}
    if point.type == "control":
        return {**shared, "controls": _said({name: values[name] for name in _SHARED})}
    neutral = NEUTRAL | LossControls.model_fields.keys()
    controls = _said({name: value for name, value in values.items() if name not in neutral}) | minimised(values)
    controls["effective_batch"] = values["batch_size"] * values["gradient_accumulation_steps"]
    recipe = values["recipe"]
    controls["recipe"] = inputs.recipes.get(recipe, _ALIKE.get(recipe, recipe))
    return {**shared, "seed": point.seed, "controls": controls}


def _said(controls: Mapping[str, Any]) -> dict[str, Any]:
    """Return controls without those that came later and say what held before there were such."""
    return {name: value for name, value in controls.items() if name not in _LATER or value != _LATER[name]}


def _worded(point: Point, inputs: Inputs) -> str:
    """Return two words for what factors made, the same for all its seeds; a run that somebody named keeps its name."""
    if point.place != "factors":
        return point.slug
    shared = {name: value for name, value in science(point, inputs).items() if name != "seed"}
    return shorten((name_of_hash(content_hash(shared)),), None if point.type == "control" else point.seed)


def total_steps(settings: Mapping[str, Resolved], rows: int) -> int:
    """Return the optimiser steps of a run over `rows` training rows.

    An epoch has ceil(rows / (batch size x accumulation)) steps, at most
    `max_steps_per_epoch`; the last, smaller batch of an epoch is trained on.
    """
    value = {name: setting.value for name, setting in settings.items()}
    used = min(rows, value["training_samples"] or rows)
    steps = -(-used // (value["batch_size"] * value["gradient_accumulation_steps"]))
    return value["epochs"] * min(steps, value["max_steps_per_epoch"] or steps)


def _hashed(models: Sequence[ModelRef], facts: Mapping[str, ModelFacts]) -> dict[str, ModelRef]:
    return {ref.name: ref.model_copy(update={"sha256": facts[ref.name].sha256}) for ref in models if ref.name in facts}


def _run(
    point: Point,
    name: str,
    *,
    model: tuple[ModelRef, str],
    facts: DatasetFacts,
    reach: tuple[tuple[int, ...], tuple[Cell, ...]],
) -> PlannedRun:
    trains = point.type == "fine-tuned"
    return PlannedRun(
        id=name,
        type=point.type,
        model=model[0],
        model_path=model[1],
        dataset=facts.key,
        factors=point.factors,
        seed=point.seed,
        settings=point.settings,
        total_steps=total_steps(point.settings, facts.splits.get("train", 0)) if trains else 0,
        epochs_saved=reach[0],
        cells=reach[1],
        generation=point.generation,
    )


def _missing_split(point: Point, facts: DatasetFacts) -> list[Problem]:
    if point.type == "control" or facts.splits.get("train"):
        return []
    found = ", ".join(f"`{name}`" for name in facts.splits) or "none"
    fact = f"data set `{facts.key}` has no rows in split `train`; its splits are {found}"
    return [Problem(fact, "data.training", hint="name the split to train on `train`")]


def _missing_rows(cells: tuple[Cell, ...], own: DatasetFacts, *, inputs: Inputs) -> list[Problem]:
    """Return a problem for each evaluation of a split that has no rows, or that is trained on."""
    problems = []
    for task in {cell.task.name: cell.task for cell in cells}.values():
        facts = own if task.dataset is None else inputs.files[task.dataset]
        path = f"evaluation.tasks.{task.name}.split"
        if not facts.splits.get(task.split):
            hint = f"splits are {', '.join(f'`{name}`' for name in facts.splits)}"
            problems.append(Problem(f"data set `{facts.key}` has no rows in split `{task.split}`", path, hint=hint))
        elif task.dataset is None and task.split == "train":
            hint = "evaluate a split that was not trained on"
            problems.append(Problem(f"task `{task.name}` evaluates the training split", path, hint=hint))
    return problems


def _twins(points: Sequence[Point], digests: Sequence[str]) -> list[Problem]:
    """Return a problem for each run that repeats an earlier one, and for each clash of short hashes."""
    seen: dict[str, tuple[Point, str]] = {}
    problems = []
    for point, digest in zip(points, digests, strict=True):
        earlier, full = seen.setdefault(digest[:8], (point, digest))
        if earlier is point:
            continue
        if full == digest:
            fact = f"run `{point.slug}` ({point.place}) is the same as `{earlier.slug}` ({earlier.place})"
            problems.append(Problem(fact, point.place, hint="remove one of the two, or vary something between them"))
        else:
            fact = f"runs `{earlier.slug}` and `{point.slug}` share the short hash `{digest[:8]}`"
            problems.append(Problem(fact, point.place, hint="split the design in two, or use another seed"))
    return problems
