"""One base in memory serves every epoch of a run: its loads are counted, each a real one."""

from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from cruijff_kit.runtime import resident
from cruijff_kit.runtime.evaluate import evaluate
from cruijff_kit.runtime.job_files import artefact_hashes, now
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from tests.evaluated_run import RUN, Evaluated, ready_run
from tests.random_model import random_adapter, random_base

EPOCHS = 3


@pytest.fixture
def run(tmp_path: Path) -> Evaluated:
    """Return a run of three epochs and its base model, all to be evaluated."""
    base = random_base(tmp_path / "base")
    experiment = tmp_path / "experiment"
    adapters = [experiment / f"outputs/ck-out-{RUN}/epoch_{epoch}" for epoch in range(EPOCHS)]
    cells: list[dict[str, Any]] = [{"epoch": at, "adapter": str(folder)} for at, folder in enumerate(adapters)]
    made = ready_run(experiment, cells=[*cells, {"epoch": None, "adapter": None}], base=base)
    files = [
        file
        for epoch, folder in enumerate(adapters)
        for file in sorted(Path(random_adapter(folder, base, seed=epoch + 1)).glob("adapter_*"))
    ]
    done = Done(exit_code=0, artefacts=artefact_hashes(files, experiment=experiment), finished=now())
    (experiment / RunLayout(RUN).done("train")).write_text(done.model_dump_json(), encoding="utf-8")
    return made


def answers(run: Evaluated) -> list[tuple[str, ...]]:
    found = []
    for path in run.configs:
        (log,) = (path.parent / "logs").glob("*.eval")
        samples = sorted(read_eval_log(log).samples or [], key=lambda sample: str(sample.id))
        found.append(tuple(sample.output.completion for sample in samples))
    return found


def test_a_job_of_several_epochs_loads_its_base_once(run: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    load = resident.load_causal_lm

    def counted(folder: str, **how: Any) -> Any:
        loads.append(folder)
        return load(folder, **how)

    monkeypatch.setattr(resident, "load_causal_lm", counted)
    evaluate(run.configs)
    assert loads == [run.base]
    assert len(set(answers(run))) == EPOCHS + 1
