"""What every prober does, the fake one as the real one."""

import sys
from pathlib import Path

import pytest

from cruijff_kit.adapters.probe import StepProber
from cruijff_kit.errors import RunError
from cruijff_kit.ports import Prober
from tests.fakes.prober import FakeProber
from tests.training_runs import random_base, write_run

RECIPE = ("-m", "cruijff_kit.recipes.lora_single_device", "--config", "/nowhere/finetune.yaml", "--resume")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_base(tmp_path_factory.mktemp("probed"))


@pytest.fixture
def config(base: Path, tmp_path: Path) -> Path:
    return write_run(tmp_path / "experiment", base, batch_size=2)


def everything(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("prober", (FakeProber(), StepProber()), ids=("fake", "real"))
def test_first_steps_are_measured_and_nothing_of_the_run_is_touched(
    prober: Prober, config: Path, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    found = prober.probe(config.read_text(encoding="utf-8"), command=(sys.executable, *RECIPE), steps=4)
    assert (found.run_id, found.steps, found.device) == ("rank4-0a1b2c3d", 4, "cpu")
    assert found.tokens_per_second is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low <= found.tokens_per_second <= found.high
    assert (found.peak_memory_bytes or 0) > 0
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ("fake", "real"))
def test_a_recipe_that_fails_is_told_in_its_own_words(kind: str, config: Path) -> None:
    prober: Prober = FakeProber(fails="cuda is busy") if kind == "fake" else StepProber()
    command = (sys.executable, "-c", "raise SystemExit('cuda is busy')", "--config", "x")
    with pytest.raises(RunError, match="the recipe said:\ncuda is busy"):
        prober.probe(config.read_text(encoding="utf-8"), command=command, steps=2)
