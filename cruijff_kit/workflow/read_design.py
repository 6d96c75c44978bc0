"""Read the design that an experiment directory holds."""

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.planning.spec_parse import parse_spec
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import parse_summary
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["read_design"]


def read_design(world: World) -> ExperimentSpec:
    """Return the design in `experiment_summary.md`, its form checked.

    Raises:
        PlanError: there is no design.
        SpecError: it is not a valid one any more; lists every problem.
    """
    name = ExperimentLayout.summary
    text = world.store.read_text(name)
    if text is None:
        raise PlanError("there is no design here", hint="check a design with `ck design check FILE`, then write it")
    summary = parse_summary(text)
    document = load_yaml(summary.front, name=name, first_line=summary.first_line)
    parsed = parse_spec(document.value, document.marks)
    if parsed.problems or parsed.spec is None:
        raise SpecError(f"`{name}` does not hold a valid design", problems=parsed.problems)
    return parsed.spec
