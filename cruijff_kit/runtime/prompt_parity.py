"""Prompt parity: whether a server behind an API renders a cell's prompts as this package does.

vLLM tells the ids of a conversation (`/tokenize`), llama.cpp the rendered text
(`/apply-template`). A server that tells neither, and a model without a local copy,
leave it unproven.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from cruijff_kit.data.tasks import parse_task
from cruijff_kit.data.tokens import Encoding, Turn, conversation, encode_conversation
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.loopback import is_loopback
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.run import PromptParity

__all__ = ["is_here", "prompt_parity"]

_MOST = 100
_SECONDS = 20
_SILENT = "the server does not tell"


class _Server(NamedTuple):
    """Where to ask."""

    root: str
    """Address without the `/v1` of its chat."""
    model: str
    """Name of the model there."""


class _Prompt(NamedTuple):
    """One prompt: what is sent, and the ids this package makes of it."""

    turns: list[Turn]
    ids: tuple[int, ...]


def is_here(url: str) -> bool:
    """Return whether a server's address is this machine's own."""
    return is_loopback(urlsplit(url).hostname or "")


def prompt_parity(config: EvalConfig) -> PromptParity:
    """Return whether the server of a cell renders its prompts as this package does.

    The prompts of the first hundred rows are compared; a task of the user's own makes others.

    Raises:
        SpecError: a row cannot be read or encoded.
    """
    base = config.base_model
    if parse_task(config.task).file is not None:
        return PromptParity(verdict="unproven", reason="a task of one's own makes its prompts as it runs")
    if base.base_url is None:
        return PromptParity(verdict="unproven", reason="the provider does not tell how it renders prompts")
    if not base.path:
        return PromptParity(verdict="unproven", reason="no local copy of the model was named to compare with")
    from cruijff_kit.runtime.model_files import load_tokenizer

    tokenizer = load_tokenizer(Path(base.path))
    prompts = list(_prompts(config, tokenizer))
    server = _Server(base.base_url.rstrip("/").removesuffix("/v1"), _served(str(base.api)))
    for compare in (_by_ids, _by_text):
        same = compare(prompts, server, tokenizer=tokenizer)
        if same is not None:
            what = "token ids equal" if compare is _by_ids else "rendered text equals"
            told = f"the server's {what} ours for {sum(same)} of {len(same)} prompts"
            return PromptParity(verdict="proven" if all(same) else "differs", reason=told)
    return PromptParity(verdict="unproven", reason=_SILENT)


def _served(api: str) -> str:
    """Return the name that a model has on its server: what follows provider and, where one is named, service."""
    provider, _, rest = api.partition("/")
    return rest.partition("/")[2] if provider.startswith("openai-api") else rest


def _prompts(config: EvalConfig, tokenizer: Tokenizer) -> Iterator[_Prompt]:
    from cruijff_kit.runtime.row_task import chosen_rows

    encoding = Encoding.of(config.dataset)
    for index, row in chosen_rows(config)[:_MOST]:
        place = f"{config.split}-{index}"
        turns = conversation(row, encoding=encoding, place=place)
        ids = encode_conversation(turns, encoding=encoding, tokenizer=tokenizer, place=place)
        yield _Prompt(turns, tuple(ids))


def _by_ids(prompts: Sequence[_Prompt], server: _Server, *, tokenizer: Tokenizer) -> list[bool] | None:
    """Return whether the ids that vLLM tells are ours, for each prompt; None where it tells none."""
    same = []
    for each in prompts:
        asked = {"model": server.model, "messages": each.turns, "add_generation_prompt": True}
        tokens = _told(f"{server.root}/tokenize", asked).get("tokens")
        if not isinstance(tokens, list):
            return None
        same.append(tuple(tokens) == each.ids)
    return same


def _by_text(prompts: Sequence[_Prompt], server: _Server, *, tokenizer: Tokenizer) -> list[bool] | None:
    """Return whether the text that llama.cpp renders is ours, for each prompt; None where it tells none."""
    same = []
    for each in prompts:
        rendered = _told(f"{server.root}/apply-template", {"messages": each.turns}).get("prompt")
        if not isinstance(rendered, str):
            return None
        # Text says nothing of a first token that the server adds as it tokenises.
        start = str(getattr(tokenizer, "bos_token", None) or "")
        same.append(rendered.removeprefix(start) == tokenizer.decode(each.ids).removeprefix(start))
    return same


def _told(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Return a server's answer to a question without a key; nothing where it knows no such question."""
    content = json.dumps(asked).encode()
    request = Request(url, content, {"Content-Type": "application/json"})  # noqa: S310 -- designs allow http(s) alone
    opener = build_opener(ProxyHandler({})) if is_here(url) else build_opener()
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            found = json.loads(answer.read())
    except (URLError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
