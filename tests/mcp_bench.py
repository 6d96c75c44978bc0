"""A project and a client of its server, for tests of what an assistant is told and may do."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from mcp import Client
from mcp.types import ElicitResult

from cruijff_kit.mcp_server.server import build
from tests.bit_design import bit_design

__all__ = ["NAME", "QUICK", "WHY", "Bench", "Reply", "Talk", "User"]

NAME = "bits"
"""The experiment of a bench."""
QUICK = Path(__file__).parent / "e2e" / "quick_recipe.py"
"""A recipe that leaves every file it owes, and trains nothing."""
WHY = "the test wants it"
"""A reason."""

_Told = TypeVar("_Told")


class User:
    """Who answers a client's questions, and what was asked."""

    def __init__(self, answer: Literal["tick", "leave", "decline", "cancel"] = "tick") -> None:
        """Keep what is answered: accepted with the box ticked or left, declined, or dismissed."""
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        """Answer one question."""
        self.asked.append(params.message)
        if self.answer in ("decline", "cancel"):
            return ElicitResult(action=self.answer)
        return ElicitResult(action="accept", content={"confirm": self.answer == "tick"})


class Reply(NamedTuple):
    """What a tool answered."""

    error: bool
    """Whether it refused or failed."""
    text: str
    """All its text blocks."""
    content: dict[str, Any]
    """Its structured content; empty where it has none."""

    @property
    def tokens(self) -> int:
        """Return what it costs a model, by the usual rule of thumb."""
        return len(self.text) // 4


class Bench(NamedTuple):
    """A project with one experiment of quick trainings."""

    root: Path
    """The project."""
    model: str
    """A base model's directory."""

    @property
    def experiment(self) -> Path:
        """Return the experiment's directory."""
        return self.root / NAME

    @property
    def design(self) -> str:
        """Return a design of two runs that takes seconds."""
        return bit_design(NAME, model=self.model, recipe=QUICK, seeds=(1,))

    def talk(
        self,
        dialogue: Callable[["Talk"], Awaitable[_Told]],
        *,
        user: User | None = None,
        mode: Literal["auto", "legacy"] = "auto",
    ) -> _Told:
        """Have a dialogue with a server over this project, the user answering; nobody answers where there is none."""

        async def whole() -> _Told:
            # Where models and recipes of tests lie.
            read = [Path(__file__).parent, *([Path(self.model)] if self.model else [])]
            async with Client(build(self.root, read=read), mode=mode, elicitation_callback=user) as client:
                return await dialogue(Talk(client))

        return asyncio.run(asyncio.wait_for(whole(), timeout=120))

    def call(self, tool: str, *, user: User | None = None, **arguments: Any) -> Reply:
        """Make one call with a server of its own."""

        async def once(talk: "Talk") -> Reply:
            return await talk.call(tool, **arguments)

        return self.talk(once, user=user)


class Talk(NamedTuple):
    """A client's side of a dialogue."""

    client: Client
    """The client."""

    async def call(self, tool: str, **arguments: Any) -> Reply:
        """Call a tool on the bench's experiment."""
        result = await self.client.call_tool(tool, {"experiment": NAME, **arguments})
        text = "\n".join(getattr(block, "text", "") for block in result.content)
        return Reply(bool(result.is_error), text, result.structured_content or {})

    async def scaffold(self, design: str) -> str:
        """Write a design, scaffold it, and return its plan id."""
        written = await self.call("experiment_write_summary", design=design, reason=WHY)
        assert not written.error, written.text
        planned = await self.call("runs_scaffold", dry_run=False, reason=WHY)
        assert not planned.error, planned.text
        return planned.content["plan_id"]

    async def finish(self, plan_id: str) -> Reply:
        """Submit a plan and watch it to its end."""
        submitted = await self.call("job_submit", plan_id=plan_id, reason=WHY)
        assert submitted.content.get("submitted"), submitted.text
        while True:
            seen = await self.call("job_watch", timeout=30, reason=WHY)
            if not seen.content["moving"]:
                return seen
