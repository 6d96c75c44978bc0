"""Which model a person means: a directory or name, an adapter with its base, or an epoch of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, RunError, SiteError, SpecError
from cruijff_kit.planning.backends import choose_backend
from cruijff_kit.ports import World
from cruijff_kit.runtime.base_record import find_base
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.serving import ModelChoice, ServedModel
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.workflow.attempts import find_run
from cruijff_kit.workflow.consent import closed, content_of
from cruijff_kit.workflow.machine import machine_here
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.run_models import adapter_digest, eval_config, kept_adapter, train_config
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.tiers import design_tier, plan_tier
from cruijff_kit.workflow.trained_adapter import find_trained

__all__ = ["choose_model"]


class _Found(NamedTuple):
    """A base, what it wears, and what its training says."""

    base: str
    adapter: str | None = None
    name: str | None = None
    dataset: DatasetConfig | None = None
    dtype: Any = None
    base_sha256: str | None = None
    run: str | None = None


def choose_model(choice: ModelChoice, *, world: World) -> ServedModel:
    """Return the model that is meant, its base checked by hash, and how its training put questions.

    Raises:
        PlanError: a run was named and nothing is scaffolded.
        RunError: the run is unknown, not loaded here, or has no such epoch.
        SiteError: base, adapter or backend are not there, or the base is not the adapter's.
        SpecError: the choice contradicts itself, or names nothing.
    """
    problems = list(_problems(choice))
    if problems:
        raise SpecError("no one model is named", problems=problems)
    found = _of_run(choice, world) if choice.run is not None else _by_hand(choice, world)
    facts = world.hub.facts(found.base)
    digest, notes = _checked(found, facts, world=world)
    base_name = Path(facts.path).name
    name = choice.name or found.name or base_name
    if found.adapter is not None and name == base_name:
        base_name = f"{base_name}-base"
    return ServedModel(
        name=name,
        base_name=base_name if found.adapter is not None else name,
        base=facts.path,
        base_sha256=facts.sha256,
        adapter=found.adapter,
        adapter_sha256=digest,
        dataset=found.dataset,
        dataset_type=choice.dataset_type or _type(found, facts),
        system_prompt=_system(choice, found),
        wrap=choice.wrap,
        max_positions=facts.max_positions,
        dtype=choice.dtype or found.dtype or "fp32",
        backend=choose_backend(choice.backend, machine_here(world), architecture=facts.architecture).library,
        device=choice.device,
        max_concurrent=choice.max_concurrent,
        here_only=_here_only(found, world),
        notes=(*notes, *_template_notes(found, choice)),
    )


def _problems(choice: ModelChoice) -> list[Problem]:
    problems = []
    if choice.run is not None and (choice.model is not None or choice.adapter is not None):
        hint = "leave out the model and the adapter, or the run"
        problems.append(Problem("a run brings its own model and adapter", "run", hint=hint))
    if choice.run is None and choice.model is None and choice.adapter is None:
        hint = "name one with `--model DIR`, `--adapter DIR` or `--run RUN`; `ck models list --here` shows those here"
        problems.append(Problem("no model is named", "model", hint=hint))
    if choice.run is None and choice.epoch is not None:
        problems.append(Problem("an epoch is one of a run", "epoch", hint="name the run with `--run`"))
    return problems


def _by_hand(choice: ModelChoice, world: World) -> _Found:
    if choice.adapter is None:
        return _Found(_directory(choice.model or ""))
    folder = Path(choice.adapter).expanduser().absolute()
    trained, problems = find_trained({"finetune_epoch_dir": str(folder)}, world=world)
    if trained.adapter is None:
        raise SiteError(problems[0].message, hint=problems[0].hint)
    values, adapter = trained.values, trained.adapter
    base = _directory(choice.model) if choice.model is not None else str(find_base(adapter))
    known = trained.source is not None
    return _Found(
        base=base,
        adapter=str(adapter),
        name=_named(folder, values) if known and "run" in values else folder.name,
        dataset=_dataset(values) if known else None,
        dtype=values.get("dtype"),
    )


def _named(folder: Path, values: Mapping[str, Any]) -> str:
    """Return what an adapter of a run is called; the best one is of an epoch that its folder does not tell."""
    return f"{values['run']}_{'best' if folder.name == 'best' else 'epoch_' + str(values['epoch'])}"


def _directory(model: str) -> str:
    """Return a model's directory as written from here, or its name for the hub to look up."""
    here = Path(model).expanduser()
    return str(here.absolute()) if (here / "config.json").is_file() else model


def _dataset(values: Any) -> DatasetConfig:
    """Return how an adapter's training put questions."""
    shared = {name: values[name] for name in DatasetConfig.model_fields if name in values}
    nowhere = {"path": values.get("data_path") or "", "sha256": "0" * 64}
    return DatasetConfig.model_validate({**nowhere, **shared})


def _of_run(choice: ModelChoice, world: World) -> _Found:
    plan, _ = recorded_plan(world=world)
    run = find_run(plan.runs, choice.run or "")
    if run.model.api is not None:
        fact = f"run `{run.id}` asks `{run.model.api}`, which is not loaded here"
        raise RunError(fact, run_id=run.id, hint="name a run of a model on this machine")
    if run.type == "control":
        return _control(run, choice.epoch, world=world)
    config = train_config(run, world)
    label = _label(choice.epoch, run)
    return _Found(
        base=config.base_model.path,
        adapter=None if label == "base" else kept_adapter(config, label),
        name=f"{run.id}_{label}",
        dataset=config.dataset,
        dtype=config.dtype,
        base_sha256=config.base_model.sha256,
        run=run.id,
    )


def _control(run: PlannedRun, epoch: str | None, *, world: World) -> _Found:
    """Return a base model that is a run of its own, asked as its first evaluation asks it."""
    if epoch not in (None, "base"):
        fact = f"run `{run.id}` does not train, so it has no epochs"
        raise RunError(fact, run_id=run.id, hint="leave out `--epoch`")
    found = _Found(run.model_path, name=f"{run.id}_base", run=run.id)
    if not run.cells:
        return found
    config = eval_config(run, run.cells[0], world=world)
    return found._replace(dataset=config.dataset, dtype=config.dtype, base_sha256=config.base_model.sha256)


def _label(epoch: str | None, run: PlannedRun) -> str:
    if epoch in ("best", "base"):
        return epoch
    kept = [str(number) for number in run.epochs_saved]
    chosen = kept[-1] if epoch is None and kept else epoch
    if chosen not in kept:
        saved = ", ".join(f"`{number}`" for number in kept) or "none"
        hint = "there are numbers of saved epochs, `best` and `base`"
        raise RunError(f"run `{run.id}` keeps no epoch `{chosen}`; it keeps {saved}", run_id=run.id, hint=hint)
    return f"epoch_{chosen}"


def _checked(found: _Found, facts: ModelFacts, *, world: World) -> tuple[str | None, tuple[str, ...]]:
    """Return the hash of an adapter's weights, and what could not be checked of its base."""
    wanted = found.base_sha256
    if wanted is not None and wanted != facts.sha256:
        raise SiteError(f"`{facts.path}` is not the base that run `{found.run}` was planned on", hint="restore it")
    if found.adapter is None:
        return None, ()
    digest, proven = adapter_digest(found.adapter, facts, of_run=found.run is not None, world=world)
    unproven = "the adapter does not record its base's hash, so nothing proves that it is this base"
    return digest, () if proven else (unproven,)


def _type(found: _Found, facts: ModelFacts) -> DatasetType:
    if found.dataset is not None:
        return found.dataset.dataset_type
    return "chat_completion" if facts.has_chat_template else "text_completion"


def _system(choice: ModelChoice, found: _Found) -> str:
    if choice.system_prompt is not None:
        return choice.system_prompt
    return found.dataset.system_prompt if found.dataset is not None else ""


def _here_only(found: _Found, world: World) -> str:
    """Return why a model that learnt from this experiment's data may not be offered to other machines."""
    root = world.store.root.resolve()
    own = found.run is not None or (found.adapter is not None and Path(found.adapter).resolve().is_relative_to(root))
    if not own or world.store.read(ExperimentLayout.summary) is None:
        return ""
    said: list[Tier] = [design_tier(read_design(world), world)]
    data = dict[str, str]()
    if world.store.read(ExperimentLayout.plan) is not None:
        plan, _ = recorded_plan(world=world)
        said.append(plan_tier(plan, world))
        data = content_of(plan, world)
    shut = closed(strictest(said), data, way="show", world=world)
    if shut is None:
        return ""
    without = " without recorded consent" if shut.tier == "yellow" else ""
    return f"the model was trained in an experiment on {shut.tier} data{without}"


def _template_notes(found: _Found, choice: ModelChoice) -> tuple[str, ...]:
    template = found.dataset.prompt if found.dataset is not None else "{input}"
    if template == "{input}" or choice.wrap:
        return ()
    return (f"training put its inputs into `{template}`; questions are sent as they are, or with `--wrap` like those",)
