"""Collected predictions: those of the last act of collecting, whatever other verbs record since."""

from pathlib import Path

from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.workflow.calibrators import read_collected
from tests.optioned_run import gather, optioned_answers, sealed_world


def test_what_a_search_was_told_is_no_collection(tmp_path: Path) -> None:
    world, plan = sealed_world(tmp_path / "experiment")
    run = plan.runs[0].id
    answers = tuple(optioned_answers(run, split="test", n=10))
    gather(world, answers)
    told = {"verb": "sweep", "action": Action.COLLECT_RESULTS, "subject": "trial", "outputs": {"match": "0.5"}}
    world.audit.append(AuditEvent.model_validate({"actor": world.actor, **told}))
    assert read_collected(run, world=world).records == answers
