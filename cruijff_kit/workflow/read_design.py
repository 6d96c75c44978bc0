"""Read the design that an experiment directory holds."""

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["read_design"]


def read_design(world: World) -> ExperimentSpec:
    """Return the design in `experiment_summary.md`."""
    text = world.store.read_text(ExperimentLayout.summary)
    if text is None:
        raise PlanError("there is no design here", hint="write one with `ck design write FILE`")
    front = text.split("---\n")[1]
    return ExperimentSpec.model_validate(load_yaml(front, name=ExperimentLayout.summary).value)
