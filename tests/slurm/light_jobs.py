"""The jobs of a kill trial: no model, but the run's lock, its files and signals as every job of ours has them.

A training goes on from its `trail.json`, one entry a step, as from a checkpoint. What it did, and when, it also
tells a ledger outside the experiment, which nothing replaces.
"""

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from cruijff_kit.errors import RunError
from cruijff_kit.runtime.files import FencedError, write_aside
from cruijff_kit.runtime.job_files import (
    StatusFile,
    artefact_hashes,
    exit_code_of,
    finished,
    job_ids,
    now,
    stop_on_signals,
)
from cruijff_kit.runtime.process_mark import ProcessMark, gone, own_mark
from cruijff_kit.runtime.run_lock import hold_run
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done

__all__ = ["LEDGER", "STEPS", "entries"]

LEDGER = "KILL_TRIAL_LEDGER"
"""Variable that names the ledger's folder."""
STEPS = 8
"""Steps of each training."""
_SHORTEST, _LONGEST = 0.2, 2.0
"""Seconds that a whole training takes."""


class Ledger:
    """What processes of one job told, line by line, in the order in which they told it."""

    def __init__(self, run_id: str, step: str) -> None:
        self.path = Path(os.environ[LEDGER]) / f"{run_id}.{step}.jsonl"

    def tell(self, event: str, **facts: Any) -> None:
        """Append one line at once; processes do not mix theirs."""
        line = {"event": event, "at": time.monotonic(), "job_id": "".join(job_ids()), "pid": os.getpid(), **facts}
        with self.path.open("ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")

    def begin(self, token: int, **facts: Any) -> None:
        """Tell that this process has the run now, and which of those before it still live."""
        told = entries(self.path)
        ended = {each["token"] for each in told if each["event"] == "end"}
        begun = [each for each in told if each["event"] == "begin" and each["token"] not in ended]
        alive = [each["pid"] for each in begun if not gone(ProcessMark(*each["mark"]))]
        self.tell("begin", token=token, mark=own_mark(), name=_name(), alive=alive, **facts)


def entries(path: Path) -> list[dict[str, Any]]:
    """Return what a ledger holds."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _train(config: dict[str, Any]) -> None:
    folder, output = Path(config["run_dir"]), Path(config["output_dir"])
    layout, experiment = RunLayout(config["run_id"]), folder.parent.parent
    marker = experiment / layout.done("train")
    if finished(marker, experiment=experiment):
        return
    lock = experiment / layout.lock("train")
    with hold_run(lock, run_id=layout.run_id, job_id="".join(job_ids()), trees=(folder, output)) as token:
        if finished(marker, experiment=experiment):
            return
        ledger = Ledger(layout.run_id, "train")
        ledger.begin(token)
        with StatusFile(experiment / layout.status("train"), token=token) as status:
            stop_on_signals()
            try:
                made = _steps(folder, output, token=token, status=status, seed=config["seed"])
                status.enter("done")
                hashes = artefact_hashes(made, experiment=experiment)
                done = Done(exit_code=0, artefacts=hashes, token=token, finished=now())
                ledger.tell("trained", token=token)
                write_aside(marker, done.model_dump_json() + "\n")
            except FencedError:
                ledger.tell("fenced", token=token)
                raise
        ledger.tell("end", token=token)


def _steps(folder: Path, output: Path, *, token: int, status: StatusFile, seed: int) -> list[Path]:
    """Take the steps that the trail does not hold yet, and return the files made."""
    pause = random.Random(f"{seed} {folder.name} {token}").uniform(_SHORTEST, _LONGEST) / STEPS
    path, adapter = folder / "trail.json", output / "epoch_0" / "adapter_model.safetensors"
    trail = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for step in range(len(trail) + 1, STEPS + 1):
        time.sleep(pause)
        trail.append({"step": step, "token": token, "pid": os.getpid()})
        write_aside(path, json.dumps(trail))
        if json.loads(path.read_text(encoding="utf-8")) != trail:
            raise AssertionError(f"another process wrote `{path}` while token {token} was held")
        status.advance(step, STEPS, epoch=0)
        status.keep(step)
    write_aside(folder / "metrics.jsonl", json.dumps({"step": STEPS, "epoch": 0, "loss": 1.5}) + "\n")
    write_aside(adapter, f"weights of seed {seed}")
    return [path, folder / "metrics.jsonl", adapter]


def _evaluate(configs: list[dict[str, Any]]) -> None:
    cell = Path(configs[0]["cell_dir"])
    layout, experiment = RunLayout(configs[0]["run_id"]), cell.parents[3]
    ledger, trained = Ledger(layout.run_id, "eval"), experiment / layout.done("train")
    lock, folder = experiment / layout.lock("eval"), experiment / layout.eval_folder
    with (
        hold_run(lock, run_id=layout.run_id, job_id="".join(job_ids()), trees=(folder,)) as token,
        StatusFile(experiment / layout.status("eval"), token=token) as status,
    ):
        stop_on_signals()
        if not finished(trained, experiment=experiment):
            ledger.tell("early", token=token, name=_name())
            fact = f"run `{layout.run_id}` cannot be evaluated: its training left no valid `{trained}`"
            raise RunError(fact, run_id=layout.run_id)
        ledger.begin(token)
        time.sleep(_SHORTEST)
        log = cell / "logs" / "answers.json"
        write_aside(log, json.dumps({"accuracy": 1.0}))
        status.enter("done")
        done = Done(exit_code=0, artefacts=artefact_hashes([log], experiment=experiment), token=token, finished=now())
        write_aside(experiment / layout.done("eval"), done.model_dump_json() + "\n")
        ledger.tell("end", token=token)


def _name() -> str:
    return os.environ.get("SLURM_JOB_NAME", "")


def _main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", dest="module")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("cells", nargs="*", type=Path)
    chosen = parser.parse_args()
    if chosen.module is None:
        return exit_code_of(lambda: _train(_read(chosen.config)))
    return exit_code_of(lambda: _evaluate([_read(path) for path in chosen.cells]))


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(_main())
