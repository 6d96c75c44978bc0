"""`ck sanity` before anything is trained, and the generators' own commands."""

import ast
import json
import os
import pty
import sys
import termios
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cruijff_kit.cli.main import cli
from cruijff_kit.cli.sanity import verdict_text
from cruijff_kit.cli.train_watch import LiveLine
from cruijff_kit.data.loaders import load_splits
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.planning.spec_parse import parse_spec
from cruijff_kit.sanity_checks.bit_sequences import generate as bits
from cruijff_kit.sanity_checks.checks import Check
from cruijff_kit.sanity_checks.designs import design_text
from cruijff_kit.sanity_checks.predictable_or_not import generate as numbers
from cruijff_kit.sanity_checks.registry import CHECKS, check_of, size_of
from cruijff_kit.schema.job import Step
from cruijff_kit.schema.run import ExperimentStatus, JobStatus, Phase, StepStatus
from cruijff_kit.schema.sanity import Band, JudgedFigure, SanityVerdict

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def said(project: Path, *words: str) -> str:
    """Return what `ck sanity` prints in an empty project."""
    done = CliRunner().invoke(cli, ["-C", str(project), "sanity", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_checks_are_listed_and_shown_with_what_is_known_of_every_arm(tmp_path: Path) -> None:
    listed = said(tmp_path, "list")
    for name, check in CHECKS.items():
        assert name in listed
        for size in check.sizes.values():
            shown = said(tmp_path, "show", name, "--size", size.name)
            assert size.words in shown
            for arm in check.arms(size):
                assert arm.name in shown
                assert f"{arm.known.accuracy:.4g}" in shown
                assert f"{arm.known.entropy:.4f}" in shown
    view = json.loads(said(tmp_path, "show", "bit_sequences", "--json"))
    assert all(arm["accuracy_floor"] is not None and arm["pilots_loss"] is not None for arm in view["arms"])
    assert "no pilots are recorded" in said(tmp_path, "show", "bit_sequences", "--size", "full")
    # Looking leaves nothing behind.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words,error,match",
    (
        (["show", "bit_sequence"], PlanError, "write `bit_sequences`"),
        (["show", "bit_sequences", "--size", "huge"], PlanError, "it has `small`, `full`"),
        (["show", "bit_sequences", "--pilots", "none.json"], SpecError, "ck sanity pilot bit_sequences"),
        (["run"], PlanError, "--all"),
        (["run", "bit_sequences", "--all"], PlanError, "--all"),
        (["run", "--all", "-o", "x"], PlanError, "one by one"),
    ),
)
def test_what_cannot_be_made_is_told_with_what_can(
    words: list[str], error: type[Exception], match: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=match):
        said(tmp_path, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.name)
@pytest.mark.parametrize("size", ("small", "full"))
def test_every_size_is_a_design_of_type_sanity_check_that_says_what_the_arms_say(check: Check, size: str) -> None:
    chosen = check.sizes[size]
    text = design_text(check, chosen, name="x", model="/models/base", seeds=[1, 2], created="2026-11-27")
    document = load_yaml(text, name="x.yaml")
    spec = parse_spec(document.value, document.marks).spec
    assert spec is not None
    assert spec.type == "sanity_check"
    assert spec.hypothesis == check.hypothesis
    assert {run.name: dict(run.parameters) for run in spec.runs} == {
        arm.name: dict(arm.parameters) for arm in check.arms(chosen)
    }
    assert size_of(check, None, model="tiny").name == "small"
    assert size_of(check, None, model="/models/base").name == "full"


def test_the_full_size_of_bits_is_the_first_systems() -> None:
    full = check_of("bit_sequences").sizes["full"]
    assert (full.arguments["bit_length"], full.arguments["N"], full.arguments["val_size"]) == (15, 33_000, 4_000)
    assert (full.controls["epochs"], full.controls["batch_size"], full.controls["lora_rank"]) == (10, 1, 8)
    assert not any("data.aloud" in arm.parameters for arm in check_of("bit_sequences").arms(full))


def test_a_verdict_is_a_table_that_tells_value_band_and_what_is_missing() -> None:
    inside = JudgedFigure(
        arm="coin", run="coin_seed1-0123abcd", seed=1, figure="accuracy", value=0.74, n=300,
        band=Band(low=0.6, high=0.82), verdict="inside",
    )  # fmt: skip
    leak = inside.model_copy(
        update={
            "figure": "held-out questions trained on",
            "value": 3.0,
            "band": Band(low=0, high=0),
            "verdict": "outside",
        }
    )
    kept = inside.model_copy(update={"figure": "rule kept"})
    lost = inside.model_copy(
        update={"figure": "validation loss", "value": None, "band": Band(), "verdict": "missing", "reason": "it failed"}
    )
    verdict = SanityVerdict(
        check="bit_sequences", size="small", size_words="for the tiny base, on a CPU", experiment="x", folder="/x",
        model="/m", model_sha256="a" * 64, passed=False, figures=(inside, leak, kept, lost), level=1e-4,
        pilots="10 pilots", version="0",
    )  # fmt: skip
    text = verdict_text(verdict)
    assert "for the tiny base, on a CPU" in text
    assert "0.7400  0.6000 to 0.8200  inside" in text
    assert "3.0000  0.0000 to 0.0000  outside" in text
    assert "missing: it failed" in text
    assert "FAILED: 2 inside, 1 outside, 1 missing" in text
    assert "1 further figures inside" in text
    drawn = verdict_text(verdict, drawn=True).splitlines()
    (line,) = [each for each in drawn if "0.7400" in each]
    strip = line.split("  ")[-2]
    # The band from 0.6 to 0.82 of an accuracy is thick, and the figure stands in it.
    assert (strip.index("\u2501"), strip.index("\u25cf"), strip.rindex("\u2501")) == (19, 23, 25)
    assert len(strip) == 32
    assert "\u2717" in next(each for each in drawn if "3.0000" in each)


def look(*phases: Phase, step: int = 0) -> ExperimentStatus:
    """Return the jobs of one run a phase; what runs has done some steps of ten."""
    return ExperimentStatus(
        experiment="x",
        steps=tuple(
            StepStatus(
                run_id=f"arm_seed{number}-0123abcd", step=Step.TRAIN, phase=phase, last={"loss": 0.25},
                own=JobStatus(state="running", step=step, total=10, started=NOW, updated=NOW),
            )
            for number, phase in enumerate(phases)
        ),
    )  # fmt: skip


def test_a_pipe_is_told_of_each_job_that_begins_or_ends(capsys: pytest.CaptureFixture[str]) -> None:
    line = LiveLine("bits")
    for each in ((Phase.PENDING,) * 2, (Phase.RUNNING, Phase.PENDING), (Phase.COMPLETED, Phase.RUNNING)):
        line.show(look(*each, step=5))
    line.end()
    assert capsys.readouterr().err.splitlines() == [
        "bits: 0 of 2 jobs ended; arm_seed0-0123abcd/train: running  loss 0.250",
        "bits: 1 of 2 jobs ended; arm_seed0-0123abcd/train: completed  loss 0.250",
        "bits: 1 of 2 jobs ended; arm_seed1-0123abcd/train: running  loss 0.250",
    ]


def test_a_terminal_shows_one_line_with_jobs_steps_and_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    with os.fdopen(theirs, "w", encoding="utf-8") as screen, monkeypatch.context() as there:
        there.setattr(sys, "stderr", screen)
        line = LiveLine("bits")
        line.show(look(Phase.RUNNING, Phase.PENDING))
        line.show(look(Phase.COMPLETED, Phase.RUNNING, step=5))
        line.end()
        screen.flush()
        raw = b""
        while b"\n" not in raw:
            raw += os.read(ours, 10_000)
    shown = raw.decode()
    os.close(ours)
    assert shown.count("\n") == 1
    assert "bits: 1 of 2 jobs ended; training arm_seed1-0123abcd \u2588" in shown
    assert "5/10  loss 0.250" in shown


def test_the_first_systems_command_writes_bits_deduplicated_by_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--bit_length 12 --N 5000 --val_size 600 --bit_parity True --p 0.0 --seed 42 --output parity.json"
    told = [*words.split(), "--output_dir", str(tmp_path / "green")]
    assert bits.main(told) == 0
    path = tmp_path / "green" / "parity.json"
    splits = load_splits(path.read_bytes(), name="parity.json")
    assert sorted(splits) == ["train", "validation"]
    assert len(splits["validation"]) == 600
    assert {tuple(row) for row in splits["train"]} == {("instruction", "input", "output")}
    held_out = {row["input"] for row in splits["validation"]}
    assert not held_out & {row["input"] for row in splits["train"]}
    assert all(row["output"] == str(row["input"].count("1") % 2) for row in splits["train"])
    assert "600 validation" in capsys.readouterr().out
    sidecar = json.loads((tmp_path / "green" / "parity.meta.json").read_text(encoding="utf-8"))
    assert sidecar["arguments"]["repeats"] is True
    before = path.read_bytes()
    assert bits.main(told) == 0
    assert path.read_bytes() == before
    coin = [*told, "--bit_parity", "False", "--p", "0.5"]
    assert bits.main(coin) == 2
    assert "--force" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert bits.main([*coin, "--force"]) == 0
    assert path.read_bytes() != before


def test_bits_that_leave_nothing_to_train_on_are_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bits.main(["--bit_length", "4", "--N", "30", "--val_size", "30", "--output_dir", str(tmp_path)]) == 2
    assert "val_size" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_all_four_scenarios_are_written_with_the_length_asked_for(tmp_path: Path) -> None:
    assert numbers.main(["--in_seq_len", "4", "--output_dir", str(tmp_path)]) == 0
    for scenario in ("pp", "pu", "up", "uu"):
        splits = load_splits((tmp_path / f"{scenario}.json").read_bytes(), name=scenario + ".json")
        assert {len(row["input"].split()) for rows in splits.values() for row in rows} == {4}


def test_folders_and_readmes_of_checks_say_the_same_of_them() -> None:
    for name, check in CHECKS.items():
        folder = ROOT / "sanity_checks" / name
        title, _, caption = (folder / "README.md").read_text(encoding="utf-8").splitlines()[:3]
        assert title == f"# {name}"
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert caption == docstring == check.words
