"""Scorers and tasks of anyone, run through inspect-ai on a tiny random model."""

from math import isclose, isnan
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog, read_eval_log

from cruijff_kit.adapters.eval_logs import InspectLogs
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.eval_config import load_eval_config, place_of
from cruijff_kit.runtime.inspect_cell import run_cell
from cruijff_kit.schema.result import EvalLogRecord
from cruijff_kit.schema.scoring_rules import ScoringRules
from cruijff_kit.scoring.records import scorer_figures
from tests.evaluated_run import RUN, ready_run

ROWS = tuple({"input": f"question {at}", "output": "yes" if at % 3 else "no"} for at in range(9))
OWN = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, accuracy, mean, scorer, stderr, match
from inspect_ai.solver import generate, solver

@scorer(metrics=[mean(), stderr()])
def length():
    async def score(state, target):
        return Score(value=float(len(state.output.completion)), answer=state.output.completion)
    return score

@solver
def shout():
    async def solve(state, generate):
        state.user_prompt.text = state.user_prompt.text.upper()
        return await generate(state)
    return solve

SAMPLES = [Sample(id=f"own-{n}", input=f"say {n}", target=str(n), metadata={"kind": "odd" if n % 2 else "even"})
           for n in range(5)]

@task
def own():
    return Task(dataset=SAMPLES, solver=[shout()], scorer=[length(), match()])

@task
def bare():
    return Task(dataset=SAMPLES, solver=[generate()])

@solver
def judged_already():
    async def solve(state, generate):
        state = await generate(state)
        state.scores = {"mine": Score(value=1)}
        return state
    return solve

@task
def meddling():
    return Task(dataset=SAMPLES, solver=[judged_already()])
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ready_run(tmp_path_factory.mktemp("scorers") / "base").base


def cell(root: Path, base: str, **changes: Any) -> Path:
    """Run one cell and return its log."""
    run = ready_run(root / "experiment", base=base, rows=ROWS, cells=({"groups": [], **changes},))
    (run.experiment / "mine.py").write_text(OWN, encoding="utf-8")
    config = load_eval_config(run.configs[0])
    facts = {"checkpoint_sha256": "ab" * 32}
    return run_cell(config, run.configs[0], place=place_of(config), facts=facts, answered=lambda _: None).path


def test_every_scorer_leaves_its_figures_and_its_view_of_each_sample(tmp_path: Path, base: str) -> None:
    planned = ["match", "includes", "risk", "numeric_risk", "decision"]
    log = read_eval_log(cell(tmp_path, base, scorers=planned, rules={"options": ["no", "yes"]}))
    assert log.results is not None
    found = {score.name: set(score.metrics) for score in log.results.scores}
    assert list(found) == planned
    assert {"accuracy", "stderr", "balanced_accuracy", "f1_macro"} <= found["match"]
    assert {"auc", "log_loss", "brier_binary", "ece", "mce", "ece_adaptive", "ece_debiased", "aurc"} <= found["risk"]
    assert {"coverage", "abstention_rate", "selective_accuracy", "expected_cost"} <= found["decision"]
    assert value("decision", "abstention_rate", log) == 1.0


def value(scorer: str, metric: str, log: EvalLog) -> float:
    assert log.results is not None
    return next(each for each in log.results.scores if each.name == scorer).metrics[metric].value


def test_what_inspect_shows_is_what_is_collected(tmp_path: Path, base: str) -> None:
    path = cell(tmp_path, base, scorers=["continuous", "decision"])
    log, record = read_eval_log(path), InspectLogs().read(path)
    for scorer in ("continuous", "decision"):
        for name, figure in scorer_figures(record.predictions, scorer, rules=ScoringRules()).items():
            shown = value(scorer, name, log)
            assert isnan(shown) if figure.value is None else isclose(shown, figure.value)


def test_an_own_provider_scores_every_option_of_every_sample(tmp_path: Path, base: str) -> None:
    record = InspectLogs().read(cell(tmp_path, base, scorers=["match", "risk"], rules={"options": ["no", "yes"]}))
    for each in record.predictions:
        assert each.options == ("no", "yes")
        assert len(each.option_logprobs) == 2
        assert 0 < (each.option_mass or 0) <= 1
    figures = scorer_figures(record.predictions, "risk", rules=ScoringRules(options=("no", "yes")))
    assert figures["coverage"].value == 1.0
    assert figures["auc"].n == len(ROWS)


def own(root: Path, base: str, **changes: Any) -> EvalLogRecord:
    return InspectLogs().read(cell(root, base, **{"name": "own", "scorers": [], **changes}))


def test_a_task_of_anyone_runs_unchanged_with_its_own_data_and_scorers(tmp_path: Path, base: str) -> None:
    record = own(tmp_path, base, task="mine.py@own", groups=["kind"])
    assert (record.status, record.samples) == ("success", 5)
    assert list(record.values) == ["length"]
    assert list(record.verdicts) == ["match"]
    first = record.predictions[0]
    assert (first.run, first.task, first.epoch, first.split) == (RUN, "own", 0, "test")
    assert (first.sample_id, first.target, first.groups) == ("own-0", "0", {"kind": "even"})
    assert first.checkpoint_sha256 == "ab" * 32
    assert len({each.prompt_token_sha256 for each in record.predictions}) == 5
    assert record.values["length"] == tuple(float(len(each.completion)) for each in record.predictions)


def test_a_subset_of_a_task_s_own_data_is_drawn_by_the_seed(tmp_path: Path, base: str) -> None:
    record = own(tmp_path, base, task="mine.py@own", samples=2)
    assert record.samples == 2


def test_planned_scorers_judge_a_task_that_brings_data_alone(tmp_path: Path, base: str) -> None:
    record = own(tmp_path, base, task="mine.py@own", scorers=["continuous"])
    assert list(record.verdicts) == ["continuous"]
    assert {each.target for each in record.predictions} == set("01234")


def test_a_task_without_scorers_that_none_are_planned_for_is_refused(tmp_path: Path, base: str) -> None:
    with pytest.raises(SpecError, match="has no scorer, and the design plans none"):
        own(tmp_path, base, task="mine.py@bare")


def test_scores_that_nobody_planned_fail_the_cell_in_words(tmp_path: Path, base: str) -> None:
    with pytest.raises(ResultError, match="was scored by `match`, `mine`; planned are `match`"):
        own(tmp_path, base, task="mine.py@meddling", scorers=["match"])


def test_a_task_of_another_package_is_found_by_its_name(
    tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    facts = site / "borrowed-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "borrowed_tasks.py").write_text(OWN, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: borrowed\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[inspect_ai]\nborrowed = borrowed_tasks\n", encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    assert own(tmp_path, base, task="borrowed/own").samples == 5
    with pytest.raises(SpecError, match="no package `absent` registers tasks"):
        own(tmp_path, base, task="absent/own")
