"""Evaluation logs under inspect's own tools: `inspect log` reads them, `inspect view` serves them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.evaluated_run import ROWS, RUN, Evaluated, ready_run

INSPECT = (sys.executable, "-W", "ignore", "-m", "inspect_ai")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Return a run evaluated in two cells: its adapter, and the base model."""
    run = ready_run(tmp_path_factory.mktemp("viewed") / "ex periment", cells=({}, {"epoch": None, "adapter": None}))
    command = [sys.executable, "-W", "ignore", "-m", "cruijff_kit.runtime.evaluate", *map(str, run.configs)]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    return run


@pytest.fixture(scope="module")
def served(evaluated: Evaluated) -> Iterator[str]:
    """Yield the address of `inspect view` over the whole experiment, without a browser."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [*INSPECT, "view", "start", "--log-dir", str(evaluated.experiment / "runs"), "--port", port]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        said = []
        for line in server.stdout:
            said.append(line.decode())
            if "Running on" in said[-1]:
                break
        else:
            pytest.fail("".join(said))
        yield f"http://127.0.0.1:{port}/api"
        server.terminate()


def answer(address: str) -> Any:
    with urlopen(address) as reply:
        return json.load(reply)


def inspect(*arguments: str) -> Any:
    return json.loads(subprocess.run([*INSPECT, *arguments], env=ENVIRONMENT, check=True, capture_output=True).stdout)


def logs_of(run: Evaluated) -> list[Path]:
    return sorted(run.experiment.rglob("*.eval"))


def test_the_log_command_lists_and_dumps_every_evaluation(evaluated: Evaluated) -> None:
    listed = inspect("log", "list", "--json", "--absolute", "--log-dir", str(evaluated.experiment / "runs"))
    assert sorted(Path(each["name"].removeprefix("file://")).name for each in listed) == [
        path.name for path in logs_of(evaluated)
    ]
    dumped = inspect("log", "dump", str(logs_of(evaluated)[0]))
    assert dumped["status"] == "success"
    assert len(dumped["samples"]) == len(ROWS)
    scored = [sample["scores"]["match"]["metadata"]["prediction"] for sample in dumped["samples"]]
    assert {each["run"] for each in scored} == {RUN}


def test_the_viewer_finds_every_log_of_an_experiment(evaluated: Evaluated, served: str) -> None:
    files = answer(f"{served}/log-files")["files"]
    assert len(files) == len(logs_of(evaluated)) == 2


def test_the_viewer_shows_each_sample_with_its_answer_and_scores(evaluated: Evaluated, served: str) -> None:
    for entry in answer(f"{served}/log-files")["files"]:
        log = answer(f"{served}/logs/{quote(entry['name'], safe='')}")
        assert (log["status"], log["results"]["completed_samples"]) == ("success", len(ROWS))
        assert [score["name"] for score in log["results"]["scores"]] == ["match", "includes"]
        assert sorted(sample["id"] for sample in log["samples"]) == [f"test-{at}" for at in range(len(ROWS))]
        assert all(sample["output"]["choices"] and sample["scores"]["match"]["value"] for sample in log["samples"])
        headers = answer(f"{served}/log-headers?file={quote(entry['name'], safe='')}")
        assert [each["eval"]["task"] for each in headers] == [log["eval"]["task"]]
