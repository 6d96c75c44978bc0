"""Site: what this machine's settings are, and what they could be."""

import json
from collections.abc import Mapping

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import SiteError
from cruijff_kit.planning.site_parse import read_sites
from cruijff_kit.planning.site_proposal import propose_settings, script_notes
from cruijff_kit.ports import SiteFiles, SiteProbe, World
from cruijff_kit.rendering.site_text import with_settings
from cruijff_kit.schema.site_facts import SiteFindings, SiteProposal
from cruijff_kit.schema.site_reading import SiteLevel, SiteReading, SiteWriting
from cruijff_kit.workflow.changes import diff_of

__all__ = ["list_sites", "propose_site", "show_site", "write_site"]


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


def _sites(world: World) -> SiteFiles:
    if world.sites is None:
        raise SiteError("this world has no site files", hint="use `ck site` at a terminal")
    return world.sites


def _probe(world: World) -> SiteProbe:
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint="use `ck site` at a terminal")
    return world.probe
