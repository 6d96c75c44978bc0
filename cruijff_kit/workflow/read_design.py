"""Read the design that an experiment directory holds."""

from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.planning.spec_parse import parse_spec
from cruijff_kit.ports import World
from cruijff_kit.rendering.summary import parse_summary
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["parse_design", "read_design"]


def read_design(world: World) -> ExperimentSpec:
    """Return the design in `experiment_summary.md`, its form checked.

    Raises:
        PlanError: there is no design.
        SpecError: it is not a valid one any more; lists every problem.
    """
    text = world.store.read_text(ExperimentLayout.summary)
    if text is None:
        raise PlanError("there is no design here", hint="check a design with `ck design check FILE`, then write it")
    return parse_design(text)


def parse_design(text: str) -> ExperimentSpec:
    """Return the design in the text of an `experiment_summary.md`, or in YAML alone, its form checked.

    Raises:
        SpecError: it is not a valid one; lists every problem.
    """
    name, summary = ExperimentLayout.summary, parse_summary(text)
    document = load_yaml(summary.front, name=name, first_line=summary.first_line)
    parsed = parse_spec(document.value, document.marks)
    if parsed.problems or parsed.spec is None:
        raise SpecError(f"`{name}` does not hold a valid design", problems=parsed.problems)
    return parsed.spec
