"""Claims, deviations and looks across cells in a whole report: said where a colleague looks first."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.claims import Claim, Levels
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.plan import DesignLock, Plan, Statement
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.workflow.plan import design_hash
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.statement import analysis_hash, claim_hashes
from tests.fakes.experiment import SMALL, design_of, plan_of, seal
from tests.integration.reporting.conftest import ACTOR

RANKS: tuple[Levels, Levels] = ({"lora_rank": 16}, {"lora_rank": 4})
CLAIMS = (
    Claim(text="a higher rank helps", compare=RANKS),
    Claim(text="every run beats its base", compare=({"lora_rank": 16}, "base")),
    Claim(text="all runs reach 0.8", at_least=0.8),
    Claim(text="it understands words"),
)


def put(world: World, *, claims: Sequence[Claim] = CLAIMS, alpha: float = 0.05, **stated: Any) -> None:
    """Seal a design that makes claims; `stated` is what differs from it in what was stated first."""
    design = design_of(SMALL)
    analysis = design.analysis.model_copy(update={"claims": tuple(claims), "alpha": alpha})
    design = design.model_copy(update={"analysis": analysis})
    plan = plan_of(SMALL).model_copy(update={"spec_sha256": design_hash(design)})
    head = world.audit.head()
    assert head is not None
    seal(world.store.root, design, plan=plan, anchor=head)
    lock = DesignLock.model_validate_json(world.store.read(ExperimentLayout.lock) or b"")
    first = Statement(
        spec_sha256=design_hash(design), analysis_sha256=analysis_hash(analysis), claims=claim_hashes(analysis),
        runs=lock.runs,
    )  # fmt: skip
    first = first.model_copy(update=stated)
    world.store.write(ExperimentLayout.lock, lock.model_copy(update={"stated": first}).model_dump_json())


def texts(world: World) -> tuple[str, str]:
    return world.store.read_text("summary.md") or "", world.store.read_text("report/index.html") or ""


def section(page: str, key: str) -> str:
    return page.partition(f'<section id="{key}"')[2].partition("</section>")[0]


def test_each_claim_has_its_verdict_and_the_comparison_that_gave_it(world: World) -> None:
    put(world)
    receipt = write_report(world=world)
    assert receipt.bottom_line[0] == "Claims: 2 confirmed, 1 violated, 1 not testable."
    summary, page = texts(world)
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in summary.splitlines() if row.startswith("| ")}
    verdicts = {text: re.search(r"\*\*(.+?)\*\*", row) for text, row in rows.items() if "**" in row}
    found = {text: match[1] for text, match in verdicts.items() if match}
    assert [found[claim.text] for claim in CLAIMS] == ["confirmed", "confirmed", "violated", "not testable"]
    assert "accuracy (match) on capitalization: lora_rank 16 higher than lora_rank 4" in rows["a higher rank helps"]
    assert "EXPLORATORY" not in summary + page
    assert "Deviations" not in page
    trace = json.loads(world.store.read_text("report/trace.json") or "")
    traced = {each["figure"]: each["references"] for each in trace["figures"] if each["figure"].startswith("claim/")}
    assert set(traced) == {f"claim/{place}{part}" for place in (1, 2, 3) for part in ("", "/adjusted_p")}
    assert all(traced.values())


def test_a_hypothesis_without_claims_is_shown_as_not_testable(reported: tuple[World, ReportReceipt]) -> None:
    summary, page = texts(reported[0])
    assert "Both help, and the rank helps more at the higher learning rate." in section(page, "claims")
    assert "not testable as stated" in summary


def test_runs_added_edited_or_dropped_after_the_first_job_are_stamped_where_their_figures_stand(
    world: World, root: Path, plan: Plan
) -> None:
    extra, edited = plan.runs[0].id, plan.runs[2].id
    put(world, runs=(*(run.id for run in plan.runs[1:]), "rank64_seed1-0123abcd"))
    lock = json.loads((root / ExperimentLayout.lock).read_bytes())
    lock["adopted"] = {RunLayout(edited).config: "0" * 64}
    (root / ExperimentLayout.lock).write_text(json.dumps(lock), encoding="utf-8")
    event = AuditEvent(
        actor=ACTOR, verb="adopt", action=Action.DECIDE_CONFIG, subject=edited, reason="the rate was a typo"
    )  # fmt: skip
    world.audit.append(event)
    receipt = write_report(world=world)
    assert receipt.bottom_line[0].startswith("EXPLORATORY: in 3 places")
    summary, page = texts(world)
    assert "## Deviations from the sealed design" in summary
    assert "the rate was a typo" in section(page, "deviations")
    assert "rank64_seed1-0123abcd" in section(page, "deviations")
    for key in ("accuracy", "means", "effects", "base", "ranking", "training", "groups", "status"):
        assert '<span class="stamp">EXPLORATORY</span></h2>' in section(page, key), key
    stamped = {row[1] for row in re.finditer(r"^\| `([^`]+)` EXPLORATORY", summary, re.MULTILINE)}
    assert stamped == {extra, edited}
    assert "confirmed EXPLORATORY" in summary
    assert "stamp" not in section(page, "data") + section(page, "incomplete")


def test_a_claim_stated_after_the_first_job_is_exploratory_and_the_others_are_not(world: World) -> None:
    put(world)
    put_late(world)
    write_report(world=world)
    summary, _ = texts(world)
    rows = [row for row in summary.splitlines() if row.startswith("| ") and "**" in row][:4]
    assert ["EXPLORATORY" in row for row in rows] == [False, False, True, False]


def put_late(world: World) -> None:
    """Take the third claim out of what was stated first."""
    lock = DesignLock.model_validate_json(world.store.read(ExperimentLayout.lock) or b"")
    assert lock.stated is not None
    kept = tuple(key for place, key in enumerate(lock.stated.claims) if place != 2)
    late = lock.stated.model_copy(update={"claims": kept})
    world.store.write(ExperimentLayout.lock, lock.model_copy(update={"stated": late}).model_dump_json())


def test_another_analysis_than_the_one_stated_makes_every_comparison_exploratory(world: World) -> None:
    put(world, alpha=0.2, analysis_sha256=analysis_hash(design_of(SMALL).analysis))
    write_report(world=world)
    summary, page = texts(world)
    assert "the analysis is another than the one stated before the first job" in summary
    assert "the analysis was changed after the first job" in summary
    assert all("stamp" in section(page, key) for key in ("means", "effects", "base", "ranking", "claims"))
    assert "stamp" not in section(page, "training")


def test_an_edit_that_nobody_adopted_is_named(world: World, root: Path, plan: Plan) -> None:
    put(world)
    path = RunLayout(plan.runs[0].id).config
    lock = json.loads((root / ExperimentLayout.lock).read_bytes())
    lock["files"][path] = "0" * 64
    (root / ExperimentLayout.lock).write_text(json.dumps(lock), encoding="utf-8")
    (root / path).write_text("lr: 9\n", encoding="utf-8")
    write_report(world=world)
    summary, _ = texts(world)
    assert f"`{path}` is not as it was sealed, and nobody adopted the edit" in summary


@pytest.mark.parametrize("kind", ("floor", "saturation", "seeds"))
def test_looks_across_cells_are_told_even_where_nothing_was_found(
    reported: tuple[World, ReportReceipt], kind: str
) -> None:
    summary, page = texts(reported[0])
    assert f"| {kind} | **not flagged** |" in summary
    assert kind in section(page, "checks")
