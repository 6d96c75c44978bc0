"""the verbs, one file each: design plan scaffold submit watch cancel logs collect report"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cruijff_kit.workflow.adopt import adopt_edit
    from cruijff_kit.workflow.audit import read_audit, verify_audit
    from cruijff_kit.workflow.cancel import cancel_runs
    from cruijff_kit.workflow.collect import collect_results
    from cruijff_kit.workflow.design import amend_design, check_design, spec_json_schema, write_design
    from cruijff_kit.workflow.groups import compare_answer_groups, compare_run_groups
    from cruijff_kit.workflow.logs import tail_log
    from cruijff_kit.workflow.models import describe_model, make_tiny_model
    from cruijff_kit.workflow.report import write_report
    from cruijff_kit.workflow.scaffold import scaffold_runs
    from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
    from cruijff_kit.workflow.spot_check import spot_check_run
    from cruijff_kit.workflow.submit import preview_submission, retry_run, submit_jobs
    from cruijff_kit.workflow.watch import read_status, watch_jobs

__all__ = [
    "adopt_edit",
    "amend_design",
    "cancel_runs",
    "check_design",
    "collect_results",
    "compare_answer_groups",
    "compare_run_groups",
    "describe_model",
    "make_tiny_model",
    "preview_submission",
    "read_audit",
    "read_status",
    "recorded_plan",
    "retry_run",
    "scaffold_runs",
    "sealed_plan",
    "spec_json_schema",
    "spot_check_run",
    "submit_jobs",
    "tail_log",
    "verify_audit",
    "watch_jobs",
    "write_design",
    "write_report",
]

_HOMES = {
    "adopt": ("adopt_edit",),
    "audit": ("read_audit", "verify_audit"),
    "cancel": ("cancel_runs",),
    "collect": ("collect_results",),
    "design": ("amend_design", "check_design", "spec_json_schema", "write_design"),
    "groups": ("compare_answer_groups", "compare_run_groups"),
    "logs": ("tail_log",),
    "models": ("describe_model", "make_tiny_model"),
    "report": ("write_report",),
    "scaffold": ("scaffold_runs",),
    "seal": ("recorded_plan", "sealed_plan"),
    "spot_check": ("spot_check_run",),
    "submit": ("preview_submission", "retry_run", "submit_jobs"),
    "watch": ("read_status", "watch_jobs"),
}
"""Module to its verbs; a module is loaded when a verb of it is first asked for, so that faces start at once."""


def __getattr__(name: str) -> Any:
    for module, verbs in _HOMES.items():
        if name in verbs:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"`{__name__}` has no verb `{name}`")
