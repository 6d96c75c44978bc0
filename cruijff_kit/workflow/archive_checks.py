"""Checks before an experiment is put away: its jobs have ended, and it may go where it is to go."""

from pathlib import Path, PurePosixPath

from cruijff_kit.data.tiers import TIERS, strictest
from cruijff_kit.errors import PlanError, Problem, SiteError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.archive import ArchiveMark, ArchivePreview
from cruijff_kit.schema.data import Tier
from cruijff_kit.schema.layout import ArchiveLayout, ExperimentLayout
from cruijff_kit.schema.run import Phase
from cruijff_kit.workflow.archive_mark import project_of
from cruijff_kit.workflow.disk import take_stock
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.roots import refuse_writing, roots_of
from cruijff_kit.workflow.seal import read_lock, recorded_plan
from cruijff_kit.workflow.standing import read_status
from cruijff_kit.workflow.surroundings import vault_of
from cruijff_kit.workflow.tiers import design_tier, marks_of, plan_tier

__all__ = ["experiment_tier", "outside_places", "refuse_freer", "refuse_short", "refuse_unfit"]

_UNSETTLED = (Phase.INTENDED, Phase.WAITING, Phase.PENDING, Phase.RUNNING, Phase.UNKNOWN)
_SHOWN = 8
_ROOM = 50_000_000
"""Bytes that stay free where an archive is written."""


def outside_places(world: World) -> dict[str, str]:
    """Return where the archive keeps each output directory that lies outside the experiment."""
    inside = f"{world.store.root}/"
    outside = dict.fromkeys(item.folder for item in take_stock(world=world) if item.run_id)
    return {
        ArchiveLayout.outside(PurePosixPath(folder).name): folder for folder in outside if not folder.startswith(inside)
    }


def refuse_unfit(place: str, mark: ArchiveMark | None, *, world: World) -> None:
    """Refuse what cannot be put away, or not there.

    Raises:
        PlanError: there is no experiment, a job of it has not ended, or it may not go there.
        SiteError: something lies there already, or what is to go cannot be read.
    """
    vault, root = vault_of(world), world.store.root
    if world.store.read(ExperimentLayout.summary) is None:
        hint = "name its directory with `ck -C DIR archive`"
        raise PlanError(f"`{root}` is no experiment: it holds no `{ExperimentLayout.summary}`", hint=hint)
    if world.store.read(ExperimentLayout.archived) is not None:
        raise PlanError(f"`{root}` is an archive already", hint=f"`ck -C {root.name} unarchive` brings it back")
    _refuse_unfinished(world)
    own = (str(root), *outside_places(world).values())
    if any(Path(place).is_relative_to(each) or Path(each).is_relative_to(place) for each in own):
        raise PlanError(f"`{place}` lies in the experiment itself", hint="name a directory outside with `--to DIR`")
    around = PurePosixPath(place).parent
    if vault.read(str(around), ExperimentLayout.summary) is not None:
        raise PlanError(f"`{around}` is an experiment", hint="name a directory that is none with `--to DIR`")
    if vault.survey(place) is not None and mark is None:
        raise SiteError(f"`{place}` is there already", hint="move it away, or name another directory with `--to DIR`")
    taken = vault.survey(f"{root}/{ExperimentLayout.elsewhere}")
    if taken is not None and outside_places(world):
        fact = f"`{ExperimentLayout.elsewhere}` in the experiment is where the archive keeps what lies outside"
        raise PlanError(fact, hint="rename that folder")
    refuse_freer(place, world=world)
    for each in own[1:]:
        # What lies there is removed in the end.
        refuse_writing(each, world)
    vault.survey(str(root))


def _refuse_unfinished(world: World) -> None:
    """Refuse to move an experiment under the feet of its jobs."""
    if read_lock(world) is None:
        return
    living = [entry for entry in read_status(world=world).steps if entry.phase in _UNSETTLED]
    if living:
        problems = [
            Problem(f"the {entry.step.value} job of `{entry.run_id}` is {entry.phase.value}")
            for entry in living[:_SHOWN]
        ]
        hint = "`ck watch` follows them to their end; `ck cancel --reason …` stops them"
        raise PlanError(f"{len(living)} jobs have not ended, as far as is known", hint=hint, problems=problems)


def refuse_freer(place: str, *, world: World) -> None:
    """Refuse a place that the roots do not allow, or where the data would be kept less closely.

    Raises:
        PlanError: it is such a place.
    """
    tier = experiment_tier(world)
    refuse_writing(place, world)
    project = Path(project_of(world))
    outside = not Path(place).is_relative_to(project)
    bases = roots_of(world.site, root=project).writable
    if outside and tier == "red" and not any(Path(place).is_relative_to(base) for base in bases):
        hint = "leave out `--to`, or name a directory below the project or the site's `output_dir_base`"
        raise PlanError(f"the data is red, and `{place}` lies outside the project", hint=hint)
    said = marks_of(Path(place), root=world.store.root)
    # What is said of the whole project was said before, and of the experiment where it lies now.
    here = marks_of(world.store.root / ExperimentLayout.summary, root=world.store.root)
    if said and said != here and TIERS.index(strictest(said)) < TIERS.index(tier):
        raise PlanError(
            f"the data is {tier}, and `{place}` is for {strictest(said)} data",
            hint=f"name a directory for {tier} data with `--to DIR`, or none",
        )


def experiment_tier(world: World) -> Tier:
    """Return how freely an experiment's contents may be shown; red where that cannot be read."""
    said: list[Tier] = []
    try:
        said.append(design_tier(read_design(world), world))
        if read_lock(world) is not None:
            said.append(plan_tier(recorded_plan(world=world)[0], world))
    except (PlanError, SpecError):
        return "red"
    return strictest(said)


def refuse_short(preview: ArchivePreview, *, copied: int = 0) -> None:
    """Refuse a copy for which there is no room.

    Args:
        preview: what is to be copied.
        copied: bytes that lie there already.

    Raises:
        SiteError: there is none.
    """
    left = max(0, preview.bytes - copied)
    if left + _ROOM > preview.free:
        fact = f"the copy takes {left / 1e9:.3g} GB, and {preview.free / 1e9:.3g} GB are free at"
        hint = "`--drop-merged` and `--drop-caches` leave out what can be made again; `--to DIR` names another disk"
        raise SiteError(f"{fact} `{preview.archive}`", hint=hint)
