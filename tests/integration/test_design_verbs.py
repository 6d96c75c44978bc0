"""Designs are written once, amended without moving what is there, and never over people's words."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.cli.main import cli
from cruijff_kit.data.yaml_text import dump_yaml
from cruijff_kit.errors import PlanError, SiteError, SpecError
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.site import DiskSpace
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.design import amend_design, check_design, spec_json_schema, write_design
from cruijff_kit.workflow.read_design import read_design
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

TEXT = dump_yaml(dict(DESIGN))


@pytest.fixture
def world(tmp_path: Path) -> World:
    clock = FakeClock()
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    return world_at(tmp_path / "parity")._replace(hub=hub, audit=FakeAuditLog(clock), clock=clock)


def summary(world: World) -> str:
    return (world.store.root / "experiment_summary.md").read_text(encoding="utf-8")


def put(world: World, text: str) -> None:
    (world.store.root / "experiment_summary.md").write_text(text, encoding="utf-8")


def actions(world: World) -> list[Action]:
    return [record.action for record in world.audit.records()]


def test_checking_writes_nothing_and_fills_in_what_was_found(world: World) -> None:
    review = check_design(TEXT, world=world)
    assert review.spec.models[0].sha256 == "a" * 64
    assert [run.id.rpartition("-")[0] for run in review.plan.runs][-2:] == ["rank16_lr1e-3_seed2", "base"]
    assert {estimate.unit for estimate in review.estimates} >= {"GB", "h", "accuracy"}
    assert not world.store.root.exists()
    assert actions(world) == []


def test_writing_records_each_step_and_the_reason_in_the_words_given(world: World) -> None:
    receipt = write_design(TEXT, reason="rank is what we ask about", world=world)
    assert receipt.changed
    assert receipt.sha256 == world.store.digest("experiment_summary.md")
    assert read_design(world) == check_design(TEXT, world=world).spec
    assert [action for action in actions(world) if action is not Action.WARNING] == [
        Action.VERIFY_MODEL,
        Action.VERIFY_DATASET,
        Action.VERIFY_DATASET,
        Action.VERIFY_EVAL_TASK,
        Action.CHECK_DISK,
        Action.SEARCH_PRIOR_RUNS,
        Action.CALCULATE_TIME,
        Action.CALCULATE_DISK,
        Action.DECIDE_NAMING,
        Action.DECIDE_CONFIG,
        Action.CREATE_SUMMARY,
        Action.COMPLETE,
    ]
    decision = next(record for record in world.audit.records() if record.action is Action.DECIDE_CONFIG)
    assert decision.reason == "rank is what we ask about"
    assert "rank is what we ask about" in (world.store.root / "logs/design-experiment.log").read_text("utf-8")
    assert verify_audit(world=world).ok


def test_every_section_stands_in_its_order(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    headings = [line.removeprefix("## ") for line in summary(world).splitlines() if line.startswith("## ")]
    assert headings == [
        "Overview",
        "Tools",
        "Variables",
        "All Runs",
        "Resources",
        "Evaluation Plan",
        "Configuration",
        "Compute Estimates",
        "Statistical Power",
        "Naming",
        "Quick Reference",
        "Notes",
    ]


def test_what_shall_follow_when_jobs_end_badly_is_shown_and_changes_no_run(world: World) -> None:
    policy = {"lost": {"retries": 3, "wait": 30}, "failed": {"reaction": "retry"}, "max_gpu_hours": 12.5}
    write_design(dump_yaml({**DESIGN, "policy": policy}), reason="nodes fail here", world=world)
    shown = summary(world).partition("## Configuration")[2].partition("## Compute")[0]
    for row in ("| `lost` |  | 3 | 30 |", "| `failed` | retry |  |  |", "At most: 12.5 GPU-hours in all."):
        assert row in shown
    plain, with_policy = (check_design(text, world=world).plan for text in (TEXT, summary(world)))
    assert [run.id for run in plain.runs] == [run.id for run in with_policy.runs]
    assert plain.spec_sha256 != with_policy.spec_sha256
    write_design(TEXT, reason="they do not", world=world)
    assert "site's policy" not in summary(world)


def test_writing_the_same_again_changes_no_byte_and_records_nothing(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    text, events = summary(world), len(actions(world))
    assert isinstance(world.clock, FakeClock)
    world.clock.forward(timedelta(days=3).total_seconds())
    assert not write_design(TEXT, reason="again", world=world).changed
    assert not write_design(text, reason="the summary itself", world=world).changed
    assert summary(world) == text
    assert len(actions(world)) == events


def test_a_write_that_was_cut_off_before_its_record_is_recorded_by_the_next(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    cut_off = world._replace(audit=FakeAuditLog())
    assert not write_design(TEXT, reason="again", world=cut_off).changed
    assert actions(cut_off) == [Action.CREATE_SUMMARY, Action.COMPLETE]
    assert not write_design(TEXT, reason="and again", world=cut_off).changed
    assert len(actions(cut_off)) == 2


def test_notes_on_disk_are_kept_to_the_byte_whatever_is_written(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    notes = "\nAda: look at rank 8 next.\n\n## Notes\n  trailing  \n"
    put(world, summary(world) + notes)
    assert not write_design(TEXT, reason="notes change nothing", world=world).changed
    assert write_design(dump_yaml({**DESIGN, "hypothesis": "yes"}), reason="said", world=world).changed
    assert summary(world).endswith(f"\n## Notes\n{notes}")


def test_notes_that_come_with_the_text_begin_the_file(world: World) -> None:
    write_design(f"---\n{TEXT}---\n\n## Notes\nfrom elsewhere\n", reason="first", world=world)
    assert summary(world).endswith("\n## Notes\nfrom elsewhere\n")


def test_a_body_edited_by_hand_is_shown_as_a_difference_and_never_overwritten(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    edited = summary(world).replace("Does rank matter? |", "Does it? |")
    put(world, edited)
    events = len(actions(world))
    with pytest.raises(SpecError) as caught:
        write_design(dump_yaml({**DESIGN, "hypothesis": "yes"}), reason="said", world=world)
    assert "-| Question | Does it? |" in caught.value.hint
    assert "+| Question | Does rank matter? |" in caught.value.hint
    assert summary(world) == edited
    assert len(actions(world)) == events


def test_deleting_the_body_is_how_an_edit_of_it_is_given_up(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    text = summary(world)
    put(world, text[: text.index("\n# parity")] + "\n## Notes\nmine\n")
    assert write_design(TEXT, reason="again", world=world).changed
    assert summary(world) == f"{text}mine\n"


def test_editing_the_front_matter_in_place_and_writing_it_is_a_change_of_design(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    text = summary(world).replace("lora_rank: [4, 16]", "lora_rank: [4, 8]")
    put(world, text)
    receipt = write_design(text, reason="smaller ranks", world=world)
    assert receipt.changed
    assert any(run.startswith("rank8_") for run in receipt.runs)


def test_amending_adds_runs_and_keeps_the_ids_of_those_there(world: World) -> None:
    before = write_design(TEXT, reason="first", world=world)
    after = amend_design(seeds=(3, 1), levels={"lora_rank": [8, 4]}, reason="more power", world=world)
    assert after.changed
    assert set(before.runs) < set(after.runs)
    assert len(after.runs) == 3 * 2 * 3 + 1
    assert read_design(world).factors["lora_rank"] == (4, 16, 8)
    assert read_design(world).controls.seeds == (1, 2, 3)
    assert next(record for record in world.audit.records() if record.verb == "amend").result == "success"


def test_amending_with_what_is_there_changes_nothing(world: World) -> None:
    write_design(TEXT, reason="first", world=world)
    text = summary(world)
    assert not amend_design(seeds=(2,), levels={"lr": [3e-4]}, reason="none", world=world).changed
    assert summary(world) == text


def test_amending_needs_a_design_and_a_factor_of_it(world: World) -> None:
    with pytest.raises(PlanError, match="no design here"):
        amend_design(seeds=(3,), reason="none", world=world)
    write_design(TEXT, reason="first", world=world)
    with pytest.raises(SpecError) as caught:
        amend_design(levels={"lora_rnk": [8], "epochs": [3]}, reason="none", world=world)
    assert next(problem.hint for problem in caught.value.problems) == "write `lora_rank`"
    with pytest.raises(SpecError):
        amend_design(seeds=(-1,), reason="none", world=world)
    with pytest.raises(SpecError):
        amend_design(levels={"lora_rank": [-1]}, reason="none", world=world)


def test_rows_are_not_measured_where_the_extra_is_missing_and_that_is_said(world: World) -> None:
    class NoTokenizers(FakeHub):
        def tokenizer(self, path: str) -> Tokenizer:
            raise SiteError("reading tokenizers needs `transformers`", hint="pip install 'cruijff-kit[train]'")

    review = check_design(TEXT, world=world._replace(hub=NoTokenizers(model_facts())))
    assert any("length of rows was not checked" in warning for warning in review.warnings)


def test_checkpoints_that_do_not_fit_are_refused_with_both_sizes(world: World) -> None:
    class FullDisk(DiskRunStore):
        def disk(self) -> DiskSpace:
            return DiskSpace(free=1_000, total=10**9)

    full = world._replace(store=FullDisk(world.store.root))
    with pytest.raises(SpecError) as caught:
        write_design(TEXT, reason="first", world=full)
    (problem,) = caught.value.problems
    assert problem.path == "controls.epochs_to_save"
    assert "1e-06 GB are free" in problem.message
    assert write_design(
        dump_yaml({**DESIGN, "output": {"output_dir_base": "/scratch"}}), reason="elsewhere", world=full
    ).changed


def test_the_schema_of_a_design_describes_every_key() -> None:
    schema = spec_json_schema()
    assert schema["additionalProperties"] is False
    undescribed = [
        name for name, entry in schema["properties"].items() if "description" not in entry and "$ref" not in entry
    ]
    assert undescribed == []


def test_the_file_that_was_named_is_named_in_its_problems_and_must_be_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    said = {}
    for content in (b"nane: x\n", "name: größe\n".encode("latin-1")):
        file.write_bytes(content)
        result = CliRunner().invoke(cli, ["-C", str(tmp_path), "design", "check", str(file)])
        assert isinstance(result.exception, SpecError)
        said[content] = str(result.exception)
    first, second = said.values()
    assert "- mine.yaml:1 nane: " in first
    assert "cannot be read: it is not utf-8" in second
    assert not (tmp_path / "experiment_summary.md").exists()


@pytest.mark.parametrize(
    "words,near",
    (("rport", "report"), ("data geneate", "generate"), ("data generate modelorganisms", "model_organisms")),
)
def test_a_command_that_there_is_not_is_told_the_nearest(words: str, near: str) -> None:
    assert f"Did you mean '{near}'?" in CliRunner().invoke(cli, words.split()).output
