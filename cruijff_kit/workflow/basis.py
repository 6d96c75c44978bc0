"""What estimates of a design rest on, as this machine and its project have it."""

from collections.abc import Sequence

from cruijff_kit.planning.estimates import Basis
from cruijff_kit.planning.registry import find_entry, known_models
from cruijff_kit.ports import World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.site import ModelFacts
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.plan import Planned
from cruijff_kit.workflow.prior_runs import search_prior_runs
from cruijff_kit.workflow.row_lengths import measure_rows

__all__ = ["basis_of", "gpu_limit"]


def basis_of(
    spec: ExperimentSpec, planned: Planned, *, runs: Sequence[PlannedRun] | None = None, world: World
) -> Basis:
    """Return what estimates of a design rest on: models, rows as tokens, speeds of earlier runs."""
    models = {facts.sha256 for facts in planned.models.values()}
    prior = search_prior_runs(models, world=world)
    return Basis(
        models=planned.models,
        resources=spec.resources,
        lengths=measure_rows(spec, planned, runs=runs, world=world),
        measured=prior.measured,
        searched=prior.experiments,
    )


def gpu_limit(run: PlannedRun, facts: ModelFacts, *, world: World) -> str | None:
    """Return the memory of a GPU that the registry has for a run's model."""
    names = (facts.repo, run.model.name, facts.path.rpartition("/")[2])
    entry = find_entry(known_models(world.site), *names)
    return entry.min_gpu_memory if entry is not None else None
