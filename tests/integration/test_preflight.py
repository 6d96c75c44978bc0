"""Before a job is queued every input is tried where jobs run, without a network: once each, and all at once."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cruijff_kit.adapters.model_hub import LocalHub
from cruijff_kit.adapters.site_probe import MachineProbe
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.site import Environment, Site
from cruijff_kit.schema.site_facts import ScriptAnswer
from cruijff_kit.workflow.design import check_design
from cruijff_kit.workflow.preflight import planned_inputs
from cruijff_kit.workflow.scaffold import scaffold_runs
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.submit import preview_submission, submit_jobs
from tests.fakes.designed import design, put_design, world_at
from tests.fakes.scheduler import FakeScheduler
from tests.fakes.site_probe import FakeProbe, printed
from tests.random_model import random_base

pytestmark = pytest.mark.once

TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample, hf_dataset
from inspect_ai.scorer import match, model_graded_qa
from inspect_ai.solver import generate

DATA = [Sample(input="say 1", target="1")]

@task
def fine():
    return Task(dataset=DATA, solver=[generate()], scorer=match())

@task
def fetches():
    return Task(dataset=hf_dataset("owner/never-pulled", split="test"), solver=[generate()], scorer=match())

@task
def judged():
    return Task(dataset=DATA, solver=[generate()], scorer=model_graded_qa(model="hf/owner/never-pulled"))

@task
def asked():
    return Task(dataset=DATA, solver=[generate()], scorer=model_graded_qa(model=["openai/gpt-9", "hf/owner/neither"]))

@task
def empty():
    return Task(dataset=[], solver=[generate()], scorer=match())

@task
def calls_out():
    import socket
    socket.create_connection(("127.0.0.1", 9))
    return fine()
"""


def tried(*inputs: str) -> dict[str, str]:
    """Return the fault of each input, as a job's Python tells it: options and names in turn."""
    words = " ".join(f"'{word}'" for word in inputs)
    answer = MachineProbe().run_script(
        f"exec {sys.executable} -m cruijff_kit.runtime.preflight {words}", fresh=True, seconds=300
    )
    assert answer.code == 0, answer.errors
    return json.loads(answer.output.splitlines()[-1])["inputs"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models: one whole, and copies that each lack something."""
    folder = tmp_path_factory.mktemp("models")
    random_base(folder / "whole")
    for name in ("cut", "wordless", "coded", "bare"):
        shutil.copytree(folder / "whole", folder / name)
    weights = folder / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    for path in (folder / "wordless").glob("tokenizer*"):
        path.unlink()
    (folder / "bare" / "model.safetensors").unlink()
    config = folder / "coded" / "config.json"
    said: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(
        json.dumps({**said, "model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}), encoding="utf-8"
    )
    return folder


def test_a_model_resolves_from_its_own_directory_or_says_what_it_lacks(models: Path) -> None:
    names = ("whole", "cut", "wordless", "coded", "bare", "absent")
    found = tried(*(word for name in names for word in ("--model", str(models / name))))
    faults = {Path(path).name: fault for path, fault in found.items()}
    assert faults["whole"] == ""
    assert "another size than its header says" in faults["cut"]
    assert faults["bare"] == "no weights (`*.safetensors`)"
    assert faults["absent"] == "there is no such directory"
    assert "no file with its vocabulary" in faults["wordless"]
    assert faults["coded"]
    # What resolved is not loaded again until it changes, and what changed is.
    mark = models / "whole" / "tokenizer_config.json"
    text = mark.read_text(encoding="utf-8")
    mark.write_text("{", encoding="utf-8")
    try:
        assert tried("--model", str(models / "whole"))[str(models / "whole")]
    finally:
        mark.write_text(text, encoding="utf-8")


def test_what_resolved_is_known_the_next_time_without_its_libraries(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = str(models / "whole")
    monkeypatch.setenv("CRUIJFF_CACHE_DIR", str(tmp_path / "cache"))
    assert tried("--model", whole) == {whole: ""}
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "transformers.py").write_text("raise ImportError('loaded after all')\n", encoding="utf-8")
    script = f"export PYTHONPATH='{hidden}'; exec {sys.executable} -m cruijff_kit.runtime.preflight --model '{whole}'"
    answers = []
    for _ in range(2):
        answer = MachineProbe().run_script(script, fresh=True, seconds=300)
        answers.append(json.loads(answer.output)["inputs"][whole])
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    assert answers == ["", "loaded after all"]


def test_code_that_imports_what_jobs_lack_is_found_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("", encoding="utf-8")
    files = {
        "fine.py": "import json, torch, beside\nfrom cruijff_kit.runtime import training_job\n",
        "lacks.py": "import never_installed.part\nfrom another_one import thing\n",
        "tries.py": "try:\n    import never_installed\nexcept ImportError:\n    pass\n",
        "broken.py": "def (:\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    places = {name: str(tmp_path / name) for name in (*files, "absent.py")}
    modules = ("cruijff_kit.recipes.peft_lora", "cruijff_kit.runtime.inspect_cell", "cruijff_kit.recipes.none")
    words = [word for place in places.values() for word in ("--code", place)]
    found = tried(*words, *(word for name in modules for word in ("--module", name)))
    assert {name: found[place] for name, place in places.items()} == {
        "fine.py": "",
        "lacks.py": "it needs `never_installed`, `another_one`, not to be found here",
        "tries.py": "",
        "broken.py": "it is no Python: invalid syntax (<unknown>, line 1)",
        "absent.py": "No such file or directory",
    }
    assert [found[name] for name in modules] == ["", "", "no such module in the environment of jobs"]


@pytest.fixture
def submission(models: Path, tmp_path: Path) -> Mapping[str, Any]:
    """Return what makes a world of a scaffolded design with tasks of somebody's."""

    def made(*names: str, site: Site | None = None) -> tuple[World, str]:
        root = tmp_path / "parity"
        root.mkdir(exist_ok=True)
        (root / "own.py").write_text(TASKS, encoding="utf-8")
        tasks = [{"name": name.replace("_", "-"), "task": f"own.py@{name}", "scorers": []} for name in names]
        ref = {"name": "tiny", "path": str(models / "whole")}
        put_design(root, design(models=[ref], evaluation={"tasks": tasks}, tools={"preparation": "peft"}))
        world = world_at(root, site=site)._replace(hub=LocalHub(), probe=MachineProbe())
        return world, scaffold_runs(world=world).plan_id

    return {"made": made}


def test_a_task_that_needs_a_network_is_refused_before_anything_is_queued(submission: Mapping[str, Any]) -> None:
    world, plan_id = submission["made"]("fine", "fetches", "judged", "asked", "empty", "calls_out")
    with pytest.raises(PlanError) as caught:
        submit_jobs(plan_id, world=world)
    told = {problem.path.rpartition(".")[2]: problem.message for problem in caught.value.problems}
    assert set(told) == {"fetches", "judged", "asked", "empty", "calls-out"}
    assert "`own.py@fetches` does not resolve without a network: it cannot be built" in told["fetches"]
    assert "judge `hf/owner/never-pulled`" in told["judged"]
    assert "judge `openai/gpt-9`: it needs a network and a key" in told["asked"]
    assert "judge `hf/owner/neither`" in told["asked"]
    assert "dataset is empty" in told["empty"]
    assert "a job has no network" in told["calls-out"]
    assert all(problem.hint for problem in caught.value.problems)
    assert isinstance(world.scheduler, FakeScheduler)
    assert not world.scheduler.requests


def test_inputs_that_resolve_let_a_submission_pass(submission: Mapping[str, Any]) -> None:
    world, plan_id = submission["made"]("fine")
    assert preview_submission(plan_id, world=world).train_jobs == 8
    assert len(submit_jobs(plan_id, world=world).jobs) == 17


def test_each_distinct_input_is_tried_once_however_many_runs_share_it(submission: Mapping[str, Any]) -> None:
    world, _ = submission["made"]("fine", "judged")
    plan, _ = recorded_plan(world=world)
    inputs = planned_inputs(plan.runs, plan, world=world)
    assert len(plan.runs) == 9
    assert sorted(each.kind for each in inputs) == ["data", "model", "module", "module", "module", "task", "task"]


def test_an_environment_that_does_not_start_here_is_refused_unless_the_site_leaves_it_to_jobs(
    submission: Mapping[str, Any],
) -> None:
    broken = ScriptAnswer(code=1, output="", errors="bash: /envs/kit/bin/activate: No such file or directory\n")
    site = Site(environment=Environment(kind="venv", name="/envs/kit"))
    world, plan_id = submission["made"]("fine", site=site)
    world = world._replace(probe=FakeProbe(answer=broken))
    with pytest.raises(PlanError, match=r"does not start: bash: /envs/kit/bin/activate") as caught:
        preview_submission(plan_id, world=world)
    assert "prove_inputs: false" in str(caught.value)
    world = world._replace(site=site.model_copy(update={"prove_inputs": False}))
    assert preview_submission(plan_id, world=world).train_jobs == 8


def test_all_inputs_that_do_not_resolve_are_told_at_once_each_with_its_remedy(submission: Mapping[str, Any]) -> None:
    world, plan_id = submission["made"]("fine")
    plan, _ = recorded_plan(world=world)
    names = [each.name for each in planned_inputs(plan.runs, plan, world=world)]
    world = world._replace(probe=FakeProbe(answer=printed(dict.fromkeys(names, "gone"))))
    with pytest.raises(PlanError) as caught:
        preview_submission(plan_id, world=world)
    assert len(caught.value.problems) == len(names)
    assert "ck models pull" in str(caught.value)
    assert "ck site env build" in str(caught.value)


def test_names_of_the_hub_are_told_how_to_come_here(tmp_path: Path) -> None:
    world = world_at(tmp_path / "parity")
    text = json.dumps(
        {
            **design().model_dump(mode="json", exclude_defaults=True),
            "models": [{"name": "llama", "path": "owner/Llama-9"}],
            "data": {"training": {"path": "owner/questions"}, "tier": "green"},
        }
    )
    with pytest.raises(SpecError) as caught:
        check_design(text, world=world)
    said = str(caught.value)
    assert "`ck models pull owner/Llama-9` brings it into `models_dir`; then write `path: Llama-9`" in said
    assert "a data set of the hub is saved to files first" in said
