"""The verdict of a sanity check as it lies in its experiment, for the report."""

from typing import Any

from pydantic import ValidationError

from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.result import ResultTable
from cruijff_kit.schema.sanity import SanityVerdict
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["read_verdict"]


def read_verdict(spec: ExperimentSpec, table: ResultTable, *, world: World) -> dict[str, Any]:
    """Return a sanity check's verdict, and whether it was made of other figures than lie here; nothing of others.

    Args:
        spec: the design.
        table: what was collected.
        world: the experiment and its surroundings.
    """
    content = world.store.read(ExperimentLayout.sanity) if spec.type == "sanity_check" else None
    if content is None:
        return {}
    try:
        verdict = SanityVerdict.model_validate_json(content)
    except ValidationError:
        return {}
    known = {(row.run, row.source, row.value) for row in table.rows}
    found = [(each.run, each.source, each.value) for each in verdict.figures if each.source]
    return {"sanity": verdict, "misjudged": any(each not in known for each in found)}
