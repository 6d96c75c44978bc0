"""Site: what this machine's settings are, what they could be, and whether they will do."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cruijff_kit import __version__
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import CruijffError, SiteError
from cruijff_kit.planning.login_traits import login_traits
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.planning.site_proposal import propose_settings, script_notes
from cruijff_kit.planning.site_traits import cluster_traits, folder_trait, machine_traits, python_traits
from cruijff_kit.ports import SiteFiles, SiteProbe, World
from cruijff_kit.rendering.sbatch import JobScript, render_script
from cruijff_kit.rendering.site_text import with_settings
from cruijff_kit.schema.site_facts import SiteFindings, SiteProposal, SiteReport, SiteTrait
from cruijff_kit.schema.site_reading import SiteLevel, SiteReading, SiteWriting
from cruijff_kit.workflow.changes import diff_of
from cruijff_kit.workflow.run_files import equipped, interpreter
from cruijff_kit.workflow.seal import recorded_plan

__all__ = ["check_site", "list_sites", "propose_site", "show_site", "write_site"]

_PREFLIGHT = "cruijff_kit.runtime.preflight"
_LONGEST = 300.0


def show_site(*, world: World) -> SiteReading:
    """Return every setting of this machine with the file and line that says it.

    Raises:
        SpecError: a site file has unknown keys or values; all problems at once.
    """
    return read_sites(_sites(world).files())


def list_sites(*, world: World) -> tuple[str, ...]:
    """Return the names of the sites that have a file of their own; never writes."""
    return _sites(world).names()


def propose_site(*, script: str | None = None, login_host: str | None = None, world: World) -> SiteFindings:
    """Return the settings that were found on the machine, on its cluster and in an old job script; never writes.

    Args:
        script: path of a job script written for this cluster.
        login_host: the host that the probe looks at, to be proposed too.
        world: the surroundings.

    Raises:
        SiteError: the script cannot be read.
    """
    probe = _probe(world)
    old = probe.old_script(script) if script is not None else None
    machine, cluster = probe.machine(), probe.cluster()
    notes = tuple(script_notes(cluster, old)) if old is not None else ()
    proposals = tuple(propose_settings(machine, cluster, old=old))
    if login_host is not None:
        source, question = "`--login-host`", "Which host of the cluster does `ssh` reach?"
        host = SiteProposal(key="login_host", value=json.dumps(login_host), source=source, question=question)
        proposals = (proposals[0], host, *proposals[1:])
    return SiteFindings(proposals=proposals, notes=notes)


def write_site(
    settings: Mapping[str, str], *, level: SiteLevel = "user", dry_run: bool = False, world: World
) -> SiteWriting:
    """Put settings into a site file; whatever else it says stays as it is.

    Args:
        settings: top-level keys of the file to their values, as YAML on one line.
        level: `user` for your own file, `project` for the one beside the experiments.
        dry_run: return the text and the diff, and write nothing.
        world: the surroundings.

    Raises:
        SpecError: the file would not be valid; all problems at once, and nothing is written.
    """
    files = _sites(world).files()
    file = next(each for each in reversed(files) if each.level == level)
    values = {key: load_yaml(value, name=f"the value of `{key}`").value for key, value in settings.items()}
    text = with_settings(file.text, values)
    read_sites([each.model_copy(update={"text": text}) if each is file else each for each in files])
    changed = text != file.text
    diff = diff_of(file.path, (file.text or "").encode(), planned=text.encode()) if changed else ""
    if changed and not dry_run:
        _sites(world).write(level, text)
    return SiteWriting(path=file.path, text=text, diff=diff, written=changed and not dry_run)


def check_site(*, world: World) -> SiteReport:
    """Try everything that jobs need of this machine, and say how to mend what fails; nothing is kept.

    Raises:
        SpecError: a site file has unknown keys or values; all problems at once.
    """
    site = show_site(world=world).site
    world = world._replace(site=site)
    return SiteReport(scheduler=site.scheduler, traits=tuple(_traits(world)))


def _traits(world: World) -> Iterator[SiteTrait]:
    site, probe = world.site, _probe(world)
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
    yield from _python_traits(world)


def _python_traits(world: World) -> Iterator[SiteTrait]:
    """Yield what the lines that every job runs come to in a shell as bare as a job's."""
    models, data, told = _inputs(world)
    words = (
        word for option, paths in (("--model", models), ("--data", data)) for path in paths for word in (option, path)
    )
    environment = world.site.environment
    job = JobScript(
        name="ck-site-check",
        folder="/",
        time="00:05:00",
        cpus=1,
        command=(interpreter(environment), "-m", _PREFLIGHT, *words),
        modules=environment.modules,
        venv=environment.name if environment.kind == "venv" else None,
        conda=environment.name if environment.kind == "conda" else None,
    )
    fresh = environment.kind != "none"
    answer = _probe(world).run_script(render_script(equipped(job, world.site)), fresh=fresh, seconds=_LONGEST)
    fault = next(reversed(answer.errors.strip().splitlines()), f"exit code {answer.code}")
    yield from python_traits(_printed(answer.output) if answer.code == 0 else None, fault=fault, version=__version__)
    if told:
        yield SiteTrait(name="inputs", ok=None, found=told)


def _printed(output: str) -> dict[str, Any] | None:
    """Return what the preflight printed last: what is activated may print lines of its own before."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return None


def _inputs(world: World) -> tuple[list[str], list[str], str]:
    """Return models and data that the jobs of the sealed plan read, or why there are none to try."""
    try:
        plan, _ = recorded_plan(world=world)
    except CruijffError as err:
        return [], [], f"not tried: {str(err).partition(chr(10))[0]}"
    models = dict.fromkeys(run.model_path for run in plan.runs)
    data = dict.fromkeys(str(Path(world.store.root) / facts.path) for facts in plan.datasets)
    return list(models), list(data), ""


def _sites(world: World) -> SiteFiles:
    if world.sites is None:
        raise SiteError("this world has no site files", hint="use `ck site` at a terminal")
    return world.sites


def _probe(world: World) -> SiteProbe:
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint="use `ck site` at a terminal")
    return world.probe
