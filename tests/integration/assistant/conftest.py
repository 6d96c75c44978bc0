import shutil
from pathlib import Path

import pytest

from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from tests.assistant_said import must_be_told
from tests.fakes.experiment import Size, make_experiment
from tests.fakes.handed_over import hand_over
from tests.mcp_bench import NAME, WHY, Bench, Talk
from tests.random_model import random_base


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a small random base model, made once."""
    return random_base(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def bench(tmp_path: Path, base: str) -> Bench:
    """Return an empty project with a model."""
    root = tmp_path / "project"
    root.mkdir()
    return Bench(root, base)


@pytest.fixture
def ended(bench: Bench) -> tuple[Bench, Plan]:
    """Return a bench whose experiment has two trainings, both handed over and ended, and its plan."""

    async def dialogue(talk: Talk) -> str:
        return await talk.scaffold(bench.design)

    bench.talk(dialogue)
    plan = Plan.model_validate_json((bench.experiment / ExperimentLayout.plan).read_bytes())
    hand_over(bench.experiment, plan)
    return bench, plan


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a finished, evaluated experiment; tests take copies."""
    root = tmp_path_factory.mktemp("finished")
    make_experiment(root / NAME, Size(words=12, others=2, steps=5))
    return root


@pytest.fixture
def reported(finished: Path, tmp_path: Path) -> Bench:
    """Return a copy of it, reported."""
    bench = Bench(shutil.copytree(finished, tmp_path / "reported"), "")
    must_be_told(bench.call("results_report", reason=WHY), "Best setting")
    return bench
