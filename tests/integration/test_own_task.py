"""A task of anyone through the whole loop: designed, scaffolded, evaluated by its script, collected and reported."""

from pathlib import Path

from cruijff_kit.bootstrap import open_world
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.workflow import collect_results, scaffold_runs, write_design, write_report
from tests.job_script import run_script
from tests.random_model import random_base
from tests.task_design import task_design

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, match, mean, scorer
from inspect_ai.solver import generate

@scorer(metrics=[mean()])
def length():
    async def score(state, target):
        return Score(value=float(len(state.output.completion)))
    return score

@task
def own():
    samples = [Sample(id=f"own-{n}", input=f"say {n}", target=str(n)) for n in range(5)]
    return Task(dataset=samples, solver=[generate()], scorer=[match(), length()])
"""
TASKS = (
    "- {name: own, task: mine.py@own, scorers: []}",
    "- {name: numbers, task: mine.py@own, scorers: [continuous]}",
)


def test_a_task_file_with_its_own_data_and_scorers_ends_in_the_report(tmp_path: Path) -> None:
    root = tmp_path / "anyone"
    root.mkdir()
    (root / "mine.py").write_text(TASK, encoding="utf-8")
    world = open_world(root, root=tmp_path, kind="human", name="ada", client=None)
    design = task_design(random_base(tmp_path / "base"), *TASKS) + "analysis: {primary_metric: length}\n"
    write_design(design, reason="shown here", world=world)
    (run,) = scaffold_runs(world=world).runs
    before = {(row.task, row.metric): row.reason for row in collect_results(world=world).rows}
    assert before["own", "own"] == "it was not evaluated"
    assert before["numbers", "continuous/mae"] == "it was not evaluated"
    run_script(root / RunLayout(run).eval_script)
    table = collect_results(world=world)
    rows = {(row.task, row.metric): row for row in table.rows}
    answers = [each for each in table.predictions if each.task == "own"]
    assert {each.sample_id for each in answers} == {f"own-{n}" for n in range(5)}
    assert rows["own", "length"].value == sum(len(each.completion) for each in answers) / 5
    assert rows["own", "match"].n == 5
    assert rows["numbers", "continuous/parse_rate"].value is not None
    receipt = write_report(world=world)
    summary = (root / receipt.summary).read_text(encoding="utf-8")
    assert "| length |" in summary
    assert "parse_rate" in summary
