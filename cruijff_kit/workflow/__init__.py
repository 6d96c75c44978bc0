"""the verbs, one file each: design plan estimate scaffold submit watch collect report calibrate embed site disk"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cruijff_kit.workflow.homes import HOMES

if TYPE_CHECKING:
    from cruijff_kit.workflow.adapters import check_adapter, convert_adapter, merge_adapter, port_adapter
    from cruijff_kit.workflow.adopt import adopt_edit
    from cruijff_kit.workflow.archive import archive_experiment, preview_archive
    from cruijff_kit.workflow.audit import read_audit, verify_audit
    from cruijff_kit.workflow.audit_model import audit_run, read_audits
    from cruijff_kit.workflow.baseline import measure_baseline
    from cruijff_kit.workflow.calibrate import apply_calibrator, calibrate_run
    from cruijff_kit.workflow.cancel import cancel_runs, preview_cancel
    from cruijff_kit.workflow.clients import install_server, remote_server, server_here
    from cruijff_kit.workflow.collect import collect_results
    from cruijff_kit.workflow.compare import compare_experiments
    from cruijff_kit.workflow.compute import show_compute
    from cruijff_kit.workflow.consent import allow_data, open_question, preview_allow
    from cruijff_kit.workflow.conversion import convert_data
    from cruijff_kit.workflow.croissant import describe_dataset
    from cruijff_kit.workflow.data_list import list_data
    from cruijff_kit.workflow.data_stats import measure_data
    from cruijff_kit.workflow.data_view import show_data
    from cruijff_kit.workflow.decide import record_decision
    from cruijff_kit.workflow.design import amend_design, check_design, spec_json_schema, write_design
    from cruijff_kit.workflow.disk import list_disk, prune_disk
    from cruijff_kit.workflow.division import split_data
    from cruijff_kit.workflow.documents import read_configuration, read_document, read_manual
    from cruijff_kit.workflow.embed import embed_texts
    from cruijff_kit.workflow.estimate import apply_remedy, estimate_runs, propose_remedies
    from cruijff_kit.workflow.exhibit import make_exhibit
    from cruijff_kit.workflow.export import export_crate
    from cruijff_kit.workflow.follow import arrange_metrics, follow_metrics, light_metrics, light_split
    from cruijff_kit.workflow.frames import frame_results
    from cruijff_kit.workflow.from_config import configure_design
    from cruijff_kit.workflow.generate import generate_data, list_generators
    from cruijff_kit.workflow.groups import compare_answer_groups, compare_run_groups
    from cruijff_kit.workflow.grow import grow_design
    from cruijff_kit.workflow.imports import import_experiment
    from cruijff_kit.workflow.inclusion import check_proof, log_root, prove_line
    from cruijff_kit.workflow.known_chances import compare_chances
    from cruijff_kit.workflow.lessons import add_lesson, read_lessons
    from cruijff_kit.workflow.logs import tail_log
    from cruijff_kit.workflow.machine import describe_machine
    from cruijff_kit.workflow.made_rows import make_rows, make_stand_in
    from cruijff_kit.workflow.mirror import run_there, sync_mirror
    from cruijff_kit.workflow.model_choice import choose_model
    from cruijff_kit.workflow.model_needs import look_up_needs
    from cruijff_kit.workflow.models import (
        check_model,
        convert_model,
        describe_model,
        list_models,
        look_up_model,
        make_tiny_model,
        pull_model,
        remove_model,
    )
    from cruijff_kit.workflow.naming import propose_names
    from cruijff_kit.workflow.narrate import write_texts
    from cruijff_kit.workflow.new_task import make_task
    from cruijff_kit.workflow.predict import open_predictor, predict_file, predict_lines, predict_text, predict_texts
    from cruijff_kit.workflow.prepare import prepare_data
    from cruijff_kit.workflow.profiles import create_profile, find_profile, list_profiles
    from cruijff_kit.workflow.project import make_project
    from cruijff_kit.workflow.quiz import write_quiz
    from cruijff_kit.workflow.recipes import copy_recipe, list_recipes
    from cruijff_kit.workflow.report import write_report
    from cruijff_kit.workflow.reproduce import reproduce_run
    from cruijff_kit.workflow.results import read_results
    from cruijff_kit.workflow.roots import roots_of
    from cruijff_kit.workflow.safety import safe_text, secrets_of
    from cruijff_kit.workflow.samples import list_samples
    from cruijff_kit.workflow.scaffold import scaffold_runs
    from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
    from cruijff_kit.workflow.search import search_experiments
    from cruijff_kit.workflow.serve import open_dialogue, serve_model
    from cruijff_kit.workflow.setup_finetune import write_finetune
    from cruijff_kit.workflow.setup_inspect import write_inspect
    from cruijff_kit.workflow.site import list_sites, propose_site, show_site, write_site
    from cruijff_kit.workflow.site_check import check_site
    from cruijff_kit.workflow.site_env import build_environment, check_environment, lock_environment
    from cruijff_kit.workflow.site_job import check_nodes
    from cruijff_kit.workflow.spot_check import spot_check_run
    from cruijff_kit.workflow.standing import glance_status, read_status
    from cruijff_kit.workflow.structure import structure_data
    from cruijff_kit.workflow.submit import (
        preview_retry,
        preview_submission,
        proposed_change,
        retry_run,
        submit_jobs,
    )
    from cruijff_kit.workflow.swap_terms import swap_data
    from cruijff_kit.workflow.sweep import approve_sweep, next_round, preview_sweep, read_sweep, watch_sweep
    from cruijff_kit.workflow.sync import sync_wandb
    from cruijff_kit.workflow.tables import check_table_schema, draft_table_schema, tell_table
    from cruijff_kit.workflow.text_verdicts import decide_text, open_judge
    from cruijff_kit.workflow.token_plot import check_plot, plot_tokens
    from cruijff_kit.workflow.train import begin_training, is_taken
    from cruijff_kit.workflow.train_inputs import list_training_data
    from cruijff_kit.workflow.train_review import move_training, review_training
    from cruijff_kit.workflow.train_samples import sample_training
    from cruijff_kit.workflow.unarchive import preview_unarchive, unarchive_experiment
    from cruijff_kit.workflow.validation import validate_data
    from cruijff_kit.workflow.verdicts import (
        checked_calibrator,
        decide_chances,
        decide_lines,
        decide_sample,
        decide_shares,
        load_calibrator,
        load_costs,
        write_verdicts,
    )
    from cruijff_kit.workflow.verify import verify_experiment
    from cruijff_kit.workflow.watch import watch_jobs
    from cruijff_kit.workflow.withheld import page_without_texts, status_without_texts

__all__ = [
    "add_lesson",
    "adopt_edit",
    "allow_data",
    "amend_design",
    "apply_calibrator",
    "apply_remedy",
    "approve_sweep",
    "archive_experiment",
    "arrange_metrics",
    "audit_run",
    "begin_training",
    "build_environment",
    "calibrate_run",
    "cancel_runs",
    "check_adapter",
    "check_design",
    "check_environment",
    "check_model",
    "check_nodes",
    "check_plot",
    "check_proof",
    "check_site",
    "check_table_schema",
    "checked_calibrator",
    "choose_model",
    "collect_results",
    "compare_answer_groups",
    "compare_chances",
    "compare_experiments",
    "compare_run_groups",
    "configure_design",
    "convert_adapter",
    "convert_data",
    "convert_model",
    "copy_recipe",
    "create_profile",
    "decide_chances",
    "decide_lines",
    "decide_sample",
    "decide_shares",
    "decide_text",
    "describe_dataset",
    "describe_machine",
    "describe_model",
    "draft_table_schema",
    "embed_texts",
    "estimate_runs",
    "export_crate",
    "find_profile",
    "follow_metrics",
    "frame_results",
    "generate_data",
    "glance_status",
    "grow_design",
    "import_experiment",
    "install_server",
    "is_taken",
    "light_metrics",
    "light_split",
    "list_data",
    "list_disk",
    "list_generators",
    "list_models",
    "list_profiles",
    "list_recipes",
    "list_samples",
    "list_sites",
    "list_training_data",
    "load_calibrator",
    "load_costs",
    "lock_environment",
    "log_root",
    "look_up_model",
    "look_up_needs",
    "make_exhibit",
    "make_project",
    "make_rows",
    "make_stand_in",
    "make_task",
    "make_tiny_model",
    "measure_baseline",
    "measure_data",
    "merge_adapter",
    "move_training",
    "next_round",
    "open_dialogue",
    "open_judge",
    "open_predictor",
    "open_question",
    "page_without_texts",
    "plot_tokens",
    "port_adapter",
    "predict_file",
    "predict_lines",
    "predict_text",
    "predict_texts",
    "prepare_data",
    "preview_allow",
    "preview_archive",
    "preview_cancel",
    "preview_retry",
    "preview_submission",
    "preview_sweep",
    "preview_unarchive",
    "propose_names",
    "propose_remedies",
    "propose_site",
    "proposed_change",
    "prove_line",
    "prune_disk",
    "pull_model",
    "read_audit",
    "read_audits",
    "read_configuration",
    "read_document",
    "read_lessons",
    "read_manual",
    "read_results",
    "read_status",
    "read_sweep",
    "record_decision",
    "recorded_plan",
    "remote_server",
    "remove_model",
    "reproduce_run",
    "retry_run",
    "review_training",
    "roots_of",
    "run_there",
    "safe_text",
    "sample_training",
    "scaffold_runs",
    "sealed_plan",
    "search_experiments",
    "secrets_of",
    "serve_model",
    "server_here",
    "show_compute",
    "show_data",
    "show_site",
    "spec_json_schema",
    "split_data",
    "spot_check_run",
    "status_without_texts",
    "structure_data",
    "submit_jobs",
    "swap_data",
    "sync_mirror",
    "sync_wandb",
    "tail_log",
    "tell_table",
    "unarchive_experiment",
    "validate_data",
    "verify_audit",
    "verify_experiment",
    "watch_jobs",
    "watch_sweep",
    "write_design",
    "write_finetune",
    "write_inspect",
    "write_quiz",
    "write_report",
    "write_site",
    "write_texts",
    "write_verdicts",
]


def __getattr__(name: str) -> Any:
    for module, verbs in HOMES.items():
        if name in verbs:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"`{__name__}` has no verb `{name}`")
