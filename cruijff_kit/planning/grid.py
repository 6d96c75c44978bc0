"""The grid: factors crossed, named runs added, every fine-tuned run repeated per seed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import product
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.planning.fractions import fraction_of
from cruijff_kit.planning.run_ids import canonical_json, component, shorten
from cruijff_kit.planning.search_space import DEFAULT, OTHER_WORDS, searched_names, space_of
from cruijff_kit.planning.settings import READ_BY_EVALUATION, base_settings, override, typed_level, with_derived
from cruijff_kit.planning.spans import grid_levels, latin_points
from cruijff_kit.schema.data import TrainingData
from cruijff_kit.schema.design_kinds import FractionalDesign, GridDesign, LatinDesign, SearchDesign, Span
from cruijff_kit.schema.evaluation import Generation
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.plan import Resolved
from cruijff_kit.schema.spec import Controls, ExperimentSpec, Factors, Level, ModelRef, RunSpec

__all__ = ["Point", "Variant", "cross"]

_DATA = "data."
_GENERATION = "generation."


class Variant(NamedTuple):
    """One distinct data set that a design asks for."""

    path: str | None
    """The user's file, or None for a generated one."""
    generator: str | None
    """Name of the generator."""
    arguments: str
    """Arguments of the generator as canonical JSON, so that variants compare and hash."""

    def values(self) -> dict[str, Any]:
        """Return the arguments of the generator."""
        return json.loads(self.arguments)


class Point(NamedTuple):
    """One run before anything was read from the world."""

    type: Literal["fine-tuned", "control"]
    """Whether it trains."""
    name: str
    """Slug of what varies, without the seed."""
    slug: str
    """The same with the seed, where the run is a replicate."""
    place: str
    """YAML path of whatever asked for it."""
    model: ModelRef
    """Base model."""
    data: Variant
    """Data set."""
    factors: dict[str, Level]
    """Its factor levels."""
    seed: int
    """Replicate seed; the first one of the design for a control."""
    settings: dict[str, Resolved]
    """Every control, resolved."""
    generation: Generation | None = None
    """Its own generation settings, where they are varied."""


class _Choice(NamedTuple):
    """One level of one factor, typed and checked once for all runs that take it."""

    factor: str
    level: Level
    value: Any
    part: str


class _Recipe(NamedTuple):
    """A run before its seeds: what the factors or a named run ask for."""

    type: Literal["fine-tuned", "control"]
    name: str
    place: str
    model: str | None
    data: dict[str, Any]
    factors: dict[str, Level]
    settings: dict[str, Resolved]
    generation: Generation | None = None
    seeds: tuple[int, ...] | None = None


def cross(spec: ExperimentSpec) -> tuple[Point, ...]:
    """Return every run of a design, factors crossed in the order written, seeds innermost.

    Raises:
        PlanError: a factor, level or named run cannot be planned; lists every problem.
    """
    problems: list[Problem] = []
    base = base_settings(spec.controls)
    recipes = [*_crossed(spec, base, problems=problems), *_named(spec, base, problems=problems)]
    points = [point for recipe in recipes for point in _replicates(recipe, spec, problems=problems)]
    if not points and not problems:
        problems.append(Problem("the design has no run", path="runs", hint="name a factor, or a run in `runs`"))
    if problems:
        raise PlanError("the design cannot be planned", problems=list(dict.fromkeys(problems)))
    return tuple(points)


def _crossed(spec: ExperimentSpec, base: Mapping[str, Resolved], *, problems: list[Problem]) -> Iterator[_Recipe]:
    if isinstance(spec.design, SearchDesign):
        if spec.factors:
            fact, hint = "factors are not crossed in a search", "move them into `design.space`"
            problems.append(Problem(fact, path="factors", hint=hint))
        yield from _searched(spec, spec.design, base=base, problems=problems)
        return
    if spec.design == "list":
        if spec.factors:
            fact = "factors are not crossed where `design` is `list`"
            problems.append(Problem(fact, path="factors", hint="use `design: full`, or write each run into `runs`"))
        return
    # Where nothing is trained, runs named one by one are all there are.
    named = any(run.type == "fine-tuned" or spec.tools.preparation == "none" for run in spec.runs)
    if not spec.factors and spec.design == "full" and named:
        return
    yield from _combinations(spec, base, problems=problems)


def _searched(
    spec: ExperimentSpec, search: SearchDesign, *, base: Mapping[str, Resolved], problems: list[Problem]
) -> Iterator[_Recipe]:
    """Yield the one run that a search has from the start, the controls as they are; trials are named runs."""
    if spec.tools.preparation == "none":
        hint = "use `tools.preparation: torchtune` or `peft`, or `design: full`"
        problems.append(Problem("a search trains, and `tools.preparation` is `none`", "design", hint=hint))
        return
    for name, dimension in space_of(search).items():
        path = f"design.space.{name}"
        wrong = _bad_name(name, spec, path=path)
        problems += [wrong] if wrong else []
        levels = (dimension.low, dimension.high) if isinstance(dimension, Span) else dimension
        for level in () if wrong else levels:
            _choice(name, level, path=path, problems=problems)
    first = spec.models[0].name if "model" in searched_names(search) else None
    yield _Recipe("fine-tuned", DEFAULT, "design", first, {}, {}, dict(base))


def _varied(spec: ExperimentSpec) -> Factors:
    """Return the factors; where nothing is trained or varied, every model is evaluated."""
    if not spec.factors and spec.design == "full" and spec.tools.preparation == "none" and len(spec.models) > 1:
        return {"model": tuple(model.name for model in spec.models)}
    return spec.factors


def _points(spec: ExperimentSpec, problems: list[Problem]) -> Iterator[tuple[tuple[str, Level], ...]]:
    """Yield the level of every factor at each point of the design, in its order."""
    design, factors = spec.design, _varied(spec)
    try:
        if isinstance(design, FractionalDesign):
            yield from (tuple(each.items()) for each in fraction_of(design, factors).combinations(factors))
            return
        drawn: Sequence[Mapping[str, Level]] = ({},)
        if isinstance(design, LatinDesign):
            drawn = latin_points(design)
    except ValueError as err:
        problems.append(Problem(str(err), "design", hint="see `design` in `ck schema`"))
        return
    if isinstance(design, GridDesign):
        factors = {**factors, **{name: grid_levels(name, each) for name, each in design.space.items()}}
    for levels in product(*factors.values()):
        for point in drawn:
            yield (*zip(factors, levels, strict=True), *point.items())


def _combinations(spec: ExperimentSpec, base: Mapping[str, Resolved], *, problems: list[Problem]) -> Iterator[_Recipe]:
    chosen = {name: _choices(name, each, spec=spec, problems=problems) for name, each in _varied(spec).items()}
    known = {(name, repr(each.level)): each for name, choices in chosen.items() for each in choices}
    named = spec.design.space if isinstance(spec.design, GridDesign | LatinDesign) else ()
    wrong = [found for name in named if (found := _bad_name(name, spec, path=f"design.space.{name}"))]
    problems += wrong
    if wrong or not all(chosen.values()):
        # What has a wrong name has no levels to combine.
        return
    for point in _points(spec, problems):
        for name, level in point:
            if (name, repr(level)) not in known:
                known[name, repr(level)] = _choice(name, level, path=f"design.space.{name}", problems=problems)
        yield _combined([known[name, repr(level)] for name, level in point], spec, base=base, problems=problems)


def _combined(
    chosen: Sequence[_Choice], spec: ExperimentSpec, *, base: Mapping[str, Resolved], problems: list[Problem]
) -> _Recipe:
    controls = {choice.factor: choice.value for choice in chosen if _is_control(choice.factor)}
    factors: dict[str, Level] = {choice.factor: choice.value for choice in chosen}
    model = factors.get("model")
    parts = tuple(choice.part for choice in chosen)
    return _Recipe(
        type="control" if spec.tools.preparation == "none" else "fine-tuned",
        name=shorten(parts or (spec.models[0].name,), None),
        place="factors",
        model=None if model is None else str(model),
        data={name: level for name, level in factors.items() if name.startswith(_DATA)},
        factors=factors,
        settings={**base, **override(controls, "factor")},
        generation=_generation(factors, spec, path="factors", problems=problems),
    )


def _generation(
    values: Mapping[str, Any], spec: ExperimentSpec, *, path: str, problems: list[Problem]
) -> Generation | None:
    """Return the design's generation settings with some of them replaced; None where none is."""
    own = {name.removeprefix(_GENERATION): level for name, level in values.items() if name.startswith(_GENERATION)}
    if not own:
        return None
    try:
        return Generation.model_validate({**spec.evaluation.generation.model_dump(), **own})
    except ValidationError as err:
        for each in err.errors():
            key = f"{path}.{_GENERATION}{each['loc'][0] if each['loc'] else next(iter(own))}"
            fact = fact_of(each["msg"])
            hint = "what is not varied stands in `evaluation.generation`"
            problems.append(Problem(f"{fact} ({', '.join(f'{n} {v}' for n, v in own.items())})", key, hint=hint))
        return None


def _choices(
    factor: str, levels: tuple[Level, ...], *, spec: ExperimentSpec, problems: list[Problem]
) -> tuple[_Choice, ...]:
    path = f"factors.{factor}"
    wrong = _bad_name(factor, spec, path=path)
    if wrong:
        problems.append(wrong)
        return ()
    places = enumerate(levels)
    return tuple(_choice(factor, level, path=f"{path}[{index}]", problems=problems) for index, level in places)


def _choice(factor: str, level: Level, *, path: str, problems: list[Problem]) -> _Choice:
    value, found = typed_level(factor, level, path=path) if _is_control(factor) else (level, [])
    problems += found
    return _Choice(factor, level, value, component(factor, value))


def _is_control(name: str) -> bool:
    return name in Controls.model_fields and name != "seeds"


def _bad_name(name: str, spec: ExperimentSpec, *, path: str) -> Problem | None:
    """Return what is wrong with the name of a factor or of a run's parameter."""
    if name in {"seed", "seeds"}:
        return Problem(f"`{name}` is no factor: seeds repeat every run", path, hint="list seeds in `controls.seeds`")
    if name == "data.path":
        fact = "`data.path` varies the file, and the data is generated"
        return Problem(fact, path, hint="vary an argument of the generator") if spec.data.training.generator else None
    if name.startswith(_GENERATION):
        return _bad_setting(name, spec, path=path)
    if _is_control(name) and spec.tools.preparation == "none" and name not in READ_BY_EVALUATION:
        fact = f"`{name}` is read by training alone, and `tools.preparation` is `none`"
        hint = "remove it, or train: `tools.preparation: torchtune` or `peft`"
        return Problem(fact, path, hint=hint)
    if name.startswith(_DATA):
        fact = f"`{name}` is an argument of a generator, and the data is a file"
        return Problem(fact, path, hint="vary `data.path`") if spec.data.training.path else None
    if name == "model" or _is_control(name):
        return None
    known = ["model", "data.path", *(field for field in Controls.model_fields if field != "seeds")]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "vary `model`, `data.path`, `data.<argument>` or a control"
    hint = OTHER_WORDS.get(name, hint)
    return Problem(f"unknown factor `{name}`", path, hint=hint)


def _bad_setting(name: str, spec: ExperimentSpec, *, path: str) -> Problem | None:
    """Return what is wrong with varying a generation setting."""
    known = [f"{_GENERATION}{field}" for field in Generation.model_fields]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        return Problem(f"unknown factor `{name}`", path, hint=f"did you mean `{(near or known)[0]}`?")
    if spec.tools.preparation == "none":
        return None
    fact = f"`{name}` changes no training, and every level would train all models again"
    return Problem(fact, path, hint="vary it in a design with `tools.preparation: none`")


def _named(spec: ExperimentSpec, base: Mapping[str, Resolved], *, problems: list[Problem]) -> Iterator[_Recipe]:
    for index, run in enumerate(spec.runs):
        path = f"runs[{index}]"
        if run.type == "fine-tuned" and spec.tools.preparation == "none":
            hint = "use `tools.preparation: torchtune`, or `type: control`"
            problems.append(Problem(f"run `{run.name}` trains, and `tools.preparation` is `none`", path, hint=hint))
        yield _named_run(run, path, spec=spec, base=base, problems=problems)


def _named_run(
    run: RunSpec, path: str, *, spec: ExperimentSpec, base: Mapping[str, Resolved], problems: list[Problem]
) -> _Recipe:
    controls: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name, level in run.parameters.items():
        where = f"{path}.parameters.{name}"
        wrong = _bad_name(name, spec, path=where)
        if wrong is None and name == "model":
            wrong = Problem("the model of a run has its own key", where, hint=f"write `model: {level}` beside `name`")
        if wrong:
            problems.append(wrong)
        elif name.startswith(_DATA):
            data[name] = level
        elif not name.startswith(_GENERATION):
            controls[name], found = typed_level(name, level, path=where)
            problems += found
    settings = {**base, **override(controls, "run")}
    said = {**controls, **data, **run.parameters, "model": run.model}
    varied = (*spec.factors, *(searched_names(spec.design) if isinstance(spec.design, SearchDesign) else ()))
    factors = {name: level for name, level in said.items() if name in varied}
    if "model" not in spec.factors and run.model is None:
        factors.pop("model", None)
    own = _generation(run.parameters, spec, path=f"{path}.parameters", problems=problems)
    return _Recipe(run.type, run.name, path, run.model, data, factors, settings, own, run.seeds)


def _replicates(recipe: _Recipe, spec: ExperimentSpec, *, problems: list[Problem]) -> Iterator[Point]:
    model = _model(recipe, spec)
    if isinstance(model, Problem):
        problems.append(model)
        return
    if recipe.type == "fine-tuned" and model.api is not None:
        hint = "evaluate it: a run with `type: control`, or `tools.preparation: none`"
        fact = f"run `{recipe.name}` trains `{model.name}`, which answers behind an API"
        problems.append(Problem(fact, f"{recipe.place}.model", hint=hint))
        return
    seeds = recipe.seeds or spec.controls.seeds
    data = _variant(spec.data.training, recipe.data)
    # A level with the wrong type is on the list of problems already and has nothing to derive from.
    settings = recipe.settings if problems else _derived(recipe.settings, spec)
    control = recipe.type == "control"
    for seed in seeds[:1] if control else seeds:
        slug = shorten((recipe.name,), None if control else seed)
        place, factors = recipe.place, dict(recipe.factors)
        yield Point(recipe.type, recipe.name, slug, place, model, data, factors, seed, settings, recipe.generation)


def _derived(settings: Mapping[str, Resolved], spec: ExperimentSpec) -> dict[str, Resolved]:
    return with_derived(settings, backend=spec.tools.preparation, gpus=spec.resources.processes)


def _model(recipe: _Recipe, spec: ExperimentSpec) -> ModelRef | Problem:
    path = f"{recipe.place}.model"
    models = {model.name: model for model in spec.models}
    if recipe.model is None:
        if len(models) == 1:
            return spec.models[0]
        hint = "vary `model`" if recipe.place == "factors" else "name one with `model:`"
        return Problem(f"run `{recipe.name}` does not say which of {len(models)} models it takes", path, hint=hint)
    if recipe.model in models:
        return models[recipe.model]
    near = get_close_matches(recipe.model, models, n=1, cutoff=0.0)
    return Problem(f"unknown model `{recipe.model}`", path, hint=f"did you mean `{near[0]}`?")


def _variant(training: TrainingData, levels: Mapping[str, Any]) -> Variant:
    if training.path is not None:
        return Variant(str(levels.get("data.path", training.path)), None, "{}")
    varied = {name.removeprefix(_DATA): level for name, level in levels.items()}
    return Variant(None, training.generator, canonical_json({**training.arguments, **varied}))
