"""What was agreed to holds for one question of one server; what is handed over are exactly these words (S15, S23)."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mcp_bench import NAME, WHY, Bench, Talk, User
from tests.wire import Wire

pytestmark = pytest.mark.once

YES = {"action": "accept", "content": {"confirm": True}}


def scaffolded(bench: Bench) -> str:
    """Write and scaffold the bench's design; return the plan's id."""

    async def dialogue(talk: Talk) -> str:
        return await talk.scaffold(bench.design)

    return bench.talk(dialogue)


def submitted(bench: Bench) -> int:
    """Return how many submissions are on record."""
    log = (bench.experiment / "logs" / "audit.jsonl").read_text(encoding="utf-8")
    return sum(json.loads(line)["action"] == "SUBMIT_JOB" for line in log.splitlines())


def turned(state: str, at: int) -> str:
    """Return a state with one of its characters changed."""
    return state[:at] + ("A" if state[at] != "A" else "B") + state[at + 1 :]


CHANGES: dict[str, Any] = {
    "a character in the middle": lambda state, given: (turned(state, len(state) // 2), given),
    "a character near the end": lambda state, given: (turned(state, len(state) - 5), given),
    "cut short": lambda state, given: (state[:-8], given),
    "empty": lambda state, given: ("", given),
    "made up": lambda state, given: ("eyJjb25maXJtIjogdHJ1ZX0", given),
    "for another plan": lambda state, given: (state, {**given, "plan_id": "ab" * 32}),
    "for another reason": lambda state, given: (state, {**given, "reason": "somebody else's"}),
    "for more runs": lambda state, given: (state, {**given, "runs": ["rank2"]}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_s23_a_state_that_was_tampered_with_or_is_anothers_is_refused(change: str, bench: Bench) -> None:
    plan_id = scaffolded(bench)
    given = {"experiment": NAME, "plan_id": plan_id, "reason": WHY}
    with Wire(bench.root) as wire:
        asked = wire.request("tools/call", name="job_submit", arguments=given)["result"]
        (name,) = asked["inputRequests"]
        state, arguments = CHANGES[change](asked["requestState"], given)
        again = {"name": "job_submit", "arguments": arguments, "requestState": state, "inputResponses": {name: YES}}
        answer = wire.request("tools/call", **again)
    asked_anew = answer.get("result", {}).get("resultType") == "input_required"
    assert answer.get("error", {}).get("code") == -32602 or (not state and asked_anew), answer
    assert submitted(bench) == 0


def test_s23_a_state_of_another_server_or_for_another_tool_is_refused(bench: Bench) -> None:
    given = {"experiment": NAME, "plan_id": scaffolded(bench), "reason": WHY}
    with Wire(bench.root) as first:
        asked = first.request("tools/call", name="job_submit", arguments=given)["result"]
        responses = dict.fromkeys(asked["inputRequests"], YES)
        replay = {"requestState": asked["requestState"], "inputResponses": responses}
        other = first.request("tools/call", name="job_cancel", arguments={"experiment": NAME, "reason": WHY}, **replay)
    with Wire(bench.root) as second:
        late = second.request("tools/call", name="job_submit", arguments=given, **replay)
    assert [answer["error"]["code"] for answer in (other, late)] == [-32602, -32602]
    assert submitted(bench) == 0


RECORDER = """\
#!{python}
import json, os, pathlib, sys
folder = pathlib.Path(__file__).parent
name = pathlib.Path(sys.argv[0]).name
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps([name, sys.argv[1:], sys.stdin.read(), sorted(os.environ)]) + "\\n")
heads = {{"squeue": "JOBID STATE EXIT_CODE REASON SUBMIT_TIME START_TIME END_TIME NAME", "sacct": "JobID|State"}}
if name in heads:
    print(heads[name])
if name == "sbatch":
    print(sum(line.startswith('["sbatch"') for line in (folder / "calls.jsonl").read_text().splitlines()) + 4710)
"""


def test_s15_what_the_scheduler_is_called_with_are_exactly_these_words(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_ = bench.root.parent / "bin"
    bin_.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "scancel", "sacctmgr"):
        (bin_ / name).write_text(RECORDER.format(python=sys.executable), encoding="utf-8")
        (bin_ / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    monkeypatch.setenv("HF_TOKEN", "hf_" + "aB3" * 12)
    monkeypatch.setenv("SBATCH_PARTITION", "elsewhere")
    (bench.root / "site.yaml").write_text("scheduler: slurm\n", encoding="utf-8")

    async def dialogue(talk: Talk) -> Any:
        plan_id = await talk.scaffold(bench.design)
        return await talk.call("job_submit", plan_id=plan_id, reason="$(touch owned); --wrap=id")

    reply = bench.talk(dialogue, user=User("tick"))
    assert reply.content.get("submitted"), reply.text
    calls = [json.loads(line) for line in (bin_ / "calls.jsonl").read_text(encoding="utf-8").splitlines()]
    handed = [(words, fed, names) for name, words, fed, names in calls if name == "sbatch"]
    scripts = sorted(str(path) for path in bench.experiment.glob("runs/*/finetune.slurm"))
    assert sorted(words[-1] for words, _, _ in handed) == scripts
    for words, fed, names in handed:
        folder = str(Path(words[-1]).parent)
        assert [word.partition("=")[0] for word in words[:-1]] == ["--parsable", "--job-name", "--chdir", "--comment"]
        assert words[1].startswith(f"--job-name={Path(folder).name}:")
        assert words[2] == f"--chdir={folder}"
        assert re.fullmatch(r"--comment=[\w:. -]+", words[3]), words
        assert fed == ""
        assert not {"HF_TOKEN", "SBATCH_PARTITION"} & set(names)
    assert list(bench.root.parent.rglob("owned")) == []
