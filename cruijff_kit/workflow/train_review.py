"""Review a training: every value with its source, what is unusual, what it needs, and the design it would be."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.template_registry import is_file
from cruijff_kit.data.tiers import strictest
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.planning.backends import BACKENDS, choose_backend
from cruijff_kit.planning.fits import gigabytes
from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.planning.train_advice import Fit, fit_of, recommendations, train_warnings
from cruijff_kit.planning.train_design import DesignParts, design_text, renamed_design, total_steps
from cruijff_kit.planning.train_layers import lay_over, value_problems, with_steps
from cruijff_kit.planning.train_machine import MPS_NOTE, beyond_machine, on_machine
from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.backends import is_installed, this_machine
from cruijff_kit.runtime.machine_memory import usable_cpus
from cruijff_kit.schema.backend import Machine
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.site import GpuKind
from cruijff_kit.schema.train_keys import TrainMode
from cruijff_kit.schema.training import TrainOrder, TrainReview, TrainValue
from cruijff_kit.workflow.chat_templates import read_template
from cruijff_kit.workflow.machine import gpus_here, training_memory_here
from cruijff_kit.workflow.tiers import tier_of
from cruijff_kit.workflow.train_inputs import (
    FORMATS,
    TINY,
    FoundData,
    FoundModel,
    RowWish,
    default_data,
    find_base,
    find_rows,
    longest_answer,
    model_here,
)
from cruijff_kit.workflow.train_order import Asked, read_order

__all__ = ["move_training", "review_training"]

_OUTPUTS = {"quick": "quick_output", "start": "output"}


class _Backend(NamedTuple):
    """What is to train."""

    engine: str
    device: str
    notes: tuple[str, ...]


class _Found(NamedTuple):
    """What was found on this machine for it."""

    mode: TrainMode
    asked: Asked
    base: FoundModel
    data: FoundData | None
    gpus: tuple[GpuKind, ...]
    backend: _Backend


def review_training(
    order: TrainOrder,
    *,
    loose: bool = False,
    make: bool = True,
    progress: Progress | None = None,
    world: World,
) -> TrainReview:
    """Return what a training would be; nothing is written, and nothing pulled.

    Precedence: defaults, profile, file, flags; what was said counts, also where it equals a default.

    Args:
        order: what was asked for.
        loose: whether the model or the data may be missing, as when a file is validated.
        make: whether the small model is made where it is asked for and not there; without it there is no design.
        progress: called while the small model is made, where that is asked for and not there.
        world: the project, where relative paths start.

    Raises:
        SpecError: keys, values, profile or data are wrong; lists every problem.
        SiteError: the model is not on this machine, or the backend cannot run here.
    """
    asked = read_order(order, world=world)
    values = lay_over(order.mode, *asked.layers)
    problems = [*asked.problems, *_choices(values, world), *value_problems(values, *asked.layers)]
    if problems:
        raise SpecError("the training cannot be set up so", problems=list(dict.fromkeys(problems)))
    gpus = gpus_here(world)
    machine = this_machine(cuda=bool(gpus))
    # Asked before the model is looked for, which may take a minute to make.
    _backend(values, machine, loose=loose)
    values["template"] = _template(values["template"], world)
    if not asked.data and order.mode == "quick":
        asked = asked._replace(data=default_data(str(values["template"].value)))
    data = _data(asked, _plain(values), world=world) if asked.data or not loose else None
    base = find_base(asked.model, make=make and not loose, progress=progress, world=world)
    if not loose and (make or asked.model != TINY):
        model_here(asked.model, base)
    backend = _backend(values, machine, architecture=_architecture(base), loose=loose)
    values = on_machine(values, backend.device, cpus=usable_cpus(), gpus=len(gpus), machine=machine)
    beyond = [] if loose else [*beyond_machine(values, backend.device, gpus=len(gpus)), *_too_many(values, data)]
    if beyond:
        raise SpecError("the training cannot be set up so", problems=beyond)
    found = _Found(order.mode, asked, base, data, gpus, backend)
    return _reviewed(found, values, world=world)


def move_training(review: TrainReview, output: Path) -> TrainReview:
    """Return a training as it would be in another directory; nothing is read again."""
    design = renamed_design(review.design, output.name)
    return review.model_copy(update={"output": str(output), "design": design})


def _choices(values: Mapping[str, TrainValue], world: World) -> Iterator[Problem]:
    """Yield words that are none of those a key takes, and a template that is none."""
    for name, known in (("format", tuple(FORMATS)), ("backend", BACKENDS)):
        said = values[name]
        if said.value not in known:
            hint = f"one of {', '.join(f'`{each}`' for each in known)}"
            yield Problem(f"`{said.value}` is not a valid `{name}`", name, said.source, hint)
    template = values["template"]
    if isinstance(template.value, str) and template.value:
        try:
            read_template(template.value, root=world.store.root)
        except ValueError as err:
            hint = "name one, write a text with `{input}` and `{output}`, or name a file that holds one"
            yield Problem(str(err), "template", template.source, hint)


def _too_many(values: Mapping[str, TrainValue], data: FoundData | None) -> Iterator[Problem]:
    """Yield that more rows are to be trained on than there are."""
    wanted, rows = values["training_samples"], 0 if data is None else len(data.splits["train"])
    if data is not None and wanted.value is not None and wanted.value > rows:
        fact = f"`training_samples` is `{wanted.value}`, and there are {rows} rows to train on"
        yield Problem(fact, "training_samples", wanted.source, "lower it, or leave it out for all of them")


def _data(asked: Asked, plain: Mapping[str, Any], *, world: World) -> FoundData:
    if not asked.data:
        hint = "name a file, a folder or one of `ck train list-data`: `ck train quick MODEL capitalization`"
        raise SpecError("no data is named", hint=hint)
    wish = RowWish(FORMATS[plain["format"]], plain["val_split"], plain["seed"], asked.validation)
    return find_rows(asked.data, wish, world=world)


def _template(said: TrainValue, world: World) -> TrainValue:
    """Return a template's file as an absolute path: the experiment, where relative ones start, lies elsewhere."""
    place = world.store.root / str(said.value)
    ours = is_file(str(said.value)) and place.is_file()
    return said.model_copy(update={"value": str(place.absolute())}) if ours else said


def _architecture(base: FoundModel) -> str | None:
    known = base.facts or base.entry
    return None if known is None else known.architecture


def _backend(
    values: Mapping[str, TrainValue], machine: Machine, *, architecture: str | None = None, loose: bool
) -> _Backend:
    """Return the backend, and what is to be said of it: where the best one does not know the model, or is not here."""
    said = values["backend"].value
    try:
        chosen = choose_backend(said, machine, train=True, architecture=architecture)
    except SiteError as err:
        if not loose:
            raise
        device = choose_backend(said, machine, architecture=architecture, needed=False).device
        return _Backend(said, device, (f"{str(err).partition(chr(10))[0]}: {err.hint}",))
    return _Backend(chosen.engine, chosen.device, (chosen.why,) if "not known to compute" in chosen.why else ())


def _plain(values: Mapping[str, TrainValue]) -> dict[str, Any]:
    return {name: each.value for name, each in values.items()}


def _reviewed(found: _Found, values: dict[str, TrainValue], *, world: World) -> TrainReview:
    base, data, asked = found.base, found.data, found.asked
    steps, notes = 0, found.backend.notes
    if found.backend.device == "mps" and values["gpus"].value:
        notes = (*notes, MPS_NOTE)
    if data is not None:
        steps = total_steps(_plain(values), len(data.splits["train"]))
        evaluate, why = _evaluated(values["evaluate"], data)
        values = {**values, "evaluate": evaluate, "tier": _tier(values["tier"], data, world=world)}
        notes = (*notes, *why)
    values = with_steps(values, steps=steps)
    plain = _plain(values)
    output = (world.store.root / (asked.output or _OUTPUTS[found.mode])).absolute()
    fit = _fit(found, plain)
    design = ""
    if data is not None and base.path is not None:
        day = world.clock.now().date().isoformat()
        command = f"ck train {found.mode} {asked.model} {asked.data}"
        parts = DesignParts(
            output.name, command, day, model=(asked.model, base.path), data=_placed(data), backend=found.backend.engine
        )
        # A rank that is varied later takes its scaling with it.
        alpha = values["lora_alpha"]
        said = plain | ({"lora_alpha": None} if alpha.source == "derived" else {})
        design = design_text(parts, said, answers=_answers(data, plain))
    return TrainReview(
        mode=found.mode,
        output=str(output),
        chosen=asked.output is not None,
        model=asked.model,
        model_path=base.path,
        data=asked.data,
        data_path="" if data is None else data.path,
        splits={} if data is None else {split: len(rows) for split, rows in data.splits.items()},
        forms={} if data is None else data.forms,
        held_out="" if data is None else data.held_out,
        backend=found.backend.engine,
        steps=steps,
        values=values,
        warnings=tuple(_warnings(found, plain, fit=fit)),
        recommendations=tuple(recommendations(plain)),
        notes=notes,
        memory=None if fit is None else fit.parts,
        memory_limit=0 if fit is None else fit.limit,
        most_rows=None if fit is None else fit.most_rows,
        design=design,
        prepared="" if data is None else data.text,
        prepared_path="" if data is None or not data.text else _placed(data),
    )


def _placed(data: FoundData) -> str:
    """Return the path of the rows as a design names it: in the experiment where they are written there."""
    return f"{ExperimentLayout.data}/{data.stem}.json" if data.text else data.path


def _evaluated(said: TrainValue, data: FoundData) -> tuple[TrainValue, tuple[str, ...]]:
    """Return whether the split `test` is evaluated, and why not where it could be."""
    # A text that is learnt whole asks nothing.
    there = bool(data.splits.get("test")) and "text" not in data.forms
    if said.value is not None:
        if said.value and not there:
            fact = "there is nothing to evaluate: no split `test`, or rows of plain text, which ask nothing"
            raise SpecError(fact, hint="leave `evaluate` out, or name data with questions to test")
        return said, ()
    if not there:
        return TrainValue(value=False, source="derived"), ()
    if not is_installed("inspect_ai"):
        why = "the split `test` is not evaluated: `inspect-ai` is not installed (pip install 'cruijff-kit[eval]')"
        return TrainValue(value=False, source="derived"), (why,)
    return TrainValue(value=True, source="derived"), ()


def _tier(said: TrainValue, data: FoundData, *, world: World) -> TrainValue:
    """Return the strictest tier of all that rows came from; data of this package is green."""
    found: list[Tier] = [
        tier_of(each.path, declared=said.value or ("green" if each.bundled else None), world=world)
        for each in data.sources
    ]
    tier = strictest(found)
    return TrainValue(value=tier, source=said.source if tier == said.value else "derived")


def _answers(data: FoundData, plain: Mapping[str, Any]) -> int:
    return longest_answer(data.splits["test"]) if plain["evaluate"] else 0


def _fit(found: _Found, plain: Mapping[str, Any]) -> Fit | None:
    """Return what a step needs and which batch fits; None where nothing is known of the model."""
    known = found.base.facts or found.base.entry
    if known is None:
        return None
    shared = found.backend.device == "mps"
    memory = training_memory_here(found.gpus, wanted=plain["gpus"], shared=shared)
    return fit_of(shape_of(known), plain, memory=memory, mlx=found.backend.engine == "mlx")


def _warnings(found: _Found, plain: Mapping[str, Any], *, fit: Fit | None) -> Iterator[str]:
    local = found.base.path is not None
    if not local:
        brings = "the first training makes it" if found.asked.model == TINY else "`ck models pull` brings it"
        yield f"model `{found.asked.model}` is not on this machine; {brings}"
    yield from train_warnings(plain, model=found.asked.model, local=local)
    if fit is not None and fit.most_rows is not None and fit.most_rows < plain["batch_size"]:
        needed, limit = gigabytes(fit.parts.total), gigabytes(fit.limit)
        advice = (
            f"`batch_size: {fit.most_rows}` fits" if fit.most_rows else "not even one row fits: it does not fit here"
        )
        yield f"rows of `max_seq_len` {plain['max_seq_len']} need {needed}, and {limit} are counted with; {advice}"
