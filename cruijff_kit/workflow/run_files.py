"""Files of a run: everything scaffolding writes for it, as text, read back and compared."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.recipe_names import Recipe, resolve_recipe, training_command
from cruijff_kit.errors import PlanError, SiteError
from cruijff_kit.planning.job_configs import Gpu, Places, eval_config, train_config
from cruijff_kit.planning.settings import part_settings, site_settings
from cruijff_kit.planning.time_limit import notice_before
from cruijff_kit.rendering.configs import read_config, render_config, render_run, render_settings
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.rendering.setup import render_setup
from cruijff_kit.schema.config import EvalConfig, TrainConfig
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.plan import Cell, Plan, PlannedRun
from cruijff_kit.schema.site import Environment, Site
from cruijff_kit.schema.spec import ExperimentSpec, Resources
from cruijff_kit.workflow.machine import gpu_of

__all__ = [
    "Frame",
    "check_files",
    "equipped",
    "evaluation_command",
    "files_of",
    "frame",
    "interpreter",
    "job_interpreter",
    "launched",
    "placed_recipe",
]

_EVALUATE = "cruijff_kit.runtime.evaluate"


class Frame(NamedTuple):
    """What all runs of an experiment share, worked out once."""

    spec: ExperimentSpec
    """The design."""
    places: Places
    """Absolute directories."""
    datasets: dict[str, DatasetFacts]
    """Data sets by key, and by absolute path."""
    asked: str
    """What the scheduler is asked for, with sources, as every `run.yaml` tells it."""
    train_job: JobScript
    """A training job without its run."""
    eval_job: JobScript
    """An evaluation job without its run."""
    gpu: Gpu = "cuda"
    """Whose GPUs jobs may be given."""


def frame(spec: ExperimentSpec, plan: Plan, *, root: str, site: Site) -> Frame:
    """Return what the files of all runs share.

    Args:
        spec: the design.
        plan: its plan.
        root: absolute directory of the experiment.
        site: settings of this machine.

    Raises:
        SiteError: the site names a kind of environment and not which.
    """
    environment = site.environment
    if environment.kind in {"venv", "conda"} and not environment.name:
        hint = "name it with `environment.name` in site.yaml, or use `kind: python`"
        raise SiteError(f"the site's environment is `{environment.kind}` and has no name", hint=hint)
    asked = site_settings(spec, site)
    base = asked["output_dir_base"].value
    outputs = f"{root}/outputs" if base is None else _below(base, root) + f"/{spec.name}"
    datasets = {key: facts for facts in plan.datasets for key in (facts.key, facts.path)}
    return Frame(
        spec,
        Places(root, outputs),
        datasets,
        render_settings("asked", asked),
        launched(_job(spec.resources, site, root=root)),
        _job(spec.resources.of_evaluation(), site, root=root)._replace(requeue=True),
        gpu_of(site),
    )


def _job(resources: Resources, site: Site, *, root: str) -> JobScript:
    """Return a job without its run: what it asks for, and how it reaches Python."""
    value = {name: setting.value for name, setting in part_settings(resources, site).items()}
    environment = site.environment
    job = JobScript(
        name="job",
        folder=root,
        time=value["time"],
        cpus=value["cpus"],
        command=(interpreter(environment),),
        gpus=value["gpus"],
        mem=value["mem"],
        partition=value["partition"],
        account=value["account"],
        constraint=value["constraint"],
        modules=environment.modules,
        venv=environment.name if environment.kind == "venv" else None,
        conda=environment.name if environment.kind == "conda" else None,
        qos=value["qos"],
        gpu_type=value["gpu_type"] if value["gpus"] else None,
        exclusive=value["exclusive"],
        nodes=value["nodes"],
    )
    return equipped(job, site)


def files_of(run: PlannedRun, shared: Frame) -> Iterator[tuple[str, str]]:
    """Yield path and text of every file of a run.

    Raises:
        PlanError: a value cannot be written into a script.
    """
    facts = shared.datasets[run.dataset]
    layout = RunLayout(run.id)
    yield layout.run_yaml, _run_text(run, facts, shared=shared)
    if run.type == "fine-tuned":
        config = train_config(run, facts, spec=shared.spec, places=shared.places, gpu=shared.gpu)
        job = _train_job(run, shared)
        recipe = placed_recipe(run.settings["recipe"].value, shared.places)
        labels = {"experiment_name": shared.spec.name, "custom_recipe": recipe.name}
        yield layout.setup, render_setup(config, job, labels=labels)
        yield layout.config, render_config(config)
        yield layout.train_script, render_script(job)
    for cell in run.cells:
        yield layout.cell_config(cell.name), render_config(_eval_config(run, cell, own=facts, shared=shared))
    if run.cells:
        yield layout.eval_script, render_script(_eval_job(run, shared))


def check_files(run: PlannedRun, files: dict[str, str], *, shared: Frame) -> None:
    """Parse a run's configurations in full and compare them with the plan.

    Raises:
        PlanError: a file does not read back to what was planned.
    """
    facts = shared.datasets[run.dataset]
    layout = RunLayout(run.id)
    lost = [
        path
        for cell in run.cells
        if read_config(EvalConfig, files[path := layout.cell_config(cell.name)], name=path)
        != _eval_config(run, cell, own=facts, shared=shared)
    ]
    if run.type == "fine-tuned":
        config = train_config(run, facts, spec=shared.spec, places=shared.places, gpu=shared.gpu)
        if read_config(TrainConfig, files[layout.config], name=layout.config) != config:
            lost.append(layout.config)
    if lost:
        raise PlanError(f"`{lost[0]}` does not read back to what was planned", hint="report this as a defect")


def launched(job: JobScript) -> JobScript:
    """Return a training job with a process for each of its GPUs, and notice before its time limit."""
    return job._replace(processes=max(1, job.gpus), notice=notice_before(job.time))


def equipped(job: JobScript, site: Site) -> JobScript:
    """Return a job with what this machine gives every job: variables, trackers' mode, samples of its GPUs."""
    variables = tuple(site.environment.variables.items())
    return job._replace(variables=variables, wandb=site.wandb_mode, sampling=site.gpu_sampling if job.gpus else 0)


def placed_recipe(name: str, places: Places) -> Recipe:
    """Return a planned recipe, a file by its absolute path."""
    recipe = resolve_recipe(name)
    return recipe._replace(name=places.at(recipe.name)) if recipe.kind == "file" else recipe


def _run_text(run: PlannedRun, facts: DatasetFacts, *, shared: Frame) -> str:
    dataset = {"key": facts.key, "path": facts.path, "sha256": facts.sha256}
    return render_run(run, {"experiment": shared.spec.name, "dataset": dataset}, asked=shared.asked)


def _train_job(run: PlannedRun, shared: Frame) -> JobScript:
    layout = RunLayout(run.id)
    recipe = placed_recipe(run.settings["recipe"].value, shared.places)
    config = shared.places.at(layout.config)
    command = training_command(recipe, interpreter=shared.train_job.command[0], config=config)
    return shared.train_job._replace(name=run.id, folder=shared.places.at(layout.folder), command=command)


def _eval_job(run: PlannedRun, shared: Frame) -> JobScript:
    layout = RunLayout(run.id)
    configs = (shared.places.at(layout.cell_config(cell.name)) for cell in run.cells)
    command = evaluation_command(shared.eval_job.command[0], tuple(configs))
    # A model behind an API computes elsewhere.
    job = shared.eval_job._replace(gpus=0, gpu_type=None, sampling=0) if run.model.api is not None else shared.eval_job
    return job._replace(name=f"{run.id}-eval", folder=shared.places.at(layout.folder), command=command)


def _eval_config(run: PlannedRun, cell: Cell, *, own: DatasetFacts, shared: Frame) -> EvalConfig:
    other = cell.task.dataset
    facts = own if other is None else shared.datasets[shared.places.at(other)]
    return eval_config(run, cell, facts=facts, spec=shared.spec, places=shared.places, gpu=shared.gpu)


def evaluation_command(python: str, configs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that evaluates cells, given their configurations."""
    return (python, "-m", _EVALUATE, *configs)


def job_interpreter(values: Mapping[str, Any], site: Site) -> str:
    """Return the interpreter of the environment that keys name, or of the site's where it activates none."""
    if values["venv"] or values["conda_env"]:
        return "python"
    return interpreter(Environment() if site.environment.kind in {"venv", "conda"} else site.environment)


def interpreter(environment: Environment) -> str:
    """Return the interpreter: this one, or whichever the activated environment puts first."""
    if environment.kind != "python":
        return "python"
    # One environment has many names for one interpreter; scripts must not depend on which of them ran.
    own = Path(sys.executable)
    return str(own.with_name("python3") if re.fullmatch(r"python(3(\.\d+)?)?", own.name) else own)


def _below(folder: str, root: str) -> str:
    return folder if folder.startswith("/") else f"{root}/{folder}"
