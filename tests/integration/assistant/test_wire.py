"""The server as clients of both eras meet it, line by line: what it says, nothing else, and that it stops."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from cruijff_kit import __version__
from cruijff_kit.mcp_server.surface import INSTRUCTIONS
from tests.bit_design import bit_design
from tests.mcp_bench import NAME, WHY, Bench
from tests.wire import Era, Wire

ERAS: tuple[Era, ...] = get_args(Era)
TRANSCRIPTS = Path(__file__).parent / "transcripts"
NOISY = """\
import os, subprocess, sys, warnings
from cruijff_kit import workflow
from cruijff_kit.mcp_server import server
status = workflow.read_status

def noisy(**arguments):
    print("a print")
    print("a print that is flushed", flush=True)
    sys.stdout.write("a write without an end")
    os.write(1, b"a raw write\\n")
    subprocess.run(["echo", "a child"], check=True)
    subprocess.run(["cat"], check=True)
    warnings.warn("a warning", stacklevel=1)
    return status(**arguments)

workflow.read_status = noisy
server.main()
"""
"""The server, one of its verbs babbling into everything it can reach."""
PATIENT = """\
import sys, time
from pathlib import Path
import yaml
folder = Path(yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())["run_dir"])
while not (folder / "go").exists():
    time.sleep(0.05)
"""
"""A recipe that waits to be told to go on."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return an empty project in a folder of its own."""
    root = tmp_path / "wire" / "project"
    root.mkdir(parents=True)
    return root


@pytest.mark.parametrize("era", ERAS)
def test_an_exchange_in_each_era_reads_as_its_transcript(era: Era, project: Path) -> None:
    (project / "empty").mkdir()
    with Wire(project, era=era) as wire:
        wire.request("tools/list")
        wire.call("decision_record", experiment="new", question="Which model?", choice="the small one", reason=WHY)
        wire.call("job_status", experiment="empty")
        wire.call("job_status", experiment="../etc")
        wire.call("job_status", experiment="empty", force=True)
        wire.call("shell_run", command="id")
        wire.request("resources/read", uri="cruijff://experiments/empty/design")
        wire.request("tools/run")
        said = wire.close()
    told = "".join(json.dumps(_settled(json.loads(line)), sort_keys=True) + "\n" for line in said)
    assert told == (TRANSCRIPTS / f"{era}.jsonl").read_text(encoding="utf-8"), told


def _settled(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without what other tests hold, and without versions."""
    result = message.get("result", {})
    if "tools" in result:
        result["tools"] = len(result["tools"]) and "the tools"
    if "instructions" in result:
        assert result["instructions"] == INSTRUCTIONS
        result["instructions"] = "the instructions"
    text = json.dumps(message).replace(f'"{__version__}"', '"VERSION"')
    return json.loads(re.sub(r"errors\.pydantic\.dev/[0-9.]+/", "errors.pydantic.dev/VERSION/", text))


@pytest.mark.parametrize("era", ERAS)
def test_s29_whatever_prints_inside_a_call_stdout_carries_the_protocol_alone(
    era: Era, project: Path, tmp_path: Path
) -> None:
    script = tmp_path / "noisy.py"
    script.write_text(NOISY, encoding="utf-8")
    # Whoever tests with unbuffered output would not see what a buffer gives up at the end.
    with Wire(project, era=era, command=(str(script),), environment={"PYTHONUNBUFFERED": ""}) as wire:
        first = wire.call("job_status", experiment="a")
        assert wire.call("job_status", experiment="a") == first
        lines = wire.close()
        errors = wire.errors.read_text(encoding="utf-8")
    assert "not scaffolded" in first["content"][0]["text"]
    assert [json.loads(line)["jsonrpc"] for line in lines] == ["2.0"] * len(lines)
    assert all("a print" not in line and "a child" not in line for line in lines)
    for told in ("a print that is flushed", "a raw write", "a child", "a warning"):
        assert told in errors


@pytest.mark.parametrize(
    "line", ("not json\n", "[]\n", "{}\n", '{"jsonrpc": "2.0"}\n', "\n", '{"jsonrpc":"2.0","id":9')
)
@pytest.mark.parametrize("era", ERAS)
def test_a_line_that_is_no_message_leaves_the_connection_as_it_was(era: Era, line: str, project: Path) -> None:
    with Wire(project, era=era) as wire:
        assert wire.process.stdin
        wire.process.stdin.write(line.encode() + b"\n")
        assert len(wire.request("tools/list")["result"]["tools"]) > 1
        assert wire.close()
    assert "Traceback" not in wire.errors.read_text(encoding="utf-8")


@pytest.fixture
def waiting(project: Path, tmp_path: Path, base: str) -> Bench:
    """Return a bench in that project whose trainings wait for a word."""
    recipe = project / "patient.py"
    recipe.write_text(PATIENT, encoding="utf-8")
    design = bit_design(NAME, model=base, recipe=recipe, seeds=(1,))
    (tmp_path / "design.yaml").write_text(design, encoding="utf-8")
    return Bench(project, base)


@pytest.mark.parametrize("era", ERAS)
def test_a_watch_tells_how_far_it_is_and_a_cancelled_one_stops_at_once(
    era: Era, waiting: Bench, tmp_path: Path
) -> None:
    with Wire(waiting.root, era=era, read=(Path(waiting.model),)) as wire:
        wire.answer = lambda question: {"action": "accept", "content": {"confirm": True}}
        design = (tmp_path / "design.yaml").read_text(encoding="utf-8")
        wire.call("experiment_write_summary", experiment=NAME, design=design, reason=WHY)
        made = wire.call("runs_scaffold", experiment=NAME, dry_run=False, reason=WHY)
        plan_id = made["structuredContent"]["plan_id"]
        assert wire.call("job_submit", experiment=NAME, plan_id=plan_id, reason=WHY)["structuredContent"]["submitted"]
        arguments = {"experiment": NAME, "timeout": 600, "reason": WHY}
        watch = wire.send("tools/call", name="job_watch", arguments=arguments, _meta={"progressToken": "look"})
        while not [note for note in wire.notes if note["method"] == "notifications/progress"]:
            wire.hear()
        wire.notify("notifications/cancelled", requestId=watch)
        # Far sooner than the watch's own ten minutes: else nothing would be heard in time.
        stopped = wire.call("job_cancel", experiment=NAME, reason=WHY)
        looks = [json.loads(line) for line in wire.lines]
        seen = wire.call("job_watch", experiment=NAME, timeout=60, reason=WHY)
        wire.close()
    (first, *_) = [note["params"] for note in wire.notes if note["method"] == "notifications/progress"]
    assert (first["progressToken"], first["progress"], first["total"]) == ("look", 0, 2)
    assert len(stopped["structuredContent"]["asked"]) == 2
    assert not [each for each in looks if each.get("id") == watch and "result" in each]
    assert seen["structuredContent"]["phases"] == {"cancelled": 2}


@pytest.mark.parametrize("era", ERAS)
def test_a_cancelled_scaffold_leaves_whole_files_and_is_finished_by_the_next(
    era: Era, project: Path, base: str
) -> None:
    bench = Bench(project, base)
    design = bit_design(NAME, model=base, recipe=QUICK_RECIPE, seeds=tuple(range(1, 31)))
    with Wire(project, era=era, read=(Path(base), QUICK_RECIPE.parent)) as wire:
        wire.call("experiment_write_summary", experiment=NAME, design=design, reason=WHY)
        arguments = {"experiment": NAME, "dry_run": False, "reason": WHY}
        made = wire.send("tools/call", name="runs_scaffold", arguments=arguments, _meta={"progressToken": "made"})
        while not [note for note in wire.notes if note["method"] == "notifications/progress"]:
            wire.hear()
        wire.notify("notifications/cancelled", requestId=made)
        assert len(wire.request("tools/list")["result"]["tools"]) > 1
        left = {path: path.read_bytes() for path in bench.experiment.glob("runs/**/*") if path.is_file()}
        again = wire.call("runs_scaffold", experiment=NAME, dry_run=False, reason=WHY)
        wire.close()
    assert again["structuredContent"]["runs"] == 60
    assert again["structuredContent"]["files"].keys() <= {"create", "unchanged"}
    # What was there when it stopped is what belongs there: nothing was cut short.
    assert {path: path.read_bytes() for path in left} == left


QUICK_RECIPE = Path(__file__).parents[2] / "e2e" / "quick_recipe.py"


@pytest.mark.parametrize("mode", ("auto", "legacy"))
def test_the_protocols_own_client_reads_every_page_in_either_era(mode: Any, project: Path) -> None:
    async def whole() -> tuple[str, str, int]:
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "cruijff_kit.mcp_server.server", "--root", str(project)],
            env=dict(os.environ),
        )
        async with Client(stdio_client(parameters), mode=mode) as client:
            tools = (await client.list_tools()).tools
            return str(client.protocol_version), str(client.instructions), len(tools)

    version, instructions, count = asyncio.run(whole())
    assert version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    assert instructions == INSTRUCTIONS
    assert count > 1
