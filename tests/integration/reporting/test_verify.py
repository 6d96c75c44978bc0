"""Verifying: one changed digit anywhere is named with its source, and what was not changed raises no alarm."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import NamedTuple

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from cruijff_kit.cli import verify as command
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action, AuditEvent
from cruijff_kit.schema.layout import ExperimentLayout, RunLayout
from cruijff_kit.schema.mirror import MirrorMark
from cruijff_kit.schema.plan import Plan, PlannedRun
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.verification import Verification
from cruijff_kit.workflow.decide import record_decision
from cruijff_kit.workflow.lessons import add_lesson
from cruijff_kit.workflow.recomputed import Recomputed, last_report, recompute
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.verify import verify_experiment
from cruijff_kit.workflow.verify_adapters import check_adapters
from cruijff_kit.workflow.verify_documents import check_report, read_shown
from cruijff_kit.workflow.verify_prose import check_prose
from tests.fakes.audit_log import FakeAuditLog
from tests.integration.reporting.conftest import ACTOR, world_at

TEXTS = (ExperimentLayout.report, ExperimentLayout.page, ExperimentLayout.traces, ExperimentLayout.references)
EFFECT = "effect/lora_rank/16 - 4"


class Made(NamedTuple):
    """A reported experiment, what it should say, and what it says."""

    world: World
    recomputed: Recomputed
    shown: dict[str, bytes | None]


@pytest.fixture(scope="module")
def made(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = Path(shutil.copytree(_finished, tmp_path_factory.mktemp("verified") / "experiment"))
    world = world_at(root)
    write_report(world=world)
    recomputed = recompute(last_report(world), world=world)
    return Made(world, recomputed, read_shown(recomputed, world=world))


@pytest.fixture
def reported_world(made: Made, tmp_path: Path) -> World:
    """Return a copy of it that a test may spoil."""
    root = Path(shutil.copytree(made.world.store.root, tmp_path / "spoilt" / "experiment"))
    world = world_at(root)
    later = (record.model_dump(exclude={"seq", "ts", "prev"}) for record in made.world.audit.records(after=0))
    world.audit.append(*map(AuditEvent.model_validate, later))
    assert world.audit.head() == made.world.audit.head()
    return world


def edited(content: bytes, chance: Random) -> bytes:
    """Return text of which one digit is another."""
    places = [place for place, byte in enumerate(content) if 48 <= byte <= 57]
    place = chance.choice(places)
    digit = chance.choice([byte for byte in range(48, 58) if byte != content[place]])
    return content[:place] + bytes([digit]) + content[place + 1 :]


def edited_table(content: bytes, chance: Random) -> bytes:
    """Return a table of which one number has another digit."""
    table = parquet.read_table(BytesIO(content))
    names = [name for name in table.column_names if pa.types.is_floating(table[name].type)]
    names += [name for name in table.column_names if pa.types.is_integer(table[name].type)]
    known = [(name, row) for name in names for row, value in enumerate(table[name].to_pylist()) if value is not None]
    name, row = chance.choice(known)
    values = table[name].to_pylist()
    before = values[row]
    while values[row] == before:
        values[row] = type(before)(edited(repr(before).encode(), chance))
    changed = table.set_column(table.column_names.index(name), name, pa.array(values, type=table[name].type))
    buffer = BytesIO()
    parquet.write_table(changed, buffer, compression="zstd")
    return buffer.getvalue()


def words(found: Verification) -> str:
    return "\n".join(f"{each.path} {each.place} {each.words}" for each in found.differences)


@pytest.mark.parametrize("count", (60, pytest.param(500, marks=pytest.mark.soak)))
def test_every_edit_of_a_single_digit_is_caught(made: Made, count: int) -> None:
    chance = Random(count)
    assert check_report(made.shown, made.recomputed).differences == ()
    tables = list(made.recomputed.tables)
    kinds = [*TEXTS[:2] * 3, *TEXTS[2:], chance.choice(tables), tables[0]]
    missed = []
    for number in range(count):
        path = kinds[number % len(kinds)]
        content = made.shown[path] or b""
        spoilt = edited_table(content, chance) if path in made.recomputed.tables else edited(content, chance)
        found = check_report({**made.shown, path: spoilt}, made.recomputed).differences
        if not any(each.path == path for each in found):
            missed.append((number, path))
    assert missed == []


def test_a_digit_of_the_tables_is_named_with_line_value_and_source(made: Made) -> None:
    text = (made.shown["summary.md"] or b"").decode()
    lines = text.split("\n")
    at = next(number for number, line in enumerate(lines) if re.match(r"\| `rank4.* \| match \| 0\.", line))
    right = lines[at].split(" | ")[4]
    wrong = right[:-1] + ("1" if right[-1] == "0" else "0")
    lines[at] = lines[at].replace(f"| match | {right} |", f"| match | {wrong} |")
    (found,) = check_report({**made.shown, "summary.md": "\n".join(lines).encode()}, made.recomputed).differences
    assert (found.kind, found.path, found.place) == ("number", "summary.md", f"line {at + 1}")
    assert (found.shown, found.made) == (wrong, right)
    (origin,) = found.origins
    assert origin.file.endswith(".eval")
    assert origin.pointer == "samples/*.json#/scores/match"
    assert made.world.store.digest(origin.file) == origin.sha256


def test_a_digit_of_the_page_is_named_with_the_source_of_its_row(made: Made) -> None:
    text = (made.shown["report/index.html"] or b"").decode()
    row = re.search(r'<tr id="training-1" data-source="(\w+) (\w+)".*?<td class="number">(\d\.\d{3})', text)
    assert row is not None
    place = row.start(3) + 4
    spoilt = f"{text[:place]}{9 - int(text[place])}{text[place + 1 :]}"
    (found,) = check_report({**made.shown, "report/index.html": spoilt.encode()}, made.recomputed).differences
    assert found.made == row[3]
    assert [each.label for each in found.origins] == [row[1], row[2]]
    assert found.origins[0].file.endswith("metrics.jsonl")


def test_a_value_of_the_result_table_is_named_by_row_and_column(made: Made) -> None:
    spoilt = edited_table(made.shown["results.parquet"] or b"", Random(5))
    found = check_report({**made.shown, "results.parquet": spoilt}, made.recomputed).differences
    assert [each.kind for each in found] == ["value"]
    assert re.fullmatch(r"row \d+, column (value|n|seed|epoch|successes)", found[0].place)
    assert found[0].origins[0].file


def test_bytes_that_differ_where_no_value_does_are_told_unless_the_record_knows_them(made: Made) -> None:
    table = parquet.read_table(BytesIO(made.shown["results.parquet"] or b""))
    buffer = BytesIO()
    parquet.write_table(table, buffer, compression="none")
    (found,) = check_report({**made.shown, "results.parquet": buffer.getvalue()}, made.recomputed).differences
    assert "every value agrees, but its bytes" in found.words
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    written = made.recomputed.written._replace(made_of={"results.parquet": digest})
    known = made.recomputed._replace(written=written)
    assert check_report({**made.shown, "results.parquet": buffer.getvalue()}, known).differences == ()


def test_a_missing_file_and_a_changed_picture_are_told(made: Made) -> None:
    spoilt = {**made.shown, "report/accuracy.png": b"\x89PNG", "summary.md": None, "predictions/x": b""}
    found = check_report(spoilt, made.recomputed).differences
    assert {each.path for each in found} == {"report/accuracy.png", "summary.md"}


@pytest.mark.parametrize("text", (b"\xff", b"", b"# another file\n"))
def test_a_document_of_another_kind_is_told(made: Made, text: bytes) -> None:
    for path in TEXTS:
        found = check_report({**made.shown, path: text}, made.recomputed).differences
        assert path in {each.path for each in found}


def test_lines_added_and_removed_are_told(made: Made) -> None:
    lines = (made.shown["summary.md"] or b"").decode().split("\n")
    for spoilt in ([*lines[:30], "invented 0.999", *lines[30:]], [*lines[:30], *lines[31:]]):
        found = check_report({**made.shown, "summary.md": "\n".join(spoilt).encode()}, made.recomputed).differences
        assert len(found) == 1


def other_layout(made: Made, change: Callable[[str], str]) -> tuple[dict[str, bytes | None], Recomputed]:
    """Return a report that an earlier version laid out otherwise, as the record knows it."""
    shown = {path: change((made.shown[path] or b"").decode()).encode() for path in TEXTS}
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in shown.items()}
    files = {**made.recomputed.written.files, **hashes}
    written = made.recomputed.written._replace(version="0.0.1", files=files)
    return {**made.shown, **shown}, made.recomputed._replace(written=written)


def test_a_report_of_an_earlier_version_that_differs_in_layout_alone_is_a_note(made: Made) -> None:
    shown, recomputed = other_layout(made, lambda text: text.replace("Run status", "How the runs stand"))
    found = check_report(shown, recomputed)
    assert found.differences == ()
    assert found.notes == ("the report was written by cruijff-kit 0.0.1; its figures agree, its layout differs",)


def test_a_digit_of_a_report_of_an_earlier_version_is_no_matter_of_layout(made: Made) -> None:
    shown, recomputed = other_layout(made, lambda text: text.replace("Run status", "How the runs stand"))
    for path in TEXTS:
        spoilt = {**shown, path: edited(shown[path] or b"", Random(1))}
        assert path in {each.path for each in check_report(spoilt, recomputed).differences}


def test_a_printed_figure_that_an_earlier_version_took_from_elsewhere_is_a_difference(made: Made) -> None:
    trace = json.loads(made.shown[ExperimentLayout.traces] or b"")
    value = next(each["value"] for each in trace["figures"] if each["figure"] == EFFECT)
    shown, recomputed = other_layout(made, lambda text: text.replace(repr(value), "0.25").replace("## ", "### "))
    found = check_report(shown, recomputed).differences
    assert f"value of `{EFFECT}`" in {each.place for each in found}


def test_nothing_differs_and_nothing_is_written_where_nothing_was_changed(reported_world: World) -> None:
    root = reported_world.store.root
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}
    head = reported_world.audit.head()
    found = verify_experiment(world=reported_world)
    assert found.ok, words(found)
    assert found.notes == ()
    assert (found.figures, found.values > 10_000, found.numbers > 1_000, found.files > 100) == (422, True, True, True)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")} == before
    assert reported_world.audit.head() == head


def _of(plan: Plan) -> dict[str, str]:
    layout, cell = RunLayout(plan.runs[0].id), plan.runs[0].cells[0]
    return {"metrics": layout.metrics, "manifest": layout.manifest, "done": layout.cell_done(cell.name)}


@pytest.mark.parametrize("which", ("metrics", "manifest", "done"))
def test_a_digit_of_a_raw_file_is_named(reported_world: World, plan: Plan, which: str) -> None:
    path = _of(plan)[which]
    target = reported_world.store.root / path
    target.write_bytes(edited(target.read_bytes(), Random(3)))
    found = verify_experiment(world=reported_world)
    causes = [each for each in found.differences if each.kind == "file"]
    assert path in {each.path for each in causes}
    assert found.differences[0].kind == "file"


@pytest.fixture
def adapted(made: Made, tmp_path: Path) -> World:
    """Return a copy of the experiment in which a test may spoil adapters."""
    return world_at(Path(shutil.copytree(made.world.store.root, tmp_path / "adapted")))


def weights_of(run: PlannedRun) -> str:
    return f"outputs/{RunLayout(run.id).epoch(0)}/adapter_model.safetensors"


def test_a_changed_byte_of_an_adapter_is_named_with_the_marker_of_its_training(
    reported_world: World, plan: Plan
) -> None:
    path = weights_of(plan.runs[0])
    target = reported_world.store.root / path
    content = bytearray(target.read_bytes())
    content[3] ^= 1
    target.write_bytes(content)
    found = verify_experiment(world=reported_world)
    (wrong,) = found.differences
    assert (wrong.kind, wrong.path, wrong.shown) == ("file", path, hashlib.sha256(content).hexdigest())
    assert wrong.words == "the adapter is not the one that its training wrote"
    assert wrong.origins[0].file == RunLayout(plan.runs[0].id).done("train")
    assert found.adapters == sum(run.type == "fine-tuned" for run in plan.runs) == 8


def test_adapters_swapped_between_two_runs_are_named_each_as_the_others(made: Made, adapted: World, plan: Plan) -> None:
    runs = plan.runs[:2]
    first, second = (adapted.store.root / weights_of(run) for run in runs)
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    _, checked = check_adapters(plan, made.recomputed.table, world=adapted)
    assert [(each.path, each.words) for each in checked.differences] == [
        (weights_of(run), f"the adapter is not the one that its training wrote: it is that of `{other.id}`, epoch_0")
        for run, other in zip(runs, runs[::-1], strict=True)
    ]


def test_an_adapter_trained_since_is_not_the_one_evaluated_though_its_marker_vouches_for_it(
    made: Made, adapted: World, plan: Plan
) -> None:
    run, path = plan.runs[0], weights_of(plan.runs[0])
    adapted.store.write(path, "weights of a later training")
    marker = RunLayout(run.id).done("train")
    done = Done.model_validate_json(adapted.store.read(marker) or b"")
    artefacts = {**done.artefacts, path: adapted.store.digest(path) or ""}
    adapted.store.write(marker, done.model_copy(update={"artefacts": artefacts}).model_dump_json())
    _, checked = check_adapters(plan, made.recomputed.table, world=adapted)
    fact = "evaluated another adapter of epoch 0 than its training vouches for"
    assert [each.words for each in checked.differences] == [f"`{cell.task.name}` {fact}" for cell in run.cells]
    for each in checked.differences:
        assert (each.path, each.shown, each.made) == (path, artefacts[path], done.artefacts[path])
        assert each.origins[0].sha256 == adapted.store.digest(each.origins[0].file)


def test_an_evaluation_whose_training_vouches_for_no_adapter_or_left_no_marker_is_told(
    made: Made, adapted: World, plan: Plan
) -> None:
    bare, lost = (RunLayout(run.id).done("train") for run in plan.runs[:2])
    done = Done.model_validate_json(adapted.store.read(bare) or b"")
    adapted.store.write(bare, done.model_copy(update={"artefacts": {}}).model_dump_json())
    (adapted.store.root / lost).unlink()
    count, checked = check_adapters(plan, made.recomputed.table, world=adapted)
    assert ({each.path for each in checked.differences}, count) == ({bare}, 6)
    (note,) = checked.notes
    assert note.startswith(f"the training of `{plan.runs[1].id}` left no marker that can be read")


def test_a_missing_adapter_is_named_but_not_in_a_copy_that_was_fetched_without_adapters(
    made: Made, adapted: World, plan: Plan
) -> None:
    shutil.rmtree(adapted.store.root / "outputs" / RunLayout(plan.runs[0].id).output)
    _, checked = check_adapters(plan, made.recomputed.table, world=adapted)
    assert [(each.words, each.shown) for each in checked.differences] == [("the file is missing", "missing")] * 2
    shutil.rmtree(adapted.store.root / "outputs")
    adapted.store.write(ExperimentLayout.mirror, MirrorMark(site=None, host="login", dir="/lab/exp").model_dump_json())
    count, fetched = check_adapters(plan, made.recomputed.table, world=adapted)
    assert (count, fetched.files, fetched.differences) == (0, 0, ())
    assert fetched.notes == ("adapters that were left at login:/lab/exp and not compared: 8",)


def test_a_changed_log_is_named_first_and_then_what_no_longer_follows(reported_world: World, plan: Plan) -> None:
    folder = RunLayout(plan.runs[0].id).cell_logs(plan.runs[0].cells[0].name)
    (log,) = (reported_world.store.root / folder).glob("*.eval")
    content = bytearray(log.read_bytes())
    content[200] ^= 1
    log.write_bytes(content)
    found = verify_experiment(world=reported_world)
    assert found.differences[0].path == f"{folder}/{log.name}"
    assert "not what its job left" in found.differences[0].words
    assert {"value", "number"} <= {each.kind for each in found.differences}


def test_a_digit_of_the_record_is_named_by_its_line(reported_world: World) -> None:
    assert isinstance(reported_world.audit, FakeAuditLog)
    line = reported_world.audit.lines[1]
    reported_world.audit.lines[1] = line.replace(b'"seq":1', b'"seq":7')
    found = verify_experiment(world=reported_world)
    assert found.differences[0].kind == "record"
    assert found.differences[0].path == "logs/audit.jsonl"


def test_what_is_recorded_later_and_notes_in_the_design_change_nothing(reported_world: World) -> None:
    later = AuditEvent(actor=ACTOR, verb="sync", action=Action.SYNC_RUNS, subject="experiment")
    reported_world.audit.append(later)
    summary = reported_world.store.root / "experiment_summary.md"
    summary.write_text(summary.read_text(encoding="utf-8") + "\n## Notes\n\nSeen 3 times.\n", encoding="utf-8")
    found = verify_experiment(world=reported_world)
    assert found.ok, words(found)


def test_a_lesson_stands_and_a_digit_of_it_or_of_its_evidence_is_named(reported_world: World, made: Made) -> None:
    value = next(each.value for each in made.recomputed.dossier.traces if each.figure == EFFECT)
    add_lesson(f"Rank raises accuracy by {value:.3f}.", evidence=[EFFECT], world=reported_world)
    assert verify_experiment(world=reported_world).ok
    path = reported_world.store.root / "findings.md"
    text = path.read_text(encoding="utf-8")
    for right, wrong in ((f"{value:.3f}.", "0.777."), (f'"value":{value!r}', '"value":0.5')):
        assert right in text
        path.write_text(text.replace(right, wrong), encoding="utf-8")
        found = verify_experiment(world=reported_world)
        assert {each.kind for each in found.differences} == {"uncited"}


def test_a_marker_that_pruning_rewrote_is_a_note(reported_world: World, plan: Plan) -> None:
    run = plan.runs[0].id
    marker = reported_world.store.root / RunLayout(run).done("train")
    marker.write_text(marker.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert [each.path for each in verify_experiment(world=reported_world).differences] == [f"runs/{run}/DONE"]
    reported_world.audit.append(AuditEvent(actor=ACTOR, verb="prune", action=Action.CHECK_DISK, subject=run))
    found = verify_experiment(world=reported_world)
    assert found.ok, words(found)
    (note,) = found.notes
    assert note.startswith(f"`runs/{run}/DONE` was changed after the report, by `ck disk --prune` on")


def test_what_happens_after_a_report_is_no_matter_of_its_layout(reported_world: World, made: Made, plan: Plan) -> None:
    """A spot check writes nothing; all else that is done with a finished experiment leaves its report as it is."""
    value = next(each.value for each in made.recomputed.dossier.traces if each.figure == EFFECT)
    record_decision("Is it enough?", choice="yes", options=("yes", "no"), reason="the interval", world=reported_world)
    add_lesson(f"Rank raises accuracy by {value:.3f}.", evidence=[EFFECT], world=reported_world)
    found = verify_experiment(world=reported_world)
    assert (found.differences, found.notes) == ((), ())
    pruned, ported = (each.id for each in plan.runs[:2])
    for run, gone in ((pruned, True), (ported, False)):
        marker = reported_world.store.root / RunLayout(run).done("train")
        done = Done.model_validate_json(marker.read_bytes())
        kept = {path: sha for path, sha in done.artefacts.items() if "/adapter_" in path}
        vouched = kept if gone else {**done.artefacts, f"ck-out-{run}/epoch_1/adapter_config.json": "0" * 64}
        marker.write_text(done.model_copy(update={"artefacts": vouched}).model_dump_json(), encoding="utf-8")
    events = (
        AuditEvent(actor=ACTOR, verb="prune", action=Action.CHECK_DISK, subject=pruned),
        AuditEvent(actor=ACTOR, verb="port", action=Action.DECIDE_CONFIG, subject=f"outputs/ck-out-{ported}"),
        AuditEvent(actor=ACTOR, verb="archive", action=Action.DECIDE_CONFIG, subject="experiment"),
        AuditEvent(actor=ACTOR, verb="unarchive", action=Action.COMPLETE, subject="experiment"),
    )
    reported_world.audit.append(*events)
    found = verify_experiment(world=reported_world)
    assert found.ok, words(found)
    told = {each.partition(" was changed after the report, by ")[0]: each for each in found.notes}
    assert list(told) == [f"`runs/{run}/DONE`" for run in (pruned, ported)]
    assert ["prune" in told[f"`runs/{pruned}/DONE`"], "adapter port" in told[f"`runs/{ported}/DONE`"]] == [True, True]


def test_what_jobs_left_since_the_report_is_said_to_be_that(world: World, plan: Plan, tmp_path: Path) -> None:
    run = plan.runs[0]
    late = world.store.root / RunLayout(run.id).cell(run.cells[0].name)
    late.rename(tmp_path / "late")
    write_report(world=world)
    assert verify_experiment(world=world).ok
    (tmp_path / "late").rename(late)
    found = verify_experiment(world=world)
    assert not found.ok
    assert found.notes[0].startswith(f"jobs have left results since the report was made, of `{run.id}`: ")


def test_a_report_of_this_version_that_says_other_words_is_not_said_to_be_laid_out_otherwise(made: Made) -> None:
    shown, recomputed = other_layout(made, lambda text: text.replace("Run status", "How the runs stand"))
    written = recomputed.written._replace(version=recomputed.dossier.version)
    found = check_report(shown, recomputed._replace(written=written))
    assert found.differences == ()
    (note,) = found.notes
    assert "its figures agree" in note
    assert "layout" not in note


@pytest.mark.parametrize(
    "text, wrong",
    (
        ("The effect is {value:.3f} (`{name}`), {percent:.1f} % in the words of many.", 0),
        ("The effect is {value:.3f}.", 1),
        ("The effect is 0.999 by `{name}`.", 1),
        ("It is {value:.2f}.\n\nBy `{name}` it is not.", 1),
        ("- first {value:.3f}\n- second, `{name}`", 1),
        ("`effect/nothing/1 - 2` says nothing.", 1),
        ("## 2.1 What we saw\n\n1. On 2026-11-20 at 14:23, with v1.2.3, seed 14 and table 2: 3 of 4 agree.", 0),
        ("Of 40 samples 12 % were right.", 2),
        ("It rose by 5 points.", 1),
        ("lora_rank 16 beat lora_rank 4 in `capitalize_2026-11-20`.", 0),
        ("```\n0.123 in code that was run\n```", 0),
        ("See [the page](report/index.html#accuracy-12) and https://example.org/v2/3.14.", 0),
    ),
)
def test_a_number_in_prose_must_cite_a_figure_that_holds_it(made: Made, text: str, wrong: int) -> None:
    value = next(each.value for each in made.recomputed.dossier.traces if each.figure == EFFECT) or 0.0
    found = check_prose(text.format(value=value, percent=100 * value, name=EFFECT), made.recomputed)
    assert [each.kind for each in found] == ["uncited"] * wrong
    assert all(each.place.startswith("line ") for each in found)


def test_an_uncited_number_is_told_with_the_figure_that_holds_it(made: Made) -> None:
    value = next(each.value for each in made.recomputed.dossier.traces if each.figure == EFFECT)
    (found,) = check_prose(f"\nlora_rank 16 instead of 4 has an effect of {value:.3f}", made.recomputed)
    assert found.place == "line 2"
    assert f"`{EFFECT}` holds it" in found.words
    (share,) = check_prose(f"Of lora_rank 16 instead of 4 the effect is {100 * (value or 0.0):.2f} %.", made.recomputed)
    assert share.words.startswith(f"`{100 * (value or 0.0):.2f} %` cites no figure")
    assert f"`{EFFECT}` holds it" in share.words


def test_the_command_names_differences_and_exits_with_1(reported_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "enter", lambda _: reported_world)
    clean = CliRunner().invoke(command.verify, obj=".")
    assert (clean.exit_code, clean.output.splitlines()[-1][-13:]) == (0, "no difference")
    (reported_world.store.root / "report" / "mine.txt").write_text("1", encoding="utf-8")
    page = reported_world.store.root / "report" / "index.html"
    page.write_bytes(edited(page.read_bytes(), Random(2)))
    spoilt = CliRunner().invoke(command.verify, obj=".")
    assert spoilt.exit_code == 1
    assert "report/index.html, line" in spoilt.output
    assert "`report/mine.txt` was not written by `ck report`" in spoilt.output
    told = CliRunner().invoke(command.verify, ["--json"], obj=".")
    assert (told.exit_code, [each["path"] for each in json.loads(told.output)["differences"]]) == (
        1, ["report/index.html"],
    )  # fmt: skip


def test_before_a_report_there_is_nothing_to_verify(world: World) -> None:
    result = CliRunner().invoke(command.verify, obj=str(world.store.root.parent / "nothing"))
    assert isinstance(result.exception, PlanError)
    assert "there is no directory `nothing`" in str(result.exception)
    with pytest.raises(Exception, match="nothing was reported yet"):
        verify_experiment(world=world)
