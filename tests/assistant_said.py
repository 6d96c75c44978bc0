"""What an assistant may be told in a scenario: the point, in few words, and nothing that no file holds."""

import json
from typing import Any

from tests.mcp_bench import Bench, Reply
from tests.traced import untraced

__all__ = ["must_be_told", "must_be_true", "records"]

_BUDGET = 2_000


def must_be_told(reply: Reply, *parts: str, error: bool = False) -> None:
    """Assert that a reply tells these things, fits its budget, is an error or none as said, and no traceback."""
    assert reply.error == error, reply.text
    assert reply.tokens <= _BUDGET
    assert "Traceback" not in reply.text or "lines" in reply.content
    assert "site-packages" not in reply.text or "lines" in reply.content
    for part in parts:
        assert part in reply.text, reply.text


def must_be_true(bench: Bench) -> None:
    """Assert that every number of the summary is traced, and every source is what it was."""
    assert not untraced(bench.experiment), untraced(bench.experiment)


def records(bench: Bench, action: str) -> list[dict[str, Any]]:
    """Return the audit records of one action; none where there is no log."""
    log = bench.experiment / "logs" / "audit.jsonl"
    if not log.exists():
        return []
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["action"] == action]
