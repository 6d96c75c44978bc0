"""From the text of site files to a site: every problem at once, every value with its source."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import Marks, YamlPath, dotted, load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.noun import Noun, fact_of
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.site_reading import SiteFile, SiteReading, SiteValue

__all__ = ["read_sites"]

_UNATTENDED = "allow_unattended"
# What people write, from Slurm and from habit, and what it is called here.
_OTHER_WORDS = {
    "conda_env": "environment.name",
    "email": "mail",
    "gpus": "partitions[].gpus",
    "max_time": "partitions[].max_time",
    "modules": "environment.modules",
    "output_dir": "output_dir_base",
    "scratch": "scratch_dir",
    "venv": "environment.name",
    "wandb": "wandb_mode",
}


class _Layer(NamedTuple):
    """What one file says."""

    file: SiteFile
    values: dict[str, Any]
    marks: Marks


def read_sites(files: Sequence[SiteFile]) -> SiteReading:
    """Return the site that files make, the later over the earlier, over the defaults.

    A key of the later file replaces the whole of that key: an environment or a list
    is said in one place. Leave to submit without a question counts only in the user's
    own file: a project that someone else wrote must not be able to grant it.

    Raises:
        SpecError: a file has unknown keys or values; all problems of all files at once.
    """
    layers = [_layer(file) for file in files if file.text is not None]
    problems = [problem for layer in layers for problem in _problems(layer)]
    if problems:
        raise SpecError("the site file is not valid", problems=problems)
    merged = {key: value for layer in layers for key, value in layer.values.items()}
    try:
        site = Site.model_validate(merged)
    except ValidationError as err:
        facts = [Problem(_fact(each), dotted(tuple(each["loc"])), layers[-1].file.path) for each in err.errors()]
        raise SpecError("the site files do not fit together", problems=facts) from err
    return SiteReading(site=site, values=tuple(_told(site, layers)))


def _layer(file: SiteFile) -> _Layer:
    value, marks = load_yaml(file.text or "", name=file.path)
    if value is not None and not isinstance(value, dict):
        hint = "write `key: value` lines, such as `scheduler: local`"
        raise SpecError(f"`{file.path}` does not hold settings", hint=hint)
    return _Layer(file, value or {}, marks)


def _problems(layer: _Layer) -> Iterator[Problem]:
    if layer.file.level == "project" and layer.values.get(_UNATTENDED):
        place = layer.marks.place((_UNATTENDED,))
        fact = f"`{_UNATTENDED}` counts only in your own site file"
        yield Problem(fact, _UNATTENDED, place, hint="the project's file cannot grant this; move it to your own")
    try:
        Site.model_validate(layer.values)
    except ValidationError as err:
        for each in err.errors():
            path: YamlPath = tuple(part for part in each["loc"] if part != "[key]")
            unknown = each["type"] == "extra_forbidden"
            fact = f"unknown key `{path[-1]}`" if unknown else _fact(each)
            hint = _nearest(path) if unknown else _meaning(path)
            yield Problem(fact, dotted(path), layer.marks.place(path), hint)


def _fact(found: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, the value in backticks."""
    if found["type"] == "string_pattern_mismatch":
        return f"`{found['input']}` has a form that is not taken here"
    value = found["input"]
    shown = f"`{value}`: " if isinstance(value, str | int | float) else ""
    return f"{shown}{fact_of(found['msg'])}"


def _nearest(path: YamlPath) -> str:
    """Return what was meant by an unknown key, or the keys there are."""
    name, known = str(path[-1]), _fields(path[:-1])
    other = _OTHER_WORDS.get(name)
    if other and other not in known and not get_close_matches(name, known, n=1, cutoff=0.8):
        return f"it is called `{other}` here"
    near = get_close_matches(name, known, n=1)
    if near:
        return f"write `{near[0]}`"
    return f"it is called `{other}` here" if other else f"remove it; keys here are {', '.join(known)}"


def _meaning(path: YamlPath) -> str:
    """Return what the key on a path means, on one line."""
    for end in range(len(path), 0, -1):
        noun = _noun_at(path[: end - 1])
        field = noun.described().get(str(path[end - 1])) if noun else None
        if field is not None and field.description:
            return f"{path[end - 1]}: {' '.join(field.description.split())}"
    return ""


def _fields(path: YamlPath) -> tuple[str, ...]:
    noun = _noun_at(path)
    return tuple(noun.model_fields) if noun else ()


def _noun_at(path: YamlPath) -> type[Noun] | None:
    noun: type[Noun] | None = Site
    for part in path:
        if isinstance(part, int):
            continue
        field = noun.model_fields.get(part) if noun else None
        noun = _noun_in(field.annotation) if field else None
    return noun


def _noun_in(annotation: Any) -> type[Noun] | None:
    if isinstance(annotation, type) and issubclass(annotation, Noun):
        return annotation
    return next((arg for arg in get_args(annotation) if isinstance(arg, type) and issubclass(arg, Noun)), None)


def _told(site: Site, layers: Sequence[_Layer]) -> Iterator[SiteValue]:
    """Yield every setting, those of a section one by one."""
    for key, value in site.model_dump(mode="json").items():
        inner = _noun_in(Site.model_fields[key].annotation) if isinstance(value, dict) else None
        if inner is None:
            yield _value((key,), value, layers=layers)
            continue
        for name, each in value.items():
            yield _value((key, name), each, layers=layers)


def _value(path: tuple[str, ...], value: Any, *, layers: Sequence[_Layer]) -> SiteValue:
    for layer in reversed(layers):
        if path[0] in layer.values:
            section = layer.values[path[0]]
            if len(path) > 1 and path[1] not in section:
                break
            place = layer.marks.place(path)
            return SiteValue(key=".".join(path), value=value, source=layer.file.level, place=place)
    return SiteValue(key=".".join(path), value=value, source="default")
