"""Chooses the adapters for a site; the only file that knows both sides."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cruijff_kit.adapters.site_file import DiskSiteFiles
    from cruijff_kit.ports import ClientFiles, Dialogue, Mirror, Scheduler, SiteProbe, Tracking, World
    from cruijff_kit.sanity_checks.bench import Begun, Bench
    from cruijff_kit.schema.audit import Actor
    from cruijff_kit.schema.site import Site
    from cruijff_kit.workflow.frames import ResultFrames

__all__ = [
    "Begun",
    "Bench",
    "Dialogue",
    "Mirror",
    "World",
    "load_results",
    "open_archive",
    "open_clients",
    "open_local",
    "open_mirror",
    "open_probe",
    "open_sanity",
    "open_site",
    "open_tracking",
    "open_world",
]


def open_world(
    experiment: Path,
    *,
    root: Path,
    kind: Literal["human", "assistant"],
    name: str,
    client: str | None,
    site: str | None = None,
) -> "World":
    """Return the world of one experiment directory; nothing is written by opening it.

    Args:
        experiment: the experiment directory, which need not exist yet.
        root: project root, in which `site.yaml` is looked for.
        kind: whether a person or an assistant acts.
        name: login name of the person, or tool the assistant calls.
        client: program that speaks for the actor, with its version.
        site: which of several sites; the one that the experiment remembers where None.

    Raises:
        SiteError: the experiment lies on another machine or is archived, or there is no such site.
    """
    from cruijff_kit.adapters.archive_place import project_around, refuse_archived
    from cruijff_kit.adapters.mirror import refuse_mirror
    from cruijff_kit.adapters.site_file import chosen_site
    from cruijff_kit.schema.audit import Actor

    sites = chosen_site(experiment, root=project_around(experiment) or root, name=site)
    settings = sites.read().site
    refuse_mirror(experiment, settings)
    refuse_archived(experiment)
    return _world(experiment, sites=sites, site=settings, actor=Actor(kind=kind, name=name, client=client))


def load_results(experiment: str | Path) -> "ResultFrames":
    """Return what was collected of an experiment as pandas tables; nothing is written, and every file is hash-checked.

    `results`: one row per run, task, epoch and metric.
        `run`, `type` (fine-tuned or control), `model`, `seed`, `task` (`training` for losses), `epoch` (from 0; missing
        for a base model), `metric` (a scorer, `<scorer>/<figure>`, `train_loss` or `val_loss`), `value` (a share in
        [0, 1] for a scorer; losses in nats per supervised token), `n` (samples, errored and unparsed ones included),
        `successes` (samples counted as right), `reason` (why a value is missing), `source` and `source_sha256` (the
        file it was read from), and `factor_<name>` for each factor.
    `predictions`: one row per sample and evaluated model.
        `sample_id`, `run`, `epoch`, `task`, `split`, `target`, `options`, `option_logprobs` (natural logarithms),
        `option_mass` (probability, before normalising), `prediction`, `correct`, `confidence` (probability of the
        answer given), `abstain`, `parse_ok`, `number`, `rationale`, `reason`, `error`, `completion`,
        `prompt_token_sha256`, `checkpoint_sha256`, `source`, and `group_<column>` for each group column.
    `metrics`: one row per logged step of each training.
        `run`, `step` (from 1), `epoch` (from 0), `loss` and `val_loss` (nats per supervised token), `lr`, `tokens` and
        `supervised_tokens` (since the start), `tokens_per_second`, `grad_norm`, `peak_memory_bytes`, what was watched
        of calibration, `seed`, `factor_<name>`, and `custom_<name>` for each custom metric.
    `runs`: one row per planned run.
        `run`, `type`, `model`, `model_sha256`, `dataset`, `dataset_sha256`, `seed`, `total_steps` (optimiser steps),
        `factor_<name>`, and `control_<name>` for every control.
    `hashes`: file to SHA-256. `withheld`: of data that may not be shown, texts are missing and sample ids are hashes.

    Args:
        experiment: its directory.

    Raises:
        PlanError: it is no experiment, or its record is damaged.
        ResultError: nothing was collected, or a file is not what was collected; lists them all.
        SiteError: pandas or pyarrow is not installed, or the experiment lies on another machine.
    """
    from cruijff_kit.workflow.frames import frame_results

    folder = Path(experiment).resolve()
    world = open_world(folder, root=folder.parent, kind="human", name="reader", client="load_results")
    return frame_results(world=world)


def open_archive(
    experiment: Path,
    *,
    root: Path,
    name: str,
    site: str | None = None,
    kind: Literal["human", "assistant"] = "human",
    client: str | None = "ck",
) -> "World":
    """Return the world of an experiment that is put away or brought back, wherever it lies at the moment.

    Args:
        experiment: the directory it has, or had, in its project.
        root: project root.
        name: login name of the person, or tool the assistant calls.
        site: which of several sites; the one that the experiment remembers where None.
        kind: whether a person or an assistant acts.
        client: program that speaks for the actor, with its version.
    """
    from cruijff_kit.adapters.archive_place import place_of
    from cruijff_kit.adapters.mirror import refuse_mirror
    from cruijff_kit.adapters.site_file import chosen_site
    from cruijff_kit.schema.audit import Actor

    lies = experiment if experiment.exists() else place_of(experiment) or experiment
    sites = chosen_site(lies, root=root, name=site)
    settings = sites.read().site
    refuse_mirror(experiment, settings)
    return _world(experiment, sites=sites, site=settings, actor=Actor(kind=kind, name=name, client=client))


def open_site(experiment: Path, *, root: Path, site: str | None = None, new: bool = False) -> "World":
    """Return the world of whoever looks at a site or sets it up: also of one where experiments lie elsewhere.

    Args:
        experiment: the experiment directory, which need not exist.
        root: project root.
        site: which of several sites.
        new: whether it may be one that no file tells of yet.
    """
    from cruijff_kit.adapters.site_file import chosen_site
    from cruijff_kit.planning.site_parse import read_sites
    from cruijff_kit.schema.audit import Actor

    sites = chosen_site(experiment, root=root, name=site)
    settings = (read_sites(sites.files()) if new else sites.read()).site
    return _world(experiment, sites=sites, site=settings, actor=Actor(kind="human", name="site", client="ck"))


def open_local(experiment: Path, *, root: Path, name: str, site: str | None = None) -> "World":
    """Return the world of an experiment whose jobs run on this machine, whatever cluster the settings tell of.

    Args:
        experiment: the experiment directory, which need not exist yet.
        root: project root.
        name: login name of the person.
        site: which of several sites; one whose jobs run elsewhere gives way to `local`.
    """
    from cruijff_kit.adapters.site_file import DiskSiteFiles, chosen_site
    from cruijff_kit.planning.local_site import LOCAL, is_here
    from cruijff_kit.schema.audit import Actor

    sites = chosen_site(experiment, root=root, name=site)
    if not is_here(sites.read().site):
        sites = DiskSiteFiles(root, LOCAL)
    # A job that starts at once and here tells by itself what it cannot read, and need not be asked before.
    settings = sites.read().site.model_copy(update={"prove_inputs": False})
    return _world(experiment, sites=sites, site=settings, actor=Actor(kind="human", name=name, client="ck"))


def open_mirror(experiment: Path, *, root: Path, site: str | None = None) -> "Mirror | None":
    """Return an experiment that lies on a login host; None where its site has its experiments here."""
    from cruijff_kit.adapters.audit_log import DiskAuditLog
    from cruijff_kit.adapters.clock import SystemClock
    from cruijff_kit.adapters.mirror import SshHome
    from cruijff_kit.adapters.run_store import DiskRunStore
    from cruijff_kit.adapters.site_file import chosen_site
    from cruijff_kit.ports import Mirror

    sites = chosen_site(experiment, root=root, name=site)
    settings = sites.read().site
    if settings.remote is None:
        return None
    home = SshHome(experiment, root=root, site=settings, name=sites.name)
    clock = SystemClock()
    return Mirror(
        home, DiskRunStore(experiment), DiskAuditLog(experiment, clock=clock), DiskAuditLog(root, clock=clock)
    )


def open_probe(host: str | None = None) -> "SiteProbe":
    """Return what looks at this machine, or at the cluster behind a login host."""
    from cruijff_kit.adapters.login_probe import LoginProbe
    from cruijff_kit.adapters.site_probe import MachineProbe

    return MachineProbe() if host is None else LoginProbe(host)


def open_sanity(root: Path, *, name: str, here: bool, site: str | None = None) -> "Bench":
    """Return a project in which sanity checks are made.

    Args:
        root: the project directory.
        name: login name of the person.
        here: whether jobs run on this machine, whatever cluster the settings tell of.
        site: which of several sites.
    """
    from cruijff_kit.sanity_checks.bench import Bench

    def enter(experiment: Path) -> "World":
        if here:
            return open_local(experiment, root=root, name=name, site=site)
        return open_world(experiment, root=root, kind="human", name=name, client="ck", site=site)

    return Bench(root, enter)


def open_tracking() -> "Tracking":
    """Return the tracking service that trainings keep offline runs for."""
    from cruijff_kit.adapters.tracking import WandbRuns

    return WandbRuns()


def open_clients(project: Path) -> "ClientFiles":
    """Return the assistants' configuration files of a project and of the user."""
    from cruijff_kit.adapters.client_files import DiskClientFiles

    return DiskClientFiles(project)


def _world(experiment: Path, *, sites: "DiskSiteFiles", site: "Site", actor: "Actor") -> "World":
    from cruijff_kit.adapters.audit_log import DiskAuditLog
    from cruijff_kit.adapters.clock import SystemClock
    from cruijff_kit.adapters.embedder import LocalEmbedder
    from cruijff_kit.adapters.environments import DiskEnvironments
    from cruijff_kit.adapters.eval_logs import InspectLogs
    from cruijff_kit.adapters.library import DiskLibrary
    from cruijff_kit.adapters.lora_adapters import LocalAdapters
    from cruijff_kit.adapters.model_hub import LocalHub
    from cruijff_kit.adapters.optuna_sampler import OptunaSampler
    from cruijff_kit.adapters.probe import StepProber
    from cruijff_kit.adapters.run_store import DiskRunStore
    from cruijff_kit.adapters.serving import LocalServing
    from cruijff_kit.adapters.shelf import DiskShelf
    from cruijff_kit.adapters.vault import DiskVault
    from cruijff_kit.ports import World
    from cruijff_kit.workflow.safety import secrets_of

    clock = SystemClock()
    return World(
        store=DiskRunStore(experiment),
        audit=DiskAuditLog(experiment, clock=clock),
        scheduler=_scheduler(site),
        clock=clock,
        hub=LocalHub(models_dir=site.models_dir),
        adapters=LocalAdapters(),
        evaluations=InspectLogs(),
        site=site,
        actor=actor,
        prober=StepProber(),
        embedder=LocalEmbedder(),
        sites=sites,
        probe=open_probe(site.login_host),
        environments=DiskEnvironments(),
        shelf=DiskShelf(),
        library=DiskLibrary(),
        settings=lambda: sites.read().site,
        site_name=sites.name,
        secrets=secrets_of(os.environ),
        serving=LocalServing(),
        proposer=OptunaSampler(),
        vault=DiskVault(clock),
    )


def _scheduler(site: "Site") -> "Scheduler":
    from cruijff_kit.adapters.local import LocalScheduler
    from cruijff_kit.adapters.login_host import LoginHost
    from cruijff_kit.adapters.slurm import SlurmScheduler
    from cruijff_kit.adapters.state_dir import state_dir

    if site.scheduler != "slurm":
        return LocalScheduler(state_dir() / "queue", site=site)
    return SlurmScheduler(None if site.login_host is None else LoginHost(site.login_host))
