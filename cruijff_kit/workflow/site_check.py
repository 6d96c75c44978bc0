"""Site check: whether this machine, its cluster and the jobs' Python will do, tried from here."""

from collections.abc import Iterator

from cruijff_kit import __version__
from cruijff_kit.errors import CruijffError
from cruijff_kit.planning.login_traits import login_traits
from cruijff_kit.planning.site_traits import cluster_traits, folder_trait, input_traits, machine_traits, python_traits
from cruijff_kit.ports import World
from cruijff_kit.schema.site_facts import SiteReport, SiteTrait
from cruijff_kit.workflow.preflight import JobInput, planned_inputs, try_inputs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.site import show_site
from cruijff_kit.workflow.site_env import environment_traits
from cruijff_kit.workflow.surroundings import probe_of

__all__ = ["check_site"]


def check_site(*, world: World) -> SiteReport:
    """Try everything that jobs need of this machine, and say how to mend what fails; nothing is kept.

    Raises:
        SpecError: a site file has unknown keys or values; all problems at once.
    """
    site = show_site(world=world).site
    world = world._replace(site=site)
    return SiteReport(scheduler=site.scheduler, traits=tuple(_traits(world)))


def _traits(world: World) -> Iterator[SiteTrait]:
    site, probe = world.site, probe_of(world)
    # An experiment that is not there yet will lie beside the others.
    root = world.store.root if world.store.root.is_dir() else world.store.root.parent
    login = probe.login(site.remote, folder=str(root)) if site.login_host is not None else None
    if login is not None:
        yield from login_traits(login, version=__version__)
        if login.fault or site.remote is not None:
            # Where experiments lie there, a check there tries the rest: its files, its cluster, its Python.
            return
    yield from machine_traits(site, probe.machine())
    yield from cluster_traits(site, probe.cluster())
    yield folder_trait("experiment", probe.folder(str(root)))
    for name in ("output_dir_base", "scratch_dir"):
        path = getattr(site, name)
        if path is not None:
            yield folder_trait(name, probe.folder(str(root / path)))
    if site.models_dir is not None:
        yield folder_trait("models_dir", probe.folder(site.models_dir), reads_only=True)
    for path in site.data_dirs:
        yield folder_trait("data_dirs", probe.folder(str(root.parent / path)), reads_only=True)
    yield from _python_traits(world)


def _python_traits(world: World) -> Iterator[SiteTrait]:
    """Yield what the lines that every job runs come to in a shell as bare as a job's."""
    inputs, told = _inputs(world)
    answer = try_inputs(inputs, world=world)
    yield from python_traits(answer.found, fault=answer.fault, version=answer.version)
    yield from input_traits(answer.found)
    if told:
        yield SiteTrait(name="inputs", ok=None, found=told)
    if world.environments is not None:
        yield from environment_traits(sight=False, world=world)


def _inputs(world: World) -> tuple[tuple[JobInput, ...], str]:
    """Return what the jobs of the sealed plan read, or why there is nothing to try."""
    try:
        plan, _ = recorded_plan(world=world)
    except CruijffError as err:
        return (), f"not tried: {str(err).partition(chr(10))[0]}"
    return planned_inputs(plan.runs, plan, world=world), ""
