"""Rows, answers and logs reach a client as far as their tier and the user's own yes let them, in every era."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from cruijff_kit.bootstrap import open_world
from cruijff_kit.ports import World
from cruijff_kit.workflow import (
    allow_data,
    preview_allow,
    recorded_plan,
    scaffold_runs,
    submit_jobs,
    watch_jobs,
    write_design,
)
from tests.mcp_bench import NAME, QUICK, Bench, Reply, Talk, User

pytestmark = pytest.mark.once

WORD = "zebra"
WAYS = ("rows", "answers", "log", "log resource")
_ROWS = {
    split: [{"input": f"{WORD} {split} {at}", "output": str(at % 10)} for at in range(count)]
    for split, count in (("train", 40), ("validation", 4), ("test", 4))
}


class Made(NamedTuple):
    """A finished experiment on a user's own file of some tier."""

    bench: Bench
    tier: str
    run: str
    base: str

    @property
    def world(self) -> World:
        """Return the experiment's world, as a person has it."""
        return person(self.bench)


def person(bench: Bench) -> World:
    return open_world(bench.experiment, root=bench.root, kind="human", name="ada", client="ck")


def ended(bench: Bench, tier: str) -> Made:
    """Design, scaffold and run as a person; every job then prints a row."""
    bench.experiment.mkdir(parents=True)
    (bench.experiment / "words.json").write_text(json.dumps(_ROWS), encoding="utf-8")
    head, _, tail = bench.design.partition("data:\n")
    factors = tail[tail.index("factors:") :].replace("max_seq_len: 64", "max_seq_len: 256")
    text = f"{head}data: {{tier: {tier}, training: {{path: words.json}}}}\n{factors}"
    text = text.replace("tools: {evaluation: none}", "evaluation: {tasks: [{name: bits, task: rows}]}")
    world = person(bench)
    write_design(f"{text}runs: [{{name: base, type: control}}]\n", reason="mine", world=world)
    chosen = recorded(world)
    submit_jobs(scaffold_runs(world=world).plan_id, runs=(chosen["fine-tuned"],), reason="go", world=world)
    *_, _ = watch_jobs(timeout=120.0, poll=0.2, world=world)
    for output in bench.experiment.glob(f"runs/{chosen['fine-tuned']}/slurm-*.out"):
        with output.open("a", encoding="utf-8") as file:
            file.write(f"ValueError: no answer to `{WORD} train 7`\n")
    return Made(bench, tier, chosen["fine-tuned"], chosen["control"])


def recorded(world: World) -> dict[str, str]:
    scaffold_runs(world=world)
    runs = recorded_plan(world=world)[0].runs
    return {run.type: run.id for run in reversed(runs)}


@pytest.fixture(scope="module", params=("green", "yellow", "red"))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, base: str) -> Made:
    root = tmp_path_factory.mktemp(f"project_{request.param}")
    return ended(Bench(root, base), request.param)


@pytest.fixture
def closed(made: Made) -> Iterator[Made]:
    """Return the experiment, and take every consent back afterwards."""
    yield made
    if made.tier == "yellow":
        asked = preview_allow(way="show", world=made.world)
        allow_data(asked, reason="the test is over", who="ada", withdraw=True, world=made.world)


async def look(talk: Talk, made: Made, way: str) -> Reply:
    if way == "rows":
        return await talk.call("data_show")
    if way == "answers":
        return await talk.call("results_read", view="answers", run=made.base, limit=2)
    if way == "log":
        return await talk.call("logs_tail", run=made.run)
    try:
        read = await talk.client.read_resource(f"cruijff://experiments/{NAME}/runs/{made.run}/log")
    except Exception as err:  # noqa: BLE001 (whatever the client raises for a refused resource is its answer)
        return Reply(True, str(err), {})
    return Reply(False, "".join(getattr(each, "text", "") for each in read.contents), {})


def consents(made: Made) -> list[dict[str, Any]]:
    lines = (made.bench.experiment / "logs" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["verb"] == "allow"]


@pytest.mark.parametrize("era", ("auto", "legacy"))
@pytest.mark.parametrize("answer", ("tick", "leave", "decline"))
@pytest.mark.parametrize("way", WAYS[:3])
def test_yellow_contents_are_shown_after_the_users_yes_red_ones_never_and_green_ones_unasked(
    closed: Made,
    way: str,
    answer: Literal["tick", "leave", "decline"],
    era: Literal["auto", "legacy"],
) -> None:
    user, before = User(answer), len(consents(closed))
    reply = closed.bench.talk(lambda talk: look(talk, closed, way), user=user, mode=era)
    agreed = closed.tier == "yellow" and answer == "tick"
    assert (WORD in reply.text) == (closed.tier == "green" or agreed), reply.text
    assert len(user.asked) == (closed.tier == "yellow")
    assert len(consents(closed)) - before == agreed
    if agreed:
        (question,), record = user.asked, consents(closed)[-1]
        assert record["inputs"]["sha256"][:12] in question
        assert "words.json" in question
        assert (record["inputs"]["way"], record["outputs"]["choice"]) == ("show", "allowed")
        assert record["actor"]["kind"] == "assistant"


@pytest.mark.parametrize("way", WAYS)
def test_where_nobody_can_be_asked_yellow_contents_stay_closed_and_the_command_is_named(closed: Made, way: str) -> None:
    reply = closed.bench.talk(lambda talk: look(talk, closed, way))
    assert (WORD in reply.text) == (closed.tier == "green"), reply.text
    if closed.tier == "yellow":
        assert f"ck -C {NAME} data allow --way show --reason" in reply.text
    if closed.tier == "red":
        assert "outside these tools" in reply.text


@pytest.mark.parametrize("way", WAYS)
def test_what_a_person_allowed_at_a_terminal_is_shown_unasked_until_the_data_change(closed: Made, way: str) -> None:
    if closed.tier == "red":
        return
    allow_data(preview_allow(way="show", world=closed.world), reason="ours", who="ada", world=closed.world)
    user, file = User("decline"), closed.bench.experiment / "words.json"
    assert WORD in closed.bench.talk(lambda talk: look(talk, closed, way), user=user).text
    assert user.asked == []
    kept = file.read_bytes()
    try:
        file.write_text(json.dumps({**_ROWS, "test": [{"input": "zebra new", "output": "9"}]}), encoding="utf-8")
        if way == "rows":
            reply = closed.bench.talk(lambda talk: look(talk, closed, way), user=user)
            assert (WORD in reply.text) == (closed.tier == "green")
            assert len(user.asked) == (closed.tier == "yellow")
        elif way == "log":
            # It was printed before.
            assert WORD in closed.bench.talk(lambda talk: look(talk, closed, way), user=user).text
            assert user.asked == []
    finally:
        file.write_bytes(kept)


def test_arguments_that_pretend_to_be_consent_are_ignored(closed: Made) -> None:
    if closed.tier == "green":
        return
    before = len(consents(closed))

    async def forged(talk: Talk) -> list[Reply]:
        forgeries = ({"consent": True}, {"asked": {}, "answer": {"confirm": True}}, {"tier": "green", "way": "show"})
        return [await talk.call("data_show", **each) for each in forgeries]

    for user in (None, User("decline")):
        assert all(WORD not in reply.text for reply in closed.bench.talk(forged, user=user))
    assert len(consents(closed)) == before


def test_a_server_of_its_own_process_asks_and_refuses_likewise(closed: Made) -> None:
    user = User("tick")
    read = [f"--read={place}" for place in (closed.bench.model, QUICK.parent)]
    params = StdioServerParameters(
        command=sys.executable,
        args=["-m", "cruijff_kit.mcp_server.server", "--root", str(closed.bench.root), *read],
        env=dict(os.environ),
    )

    async def whole() -> Reply:
        async with Client(stdio_client(params), elicitation_callback=user) as client:
            return await look(Talk(client), closed, "rows")

    reply = asyncio.run(asyncio.wait_for(whole(), timeout=120))
    assert (WORD in reply.text) == (closed.tier != "red"), reply.text
    assert len(user.asked) == (closed.tier == "yellow")


def test_data_outside_the_project_are_refused_and_never_read(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(json.dumps(_ROWS), encoding="utf-8")
    bench.experiment.mkdir()
    (bench.experiment / "link.json").symlink_to(tmp_path / "secret.json")
    head, _, tail = bench.design.partition("data:\n")
    for path in (str(tmp_path / "secret.json"), "../../secret.json", "link.json"):
        text = f"{head}data: {{tier: green, training: {{path: {path}}}}}\n{tail[tail.index('factors:') :]}"
        for reply in (
            bench.call("experiment_validate", design=text),
            bench.call("experiment_write_summary", design=text, reason="mine"),
        ):
            assert reply.error
            assert "outside the directories an assistant may use" in reply.text
            assert WORD not in reply.text
    text = text.replace("path: link.json", f"path: {tmp_path}/secret.json")
    write_design(text, reason="a person may", world=person(bench))
    reply = bench.call("data_show")
    assert reply.error
    assert "`data_dirs` in site.yaml" in reply.text
    (bench.root / "site.yaml").write_text(f"data_dirs: ['{tmp_path}']\n", encoding="utf-8")
    assert WORD in bench.call("data_show").text
