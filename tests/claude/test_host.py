"""Skills and server as the real Claude Code has them: found, called, refused, asked about and confirmed."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from cruijff_kit.mcp_server.surface import SURFACE
from tests.architecture.source import ROOT
from tests.claude.host import BARE, PLUGIN, Host, Ran
from tests.claude.scripted_api import Step
from tests.mcp_bench import NAME, WHY, Bench, Talk, User

pytestmark = pytest.mark.claude

SKILLS = sorted(path.parent.name for path in (ROOT / "skills").glob("*/SKILL.md"))


def first_words(skill: str) -> str:
    """Return the first paragraph of a skill's body, which shows that the host has given it to the model."""
    body = (ROOT / "skills" / skill / "SKILL.md").read_text(encoding="utf-8").partition("\n---\n")[2]
    return next(line for line in body.splitlines() if line and not line.startswith("#"))


def scaffolded(bench: Bench) -> str:
    """Have two runs ready, and return their plan id."""

    async def dialogue(talk: Talk) -> str:
        return await talk.scaffold(bench.design)

    return bench.talk(dialogue)


def submitted(bench: Bench) -> int:
    """Return how many submissions are on record."""
    log = bench.experiment / "logs" / "audit.jsonl"
    return sum(json.loads(line)["action"] == "SUBMIT_JOB" for line in log.read_text(encoding="utf-8").splitlines())


def submission(plan_id: str, *, prefix: str) -> Step:
    """Return the model's call that queues a plan."""
    return Step(f"{prefix}job_submit", {"experiment": NAME, "plan_id": plan_id, "reason": WHY})


def looked(prefix: str, experiment: str = NAME) -> Step:
    """Return the model's call that looks where the jobs stand."""
    return Step(f"{prefix}job_status", {"experiment": experiment})


def content(ran: Ran, number: int = -1) -> dict[str, Any]:
    """Return what a call answered, as data."""
    error, text = ran.results[number]
    assert not error, text
    return json.loads(text)


def test_a_bare_skill_is_run_its_tools_pass_unasked_and_their_answers_and_errors_reach_the_model(
    host: Host, bench: Bench, told: tuple[str, ...]
) -> None:
    check = Step(f"{BARE}experiment_validate", {"experiment": NAME, "design": bench.design})
    broken = Step(f"{BARE}experiment_validate", {"experiment": "../etc", "design": "name: x"})
    ran = host.run("/design-experiment bits", [check, broken], *told)
    assert ran.code == 0, ran.complaints
    assert (ran.denied, ran.model.strays) == ([], [])
    assert {"name": "cruijff", "status": "connected"} in [
        {"name": each["name"], "status": each["status"]} for each in ran.start["mcp_servers"]
    ]
    assert {f"{BARE}{tool}" for tool in SURFACE} <= set(ran.start["tools"])
    assert set(SKILLS) <= set(ran.start["slash_commands"])
    # The skill's own words are in every request, once.
    counts = [
        json.dumps(each, ensure_ascii=False).count(first_words("design-experiment")) for each in ran.model.requests
    ]
    assert counts == [1, 1, 1]
    (checked, answer), (refused, why) = ran.results
    assert not checked
    assert "runs" in json.loads(answer)
    assert refused
    assert "String should match pattern" in why
    assert "String should match pattern" in ran.model.heard()


def test_inside_this_repository_skills_have_their_bare_names_and_the_server_is_found(host: Host) -> None:
    here = Host(host.binary, host.home, ROOT)
    ran = here.run("/design-experiment", [], settings={"enabledMcpjsonServers": ["cruijff"]})
    assert ran.code == 0, ran.complaints
    (found,) = ran.start["mcp_servers"]
    # It does not wait for the server of a project: on a busy machine that is approved, and still starting.
    assert (found["name"], found["status"] in {"connected", "pending"}) == ("cruijff", True)
    assert set(SKILLS) <= set(ran.start["slash_commands"])
    assert ran.model.heard().count(first_words("design-experiment")) == 1
    title = (ROOT / "CLAUDE.md").read_text(encoding="utf-8").splitlines()[0]
    assert ran.model.heard().count(title) == 1


def test_what_no_skill_allows_is_not_called(host: Host, bench: Bench, told: tuple[str, ...]) -> None:
    plan_id = scaffolded(bench)
    ran = host.run("/run-experiment bits", [looked(BARE), submission(plan_id, prefix=BARE)], *told)
    assert ran.denied == [f"{BARE}job_submit"]
    assert content(ran, 0)["phases"] == {"not submitted": 2}
    assert ran.results[1][0]
    assert submitted(bench) == 0


def test_where_nobody_can_be_asked_nothing_is_submitted_and_the_model_is_told(
    host: Host, bench: Bench, told: tuple[str, ...]
) -> None:
    plan_id = scaffolded(bench)
    ran = host.run(
        "/run-experiment bits", [submission(plan_id, prefix=BARE)], *told, "--allowedTools", f"{BARE}job_submit"
    )
    assert ran.denied == []
    assert content(ran)["submitted"] is False
    assert "nothing was submitted" in content(ran)["note"]
    assert submitted(bench) == 0


@pytest.mark.parametrize(
    "answer,queued", ((("accept", True), True), (("accept", False), False), (("decline", True), False))
)
def test_the_plugin_submits_only_what_the_user_has_confirmed(
    host: Host,
    bench: Bench,
    plugin: tuple[str, ...],
    answer: tuple[Literal["accept", "decline"], bool],
    queued: bool,
) -> None:
    plan_id = scaffolded(bench)
    ran = host.run(
        "/cruijff-kit:run-experiment bits",
        [looked(PLUGIN), submission(plan_id, prefix=PLUGIN)],
        *plugin,
        "--allowedTools",
        f"{PLUGIN}job_submit",
        settings=host.answering(answer[0], confirm=answer[1]),
    )
    assert ran.code == 0, ran.complaints
    assert ran.denied == []
    assert first_words("run-experiment") in ran.model.heard()
    assert content(ran)["submitted"] is queued
    (asked,) = host.questions()
    assert asked["hook_event_name"] == "Elicitation"
    assert (asked["mode"], asked["mcp_server_name"]) == ("form", "plugin:cruijff-kit:cruijff")
    assert "2 training" in asked["message"]
    assert plan_id[:12] in asked["message"]
    assert list(asked["requested_schema"]["properties"]) == ["confirm"]
    assert submitted(bench) == (2 if queued else 0)
    if queued:
        assert finished(bench)["phases"] == {"completed": 2}


def finished(bench: Bench) -> dict[str, Any]:
    """Follow the jobs to their end, with a server of our own: they outlive the host."""
    while True:
        seen = bench.call("job_watch", user=User(), timeout=30, reason=WHY)
        if not seen.content["moving"]:
            return seen.content


def test_the_plugin_is_well_formed_and_is_installed_with_its_skills_and_its_server(host: Host) -> None:
    report = json.loads(host.call("plugin", "validate", str(ROOT), "--strict", "--json").stdout)
    told = [*report["manifest"]["warnings"], *(warning for each in report["contents"] for warning in each["warnings"])]
    errors = [*report["manifest"]["errors"], *(error for each in report["contents"] for error in each["errors"])]
    assert errors == []
    # What this repository tells those who change it is no business of those who install the plugin.
    assert all(each["message"].startswith("CLAUDE.md at the plugin root") for each in told)
    assert {f"cruijff-kit:{skill}" for skill in SKILLS} == set(report["provides"]["skills"])
    for words in (("marketplace", "add", str(ROOT)), ("install", "cruijff-kit@cruijff-kit")):
        done = host.call("plugin", *words)
        assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in host.call("mcp", "list").stdout.splitlines() if "cruijff" in line]
    assert line.startswith("plugin:cruijff-kit:cruijff:")
    assert line.endswith("Connected")


def test_words_for_those_who_change_the_code_reach_the_model_once(host: Host) -> None:
    (host.project / "CLAUDE.md").write_text("Zandvoort lies by the sea.\n", encoding="utf-8")
    (host.project / "AGENTS.md").symlink_to("CLAUDE.md")
    ran = host.run("hello", [])
    assert ran.model.heard().count("Zandvoort") == 1


@pytest.mark.parametrize(
    "command,ruled,queued",
    (
        ("sbatch job.sh", True, False),
        ("true && env X=1 timeout 9 sbatch job.sh", True, False),
        ("sbatch job.sh", False, True),
        # The page says so: the rule looks at commands, not at what they start.
        ("sh -c 'sbatch job.sh'", True, True),
    ),
)
def test_the_documented_rule_keeps_a_model_with_a_shell_from_the_cluster_as_far_as_the_page_says(
    host: Host, command: str, ruled: bool, queued: bool
) -> None:
    page = (ROOT / "docs" / "assistants.md").read_text(encoding="utf-8")
    rules = json.loads(page.partition("```json permissions\n")[2].partition("```")[0])
    called = fake_sbatch(host)
    step = Step("Bash", {"command": command, "description": "queue a job"})
    ran = host.run("hello", [step], "--allowedTools", "Bash", settings=rules if ruled else None)
    assert called.exists() is queued
    assert ran.results[0][0] is not queued


def fake_sbatch(host: Host) -> Path:
    """Put a program in the place of Slurm's that notes that it was called."""
    called, program = host.home / "called", host.home / "bin" / "sbatch"
    program.write_text(f"#!/bin/sh\necho queued > '{called}'\n", encoding="utf-8")
    program.chmod(0o755)
    return called
