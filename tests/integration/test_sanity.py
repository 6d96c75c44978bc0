"""Sanity checks: made and judged whole, and defects planted into them, of which none may pass."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.bootstrap import open_local
from cruijff_kit.cli.main import cli
from cruijff_kit.sanity_checks.bench import Begun, Bench
from cruijff_kit.sanity_checks.registry import CHECKS
from cruijff_kit.schema.audit import Action
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.run import ExperimentStatus, Phase
from cruijff_kit.schema.sanity import CheckOrder, SanityVerdict
from cruijff_kit.workflow.report import write_report
from cruijff_kit.workflow.verify import verify_experiment
from tests.planted import DEFECTS, QUICK, SOUND, Defect, figures_with

pytest_plugins = ["tests.tiny_base"]


def told(defect: Defect) -> str:
    """Return a defect's name in a test's id."""
    return f"{defect.check}-{defect.arm}-{defect.name}".replace(" ", "-")


def must_catch(defect: Defect, root: Path, *, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the figures which must notice a defect lie outside their bands."""
    figures = figures_with(defect, root, model=model, monkeypatch=monkeypatch)
    outside = {each.figure for each in figures if each.verdict == "outside"}
    assert outside >= defect.caught_by, [each.model_dump() for each in figures]


@pytest.mark.parametrize("defect", QUICK, ids=told)
def test_a_planted_defect_is_caught(
    defect: Defect, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    must_catch(defect, tmp_path, model=tiny_base, monkeypatch=monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("defect", [each for each in DEFECTS if each not in QUICK], ids=told)
def test_every_planted_defect_is_caught(
    defect: Defect, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    must_catch(defect, tmp_path, model=tiny_base, monkeypatch=monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("sound", SOUND, ids=told)
def test_the_same_arm_without_a_defect_is_inside_every_band(
    sound: Defect, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = figures_with(sound, tmp_path, model=tiny_base, monkeypatch=monkeypatch)
    assert {each.verdict for each in figures} == {"inside"}, [each.model_dump() for each in figures]
    assert all(each.band.low is not None and each.band.high is not None for each in figures)


def test_a_check_is_designed_run_and_judged_in_one_go_and_judged_again_without_a_run(
    tmp_path: Path, tiny_base: Path
) -> None:
    whole = CHECKS["predictable_or_not"]
    one = whole._replace(arms=lambda size: tuple(each for each in whole.arms(size) if each.name == "up_answer"))
    bench = Bench(tmp_path, lambda folder: open_local(folder, root=tmp_path, name="ada"), checks={one.name: one})
    order = CheckOrder(check=one.name, seeds=(1,))
    looks: list[ExperimentStatus] = []
    begun = bench.begin(order)
    bench.submit(begun)
    bench.follow(begun, poll=0.1, show=looks.append)
    verdict = bench.judge(begun)
    assert verdict.passed, verdict.model_dump_json(indent=2)
    assert [each.phase for each in looks[-1].steps] == [Phase.COMPLETED, Phase.COMPLETED]
    folder = tmp_path / "sanity_predictable_or_not"
    written = (folder / "sanity.json").read_bytes()
    tells_the_verdict(begun, verdict)
    assert SanityVerdict.model_validate_json(written) == verdict
    assert [each.action for each in begun.world.audit.records()].count(Action.JUDGE_CHECK) == 1
    assert "type: sanity_check" in (folder / "experiment_summary.md").read_text(encoding="utf-8")
    assert tiny_base.name == Path(verdict.model).name
    # The same words find what is there: nothing is designed, handed over or recorded again.
    again = bench.begin(order)
    bench.submit(again)
    assert bench.judge(again) == verdict
    assert (folder / "sanity.json").read_bytes() == written
    assert [each.name for each in tmp_path.glob("sanity_*")] == [folder.name]
    assert len(list(folder.glob("runs/*/attempts/*"))) == 2
    # Other seeds are another experiment, which gets a directory of its own.
    other = bench.begin(order.model_copy(update={"seeds": (2,)}))
    assert other.world.store.root.name == "sanity_predictable_or_not-2"


def tells_the_verdict(begun: Begun, verdict: SanityVerdict) -> None:
    """Assert that the report of a check says what was judged, traced, and that verifying holds it against the file."""
    write_report(world=begun.world)
    text = (begun.world.store.root / "summary.md").read_text(encoding="utf-8")
    section = text.partition(f"## Sanity check {verdict.check}")[2].partition("\n## ")[0]
    assert section.count("| **inside** |") == len(verdict.figures)
    for each in verdict.figures:
        (row,) = [line for line in section.splitlines() if f"| `{each.run}` | {each.figure} |" in line]
        assert f"| {each.value:.4f} | {each.band.words} |" in row
        assert "[k1" in row
    assert f"all {len(verdict.figures)} figures lie inside their bands. [k1](#sources)" in text
    # A sanity check's ceiling is the generator's own.
    assert re.search(r"reached the best possible accuracy \(the ceiling, 1\.000\) within its interval", text)
    assert verify_experiment(world=begun.world).differences == ()
    told = verdict.model_copy(update={"size_words": "larger"}).model_dump_json(indent=2) + "\n"
    before = begun.world.store.read(ExperimentLayout.sanity) or b""
    begun.world.store.write(ExperimentLayout.sanity, told)
    assert ExperimentLayout.sanity in {each.path for each in verify_experiment(world=begun.world).differences}
    begun.world.store.write(ExperimentLayout.sanity, before)


@pytest.mark.soak
def test_all_checks_pass_over_three_seeds_by_one_command(fresh_project: Path) -> None:
    done = CliRunner().invoke(cli, ["-C", str(fresh_project), "sanity", "run", "--all", "--scheduler", "local"])
    assert done.exit_code == 0, done.output
    assert done.output.count("passed: ") == len(CHECKS)
    for name, check in CHECKS.items():
        verdict = SanityVerdict.model_validate_json((fresh_project / f"sanity_{name}" / "sanity.json").read_bytes())
        assert len({each.run for each in verdict.figures}) == 3 * len(check.arms(check.sizes["small"]))
