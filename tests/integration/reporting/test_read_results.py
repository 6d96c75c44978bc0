import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import ExperimentLayout
from cruijff_kit.schema.receipt import ReportReceipt
from cruijff_kit.workflow.results import read_results
from tests.integration.reporting.conftest import world_at

Reported = tuple[World, ReportReceipt]


def test_every_figure_read_stands_in_the_report_with_a_file_of_that_hash(reported: Reported) -> None:
    world, receipt = reported
    page = read_results(limit=500, world=world)
    assert page.total == len(page.figures) > 50
    assert page.report_sha256 == receipt.files[ExperimentLayout.traces]
    for figure in page.figures:
        for label in figure.references:
            source = page.sources[label]
            assert world.store.digest(source.path) == source.sha256


def test_pages_join_without_gap_or_overlap(reported: Reported) -> None:
    world, _ = reported
    whole = read_results(limit=500, world=world).figures
    pages = [read_results(after=start, limit=7, world=world).figures for start in range(0, len(whole), 7)]
    assert tuple(figure for page in pages for figure in page) == whole


def test_figures_are_chosen_by_all_words_of_their_names(reported: Reported) -> None:
    world, _ = reported
    page = read_results(match="ACCURACY five", world=world)
    assert all(each.figure.startswith("accuracy/") for each in page.figures)
    effects = read_results(match="effect/lora_rank", world=world)
    assert 0 < effects.total < read_results(world=world).total
    assert read_results(match="no such figure", world=world).figures == ()
    said = CliRunner().invoke(cli, ["-C", str(world.store.root), "results", "no", "such"])
    assert (said.exit_code, said.output) == (0, "no figure's name holds `no` and `such`; `ck results` lists all\n")


def test_an_experiment_without_a_report_says_how_to_get_one(world: World) -> None:
    with pytest.raises(ResultError, match="nothing was reported yet") as caught:
        read_results(world=world)
    assert "ck report" in caught.value.hint


def test_figures_of_older_results_are_not_read(reported: Reported, tmp_path: Path) -> None:
    world = world_at(Path(shutil.copytree(reported[0].store.root, tmp_path / "later")))
    (tmp_path / "later" / ExperimentLayout.results).write_bytes(b"other results")
    with pytest.raises(ResultError, match=r"another `results\.parquet`"):
        read_results(world=world)
    (tmp_path / "later" / ExperimentLayout.traces).write_text("{", encoding="utf-8")
    with pytest.raises(ResultError, match="cannot be read"):
        read_results(world=world)


@pytest.mark.parametrize("text", ('{"figures": [{}], "references": []}', '{"figures": [], "references": [1]}', "[]"))
def test_a_report_of_another_form_is_refused_with_how_to_have_it_again(
    text: str, reported: Reported, tmp_path: Path
) -> None:
    world = world_at(Path(shutil.copytree(reported[0].store.root, tmp_path / "torn")))
    (tmp_path / "torn" / ExperimentLayout.traces).write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match="cannot be read") as caught:
        read_results(world=world)
    assert "ck report" in caught.value.hint


@pytest.mark.parametrize("limit,after", ((0, 0), (501, 0), (5, -1)))
def test_a_page_is_never_boundless(reported: Reported, limit: int, after: int) -> None:
    with pytest.raises(SpecError):
        read_results(limit=limit, after=after, world=reported[0])
