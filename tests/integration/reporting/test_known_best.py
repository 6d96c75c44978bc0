"""A report of rows whose best possible accuracy is known: it stands beside the accuracy, and is traced and verified."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cruijff_kit.adapters.run_store import DiskRunStore
from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.plan import Plan
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.verify import verify_experiment
from tests.fakes.experiment import SMALL, design_of, plan_of, seal
from tests.integration.reporting.conftest import world_at

COIN = {"rule": "coin", "rule_kwargs": {"p": 0.25}, "N": 60, "test_size": 40}


@pytest.fixture(scope="module")
def coined(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a reported experiment whose primary task asks answers that a coin decided."""
    root = Path(shutil.copytree(_finished, tmp_path_factory.mktemp("coined") / "experiment"))
    made, world = make_dataset("model_organisms", COIN), world_at(root)
    planned = plan_of(SMALL).datasets[0]
    facts = made.facts.model_copy(update={"key": planned.key, "path": planned.path})
    world.store.write(facts.path, made.content)
    _reseal(world, plan_of(SMALL).model_copy(update={"datasets": (facts,)}))
    write_report(world=world)
    return world


def _reseal(world: World, plan: Plan) -> None:
    head = world.audit.head()
    assert head is not None
    seal(world.store.root, design_of(SMALL), plan=plan, anchor=head)


@pytest.fixture
def mine(coined: World, tmp_path: Path) -> Callable[[], World]:
    """Return a maker of a copy that may be changed; its record is shared."""

    def copy() -> World:
        root = Path(shutil.copytree(coined.store.root, tmp_path / "experiment"))
        return coined._replace(store=DiskRunStore(root))

    return copy


def test_the_ceiling_stands_beside_each_accuracy_and_comes_from_the_plan(coined: World) -> None:
    text = str(coined.store.read_text(ExperimentLayout.report))
    head, _, *rows = [line for line in text.partition("## Evaluation results")[2].splitlines() if line[:1] == "|"][:40]
    place = [cell.strip() for cell in head.split("|")].index("best possible")
    mains = [[cell.strip() for cell in row.split("|")] for row in rows if "| match |" in row]
    assert {cells[2]: cells[place] for cells in mains} == {"capitalization": "0.750", "other_lengths": "-"}
    assert all("d2" in cells[-2] for cells in mains if cells[2] == "capitalization")
    means = text.partition("## Means by setting")[2].partition("\n## ")[0]
    assert "| mean match | 95 % interval | best possible |" in means
    assert means.count("| 0.750 |") == 4
    traces = json.loads(str(coined.store.read_text(ExperimentLayout.traces)))["figures"]
    told = {each["figure"]: (each["value"], each["references"]) for each in traces if "ceiling/" in each["figure"]}
    assert told["ceiling/words-1f2e3d4c/test"] == (0.75, ["d2"])
    assert told["ceiling/words-1f2e3d4c/test/entropy"][0] == pytest.approx(0.562335, abs=1e-6)


def test_the_bottom_line_and_the_audit_hold_results_against_it(coined: World) -> None:
    text = str(coined.store.read_text(ExperimentLayout.report))
    bottom = text.partition("## Bottom line")[2].partition("##")[0]
    # The fake runs at the higher rates know more than a coin lets anybody know.
    assert "above the best possible accuracy" in bottom
    assert re.search(r"\| ceiling \| \*\*flagged\*\* \|.*leaked", text)
    assert "## Best possible results" in text
    assert "| 0.750 |" in text.partition("## Best possible results")[2].partition("##")[0]


def test_the_picture_has_a_line_at_the_ceiling(coined: World) -> None:
    page = str(coined.store.read_text(ExperimentLayout.page))
    assert "best possible 0.750" in page
    assert "The upright line is the best possible accuracy" in page


def test_verifying_works_the_ceiling_out_from_the_rows(mine: Callable[[], World]) -> None:
    world = mine()
    assert verify_experiment(world=world).differences == ()
    text = str(world.store.read_text(ExperimentLayout.report))
    world.store.write(ExperimentLayout.report, text.replace("| 0.750 |", "| 0.850 |", 1))
    changed = verify_experiment(world=world).differences
    assert [(each.path, each.kind) for each in changed] == [("summary.md", "number")]
    world.store.write(ExperimentLayout.report, text)
    plan = Plan.model_validate_json(world.store.read(ExperimentLayout.plan) or b"")
    (facts,) = plan.datasets
    wrong = {**facts.ceilings, "test": facts.ceilings["test"].model_copy(update={"bayes_accuracy": 0.85})}
    _reseal(world, plan.model_copy(update={"datasets": (facts.model_copy(update={"ceilings": wrong}),)}))
    found = [each for each in verify_experiment(world=world).differences if each.path == ExperimentLayout.plan]
    assert [(each.place, each.shown, each.made) for each in found] == [
        ("ceiling of test, bayes_accuracy", "0.85", "0.75")
    ]
    world.store.write(facts.path, "{}\n")
    assert facts.path in {each.path for each in verify_experiment(world=world).differences}
