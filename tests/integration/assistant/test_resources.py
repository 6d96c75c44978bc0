"""Texts a client may read whole: the same that tools and commands show, and nothing beside them."""

import asyncio
from typing import Any

import pytest
from mcp import Client, MCPError

from cruijff_kit.mcp_server.server import build
from tests.mcp_bench import NAME, Bench, Talk, User


async def _read(bench: Bench, uri: str) -> str:
    async with Client(build(bench.root)) as client:
        (content,) = (await client.read_resource(uri)).contents
        return getattr(content, "text", "")


@pytest.fixture
def finished(bench: Bench) -> tuple[Bench, str]:
    """Return a bench whose experiment has run, and one of its runs."""

    async def dialogue(talk: Talk) -> str:
        seen = await talk.finish(await talk.scaffold(bench.design))
        return seen.content["jobs"][0]["run"]

    return bench, bench.talk(dialogue, user=User())


def test_design_configuration_and_log_are_what_lies_on_disk(finished: tuple[Bench, str]) -> None:
    bench, run = finished
    place = f"cruijff://experiments/{NAME}"
    design = asyncio.run(_read(bench, f"{place}/design"))
    assert design == (bench.experiment / "experiment_summary.md").read_text(encoding="utf-8")
    configuration = asyncio.run(_read(bench, f"{place}/runs/{run}/configuration"))
    assert configuration == (bench.experiment / "runs" / run / "run.yaml").read_text(encoding="utf-8")
    assert asyncio.run(_read(bench, f"{place}/runs/{run}/log")) == ""


def test_the_installed_versions_own_pages_are_there(bench: Bench) -> None:
    assert "cruijff-kit" in asyncio.run(_read(bench, "cruijff://docs/readme"))
    assert '"$schema"' in asyncio.run(_read(bench, "cruijff://docs/design-schema"))


@pytest.mark.parametrize(
    "uri",
    (
        "cruijff://experiments/nothing/design",
        f"cruijff://experiments/{NAME}/report",
        f"cruijff://experiments/{NAME}/runs/..%2F..%2Fetc/log",
        "cruijff://experiments/..%2f../design",
        "cruijff://experiments/%2Fetc/design",
        "cruijff://experiments/a%00b/design",
        "cruijff://docs/passwd",
        "file:///etc/passwd",
    ),
)
def test_what_is_not_there_or_lies_elsewhere_is_an_error(bench: Bench, uri: str) -> None:
    async def reading() -> Any:
        async with Client(build(bench.root)) as client:
            with pytest.raises(MCPError):
                await client.read_resource(uri)

    asyncio.run(reading())
