"""Checks of what a design asks for against what the site has."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from cruijff_kit.errors import Problem
from cruijff_kit.planning.settings import part_settings
from cruijff_kit.planning.time_limit import seconds_of
from cruijff_kit.schema.site import Partition, Site
from cruijff_kit.schema.spec import Resources

__all__ = ["site_problems"]


def site_problems(resources: Resources, site: Site) -> Iterator[Problem]:
    """Yield a problem for everything asked for that the site's lists do not have; an empty list allows all."""
    own = resources.evaluation
    said = set() if own is None else set(own.model_dump(exclude_none=True))
    apart = "partition" in said
    yield from _part_problems(resources, site, times=("time",) if apart else ("time", "eval_time"))
    # What an evaluation takes over from the training was told there.
    for each in _part_problems(resources.of_evaluation(), site, times=("eval_time",)) if said else ():
        field = each.path.removeprefix("resources.")
        if field in said:
            yield each._replace(path=f"resources.evaluation.{field}")
        elif field == "eval_time" and apart:
            yield each
    if resources.notify and site.mail is None:
        fact = "a mail is asked for, and the site has no address"
        yield Problem(fact, "resources.notify", hint="set `mail` in your own site.yaml, or leave `notify` out")


def _part_problems(resources: Resources, site: Site, *, times: Sequence[str]) -> Iterator[Problem]:
    """Yield the problems of one kind of job."""
    asked = {name: setting.value for name, setting in part_settings(resources, site).items()}
    named = tuple(each.name for each in site.partitions)
    for field, known, key in (
        ("partition", named, "partitions"),
        ("account", site.accounts, "accounts"),
        ("qos", site.qos_levels, "qos_levels"),
    ):
        if known and asked[field] is not None and asked[field] not in known:
            near = get_close_matches(asked[field], known, n=1)
            hint = f"write `{near[0]}`" if near else f"choose one of {', '.join(known)}, or add it in site.yaml"
            fact = f"{field} `{asked[field]}` is none of the site's `{key}`"
            yield Problem(fact, f"resources.{field}", hint=hint)
    chosen = next((each for each in site.partitions if each.name == asked["partition"]), None)
    if chosen is not None:
        yield from _too_long(resources, chosen, times=times)
        yield from _unfit(resources, chosen, kind=asked["gpu_type"])


def _too_long(resources: Resources, chosen: Partition, *, times: Sequence[str]) -> Iterator[Problem]:
    for field in times:
        wanted = getattr(resources, field)
        if chosen.max_time is not None and seconds_of(wanted) > seconds_of(chosen.max_time):
            fact = f"`{wanted}` is longer than partition `{chosen.name}` allows, `{chosen.max_time}`"
            yield Problem(fact, f"resources.{field}", hint="shorten it, or name another partition")


def _unfit(resources: Resources, chosen: Partition, *, kind: str | None) -> Iterator[Problem]:
    """Yield what one partition does not give: so many GPUs, or of that kind."""
    if not resources.gpus or not chosen.gpus:
        return
    fitting = [each for each in chosen.gpus if kind is None or each.type == kind]
    if not fitting:
        kinds = ", ".join(each.type for each in chosen.gpus if each.type) or "none by name"
        fact = f"partition `{chosen.name}` has no GPU of type `{kind}`; its types are {kinds}"
        yield Problem(fact, "resources.gpu_type", hint="name one of these, or another partition")
    elif resources.gpus > max(each.count for each in fitting):
        most = max(each.count for each in fitting)
        fact = f"a node of partition `{chosen.name}` has {most} GPUs, and `{resources.gpus}` are asked for on each"
        yield Problem(fact, "resources.gpus", hint="ask for fewer on more `nodes`, or name another partition")
