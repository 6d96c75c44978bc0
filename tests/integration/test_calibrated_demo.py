"""The demo of calibrated classifiers: its document is played as its reader would, and missed figures end it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.demo import CALIBRATED, main, play_document
from cruijff_kit.cli.main import cli
from cruijff_kit.cli.skill_script import read_files

pytestmark = pytest.mark.once

pytest_plugins = ["tests.tiny_base"]

QUICKER = {
    "bits.yaml": {
        "bit_length: 15": "bit_length: 9",
        "train: 16000": "train: 16",
        "validation: 2000": "validation: 24",
        "calibration: 1500": "calibration: 40",
        "test: 5000": "test: 60",
    },
    "reports.yaml": {
        "train: 6000": "train: 16",
        "validation: 800": "validation: 24",
        "calibration: 1000": "calibration: 40",
        "test: 2000": "test: 60",
    },
}
"""What the document says, and what takes less time."""


def quicker(text: str, name: str) -> str:
    """Return a text with the sizes of a design made smaller."""
    for long, short in QUICKER[name].items():
        assert long in text, long
        text = text.replace(long, short)
    return text


def shortened(folder: Path) -> Path:
    """Return the document's first experiment with one arm and few rows, its last figure out of reach."""
    first = quicker(CALIBRATED.read_text(encoding="utf-8").partition("## 2. ")[0], "bits.yaml")
    left_out = ("ck -C known_chances calibrate plain", "  - name: plain")
    text = "\n".join(line for line in first.splitlines() if not line.startswith(left_out))
    within = "ck -C known_chances calibrate softened --apply test --known"
    assert within in text
    path = folder / "short.md"
    path.write_text(text.replace(within, f"{within} --most-ece 1\n{within} --most-ece 0") + "\n", encoding="utf-8")
    return path


def test_one_arm_is_trained_calibrated_decided_and_audited_and_a_missed_figure_ends_the_demo(
    fresh_project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="figures were missed") as ended:
        play_document(shortened(tmp_path), root=fresh_project)
    told = str(ended.value)
    assert "--most-ece 0" in told
    assert "--most-ece 1" not in told
    said = capsys.readouterr().out
    assert "at most 1: met" in said
    assert "at most 0: MISSED" in said
    assert "60 samples of split test whose true probabilities are known" in said
    assert "guaranteed: over calibration sets and samples, at least 90 % of sets hold the right option" in said
    assert "verdict: " in said
    experiment = fresh_project / "known_chances"
    for name in ("experiment_summary.md", "summary.md", "report/index.html", "predictions", "audit.json"):
        assert (experiment / name).exists(), name
    assert len(list(experiment.glob("runs/softened*/calibrator.json"))) == 1


@pytest.mark.parametrize("name,runs", (("bits.yaml", 2), ("reports.yaml", 3)))
def test_both_designs_are_sound(name: str, runs: int, tiny_base: Path, fresh_project: Path) -> None:
    text = quicker(read_files(CALIBRATED)[name], name).replace("${tiny_model}", str(tiny_base))
    (fresh_project / name).write_text(text, encoding="utf-8")
    said = CliRunner().invoke(cli, ["-C", str(fresh_project / "x"), "design", "check", str(fresh_project / name)])
    assert said.exit_code == 0, said.output
    assert f": {runs} runs" in said.output


@pytest.mark.soak
def test_the_whole_demo_meets_every_figure(fresh_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--calibrated", "--root", str(fresh_project)])
    said = capsys.readouterr().out
    assert "MISSED" not in said
    assert said.count("at most 0.03: met") == 2
    assert said.count("at most 0.05: met") == 2
    assert "5000 samples of split test whose true probabilities are known" in said
