"""Review a training: every value with its source, what is unusual, what it needs, and the design it would be."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.data.train_file import TrainFile, read_train_file
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.planning.train_advice import fit_of, recommendations, train_warnings
from cruijff_kit.planning.train_design import DesignParts, design_text, model_name
from cruijff_kit.planning.train_layers import TrainLayer, lay_over, value_problems, with_machine, with_steps
from cruijff_kit.planning.fits import memory_bytes
from cruijff_kit.planning.shapes import shape_of
from cruijff_kit.ports import Progress, World
from cruijff_kit.runtime.machine_memory import machine_memory, usable_cpus
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.site import GpuKind
from cruijff_kit.schema.training import TrainOrder, TrainReview, TrainValue
from cruijff_kit.workflow.backends import choose_backend, is_installed
from cruijff_kit.workflow.profiles import find_profile
from cruijff_kit.workflow.table_tier import tier_of
from cruijff_kit.workflow.train_inputs import (
    FORMATS,
    FoundData,
    FoundModel,
    find_base,
    find_rows,
    longest_answer,
    model_here,
)

__all__ = ["review_training"]

_OUTPUTS = {"quick": "quick_output", "start": "output"}
_NO_FILE = TrainFile({}, {}, ())


class _Order(NamedTuple):
    """What was asked for, the file's word where a flag said nothing."""

    model: str
    data: str
    validation: str | None
    output: str | None
    layers: tuple[TrainLayer, ...]


def review_training(
    order: TrainOrder, *, loose: bool = False, progress: Progress | None = None, world: World
) -> TrainReview:
    """Return what a training would be; nothing is written, and nothing pulled.

    Precedence: defaults, profile, file, flags; what was said counts, also where it equals a default.

    Args:
        order: what was asked for.
        loose: whether the model or the data may be missing, as when a file is validated.
        progress: called while the small model is made, where that is asked for and not there.
        world: the project, where relative paths start.

    Raises:
        SpecError: keys, values, profile or data are wrong; lists every problem.
        SiteError: the model is not on this machine, or the backend cannot run here.
    """
    asked = _asked(order, world)
    values = lay_over(order.mode, *asked.layers)
    gpus = world.probe.machine().gpus if world.probe is not None else ()
    problems = [*_choices(values), *value_problems(values, *asked.layers)]
    if problems:
        raise SpecError("the training cannot be set up so", problems=list(dict.fromkeys(problems)))
    values = with_machine(values, cpus=usable_cpus(), gpus=len(gpus))
    base = find_base(asked.model, progress=progress, world=world)
    if not loose:
        model_here(asked.model, base)
    plain = _plain(values)
    data = None
    if asked.data or not loose:
        data = find_rows(
            _named(asked.data),
            form=plain["format"],
            share=plain["val_split"],
            seed=plain["seed"],
            validation=asked.validation,
            world=world,
        )
    return _reviewed(order, asked, values, found=_Found(base, data, gpus), world=world)


class _Found(NamedTuple):
    base: FoundModel
    data: FoundData | None
    gpus: tuple[GpuKind, ...]


def _asked(order: TrainOrder, world: World) -> _Order:
    """Read profile and file, and let the command line's own words count over them."""
    file = _file(order.config, world)
    said = file.values
    flags = {name: value for name, value in order.flags.items() if value is not None}
    layers = []
    name = order.profile or said.get("profile")
    if name is not None:
        layers.append(TrainLayer(f"profile {name}", find_profile(str(name), world=world).values))
    if order.config is not None:
        layers.append(TrainLayer(f"file {order.config}", said, file.places))
    layers.append(TrainLayer("flag", flags))
    problems = list(file.problems)
    model = order.model or said.get("model")
    if model is None:
        problems.append(Problem("no model is named", "model", order.config or "", "name one: a directory, or a name"))
    if problems:
        raise SpecError("the training cannot be set up so", problems=problems)
    data = order.data or said.get("data") or ""
    validation = order.validation_data or said.get("validation_data")
    return _Order(str(model), str(data), validation, order.output or said.get("output"), tuple(layers))


def _file(path: str | None, world: World) -> TrainFile:
    if path is None:
        return _NO_FILE
    try:
        text = (world.store.root / Path(path).expanduser()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        fact = getattr(err, "strerror", None) or str(err)
        hint = "`ck init` writes `configs/train.yml` to begin with"
        raise SpecError(f"configuration `{path}` cannot be read: {fact.lower()}", hint=hint) from err
    return read_train_file(text, name=path)


def _choices(values: Mapping[str, TrainValue]) -> list[Problem]:
    said, found = values["format"].value, []
    if said not in FORMATS:
        known = ", ".join(f"`{name}`" for name in FORMATS)
        found.append(Problem(f"`{said}` is no form of rows", "format", values["format"].source, f"one of {known}"))
    return found


def _named(data: str) -> str:
    if not data:
        hint = "name a file, a folder or one of `ck train list-data`: `ck train quick MODEL capitalization`"
        raise SpecError("no data is named", hint=hint)
    return data


def _plain(values: Mapping[str, TrainValue]) -> dict[str, Any]:
    return {name: each.value for name, each in values.items()}


def _reviewed(
    order: TrainOrder, asked: _Order, values: dict[str, TrainValue], *, found: _Found, world: World
) -> TrainReview:
    base, data = found.base, found.data
    steps = 0 if data is None else _steps(_plain(values), len(data.splits["train"]))
    values = with_steps(values, steps=steps)
    backend, notes = _backend(values, found)
    values, more = _evaluated(values, data)
    if data is not None:
        values["tier"] = _tier(values["tier"], data, world)
    plain = _plain(values)
    local = base.path is not None
    output = world.store.root / (asked.output or _OUTPUTS[order.mode])
    known = base.facts or base.entry
    fit = None
    if known is not None:
        memory = _memory(found.gpus, gpu=plain["gpus"] > 0)
        fit = fit_of(shape_of(known), plain, tokens=plain["max_seq_len"], memory=memory)
    missing = () if local else (f"model `{asked.model}` is not on this machine; `ck models pull` brings it",)
    prepared = f"{ExperimentLayout.data}/{data.stem}.json" if data is not None and data.text else ""
    return TrainReview(
        mode=order.mode,
        output=str(output.absolute()),
        chosen=asked.output is not None,
        model=asked.model,
        model_path=base.path,
        data=asked.data,
        data_path="" if data is None else data.path,
        splits={} if data is None else {split: len(rows) for split, rows in data.splits.items()},
        forms={} if data is None else data.forms,
        held_out="" if data is None else data.held_out,
        backend=backend,
        steps=steps,
        values=values,
        warnings=(*missing, *train_warnings(plain, model=asked.model, local=local), *_unfit(plain, fit)),
        recommendations=tuple(recommendations(plain)),
        notes=(*notes, *more),
        memory=None if fit is None else fit.parts,
        memory_limit=0 if fit is None else fit.limit,
        most_rows=None if fit is None else fit.most_rows,
        design="" if data is None or base.path is None else _design(order, asked, plain, data=data, base=base, world=world, output=output, backend=backend),
        prepared="" if data is None else data.text,
        prepared_path=prepared,
    )
