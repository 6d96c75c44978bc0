"""Kill -9 of submitters, watchers and the controller, which loses fresh jobs and gives their numbers anew."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.random_model import random_base
from tests.slurm.kill_trial import Trial, trial_cluster
from tests.slurm.light_jobs import STEPS, entries


@pytest.mark.parametrize("kills", (10, pytest.param(200, marks=pytest.mark.soak)))
@pytest.mark.parametrize("seed", (1,))
def test_sixty_runs_finish_each_trained_once_however_often_anything_is_killed(
    tmp_path: Path, kills: int, seed: int
) -> None:
    model = random_base(tmp_path / "base")
    with trial_cluster() as cluster:
        trial = Trial(tmp_path, cluster, model=model, kills=kills, seed=seed)
        try:
            trial.play()
            everything_is_whole(trial)
            assert trial.killed.total() == kills
        finally:
            trial.end()
            # Shown where the trial fails, beside its seed.
            sys.stdout.write(json.dumps(trial.figures(), indent=1))


def everything_is_whole(trial: Trial) -> None:
    """Assert that nothing was lost, doubled or left behind: every run is done, by one process at a time."""
    steps = trial.steps()
    # A step counts as completed where its `DONE` vouches for files that have their hashes.
    assert Counter(each["phase"] for each in steps) == {"completed": 2 * len(trial.runs)}
    attempts = [attempt for each in steps for attempt in each["attempts"]]
    assert [each for each in attempts if each["verdict"] is None] == []
    tags = Counter(each["intent"]["tag"] for each in attempts)
    assert set(tags.values()) == {1}
    for run in trial.runs:
        trained_by_one_at_a_time(trial, run)
        evaluated_after_its_training(trial, run)
    trial.ck("audit", "verify")


def trained_by_one_at_a_time(trial: Trial, run: str) -> None:
    folder, told = trial.experiment / "runs" / run, entries(trial.ledger / f"{run}.train.jsonl")
    # Whoever had the run before was gone, or stopped and fenced off since.
    begun = [each for each in told if each["event"] == "begin"]
    assert [pid for each in begun for pid in each["alive"] if pid not in trial.stopped] == [], told
    assert [each for each in told if each["event"] == "fenced" and each["pid"] not in trial.stopped] == [], told
    tokens = [each["token"] for each in begun]
    assert tokens == sorted(set(tokens)), told
    (ended,) = [each for each in told if each["event"] == "end"]
    assert ended["token"] == tokens[-1], told
    assert json.loads((folder / "DONE").read_text(encoding="utf-8"))["token"] == tokens[-1], told
    # Each step was taken once, and nobody wrote over what a later one had done.
    trail = json.loads((folder / "trail.json").read_text(encoding="utf-8"))
    assert [each["step"] for each in trail] == list(range(1, STEPS + 1)), trail
    assert [each["token"] for each in trail] == sorted(each["token"] for each in trail), trail


def evaluated_after_its_training(trial: Trial, run: str) -> None:
    told = {step: entries(trial.ledger / f"{run}.{step}.jsonl") for step in ("train", "eval")}
    trained = max(each["at"] for each in told["train"] if each["event"] == "trained")
    # A controller that forgets even that a job was cancelled may start one too early: it refused itself, and told so.
    assert min(each["at"] for each in told["eval"] if each["event"] == "begin") > trained, told
