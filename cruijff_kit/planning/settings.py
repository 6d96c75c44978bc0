"""Settings: every control of a run, its value and who set it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from cruijff_kit.data.recipe_names import CALIBRATED, resolve_recipe
from cruijff_kit.errors import Problem
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.plan import Resolved, Source
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.spec import Controls, ExperimentSpec, Level, Output, Resources

__all__ = [
    "READ_BY_EVALUATION",
    "base_settings",
    "default_recipe",
    "override",
    "part_settings",
    "plain",
    "site_gpu_memory",
    "site_settings",
    "typed_level",
    "with_derived",
]


READ_BY_EVALUATION = frozenset(
    {
        *("dataset_type", "prompt", "system_prompt", "template", "template_date"),
        *("max_seq_len", "overlong", "batch_size"),
    }
)
"""Controls that a base model's answers depend on, so that a run without training may set them."""


def base_settings(controls: Controls) -> dict[str, Resolved]:
    """Return every control but the seeds; `design` is what was written, whatever its value."""
    written = controls.model_fields_set
    return {
        name: Resolved(value=plain(getattr(controls, name)), source="design" if name in written else "default")
        for name in Controls.model_fields
        if name != "seeds"
    }


def plain(value: Any) -> Any:
    """Return a control's value as data that a plan keeps: of nouns what was said of them."""
    if isinstance(value, Noun):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, tuple) and any(isinstance(each, Noun) for each in value):
        return [plain(each) for each in value]
    return value


def typed_level(control: str, level: Level, *, path: str) -> tuple[Any, list[Problem]]:
    """Return a level as the control's own type, and what is wrong with it."""
    try:
        return plain(getattr(Controls.model_validate({control: level}), control)), []
    except ValidationError as err:
        facts = [f"`{level}` is not a valid `{control}`: {found['msg'].lower()}" for found in err.errors()]
        return level, [Problem(fact, path=path, hint=f"see `{control}` in `ck schema`") for fact in facts]


def override(values: Mapping[str, Any], source: Source) -> dict[str, Resolved]:
    """Return values as settings from one source."""
    return {name: Resolved(value=value, source=source) for name, value in values.items()}


def with_derived(settings: Mapping[str, Resolved], *, backend: str = "torchtune", gpus: int = 0) -> dict[str, Resolved]:
    """Return the settings with what follows from others filled in.

    `lora_alpha` is twice the rank, `batch_size_val` is `batch_size` and `recipe` the
    backend's own for that many GPUs, each unless somebody set it; the calibrated recipe
    is watched by `calibration_monitor`. A recipe that was named by one of its names is
    called by its own.
    """
    full = dict(settings)
    named = full["recipe"]
    full["recipe"] = (
        Resolved(value=default_recipe(backend, gpus), source="derived")
        if named.value is None
        else Resolved(value=_known_recipe(named.value, gpus), source=named.source)
    )
    if full["lora_alpha"].value is None:
        full["lora_alpha"] = Resolved(value=2.0 * full["lora_rank"].value, source="derived")
    if full["batch_size_val"].value is None:
        full["batch_size_val"] = Resolved(value=full["batch_size"].value, source="derived")
    if full["recipe"].value == CALIBRATED and full["calibration_monitor"].source == "default":
        full["calibration_monitor"] = Resolved(value={"enabled": True}, source="derived")
    return full


def _known_recipe(name: str, gpus: int) -> str:
    """Return a recipe's own name; what can be no recipe is told by the checks of the design."""
    try:
        return resolve_recipe(name, gpus=gpus).name
    except ValueError:
        return name


def default_recipe(backend: str, gpus: int) -> str:
    """Return the recipe of a backend for a number of GPUs."""
    if backend in {"peft", "mlx"}:
        return f"{backend}_lora"
    return "lora_distributed" if gpus > 1 else "lora_single_device"


def site_settings(spec: ExperimentSpec, site: Site) -> dict[str, Resolved]:
    """Return what the scheduler is asked for and where checkpoints go, site defaults filled in."""
    own = spec.resources.evaluation
    apart = {} if own is None else own.model_dump(exclude_none=True)
    said = override({f"evaluation.{name}": value for name, value in apart.items()}, "design")
    return part_settings(spec.resources, site) | said | part_settings(spec.output, site)


def part_settings(part: Resources | Output, site: Site) -> dict[str, Resolved]:
    """Return one part of a design, site defaults filled in; what evaluations ask for apart is no setting of its own.

    A key that a design leaves out of its hash while it says nothing is left out here too: files that were written
    before there was such a key are written again byte for byte.
    """
    said = part.model_dump(exclude={"evaluation"})
    return {name: _with_site(name, part, site=site) for name in type(part).model_fields if name in said}


def site_gpu_memory(resources: Resources, site: Site) -> str | None:
    """Return the memory of the smallest GPU that a job may get, as its partition tells; else the site's own word."""
    asked = part_settings(resources, site)
    kind, partition = asked["gpu_type"].value, asked["partition"].value
    chosen = next((each for each in site.partitions if each.name == partition), None)
    fitting = [each.memory for each in chosen.gpus if kind is None or each.type == kind] if chosen else []
    known = [memory for memory in fitting if memory is not None]
    # One of unknown size may be smaller than all the others.
    return site.gpu_memory if not known or len(known) < len(fitting) else min(known, key=_bytes)


def _bytes(memory: str) -> int:
    return int(memory[:-1]) * 1024 ** "KMGT".index(memory[-1])


def _of_partition(name: str, part: Resources | Output, *, site: Site) -> str | None:
    """Return what a job's partition says of account and quality of service, before the site's own default."""
    if not isinstance(part, Resources) or name not in {"account", "qos"}:
        return None
    chosen = part.partition if "partition" in part.model_fields_set else site.partition
    return next((getattr(each, name) for each in site.partitions if each.name == chosen), None)


def _with_site(name: str, part: Resources | Output, *, site: Site) -> Resolved:
    value, written = getattr(part, name), name in part.model_fields_set
    fallback = _of_partition(name, part, site=site) or getattr(site, name, None)
    if not written and fallback is not None:
        return Resolved(value=fallback, source="site")
    return Resolved(value=value, source="design" if written else "default")
