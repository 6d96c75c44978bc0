"""What inspect-ai finds of this package: provider, scorers and tasks."""

from importlib import import_module

from cruijff_kit.data.tasks import TASKS
from cruijff_kit.runtime.inspect_metrics import METRICS, figures
from cruijff_kit.runtime.inspect_provider import cruijff
from cruijff_kit.runtime.inspect_scorers import continuous, decision, includes, match, numeric_risk, risk

__all__ = ["METRICS", "continuous", "cruijff", "decision", "figures", "includes", "match", "numeric_risk", "risk"]

# Tasks stand above the runtime; they are plugins by name here, as recipes are for the core.
for _name in TASKS:
    import_module(f"cruijff_kit.tasks.{_name}")
