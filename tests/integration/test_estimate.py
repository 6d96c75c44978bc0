"""Estimating a design: earlier runs are found, what does not fit is told, and only a person's word changes a run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import PlanError, RunError, SpecError
from cruijff_kit.planning.registry import find_entry, shipped_models
from cruijff_kit.ports import World
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import MetricPoint
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.design import check_design, write_design
from cruijff_kit.workflow.estimate import apply_remedy, estimate_runs, propose_remedies
from cruijff_kit.workflow.prior_runs import search_prior_runs
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.submit import submit_jobs
from tests.fakes.designed import DESIGN, world_at
from tests.fakes.experiment import write_training
from tests.fakes.model_hub import FakeHub, model_facts
from tests.fakes.prober import FakeProber
from tests.fakes.scheduler import FakeScheduler
from tests.tokenizer_zoo import byte_level


def world_in(root: Path, site: Site | None = None) -> World:
    hub = FakeHub(model_facts(), tokenizers={"/models/tiny": byte_level()})
    return world_at(root, site=site)._replace(hub=hub, prober=FakeProber())


def written(root: Path, site: Site | None = None, **changes: Any) -> World:
    world = world_in(root, site)
    write_design(dump_yaml({**DESIGN, "name": root.name, **changes}), reason="first", world=world)
    return world


def scaffolded(root: Path, **changes: Any) -> World:
    world = written(root, **changes)
    scaffold_runs(world=world)
    return world


def trained(root: Path, speed: float = 400.0) -> World:
    """Scaffold an experiment whose first run has trained at a known speed."""
    world = scaffolded(root)
    run = recorded_plan(world=world)[0].runs[0]
    write_training(root, run)
    points = [MetricPoint(step=step, epoch=0, tokens=40 * step, tokens_per_second=speed) for step in range(1, 13)]
    points[0] = points[0].model_copy(update={"tokens_per_second": 1.0})
    lines = "".join(point.model_dump_json(exclude_defaults=True) + "\n" for point in points)
    (root / RunLayout(run.id).metrics).write_text(lines, encoding="utf-8")
    return world


def first(world: World) -> str:
    return recorded_plan(world=world)[0].runs[0].id


def test_runs_that_need_the_same_are_told_once(tmp_path: Path) -> None:
    report = estimate_runs(world=written(tmp_path / "parity"))
    assert len(report.runs) == 2
    assert sum(len(runs) for runs in report.alike.values()) == 6
    assert [each.fits for each in report.runs] == [None, None]
    assert {figure.source for figure in report.runs[0].figures if figure.value is None} == {"not assessed"}


def test_the_check_of_a_design_and_the_estimate_tell_the_same_memory(tmp_path: Path) -> None:
    world = written(tmp_path / "parity")
    checked = {each.name: each for each in check_design(dump_yaml({**DESIGN}), world=world).estimates}
    largest = max(each.memory.total for each in estimate_runs(world=world).runs)
    assert checked["training memory of the largest run"].value == pytest.approx(largest / 1e9)


def test_a_finished_run_of_the_project_tells_how_long_another_will_take(tmp_path: Path) -> None:
    trained(tmp_path / "earlier", speed=400.0)
    world = written(tmp_path / "parity")
    report = estimate_runs(world=world)
    time = next(figure for figure in report.runs[0].figures if figure.name == "training time")
    assert time.value is not None
    assert "1 earlier runs" in time.source
    assert search_prior_runs(["a" * 64], world=world).measured[0].pace.middle == 400.0
    searched = [each for each in world.audit.records() if each.action is Action.SEARCH_PRIOR_RUNS]
    assert (searched[0].outputs["experiments"], searched[0].outputs["runs"]) == ("1", "1")


def test_a_new_measurement_does_not_make_the_design_another_one(tmp_path: Path) -> None:
    world = written(tmp_path / "parity")
    trained(tmp_path / "later")
    assert not write_design(dump_yaml({**DESIGN}), reason="again", world=world).changed


@pytest.mark.parametrize("broken", ("plan.json", "metrics", "manifest"))
def test_an_earlier_run_that_cannot_be_read_tells_nothing_and_disturbs_nothing(broken: str, tmp_path: Path) -> None:
    earlier = trained(tmp_path / "earlier")
    layout = RunLayout(first(earlier))
    path = {"plan.json": "plan.json", "metrics": layout.metrics, "manifest": layout.manifest}[broken]
    (tmp_path / "earlier" / path).write_text('{"torn', encoding="utf-8")
    assert search_prior_runs(["a" * 64], world=world_in(tmp_path / "parity")).measured == ()


def test_a_run_of_another_model_or_one_unfinished_is_not_counted(tmp_path: Path) -> None:
    earlier = trained(tmp_path / "earlier")
    world = world_in(tmp_path / "parity")
    assert search_prior_runs(["f" * 64], world=world).measured == ()
    (tmp_path / "earlier" / RunLayout(first(earlier)).manifest).unlink()
    assert search_prior_runs(["a" * 64], world=world).measured == ()


def test_a_job_s_memory_that_is_too_small_is_warned_of_and_remedied(tmp_path: Path) -> None:
    small: dict[str, Any] = {"resources": {"mem": "500M"}}
    world = written(tmp_path / "parity", **small)
    review = check_design(dump_yaml({**DESIGN, **small}), world=world)
    (warning,) = [each for each in review.warnings if "is estimated to need" in each]
    assert "`resources.mem` has 0.488 GiB" in warning
    assert estimate_runs(world=world).runs[0].remedies


def test_the_registry_s_gpu_is_held_against_a_model_that_it_knows(tmp_path: Path) -> None:
    entry = find_entry(shipped_models(), "Llama-3.2-1B")
    assert entry is not None
    site = Site(models=(entry.model_copy(update={"min_gpu_memory": "500M"}),))
    known = FakeHub(model_facts("/models/Llama-3.2-1B"), tokenizers={"/models/Llama-3.2-1B": byte_level()})
    world = world_in(tmp_path / "parity", site)._replace(hub=known)
    models = [{"name": "one", "path": "/models/Llama-3.2-1B"}]
    review = check_design(dump_yaml({**DESIGN, "models": models, "resources": {"gpus": 1}}), world=world)
    assert any("the registry's GPU for this model has 0.488 GiB" in each for each in review.warnings)


def test_a_node_that_cannot_hold_the_model_while_it_is_loaded_is_warned_of(tmp_path: Path) -> None:
    world = world_in(tmp_path / "parity")
    review = check_design(dump_yaml({**DESIGN, "resources": {"gpus": 1, "mem": "1G"}}), world=world)
    assert any("of the node, and `resources.mem` is `1G`" in each for each in review.warnings)


@pytest.mark.parametrize("said,refused", (("f" * 40, True), ("0123456", False), ("main", False)))
def test_a_design_that_names_another_commit_than_was_pulled_is_refused(
    said: str, refused: bool, tmp_path: Path
) -> None:
    pulled = model_facts().model_copy(update={"repo": "lab/tiny", "revision": "0123456" + "0" * 33})
    world = world_in(tmp_path / "parity")._replace(hub=FakeHub(pulled, tokenizers={"/models/tiny": byte_level()}))
    text = dump_yaml({**DESIGN, "models": [{"name": "tiny", "path": "/models/tiny", "revision": said}]})
    if not refused:
        assert check_design(text, world=world).spec.models[0].revision == said
        return
    with pytest.raises(SpecError) as caught:
        check_design(text, world=world)
    assert "was pulled at `012345600000`" in str(caught.value)


@pytest.mark.parametrize("site,asked,fits", ((None, "500M", False), (Site(gpu_memory="80G"), None, True)))
def test_gpu_memory_is_the_site_s_unless_asked_for(
    site: Site | None, asked: str | None, fits: bool, tmp_path: Path
) -> None:
    world = written(tmp_path / "parity", site=site, resources={"gpus": 1})
    report = estimate_runs(gpu_memory=asked, world=world)
    assert report.runs[0].device == "gpu"
    assert report.runs[0].fits is fits


def test_a_size_that_is_none_is_told_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="is not a number with K, M, G or T"):
        estimate_runs(gpu_memory="lots", world=written(tmp_path / "parity"))


def test_a_probe_measures_one_run_and_its_time_follows(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity")
    report = estimate_runs(run=first(world), probe=6, world=world)
    assert report.probe is not None
    assert report.probe.steps == 6
    time = next(figure for figure in report.runs[0].figures if figure.name == "training time")
    assert time.value is not None
    assert "6 first steps on `cpu`" in time.source
    assert isinstance(world.prober, FakeProber)
    assert "--config" in world.prober.asked[0]


def test_a_probe_needs_a_run_that_is_scaffolded(tmp_path: Path) -> None:
    world = written(tmp_path / "parity")
    with pytest.raises(PlanError, match="first steps of one run"):
        estimate_runs(probe=6, world=world)
    with pytest.raises(PlanError, match="is not scaffolded"):
        estimate_runs(run="rank4_lr3e-4_seed1", probe=6, world=world)


def test_a_probe_on_another_device_says_nothing_about_time(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity", resources={"gpus": 1})
    report = estimate_runs(run=first(world), probe=6, world=world)
    assert next(figure for figure in report.runs[0].figures if figure.name == "training time").value is None


def test_an_applied_split_is_in_the_files_the_plan_and_the_record_under_the_same_id(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity")
    run = first(world)
    apply_remedy(run, settings={"batch_size": 2}, reason="the small GPUs are free", world=world)
    layout = RunLayout(run)
    for path in (layout.setup, layout.config):
        values = load_yaml((world.store.root / path).read_text(encoding="utf-8"), name=path).value
        assert (values["batch_size"], values["gradient_accumulation_steps"]) == (2, 2)
    planned = recorded_plan(world=world)[0].runs[0]
    assert planned.id == run
    assert planned.settings["batch_size"].source == "edit"
    record = list(world.audit.records())[-1]
    assert (record.action, record.reason) == (Action.DECIDE_CONFIG, "the small GPUs are free")
    report = estimate_runs(run=run, world=world)
    assert report.runs[0].memory.gradients > 0


def test_activation_checkpointing_is_applied_alike(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity")
    before = estimate_runs(run=first(world), world=world).runs[0].memory.total
    apply_remedy(first(world), settings={"activation_checkpointing": True}, reason="memory", world=world)
    assert recorded_plan(world=world)[0].runs[0].settings["activation_checkpointing"].value is True
    assert estimate_runs(run=first(world), world=world).runs[0].memory.total < before


@pytest.mark.parametrize("settings", ({"batch_size": 3}, {"batch_size": 0}, {"lr": 1}, {"packed": 1}))
def test_a_change_that_would_alter_the_batch_is_refused_and_nothing_written(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    world = scaffolded(tmp_path / "parity")
    path = world.store.root / RunLayout(first(world)).setup
    before = path.read_bytes()
    with pytest.raises(PlanError):
        apply_remedy(first(world), settings=settings, reason="none", world=world)
    assert path.read_bytes() == before


def test_a_change_that_the_design_varies_is_refused_and_the_file_put_back(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity", factors={"batch_size": [4, 8]})
    path = world.store.root / RunLayout(first(world)).setup
    before = path.read_bytes()
    with pytest.raises(PlanError, match="cannot be adopted"):
        apply_remedy(first(world), settings={"batch_size": 2}, reason="none", world=world)
    assert path.read_bytes() == before


def test_the_control_run_is_not_changed(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity")
    control = recorded_plan(world=world)[0].runs[-1].id
    with pytest.raises(RunError, match="does not train"):
        apply_remedy(control, settings={"batch_size": 2}, reason="none", world=world)


def ended(root: Path, said: str | None = None, **changes: Any) -> World:
    """Submit an experiment whose first training job failed with some words, or lacked memory of its node."""
    world = scaffolded(root, **changes)
    submit_jobs(recorded_plan(world=world)[1].plan_id, world=world)
    assert isinstance(world.scheduler, FakeScheduler)
    run = first(world)
    job = json.loads((root / RunLayout(run).job("train", 1)).read_text(encoding="utf-8"))["job_id"]
    if said is None:
        world.scheduler.exhaust(job)
    else:
        world.scheduler.finish(job, 1)
        moment = "2026-11-20T09:00:00Z"
        status = {"state": "failed", "message": said, "started": moment, "updated": moment}
        (root / RunLayout(run).status("train")).write_text(json.dumps(status), encoding="utf-8")
    return world


def test_a_job_that_lacked_memory_of_its_node_is_offered_smaller_passes_on_the_cpu(tmp_path: Path) -> None:
    world = ended(tmp_path / "parity")
    found = propose_remedies(first(world), world=world)
    assert (found[0].kind, found[0].settings["batch_size"]) == ("split", 2)


def test_a_job_on_a_gpu_that_lacked_memory_of_its_node_is_offered_more_of_that(tmp_path: Path) -> None:
    world = ended(tmp_path / "parity", resources={"gpus": 1})
    (only,) = propose_remedies(first(world), world=world)
    assert (only.kind, "of the node" in only.fact) == ("more_memory", True)


def test_a_job_that_lacked_memory_of_its_gpu_is_offered_smaller_passes(tmp_path: Path) -> None:
    said = "CUDA out of memory. Tried to allocate 2.00 GiB."
    world = ended(tmp_path / "parity", said, resources={"gpus": 1})
    found = propose_remedies(first(world), world=world)
    assert found[0].kind == "split"
    assert "GPU" in found[-1].fact


def test_a_job_that_failed_otherwise_is_offered_nothing(tmp_path: Path) -> None:
    world = ended(tmp_path / "parity", "the loss is `nan`")
    assert propose_remedies(first(world), world=world) == ()


def test_nothing_is_written_by_estimating(tmp_path: Path) -> None:
    world = scaffolded(tmp_path / "parity")
    copy = Path(shutil.copytree(tmp_path / "parity", tmp_path / "copy"))
    estimate_runs(world=world)
    files = {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert all((tmp_path / "parity" / path).read_bytes() == content for path, content in files.items())
