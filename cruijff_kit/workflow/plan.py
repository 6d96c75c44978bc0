"""Plan: what a design implies, with the models and data of this machine read."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import PlanError, Problem, SiteError, SpecError
from cruijff_kit.planning.api_models import api_facts
from cruijff_kit.planning.data_checks import wanted_columns
from cruijff_kit.planning.grid import Point, Variant, cross
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.planning.runs import Inputs, plan_runs
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import Plan
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import ExperimentSpec, ModelRef
from cruijff_kit.workflow.chat_templates import with_templates
from cruijff_kit.workflow.datasets import Dataset, read_datasets
from cruijff_kit.workflow.recipes import recipe_hash
from cruijff_kit.workflow.roots import refuse_outside
from cruijff_kit.workflow.tiers import design_tier

__all__ = ["Planned", "design_hash", "make_plan", "plan_with_data", "read_model"]

# Branches and tags may move, so only a commit can be compared.
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Planned(NamedTuple):
    """A plan and the data it was made with."""

    plan: Plan
    """The plan."""
    datasets: tuple[Dataset, ...]
    """Each distinct data set once, with its rows and bytes."""
    models: dict[str, ModelFacts]
    """Model name to facts."""


def make_plan(spec: ExperimentSpec, *, world: World) -> Plan:
    """Return every run, data set and evaluation that a design implies; writes nothing.

    Raises:
        PlanError: the design cannot be planned; lists every problem.
        SpecError: data is missing or wrong; lists every problem.
    """
    return plan_with_data(spec, world=world).plan


def plan_with_data(spec: ExperimentSpec, *, anew: bool = False, world: World) -> Planned:
    """Return the plan of a design, and the data sets it was made with.

    Args:
        spec: the design.
        anew: generate again what data lie there already.
        world: the experiment and its surroundings; only read.

    Raises:
        PlanError: the design cannot be planned; lists every problem.
        SpecError: data is missing or wrong; lists every problem.
    """
    refuse_outside(spec, world)
    points = with_templates(cross(spec), world=world)
    models = _models(spec.models, world)
    files = _evaluated(spec)
    variants = (*(point.data for point in points), *files.values())
    read = read_datasets(variants, spec.data.training, columns=wanted_columns(spec), anew=anew, world=world)
    inputs = Inputs(
        models=models,
        datasets={variant: dataset.facts for variant, dataset in read.items()},
        files={path: read[variant].facts for path, variant in files.items()},
        recipes=_recipes(points, world),
        columns=(spec.data.training.input_key, spec.data.training.output_key),
        renamed=spec.data.training.columns,
    )
    runs = plan_runs(spec, points, inputs=inputs)
    datasets = {dataset.facts.key: dataset for dataset in read.values()}
    plan = Plan(
        experiment=spec.name,
        spec_sha256=design_hash(spec),
        datasets=tuple(dataset.facts for dataset in datasets.values()),
        runs=runs,
        resources=spec.resources,
        policy=spec.policy,
        tier=design_tier(spec, world),
        consent=spec.data.consent,
    )
    return Planned(plan, tuple(datasets.values()), models)


def design_hash(spec: ExperimentSpec) -> str:
    """Return the SHA-256 of a design's canonical JSON."""
    return content_hash(spec.model_dump(mode="json"))


def _models(refs: Iterable[ModelRef], world: World) -> dict[str, ModelFacts]:
    found: dict[str, ModelFacts] = {}
    problems: list[Problem] = []
    for index, ref in enumerate(refs):
        path = f"models[{index}]"
        if ref.name in found:
            problems.append(
                Problem(f"model `{ref.name}` is named twice", f"{path}.name", hint="give each its own name")
            )
            continue
        try:
            found[ref.name] = read_model(ref, world)
        except SiteError as err:
            fact = str(err).partition("\n")[0]
            hint = _pulled(ref) if "does not exist" in fact else err.hint
            problems.append(Problem(fact, f"{path}.path", hint=hint or err.hint or "mend the path of the model"))
            continue
        pulled = found[ref.name].revision
        if ref.revision and pulled and _COMMIT.fullmatch(ref.revision) and not pulled.startswith(ref.revision):
            fact = f"model `{ref.name}` was pulled at `{pulled[:12]}`, the design says `{ref.revision[:12]}`"
            hint = "pull that revision into a directory of its own, or name this one"
            problems.append(Problem(fact, f"{path}.revision", hint=hint))
        if ref.sha256 is not None and ref.sha256 != found[ref.name].sha256:
            fact = f"model `{ref.name}` has hash `{found[ref.name].sha256[:12]}`, the design says `{ref.sha256[:12]}`"
            hint = "use the model the design was made with, or remove `sha256` to take this one"
            problems.append(Problem(fact, f"{path}.sha256", hint=hint))
    if problems:
        raise PlanError("the models cannot be used", problems=problems)
    return found


def read_model(ref: ModelRef, world: World) -> ModelFacts:
    """Return what is known of a model; of one behind an API its name, and where a local copy lies.

    Raises:
        SiteError: a directory is missing or unreadable.
    """
    local = None if ref.path is None else world.hub.facts(_model_path(ref.path, world))
    if local is None or ref.api is not None:
        return api_facts(str(ref.api), path=local.path if local else "")
    return local


def _pulled(ref: ModelRef) -> str:
    """Return how to have a model that is named as the hub names it; empty where it is not."""
    if not _REPOSITORY.fullmatch(ref.path or ""):
        return ""
    name = str(ref.path).partition("/")[2]
    return f"jobs have no hub: `ck models pull {ref.path}` brings it into `models_dir`; then write `path: {name}`"


def _model_path(path: str, world: World) -> str:
    base = world.site.models_dir
    return str(Path(base) / path) if base is not None else path


def _evaluated(spec: ExperimentSpec) -> dict[str, Variant]:
    """Return the data files that evaluations name beside the runs' own data."""
    paths = (task.dataset for task in spec.evaluation.tasks)
    return {path: Variant(path, None, "{}") for path in paths if path is not None}


def _recipes(points: Iterable[Point], world: World) -> dict[str, str]:
    """Return the hash of every recipe that is a file or module of the user's.

    Raises:
        SpecError: one of them cannot be found or read; lists them all.
    """
    hashes: dict[str, str] = {}
    problems: list[Problem] = []
    for name in dict.fromkeys(str(point.settings["recipe"].value) for point in points):
        try:
            digest = recipe_hash(name, root=world.store.root)
        except SpecError as err:
            problems.append(Problem(str(err).partition("\n")[0], "controls.recipe", hint=err.hint))
            continue
        hashes |= {name: digest} if digest else {}
    if problems:
        raise SpecError("the recipe cannot be used", problems=problems)
    return hashes
