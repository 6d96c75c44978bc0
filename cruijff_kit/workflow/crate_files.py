"""Crate files: which files of an experiment go into an export, and which are told by their hash alone."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.ports import Tree, World
from cruijff_kit.rendering.redaction import sensitive_values
from cruijff_kit.rendering.sbatch import parse_script
from cruijff_kit.schema.crate import ExportPart
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout, adapter_in
from cruijff_kit.schema.mirror import WITHOUT_TEXTS
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.workflow.consent import closed_plan
from cruijff_kit.workflow.disk import outputs_of
from cruijff_kit.workflow.surroundings import vault_of

__all__ = ["Picked", "about_file", "adapter_folder", "chosen_files", "refuse_closed", "refuse_secrets"]

_LOGS = (
    *("/logs/audit.jsonl", "/logs/*-experiment.log", "/predictions/*.parquet", "/runs/*/calibrator.json"),
    *("/runs/*/slurm-*.out", "/runs/*/eval/*/logs/*.eval"),
)
# The record is told by its root: whoever is shown one line of it need not see the others.
_ALWAYS = tuple(pattern for pattern in WITHOUT_TEXTS if pattern != f"/{ExperimentLayout.audit}")
_ABOUT = (
    (r"README\.md", "What this crate holds"),
    (r"audit-root\.json", "Root of the audit log, for proofs of its lines"),
    (r"experiment_summary\.md", "Design of the experiment"),
    (r"design\.lock\.json", "Seal: the hash of every file to be run and of every input"),
    (r"plan\.json", "Plan: every run, data set and evaluation that the design implies"),
    (r".*/run\.yaml", "Resolved settings of a run, each with its source"),
    (r".*/setup_finetune\.yaml", "Settings of a training as a person edits them"),
    (r".*/finetune\.yaml", "Configuration that a training read"),
    (r".*/eval\.yaml", "Configuration that an evaluation read"),
    (r".*\.slurm", "Job script"),
    (r".*/metrics\.jsonl", "Loss and speed by training step"),
    (r".*manifest\.json", "Provenance as the job wrote it: code, packages, inputs, device"),
    (r".*/DONE", "Marker of a finished job, with the hashes of what it made"),
    (r"summary\.md", "Summary of the results"),
    (r"results\.parquet", "Results, one row a run, task, epoch and metric"),
    (r"report/.*", "Part of the report page"),
    (r"compute\.json", "Compute used"),
    (r".*\.eval", "Log of an evaluation: every sample with its answer"),
    (r"predictions/.*", "Predictions, one row a sample"),
    (r"logs/audit\.jsonl", "Record of every action"),
    (r"outputs/.*", "Part of a LoRA adapter"),
    (r"data/.*\.croissant\.json", "Description of a data set (Croissant)"),
    (r"data/.*\.meta\.json", "How a data set was generated"),
    (r"data/.*|inputs/.*", "Data set"),
)


class Picked(NamedTuple):
    """A file that goes into an export."""

    path: str
    """Its path there."""
    folder: str
    """Directory from which it is copied; its path ends in what follows it there."""
    inner: str
    """Its path below that directory."""
    home: str
    """Folder of the export that stands for that directory; empty for the export itself."""


def refuse_closed(parts: Sequence[ExportPart], plan: Plan, *, world: World) -> None:
    """Refuse to hand out data, and what was made of them, where their tier forbids it or nobody consented.

    Raises:
        PlanError: they may not leave this machine.
    """
    shut = closed_plan(plan, way="host", world=world) if parts else None
    if shut is not None:
        told = ", ".join(f"`--with {part}`" for part in parts)
        hint = f"leave out {told}: hashes, settings and figures are exported all the same; {shut.hint}"
        raise PlanError(f"{told} asks for what may not leave: {shut.fact}", hint=hint)


def chosen_files(plan: Plan, parts: Sequence[ExportPart], *, world: World) -> tuple[Picked, ...]:
    """Return the files to export, in order of path: what holds no text of the data, and what was asked for besides.

    Args:
        plan: the sealed plan.
        parts: what was asked for besides.
        world: the experiment and its surroundings.
    """
    root = str(world.store.root)
    tree = vault_of(world).survey(root) or Tree({}, {}, {})
    patterns = [re.compile(_regex(each)) for each in (*_ALWAYS, *(_LOGS if "logs" in parts else ()))]
    found = [Picked(path, root, path, "") for path in tree.files if any(each.fullmatch(path) for each in patterns)]
    if "adapters" in parts:
        found += [each for run in plan.runs for each in _adapters(run, world)]
    if "data" in parts:
        found += _data(plan, tree=tree, world=world)
    return tuple(sorted(dict.fromkeys(found)))


def adapter_folder(run: PlannedRun, epoch: int) -> str:
    """Return where an epoch's adapter lies in an export, with a slash at its end."""
    only, stash = (
        run.settings[name].value if name in run.settings else default
        for name, default in (("save_adapter_weights_only", True), ("stash_adapter_weights", False))
    )
    return f"outputs/{adapter_in(RunLayout(run.id).epoch(epoch), adapter_only=only, stash=stash)}/"


def about_file(path: str) -> str:
    """Return what a file of an export is, in words."""
    return next((said for pattern, said in _ABOUT if re.fullmatch(pattern, path)), "File of the experiment")


def refuse_secrets(picked: Sequence[Picked], *, world: World) -> None:
    """Refuse to hand out scripts and settings that hold the value of a variable named like a secret.

    Raises:
        PlanError: lists them.
    """
    problems = []
    for each in picked:
        if not each.path.endswith((".slurm", ".yaml", ".md", ".json")) or each.home:
            continue
        text = world.store.read_text(each.inner) or ""
        if any(secret in text for secret in (*world.secrets, *_variables(each.path, text))):
            problems.append(Problem(f"`{each.path}` holds the value of a variable that is named like a secret"))
    if problems:
        hint = "take it out of `environment.variables` of site.yaml and set it where jobs start, then scaffold anew"
        raise PlanError("nothing was exported: secrets would be handed out", problems=problems[:8], hint=hint)


def _variables(path: str, text: str) -> tuple[str, ...]:
    if not path.endswith(".slurm"):
        return ()
    try:
        return sensitive_values(dict(parse_script(text).variables))
    except PlanError:
        # A script of somebody's own tells no variables by name.
        return ()


def _adapters(run: PlannedRun, world: World) -> Iterator[Picked]:
    """Yield the files of each adapter that a training kept; merged models and checkpoints stay."""
    base = outputs_of(run, world) if run.type == "fine-tuned" else None
    if base is None:
        return
    for epoch in run.epochs_saved:
        folder = adapter_folder(run, epoch)
        inner = folder.removeprefix("outputs/").rstrip("/")
        tree = vault_of(world).survey(f"{base}/{inner}")
        for name in tree.files if tree else ():
            if name.startswith("adapter_") and "/" not in name:
                yield Picked(f"{folder}{name}", base, f"{inner}/{name}", "outputs")


def _data(plan: Plan, *, tree: Tree, world: World) -> Iterator[Picked]:
    """Yield the generated data sets with what tells of them, and data files of the user's; folders stay."""
    root = str(world.store.root)
    for facts in plan.datasets:
        if facts.generator:
            paths = (ExperimentLayout.dataset(facts.key), ExperimentLayout.dataset_meta(facts.key))
            yield from (Picked(path, root, path, "") for path in paths if path in tree.files)
            continue
        place = Path(facts.path).resolve()
        if place.is_file() and world.store.digest(str(place)) == facts.sha256:
            home = f"inputs/{facts.key}"
            yield Picked(f"{home}/{place.name}", str(place.parent), place.name, home)


def _regex(pattern: str) -> str:
    """Return a pattern of paths as a regular expression: `*` stays within a name, `**` does not."""
    parts = re.split(r"(\*\*|\*)", pattern.removeprefix("/"))
    return "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
