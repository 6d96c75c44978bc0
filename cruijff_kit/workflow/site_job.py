"""Site job: one short job that tells what a node sees of this machine's interpreter, folders, locks and clock."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cruijff_kit.errors import CruijffError, SiteError
from cruijff_kit.planning.node_traits import Expected, node_traits
from cruijff_kit.ports import Progress, Shelf, SiteProbe, World
from cruijff_kit.rendering.sbatch import render_script
from cruijff_kit.runtime import inventory
from cruijff_kit.schema.job import JobReport, JobRequest, JobState
from cruijff_kit.schema.site import Site
from cruijff_kit.schema.site_facts import SiteReport, SiteTrait
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.site import show_site
from cruijff_kit.workflow.site_env import environment_job, own_code

__all__ = ["check_nodes"]

_SHOWN_LINES = 3
_SETTLING = 15.0


class _Errand(NamedTuple):
    """The job, and where it lies."""

    folder: str
    """Folder of the experiment that holds it, relative."""
    place: Path
    """The same, absolute."""
    request: JobRequest
    """What the scheduler is given."""
    expected: Expected
    """What it should find."""


def check_nodes(
    *, limit: float = 600.0, poll: float = 1.0, progress: Progress | None = None, world: World
) -> SiteReport:
    """Submit one short job, wait for it, and say what a node can do of what jobs need; nothing of it is kept.

    The job is cancelled where the wait is given up, by the limit or by an interrupt.

    Args:
        limit: longest wait in seconds.
        poll: seconds between looks.
        progress: called at each look with seconds waited, the limit, and what the scheduler says.
        world: the experiment and its surroundings.

    Raises:
        SiteError: the experiment's directory is not there.
        SchedulerError: the scheduler does not take the job.
    """
    site = show_site(world=world).site
    world = world._replace(site=site)
    if not world.store.root.is_dir():
        raise SiteError(f"`{world.store.root}` is not there", hint="name an experiment with `ck -C DIR`, or make it")
    errand = _prepared(site, world)
    try:
        traits = tuple(_asked(errand, limit=limit, poll=poll, progress=progress, world=world))
    finally:
        shelf, root = _shelf(world), str(world.store.root)
        left = shelf.files(str(errand.place))
        shelf.remove(root, [f"{errand.folder}/{name}" for name in left])
    return SiteReport(scheduler=site.scheduler, traits=traits)


def _prepared(site: Site, world: World) -> _Errand:
    """Write the job, what it is asked and what it must find, into a folder of its own."""
    mark = hashlib.sha256(f"{world.store.root} {world.clock.now().isoformat()}".encode()).hexdigest()
    folder = f".ck-site-{mark[:8]}"
    place = world.store.root / folder
    program = place / "inventory.py"
    chosen = next((each for each in site.partitions if each.name == site.partition), None)
    gpus = 1 if (chosen and chosen.gpus) or (site.gpu_type and not site.partitions) else 0
    job = environment_job(world, str(program), str(place / "request.json"))._replace(
        name="ck-site-check",
        folder=str(place),
        gpus=gpus,
        gpu_type=site.gpu_type if gpus else None,
        partition=site.partition,
        account=(chosen.account if chosen else None) or site.account,
        qos=(chosen.qos if chosen else None) or site.qos,
        constraint=site.constraint,
    )
    expected = Expected(
        code=own_code(),
        probe=hashlib.sha256(mark.encode()).hexdigest(),
        skew=_probe(world).folder(str(world.store.root)).skew or 0.0,
        folders=_folders(site, world),
        reads=_reads(site, world),
        gpus=gpus,
    )
    asked = {
        "probe": str(place / "probe.txt"),
        "claim": str(place / "claim"),
        "report": str(place / "report.json"),
        "folders": list(expected.folders.values()),
        "reads": list(expected.reads.values()),
    }
    files = {
        "inventory.py": Path(inventory.__file__).read_text(encoding="utf-8"),
        "request.json": json.dumps(asked),
        "probe.txt": mark,
        "claim": mark,
        "job.slurm": render_script(job),
    }
    for name, text in files.items():
        world.store.write(f"{folder}/{name}", text)
    request = JobRequest(
        script=str(place / "job.slurm"), tag=f"ck-site-{mark[:16]}", name="ck-site-check", chdir=str(place)
    )
    return _Errand(folder, place, request, expected)


def _asked(
    errand: _Errand, *, limit: float, poll: float, progress: Progress | None, world: World
) -> Iterator[SiteTrait]:
    """Submit the job, wait for its end, and yield what it told."""
    world.scheduler.revive()
    job_id = world.scheduler.submit(errand.request)
    tags = {job_id: errand.request.tag}
    begun = world.clock.monotonic()
    report = JobReport(job_id=job_id, state=JobState.UNKNOWN)
    try:
        while not report.state.ended and world.clock.monotonic() - begun < limit:
            report = world.scheduler.reports([job_id], tags=tags)[job_id]
            waited = world.clock.monotonic() - begun
            if progress is not None:
                progress(int(waited), int(limit), _stand(report))
            if not report.state.ended:
                world.clock.sleep(poll)
    finally:
        if not report.state.ended:
            world.scheduler.cancel([job_id], tags=tags)
    found = _told(errand, world=world)
    waited = world.clock.monotonic() - begun
    yield _job_trait(errand, report, found=found, waited=waited, world=world)
    if found is not None:
        yield from node_traits(found, errand.expected)


def _told(errand: _Errand, *, world: World) -> dict[str, Any] | None:
    """Return what the job wrote; a file system may show it some seconds late."""
    end = world.clock.monotonic() + _SETTLING
    while True:
        text = world.store.read_text(f"{errand.folder}/report.json")
        if text is not None:
            return json.loads(text)
        if world.clock.monotonic() >= end:
            return None
        world.clock.sleep(0.5)


def _job_trait(
    errand: _Errand, report: JobReport, *, found: dict[str, Any] | None, waited: float, world: World
) -> SiteTrait:
    """Return how the job went."""
    if found is not None:
        return SiteTrait(
            name="job", ok=True, found=f"job {report.job_id} told on `{found['host']}` after {waited:.0f} s"
        )
    said = world.store.tail(f"{errand.folder}/slurm-{report.job_id}.out", _SHOWN_LINES)
    if not report.state.ended:
        hint = "see what it waits for with `squeue --start`, or name another partition; `--limit` waits longer"
        return SiteTrait(name="job", ok=False, found=f"{_stand(report)} after {waited:.0f} s; cancelled", hint=hint)
    fact = f"job {report.job_id} ended as {_stand(report)} and told nothing"
    if said:
        hint = "mend `environment` in site.yaml; `ck site check` runs the same lines here"
        return SiteTrait(name="job", ok=False, found=f"{fact}; it said: {' / '.join(said)}", hint=hint)
    hint = "name an experiment directory on a file system that compute nodes mount"
    return SiteTrait(name="job", ok=False, found=f"{fact}: a node may not see `{errand.place.parent}`", hint=hint)


def _stand(report: JobReport) -> str:
    reason = f" ({report.reason})" if report.reason else ""
    return f"{report.state.value}{reason}"


def _folders(site: Site, world: World) -> dict[str, str]:
    """Return the directories that jobs write to, by setting."""
    named = {"output_dir_base": site.output_dir_base, "scratch_dir": site.scratch_dir}
    others = {name: str(world.store.root / path) for name, path in named.items() if path is not None}
    return {"experiment": str(world.store.root), **others}


def _reads(site: Site, world: World) -> dict[str, str]:
    """Return what jobs read: the models directory, and the inputs of a sealed plan."""
    found = {"models_dir": site.models_dir} if site.models_dir is not None else {}
    try:
        plan, _ = recorded_plan(world=world)
    except CruijffError:
        return found
    models = {f"model {run.model.name}": run.model_path for run in plan.runs if run.model_path}
    data = {f"data {facts.key}": str(world.store.root / facts.path) for facts in plan.datasets}
    return {**found, **models, **data}


def _shelf(world: World) -> Shelf:
    if world.shelf is None:
        raise SiteError("this world looks at no directories", hint="use `ck site check --job` at a terminal")
    return world.shelf


def _probe(world: World) -> SiteProbe:
    if world.probe is None:
        raise SiteError("this world looks at no machine", hint="use `ck site check --job` at a terminal")
    return world.probe
