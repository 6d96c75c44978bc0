"""`ck audit-model` on a sealed experiment: what it verifies, writes, records, pairs, asks and refuses."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from math import log
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import Asking, World
from cruijff_kit.schema.audit import Action, AuditRecord
from cruijff_kit.schema.calibration import CalibrationSettings
from cruijff_kit.schema.dataset_report import TermSwap
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.model_audit import AuditCheck, AuditFile, AuditRequest, ModelAudit
from cruijff_kit.schema.plan import Cell, PlannedRun
from cruijff_kit.schema.prediction import Completion, Prediction, PromptIds
from cruijff_kit.schema.run import Done
from cruijff_kit.workflow.audit_model import audit_run
from cruijff_kit.workflow.calibrate import calibrate_run
from cruijff_kit.workflow.collect import collect_results
from cruijff_kit.workflow.known_chances import compare_chances
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.swap_terms import swap_data
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.eval_logs import write_log
from tests.fakes.model_hub import FakeHub, model_facts
from tests.tokenizer_zoo import byte_level

SIZES = {"train": 20, "validation": 10, "calibration": 300, "test": 400}
OPTIONS = ("deny", "grant")
LIMITS = {"cost": 0.5, "procedures": "general", "mce": 0.4, "ece": 0.2, "gap": 0.4, "coverage_margin": 0.15}
"""Wide ones: four hundred samples tell little."""
ADAPTER = b"weights"
SHA256 = hashlib.sha256(ADAPTER).hexdigest()


def rows() -> dict[str, list[dict[str, str]]]:
    """Return applications, half of which name a person by a word of gender, one in twenty by an unclear one."""
    chance = np.random.default_rng(4)
    found: dict[str, list[dict[str, str]]] = {}
    for split, n in SIZES.items():
        found[split] = []
        for at in range(n):
            who = ("her case" if at % 20 == 7 else "he applies") if at % 2 else "the applicant applies"
            text = f"{split} {at}: {who}, income {chance.integers(1, 99)}"
            answer = OPTIONS[int(chance.random() < 0.5)]
            found[split].append({"input": text, "output": answer, "site": "north" if at % 3 else "south"})
    return found


def answered(run: PlannedRun, cell: Cell, given: Sequence[dict[str, str]]) -> Iterator[Prediction]:
    """Yield what a model of known probabilities answers: the right option with the chance that it tells."""
    chance = np.random.default_rng(len(given))
    for at, row in enumerate(given):
        sure = float(chance.uniform(0.5, 1))
        right = bool(chance.random() < sure)
        chosen = row["output"] if right else OPTIONS[1 - OPTIONS.index(row["output"])]
        scores = tuple(log(max(1e-6, sure if option == chosen else 1 - sure)) for option in OPTIONS)
        yield Prediction(
            sample_id=f"{cell.task.split}-{at}", run=run.id, epoch=cell.epoch, task=cell.task.name,
            split=cell.task.split, groups={"site": row["site"]}, target=row["output"], options=OPTIONS,
            option_logprobs=scores, option_mass=1.0, prediction=chosen, correct=right, confidence=sure,
            completion=chosen, prompt_token_sha256=hashlib.sha256(row["input"].encode()).hexdigest(),
            checkpoint_sha256=SHA256,
        )  # fmt: skip


def finish(world: World, run: PlannedRun, *, data: dict[str, list[dict[str, str]]]) -> None:
    """Leave what a training and its evaluations would."""
    adapter = f"outputs/{RunLayout(run.id).epoch(0)}/adapter_model.safetensors"
    world.store.write(adapter, ADAPTER)
    done = Done(exit_code=0, artefacts={adapter: SHA256}, finished=world.clock.now())
    world.store.write(RunLayout(run.id).done("train"), done.model_dump_json())
    for cell in run.cells:
        path = world.store.root / RunLayout(run.id).cell_logs(cell.name) / "2026.eval"
        records = list(answered(run, cell, data[cell.task.split]))
        write_log(path, records, scorers=cell.task.scorers)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        done = Done(exit_code=0, artefacts={str(path): digest}, samples=len(records), finished=world.clock.now())
        world.store.write(RunLayout(run.id).cell_done(cell.name), done.model_dump_json())


def experiment(root: Path) -> tuple[World, str]:
    """Return an experiment of one trained run whose answers were collected and calibrated."""
    root.mkdir(parents=True)
    data = rows()
    (root / "people.json").write_text(json.dumps(data), encoding="utf-8")
    world = world_at(root)
    swap_data("people.json", "swapped.json", asked=TermSwap(terms=("gender",)), world=world)
    data["swapped"] = json.loads((root / "swapped.json").read_text(encoding="utf-8"))["swapped"]
    common = {"task": "rows", "scorers": ["risk"], "options": list(OPTIONS)}
    tasks = [{"name": split, "split": split, **common} for split in ("calibration", "test")]
    tasks.append({"name": "swapped", "split": "swapped", "dataset": "swapped.json", **common})
    put_design(
        root,
        design(
            data={"training": {"path": "people.json"}, "tier": "green"}, factors={}, runs=[],
            controls={"seeds": [1], "batch_size": 4, "epochs": 1}, evaluation={"tasks": tasks},
            analysis={"primary_metric": "risk", "groups": ["site"],
                      "audit": LIMITS},
        ),
    )  # fmt: skip
    scaffold_runs(world=world)
    run = recorded_plan(world=world)[0].runs[0]
    finish(world, run, data=data)
    world = world._replace(evaluations=InspectLogs())
    collect_results(world=world)
    calibrate_run(run.id, world=world)
    return world, run.id


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, str]:
    return experiment(tmp_path_factory.mktemp("audited") / "parity")


def part(audit: ModelAudit, name: str) -> tuple[str, str]:
    found = next(each for each in audit.components if each.name == name)
    return found.verdict, found.reason


def proof(audit: ModelAudit, name: str) -> AuditCheck:
    parts = next(each for each in audit.components if each.name == "provenance")
    return next(each for each in parts.checks if each.name.startswith(name))


def records(world: World) -> list[AuditRecord]:
    return [each for each in world.audit.records() if each.action is Action.AUDIT_MODEL]


def test_every_part_is_audited_from_what_was_collected(audited: tuple[World, str]) -> None:
    world, run = audited
    receipt = audit_run(run, world=world)
    audit = receipt.audit
    verdicts = {each.name: each.verdict for each in audit.components}
    assert verdicts == {
        "calibration": "pass", "coverage": "pass", "cost": "pass", "groups": "pass", "counterfactual": "fail",
        "procedures": "pass", "consistency": "not_assessed", "provenance": "pass",
    }, receipt.text  # fmt: skip
    assert (audit.verdict, audit.failed, audit.not_assessed) == ("fail", ("counterfactual",), ("consistency",))
    assert {each.name: each.verdict for each in audit.components[-1].checks} == {
        "audit log": "pass", "design seal": "pass", "training DONE": "pass", "evaluation DONE": "pass",
        "checkpoint": "pass", proof(audit, "data").name: "pass",
    }  # fmt: skip
    # Half of the test rows hold a term, one in ten of them an unclear one, which is left out.
    flips = next(each for each in audit.components if each.name == "counterfactual").checks[0]
    assert flips.figure is not None
    assert flips.figure.n == 180
    assert audit.sources | {"gap": "design", "groups": "design", "level": "default"} == audit.sources
    assert audit.checkpoint_sha256 == SHA256


def test_the_audit_is_written_and_recorded_once(audited: tuple[World, str]) -> None:
    world, run = audited
    first = audit_run(run, world=world)
    content, told = world.store.read("audit.json") or b"", records(world)
    assert AuditFile.model_validate_json(content).audits == (first.audit,)
    assert told[-1].outputs["audit.json"] == first.sha256 == hashlib.sha256(content).hexdigest()
    assert told[-1].outputs["verdict"] == "fail"
    assert set(told[-1].inputs) == {f"predictions/{run}.parquet", RunLayout(run).calibrator}
    again = audit_run(run, world=world)
    assert (again, world.store.read("audit.json"), records(world)) == (first, content, told)


def test_each_proof_fails_when_its_file_is_touched(audited: tuple[World, str]) -> None:
    world, run = audited
    adapter = f"outputs/{RunLayout(run).epoch(0)}/adapter_model.safetensors"
    script = RunLayout(run).train_script
    touched = {adapter: ("training DONE", "checkpoint"), "people.json": ("data",), script: ("design seal",)}
    for path, names in touched.items():
        content = world.store.read(path) or b""
        (world.store.root / path).write_bytes(content + b" ")
        audit = audit_run(run, world=world).audit
        assert [proof(audit, name).verdict for name in names] == ["fail"] * len(names), path
        (world.store.root / path).write_bytes(content)
    (world.store.root / adapter).rename(world.store.root / "gone")
    gone = audit_run(run, world=world).audit
    assert [proof(gone, name).verdict for name in ("training DONE", "checkpoint")] == ["not_assessed"] * 2
    (world.store.root / "gone").rename(world.store.root / adapter)
    assert proof(audit_run(run, world=world).audit, "checkpoint").verdict == "pass"


def test_a_record_that_was_rewritten_fails_the_audit(audited: tuple[World, str], tmp_path: Path) -> None:
    world, run = audited
    root = Path(shutil.copytree(world.store.root, tmp_path / "copy"))
    log_file = root / "logs/audit.jsonl"
    log_file.write_bytes(log_file.read_bytes().replace(b'"result":"success"', b'"result":"failure"', 1))
    told = audit_run(run, world=world_at(root)._replace(evaluations=InspectLogs())).audit
    assert proof(told, "audit log").verdict == "fail"
    assert part(told, "provenance")[0] == "fail"


def test_flags_go_before_a_file_and_a_file_before_the_design(audited: tuple[World, str], tmp_path: Path) -> None:
    world, run = audited
    file = tmp_path / "limits.yaml"
    file.write_text("gap: 0.3\nece: 0.15\ncomponents: [calibration, groups]\n", encoding="utf-8")
    asked = AuditRequest(file=str(file), values={"gap": "0.35", "favourable": "grant"})
    audit = audit_run(run, asked=asked, world=world).audit
    assert (audit.rules.gap, audit.rules.ece, audit.rules.mce) == (0.35, 0.15, 0.4)
    assert [audit.sources[name] for name in ("gap", "ece", "mce", "flips")] == [
        "command line", str(file), "design", "default",
    ]  # fmt: skip
    assert (audit.verdict, audit.rules.favourable) == ("pass", ("grant",))
    assert audit.notes[0].startswith("set beside the design, so that results may have been known: `components` (")
    assert "`gap` (command line)" in audit.notes[0]
    assert "`mce`" not in audit.notes[0]
    assert audit.left_out == ("coverage", "cost", "counterfactual", "procedures", "consistency", "provenance")


@pytest.mark.parametrize(
    "values,said",
    (
        ({"gap": "2", "min_n": "5"}, ("gap", "min_n")),
        ({"groups": "sex"}, ("no group column `sex`; they have `site`",)),
        ({"procedures": "nowhere.yaml"}, ("`nowhere.yaml` cannot be read", "`medical`")),
        ({"favourable": "maybe"}, ("`maybe` is no option",)),
        ({"gapp": "1"}, ("gapp",)),
    ),
)
def test_rules_that_cannot_be_are_refused_and_nothing_is_written(
    values: dict[str, str], said: tuple[str, ...], audited: tuple[World, str]
) -> None:
    world, run = audited
    before = world.store.read("audit.json")
    with pytest.raises(SpecError) as refused:
        audit_run(run, asked=AuditRequest(values=values), world=world)
    assert all(each in str(refused.value) for each in said), refused.value
    assert world.store.read("audit.json") == before


def test_without_a_calibrator_or_on_its_own_split_coverage_is_not_assessed(audited: tuple[World, str]) -> None:
    world, run = audited
    own = audit_run(run, asked=AuditRequest(split="calibration"), world=world).audit
    assert part(own, "coverage")[0] == "not_assessed"
    assert "the model or the calibrator was made with it" in part(own, "coverage")[1]
    path = RunLayout(run).calibrator
    content = world.store.read(path) or b""
    (world.store.root / path).unlink()
    told = part(audit_run(run, world=world).audit, "coverage")
    world.store.write(path, content)
    assert told == ("not_assessed", f"the run has no calibrator: `ck calibrate {run}` fits one")


def test_a_calibrator_of_decisions_is_held_to_the_risk_that_it_controls(audited: tuple[World, str]) -> None:
    world, run = audited
    path = RunLayout(run).calibrator
    content = world.store.read(path) or b""
    costs = {"deny": {"grant": 2.0}, "grant": {"deny": 1.0}}
    calibrate_run(run, settings=CalibrationSettings(method="crc", alpha=0.3, costs=costs), world=world)
    asked = AuditRequest(values={"components": "[coverage, cost]"})
    audit = audit_run(run, asked=asked, world=world).audit
    world.store.write(path, content)
    assert part(audit, "coverage")[1] == "the calibrator (`crc`) makes decisions, and no sets to cover"
    given, risk = next(each for each in audit.components if each.name == "cost").checks
    assert (given.name, risk.name, risk.threshold) == ("expected_cost", "marginal_risk", 0.5)
    assert risk.figure is not None
    assert (risk.figure.n, risk.verdict) == (400, "pass")
    assert (audit.rules.costs, audit.sources["costs"]) == (costs, "calibrator")


def test_a_damaged_audit_file_is_refused_with_the_remedy(audited: tuple[World, str]) -> None:
    world, run = audited
    content = audit_run(run, world=world) and world.store.read("audit.json")
    world.store.write("audit.json", "{")
    with pytest.raises(ResultError, match="move it away"):
        audit_run(run, world=world)
    world.store.write("audit.json", content or b"")


class Respondent:
    """Denies whoever is called she, and where answers are sampled says what the seed says."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def ask(self, prompts: Sequence[PromptIds], asking: Asking, *, stop_ids: Sequence[int] = ()) -> list[Completion]:
        self.seeds.append(asking.seed)
        return [self._answer(byte_level().decode(list(ids)), asking) for ids in prompts]

    def _answer(self, prompt: str, asking: Asking) -> Completion:
        said = "deny" if " she " in prompt else "grant"
        if asking.temperature is not None:
            said = OPTIONS[(asking.seed + len(prompt)) % 2]
        scores = tuple(log(0.9 if option == said else 0.1) for option in asking.options)
        return Completion(token_ids=(1,), text=said, stopped=True, option_logprobs=scores)


def test_the_model_itself_is_asked_with_swapped_terms_and_repeatedly(audited: tuple[World, str]) -> None:
    world, run = audited
    model = Respondent()
    adapter = str(world.store.root / "outputs" / RunLayout(run).epoch(0))
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()}, inferences={adapter: model})
    asked = AuditRequest(ask=True, most=100, draws=4, values={"terms": "gender", "seed": "7"})
    audit = audit_run(run, asked=asked, world=world._replace(hub=hub)).audit
    flips, shift = next(each for each in audit.components if each.name == "counterfactual").checks
    assert flips.figure is not None
    assert shift.figure is not None
    assert (flips.figure.value, flips.figure.n, flips.verdict) == (1.0, 45, "fail")
    assert shift.figure.value == pytest.approx(0.8)
    assert part(audit, "counterfactual")[1] == (
        "of 100 questions asked here 45 hold a term to swap, and 5 one of several counterparts"
    )
    agreement = next(each for each in audit.components if each.name == "consistency").checks[0]
    assert agreement.figure is not None
    # Two answers of each kind out of four: two of six pairs agree.
    assert (agreement.figure.value, agreement.figure.n) == (pytest.approx(1 / 3), 100)
    assert model.seeds == [0, 0, 7, 8, 9, 10]


def test_the_report_has_a_section_of_the_audit_and_says_when_it_is_old(audited: tuple[World, str]) -> None:
    world, run = audited
    audit_run(run, world=world)
    write_report(world=world)
    text, page = world.store.read_text("summary.md") or "", world.store.read_text("report/index.html") or ""
    assert "## High-stakes audit" in text
    assert "fails in counterfactual; not assessed: consistency" in text
    assert f"- The audit of `{run}` on test fails in counterfactual." in text
    assert "accuracy gap by site" in text
    told = [line for line in text.splitlines() if "| accuracy gap by site |" in line]
    assert told
    assert all(row.endswith("](#sources) |") for row in told)
    assert '<section id="audited"' in page
    assert "Audited before what lies here now" not in text
    content = world.store.read(RunLayout(run).calibrator) or b""
    world.store.write(RunLayout(run).calibrator, content + b"\n")
    write_report(world=world)
    assert "Audited before what lies here now" in (world.store.read_text("summary.md") or "")
    world.store.write(RunLayout(run).calibrator, content)


def test_the_command_tells_each_part_and_ends_with_one_where_one_fails(
    audited: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, run = audited
    monkeypatch.setattr("cruijff_kit.cli.audit_model.enter", lambda _: world)
    told = CliRunner().invoke(cli, ["audit-model", run])
    assert told.exit_code == 1, told.output
    assert "FAIL         counterfactual" in told.output
    assert "verdict: FAIL; fails in counterfactual; not assessed: consistency" in told.output
    only = CliRunner().invoke(cli, ["audit-model", run, "--set", "components=[calibration]", "--json"])
    assert only.exit_code == 0, only.output
    assert ModelAudit.model_validate_json(only.output).verdict == "pass"
    wrong = CliRunner().invoke(cli, ["audit-model", run, "--set", "gap", "--set", "colour=1"])
    assert isinstance(wrong.exception, SpecError)
    assert {problem.message for problem in wrong.exception.problems} == {
        "`gap` is no RULE=VALUE", "`colour` is no rule",
    }  # fmt: skip


def test_swapped_rows_remember_what_they_were_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people.json").write_text(json.dumps(rows()), encoding="utf-8")
    world = world_at(tmp_path)
    monkeypatch.setattr("cruijff_kit.cli.swap.enter", lambda _: world)
    told = CliRunner().invoke(cli, ["data", "swap", "people.json", "twins.json", "--terms", "gender"])
    assert told.exit_code == 0, told.output
    assert "180 of 400 rows of test hold a term" in told.output
    assert "left out: 20 rows" in told.output
    (first, *_) = json.loads((tmp_path / "twins.json").read_text(encoding="utf-8"))["swapped"]
    assert first["input"].startswith("test 1: she applies")
    assert first["pair"] == "test-1"
    with pytest.raises(SpecError, match="no row of split `train` holds a term"):
        swap_data("people.json", "none.json", asked=TermSwap(terms=("religion",), split="train"), world=world)
    asked = TermSwap(terms=("gender",), columns=("text",))
    with pytest.raises(SpecError, match="no row has a column `text`"):
        swap_data("people.json", "none.json", asked=asked, world=world)


def test_answers_to_rows_that_tell_no_true_probability_are_not_held_against_any(audited: tuple[World, str]) -> None:
    world, run = audited
    with pytest.raises(ResultError, match="0 of 400 samples of split `test` have rows that tell") as refused:
        compare_chances(run, world=world)
    assert "in the column `chance_deny` and its like" in str(refused.value)
