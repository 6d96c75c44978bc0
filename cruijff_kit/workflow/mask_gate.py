"""The mask gate before a submission: every way in which jobs will read their rows is proven, or refused.

A proof holds for a model, data and an encoding by their hashes. The one that was recorded
when the design was written is taken for it, so that a submission reads no rows again;
whatever is not on record, such as an adopted edit, is proven here. Where tokenizers cannot
be read, as on a login node without the extra, that is recorded and left to the job, which
proves each row before its first step.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.formats import content_sha256
from cruijff_kit.data.gate import Proof, prove_mask
from cruijff_kit.data.loaders import Columns, load_splits
from cruijff_kit.data.splits import Splits
from cruijff_kit.errors import PlanError, Problem, SiteError
from cruijff_kit.planning.run_ids import content_hash
from cruijff_kit.ports import World
from cruijff_kit.runtime.data_files import read_data
from cruijff_kit.schema.audit import Action, AuditEvent, Outcome
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.proof import MaskProof
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.read_design import read_design

__all__ = [
    "TRAINED",
    "GateFindings",
    "Reading",
    "pass_gate",
    "planned_splits",
    "proof_events",
    "proof_of",
    "reading_of",
]

TRAINED = ("train", "validation")
"""Splits that a training job reads."""

_CONTROLS = (
    *("dataset_type", "prompt", "system_prompt", "template", "template_date"),
    *("max_seq_len", "overlong", "train_on_input"),
)
# Proofs of an earlier form of the checks do not count.
_CHECKS = 1


class Reading(NamedTuple):
    """One way in which rows of one data set become tokens for one model."""

    model_path: str
    """Directory of the base model."""
    dataset: str
    """Key of the data set."""
    encoding: Encoding
    """How rows become tokens."""


class GateFindings(NamedTuple):
    """What the gate found."""

    proofs: tuple[MaskProof, ...]
    """Proofs that are not on record yet."""
    unproven: str = ""
    """Why nothing could be proven here, where that is so."""


def reading_of(run: PlannedRun, spec: ExperimentSpec) -> Reading:
    """Return how a run's model reads its rows."""
    training = spec.data.training
    # A plan from before a control existed has none.
    values: dict[str, Any] = {name: run.settings[name].value for name in _CONTROLS if name in run.settings}
    encoding = Encoding(**values, input_key=training.input_key, output_key=training.output_key)
    return Reading(run.model_path, run.dataset, encoding)


def proof_of(
    run: PlannedRun, reading: Reading, *, facts: DatasetFacts, spec: ExperimentSpec, proof: Proof
) -> MaskProof:
    """Return what was proven for a run, under the hash of all it depends on."""
    return MaskProof(
        key=_key(run, reading, facts=facts, spec=spec),
        model=run.model.name,
        dataset=facts.key,
        rows=dict(proof.rows),
        proven=dict(proof.proven),
    )


def pass_gate(runs: Sequence[PlannedRun], plan: Plan, *, world: World) -> GateFindings:
    """Prove the masks of runs that are about to train, those on record aside; never writes.

    Raises:
        PlanError: a row would be learnt wrongly, or is not the one planned; lists row, fact and remedy.
    """
    trained = [run for run in runs if run.type == "fine-tuned"]
    if not trained:
        return GateFindings(())
    spec = read_design(world)
    readings = {reading_of(run, spec): run for run in reversed(trained)}
    facts = {each.key: each for each in plan.datasets}
    keys = {reading: _key(run, reading, facts=facts[run.dataset], spec=spec) for reading, run in readings.items()}
    known = _on_record(world)
    due = {reading: run for reading, run in readings.items() if keys[reading] not in known}
    proofs, problems = [], list[Problem]()
    for reading, run in due.items():
        try:
            tokenizer = world.hub.tokenizer(reading.model_path)
        except SiteError as err:
            if "pip install" not in err.hint:
                raise
            return GateFindings(tuple(proofs), str(err).partition("\n")[0])
        splits = planned_splits(facts[run.dataset], reading.encoding, spec=spec, world=world)
        proof = prove_mask(splits, encoding=reading.encoding, tokenizer=tokenizer)
        problems += proof.problems
        proofs.append(proof_of(run, reading, facts=facts[run.dataset], spec=spec, proof=proof))
    if problems:
        hint = (
            "mend what is named, write the design again and `ck scaffold`; `ck data show` shows rows with their masks"
        )
        raise PlanError("the jobs would learn something else than the answers", problems=problems, hint=hint)
    return GateFindings(tuple(proofs))


def planned_splits(facts: DatasetFacts, encoding: Encoding, *, spec: ExperimentSpec, world: World) -> Splits:
    """Return the rows of a planned data set that training reads, from files that are still the ones planned.

    Raises:
        PlanError: they are missing, or are not the ones planned any more.
        SpecError: they cannot be read.
    """
    path = world.store.root / facts.path
    try:
        content = read_data(path)
    except OSError as err:
        raise PlanError(f"data set `{path}` cannot be read: {err.strerror}", hint="run `ck scaffold`") from err
    if content_sha256(content) != facts.sha256:
        raise PlanError(f"data set `{path}` is not the one that was planned", hint="restore it, or `ck scaffold` anew")
    asked = (encoding.input_key, encoding.output_key)
    columns = Columns.read_as(encoding.dataset_type, asked, renamed=spec.data.training.columns)
    splits = load_splits(content, name=str(path), columns=columns)
    return {name: rows for name, rows in splits.items() if name in TRAINED}


def proof_events(found: GateFindings, *, verb: str, world: World) -> list[AuditEvent]:
    """Return the record of what the gate proved, or could not."""
    event = AuditEvent(actor=world.actor, verb=verb, action=Action.VERIFY_DATASET, subject="masks")
    told = [
        event.model_copy(
            update={
                "subject": proof.dataset,
                "inputs": {"model": proof.model, "mask_key": proof.key},
                "outputs": {"mask": f"proven on {proof.words}"},
            }
        )
        for proof in found.proofs
    ]
    if found.unproven:
        words = f"not proven here, so each job proves its rows before its first step: {found.unproven}"
        changes = {"action": Action.WARNING, "outputs": {"mask": words}, "result": Outcome.WARNING}
        told.append(event.model_copy(update=changes))
    return told


def _on_record(world: World) -> set[str]:
    verified: Iterable[Any] = (each for each in world.audit.records() if each.action is Action.VERIFY_DATASET)
    return {record.inputs["mask_key"] for record in verified if "mask_key" in record.inputs}


def _key(run: PlannedRun, reading: Reading, *, facts: DatasetFacts, spec: ExperimentSpec) -> str:
    return content_hash(
        {
            "checks": _CHECKS,
            "model": run.model.sha256,
            "dataset": facts.sha256,
            "columns": spec.data.training.columns,
            "encoding": reading.encoding.model_dump(mode="json"),
        }
    )
