"""`ck import`: a first-system experiment can be reported, compared and searched, and nothing of it is made up."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.adapters.library import DiskLibrary
from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.cli.main import cli
from cruijff_kit.errors import PlanError, ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.compared import CompareRules
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.imported import ImportOrder, ImportReceipt, ImportRecord
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.noun import UNKNOWN_SHA256
from cruijff_kit.schema.plan import Cell, Plan
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.search import Query
from cruijff_kit.workflow.audit import verify_audit
from cruijff_kit.workflow.collect import gather_results
from cruijff_kit.workflow.compare import compare_experiments
from cruijff_kit.workflow.imports import import_experiment
from cruijff_kit.workflow.read_design import read_design
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.reproduce import reproduce_run
from cruijff_kit.workflow.results import read_results
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan, sealed_plan
from cruijff_kit.workflow.search import search_experiments
from cruijff_kit.workflow.verify import verify_experiment
from tests.fakes.designed import put_design, world_at
from tests.fakes.eval_logs import write_log
from tests.fakes.experiment import SMALL, design_of, plan_of, seal
from tests.first_system import ANSWERS, QUESTION, WORDS, FirstSystem, left_behind


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FirstSystem:
    return left_behind(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def taken(source: FirstSystem, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, ImportReceipt]:
    world = opened(tmp_path_factory.mktemp("project") / "imported")
    before = hashes(source.folder)
    receipt = import_experiment(str(source.folder), order=ImportOrder(tier="green"), reason="ours now", world=world)
    assert hashes(source.folder) == before
    return world, receipt


def opened(root: Path) -> World:
    return world_at(root)._replace(evaluations=InspectLogs(), shelf=DiskShelf(), library=DiskLibrary())


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def record_of(world: World) -> ImportRecord:
    return ImportRecord.model_validate_json(world.store.read("imported.json") or b"")


def test_its_figures_are_those_that_its_own_logs_hold(taken: tuple[World, ImportReceipt]) -> None:
    world, receipt = taken
    plan, _ = recorded_plan(world=world)
    table = gather_results(plan, world=world)
    found = {(row.run, row.epoch, row.metric): (row.successes, row.n) for row in table.rows if row.task != "training"}
    for (name, epoch), right in ANSWERS.items():
        assert found[receipt.runs[name], epoch, "match"] == (right, len(WORDS))
        assert found[receipt.runs[name], epoch, "includes"] == (right, len(WORDS))
    assert len(table.predictions) == len(ANSWERS) * len(WORDS)
    first = next(each for each in table.predictions if each.run == receipt.runs["rank16"])
    assert (first.target, first.completion, first.split) == ("Apple", "Apple", "validation")


def test_every_file_is_kept_byte_for_byte_and_the_record_begins_with_its_hash(
    source: FirstSystem, taken: tuple[World, ImportReceipt]
) -> None:
    world, receipt = taken
    first = next(iter(world.audit.records()))
    assert (first.seq, first.action, first.reason) == (0, Action.IMPORT, "ours now")
    originals = hashes(source.folder)
    imported = {name: digest for name, digest in first.inputs.items() if not name.startswith("/")}
    assert imported == {name: originals[name] for name in imported}
    assert {name for name in originals if name not in imported} == {"design-experiment.log"}
    assert first.inputs[str(source.data)] == hashlib.sha256(source.data.read_bytes()).hexdigest()
    copies = hashes(world.store.root).values()
    assert set(imported.values()) <= set(copies)
    assert verify_audit(world=world).ok
    assert receipt.files == len(first.inputs)


def test_configurations_become_the_controls_they_are_here(taken: tuple[World, ImportReceipt]) -> None:
    world, receipt = taken
    spec, (plan, _) = read_design(world), recorded_plan(world=world)
    assert (spec.name, spec.question, spec.created) == ("cap_5L_rank_2025-11-03", QUESTION, "2025-11-03")
    run = next(each for each in plan.runs if each.id == receipt.runs["rank16"])
    told = {name: (each.value, each.source) for name, each in run.settings.items()}
    assert told["lora_rank"] == (16, "factor")
    assert told["lr"] == (1e-4, "design")
    assert told["packed"] == (True, "design")
    assert told["num_warmup_steps"] == (100, "default")
    assert (run.seed, run.epochs_saved, run.factors) == (1234, (0, 1), {"lora_rank": 16})
    assert {each.type for each in plan.runs if "base" in each.id} == {"control"}
    keys = {(each.run, each.key): each.outcome for each in record_of(world).keys}
    assert keys["rank4", "setup_finetune.yaml: lora_rank"] == "controls.lora_rank"
    assert [each.key for each in receipt.keys if each.run == "rank4"] == [
        "setup_finetune.yaml: stashed_by",
        "setup_finetune.yaml: conda_env",
    ]


def test_what_nobody_can_know_is_marked_with_the_reason(taken: tuple[World, ImportReceipt]) -> None:
    world, receipt = taken
    assert {each.what for each in receipt.unknown} == {"hash of model `Llama-3.2-1B-Instruct`"}
    assert any("run `rank64`" in each for each in receipt.left)
    table = gather_results(recorded_plan(world=world)[0], world=world)
    base = [each for each in table.predictions if each.run == receipt.runs["base"]]
    assert {each.checkpoint_sha256 for each in base} == {UNKNOWN_SHA256}
    weights = hashlib.sha256(b"weights of rank4 1").hexdigest()
    tuned = [each for each in table.predictions if each.run == receipt.runs["rank4"] and each.epoch == 1]
    assert {each.checkpoint_sha256 for each in tuned} == {weights}


def test_it_is_reported_with_its_losses_and_found_by_a_search(taken: tuple[World, ImportReceipt]) -> None:
    world, receipt = taken
    report = write_report(world=world)
    assert "0.500" in report.table or "0.625" in report.table
    page = read_results(match=f"accuracy/{receipt.runs['rank16']}", world=world)
    assert {each.value for each in page.figures if each.figure.endswith("/1/match")} == {1.0}
    losses = read_results(match=f"training/{receipt.runs['rank4']}", world=world).figures
    assert losses[0].value == 2.0
    hits = search_experiments(Query(words="capitalise five-letter"), world=world).hits
    assert [(each.experiment, each.stage) for each in hits] == [("imported", "reported")]


def test_its_adapters_are_verified_and_those_that_were_not_copied_are_counted(
    taken: tuple[World, ImportReceipt],
) -> None:
    world, _ = taken
    write_report(world=world)
    found = verify_experiment(world=world)
    assert (found.differences, found.adapters > 0, found.notes) == ((), True, ())
    outputs = world.store.root / "outputs"
    outputs.rename(outputs.with_name("aside"))
    left = verify_experiment(world=world)
    outputs.with_name("aside").rename(outputs)
    assert (left.differences, left.adapters) == ((), 0)
    told = "adapters that were left where the experiment was imported from and not compared"
    assert left.notes == (f"{told}: {found.adapters}",)


def test_it_is_compared_with_another_and_a_lost_hash_is_told(
    source: FirstSystem, taken: tuple[World, ImportReceipt], tmp_path: Path
) -> None:
    world, _ = taken
    moved = Path(shutil.copytree(source.folder, tmp_path / "moved"))
    for setup in moved.rglob("*finetune.yaml"):
        setup.write_text(
            setup.read_text(encoding="utf-8").replace(str(source.data.parents[1]), "/gone"), encoding="utf-8"
        )
    other = opened(tmp_path / "again")
    import_experiment(str(moved), order=ImportOrder(tier="green"), world=other)
    found = compare_experiments([world, other], rules=CompareRules(runs=("rank16", "lora_rank 16")))
    (contrast,) = found.contrasts
    assert (contrast.difference.value, contrast.over, contrast.difference.n) == (0.0, "shared samples", len(WORDS))
    assert any(
        "is not known by hash and split; sample ids and targets are the same" in each for each in contrast.cautions
    )
    assert {each.imported for each in found.experiments} == {True}


def test_nothing_of_it_can_be_run_or_redesigned_or_made_again(taken: tuple[World, ImportReceipt]) -> None:
    world, receipt = taken
    with pytest.raises(PlanError, match="was imported from another system"):
        sealed_plan(world=world)
    with pytest.raises(PlanError, match="was imported from another system"):
        scaffold_runs(world=world)
    with pytest.raises(PlanError, match="was imported from another system"):
        reproduce_run(receipt.runs["rank16"], world=world)


def test_a_changed_log_of_it_is_never_used(taken: tuple[World, ImportReceipt], tmp_path: Path) -> None:
    world, receipt = taken
    root = Path(shutil.copytree(world.store.root, tmp_path / "tampered"))
    log = next(root.glob(f"runs/{receipt.runs['base']}/eval/*/logs/*.eval"))
    log.write_bytes(log.read_bytes() + b" ")
    table = gather_results(recorded_plan(world=opened(root))[0], world=opened(root))
    reasons = {row.reason for row in table.rows if row.run == receipt.runs["base"]}
    assert all("was changed after the evaluation" in each for each in reasons)


def test_all_that_is_wrong_with_a_directory_is_told_at_once_and_nothing_is_written(
    source: FirstSystem, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(source.folder, tmp_path / "broken"))
    (broken / "rank4/setup_finetune.yaml").write_text("lora_rank: four\nlr: [1\n", encoding="utf-8")
    (broken / "rank16/finetune.yaml").write_text("epochs: many\n", encoding="utf-8")
    next(broken.glob("base/eval/*/logs/*.eval")).write_bytes(b"torn")
    (broken / "experiment_summary.md").write_bytes(b"\xff\xfe")
    target = tmp_path / "none"
    with pytest.raises(SpecError) as caught:
        import_experiment(str(broken), world=opened(target))
    places = {each.place.partition(":")[0] for each in caught.value.problems}
    assert {"rank4/setup_finetune.yaml", "rank16/finetune.yaml", "experiment_summary.md"} <= places
    assert any(each.place.startswith("base/eval") for each in caught.value.problems)
    assert not target.exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SpecError, match="it holds no run of the first system"):
        import_experiment(str(empty), world=opened(target))


def test_of_an_experiment_of_ours_that_alone_is_told(tmp_path: Path) -> None:
    put_design(tmp_path / "ours", design_of(SMALL))
    (tmp_path / "ours/runs/some").mkdir(parents=True)
    (tmp_path / "ours/runs/some/finetune.yaml").write_text("lr: [1\n", encoding="utf-8")
    (tmp_path / "ours/runs/some/torn.eval").write_bytes(b"torn")
    with pytest.raises(SpecError, match="has a problem") as caught:
        import_experiment(str(tmp_path / "ours"), world=opened(tmp_path / "none"))
    (problem,) = caught.value.problems
    assert "an experiment of this package already" in problem.message


def test_a_log_that_is_another_than_was_read_is_not_imported(source: FirstSystem, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(source.folder, tmp_path / "still written"))
    log, world = next(folder.glob("base/eval/*/logs/*.eval")), opened(tmp_path / "none")

    def spoil(at: int, total: int, name: str) -> None:
        # Told of the last log, all before it were read.
        if at == total - 1 and not name.startswith("base"):
            log.write_bytes(log.read_bytes() + b" ")

    with pytest.raises(ResultError, match="nothing was imported"):
        import_experiment(str(folder), progress=spoil, world=world)
    assert not (tmp_path / "none/imported.json").exists()


def test_it_never_writes_into_what_is_there_or_into_the_original(
    source: FirstSystem, taken: tuple[World, ImportReceipt]
) -> None:
    with pytest.raises(PlanError, match="already"):
        import_experiment(str(source.folder), world=taken[0])
    with pytest.raises(PlanError, match="lie in each other"):
        import_experiment(str(source.folder), world=opened(source.folder / "inside"))


def test_the_command_previews_and_imports(source: FirstSystem, tmp_path: Path) -> None:
    target = tmp_path / "by command"

    def said(*words: str) -> str:
        done = CliRunner().invoke(cli, ["import", str(source.folder), "--into", str(target), *words])
        assert done.exit_code == 0, done.output
        return done.output

    preview = said("--check")
    assert "would be imported, 3 runs, 5 evaluations" in preview
    assert "unknown: hash of model `Llama-3.2-1B-Instruct`" in preview
    assert not target.exists()
    misnamed = CliRunner().invoke(cli, ["import", str(source.folder), "--into", str(target), "--name", "my own"])
    assert isinstance(misnamed.exception, SpecError)
    assert not target.exists()
    told = json.loads(said("--json", "--no-adapters"))
    assert told["written"]
    assert not (target / "outputs").exists()
    plan = Plan.model_validate_json((target / "plan.json").read_bytes())
    assert plan.tier == "yellow"


def test_beside_an_experiment_of_ours_its_answers_are_judged_anew_and_that_is_told(
    source: FirstSystem, taken: tuple[World, ImportReceipt], tmp_path: Path
) -> None:
    digest = hashlib.sha256(source.data.read_bytes()).hexdigest()
    task = EvalTask(name="capitalization", task="capitalization", split="validation", scorers=("match",))
    made, spec = plan_of(SMALL), design_of(SMALL)
    control = made.runs[-1].model_copy(update={"cells": (Cell(task=task, epoch=None),)})
    facts = made.datasets[0].model_copy(update={"sha256": digest})
    seal(tmp_path / "ours", spec, plan=made.model_copy(update={"runs": (control,), "datasets": (facts,)}))
    log = tmp_path / "ours" / RunLayout(control.id).cell_logs("capitalization_base") / "a.eval"
    answers = [
        Prediction(
            sample_id=str(at), run=control.id, epoch=None, task=task.name, split=task.split, target=word.capitalize(),
            prediction=word, correct=False, completion=word, prompt_token_sha256="12" * 32, checkpoint_sha256="34" * 32,
        )
        for at, word in enumerate(WORDS, start=1)
    ]  # fmt: skip
    write_log(log, answers)
    done = {str(log): hashlib.sha256(log.read_bytes()).hexdigest()}
    marker = Done(exit_code=0, artefacts=done, samples=len(answers), finished=record_of(taken[0]).imported)
    place = tmp_path / "ours" / RunLayout(control.id).cell_done("capitalization_base")
    place.write_text(marker.model_dump_json(), encoding="utf-8")
    found = compare_experiments([taken[0], opened(tmp_path / "ours")], rules=CompareRules(runs=("rank16", "base")))
    (contrast,) = [each for each in found.contrasts if each.first == "A base"]
    assert contrast.difference.value == -ANSWERS["base", None] / len(WORDS)
    assert any("A was judged anew by this package's `match`" in each for each in contrast.cautions)


def test_the_later_form_is_read_as_well(source: FirstSystem, tmp_path: Path) -> None:
    later = tmp_path / "cap_rank_2026-06-01"
    shutil.copytree(source.folder / "rank4", later / "rank4")
    shutil.copytree(source.folder / "ck-outputs/ck-out-rank4", later / "rank4/artifacts")
    shutil.move(later / "rank4/slurm-404.out", later / "rank4/artifacts/slurm-404.out")
    (later / "experiment_summary.yaml").write_text(
        "experiment: {name: cap_rank, question: Does it learn?, date: 2026-06-01, hypothesis: Yes.}\n"
        "models: {base: [{name: Llama-3.2-1B-Instruct, path: /models/Llama-3.2-1B-Instruct}]}\n"
        "runs:\n  - {name: rank4, type: fine-tuned, model: Llama-3.2-1B-Instruct}\n",
        encoding="utf-8",
    )
    world = opened(tmp_path / "imported")
    receipt = import_experiment(str(later), order=ImportOrder(tier="green"), world=world)
    spec, (plan, _) = read_design(world), recorded_plan(world=world)
    assert (spec.name, spec.question, spec.created, spec.hypothesis) == (
        "cap_rank",
        "Does it learn?",
        "2026-06-01",
        "Yes.",
    )
    (run,) = plan.runs
    assert (run.epochs_saved, run.total_steps, run.settings["prompt"].value) == ((0, 1), 4, "{input}\n")
    assert receipt.evaluations == 2
    assert (world.store.root / f"outputs/ck-out-{run.id}/epoch_1/adapter_model.safetensors").is_file()


def test_what_marks_its_data_counts_over_what_is_said_of_them(source: FirstSystem, tmp_path: Path) -> None:
    closed = Path(shutil.copytree(source.folder, tmp_path / "closed"))
    for config in closed.rglob("*finetune.yaml"):
        config.write_text(config.read_text(encoding="utf-8").replace("data/green", "data/red"), encoding="utf-8")
    world = opened(tmp_path / "imported")
    receipt = import_experiment(str(closed), order=ImportOrder(tier="green"), world=world)
    assert recorded_plan(world=world)[0].tier == "red"
    assert any(each.what.startswith("hash of data") and "any more" in each.reason for each in receipt.unknown)
