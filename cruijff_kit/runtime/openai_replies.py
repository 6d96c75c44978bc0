"""What clients of the OpenAI protocol are told: answers, pieces of answers, models and errors."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cruijff_kit.runtime.answering import Answer, Desk, Piece, Wish
from cruijff_kit.runtime.next_token import Step
from cruijff_kit.schema.prediction import TokenLogprob

__all__ = ["Echo", "Form", "error_body", "models_body", "to_json"]

_LEAST = -9999.0
_ERRORS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

_Named = tuple[TokenLogprob, tuple[TokenLogprob, ...] | None]


class Echo(NamedTuple):
    """What is told of a prompt before its answer."""

    text: str
    """The prompt as text."""
    tokens: list[_Named]
    """Its tokens; the first has no candidates, for nothing stands before it."""


class Form(NamedTuple):
    """How one request's reply looks."""

    id: str
    """Its id."""
    model: str
    """Name of the model that answers."""
    created: int
    """Seconds since 1970."""
    chat: bool
    """Whether messages were asked for, or a continued text."""
    candidates: int | None
    """Candidates told per position; None where no log-probabilities are."""
    choices: int
    """Answers to each prompt."""

    def whole(
        self, wishes: Sequence[Wish], answers: Sequence[Answer], *, echoes: Sequence[Echo | None]
    ) -> dict[str, Any]:
        """Return the reply of a request that is answered at once.

        Args:
            wishes: what was wanted.
            answers: what became of it.
            echoes: for each what is told of its prompt, text and log-probabilities; None where nothing is.
        """
        choices = []
        for at, (answer, echo) in enumerate(zip(answers, echoes, strict=True)):
            text, told = echo or Echo("", [])
            message = {"role": "assistant", "content": answer.text, "refusal": None}
            said = {"message": message} if self.chat else {"text": text + answer.text}
            logs = self._logs([*told, *_named(answer)], start=_lead(text, told))
            choices.append({"index": at, **said, "logprobs": logs, "finish_reason": self._end(answer)})
        return {**self._head(), "choices": choices, "usage": self.usage(wishes, answers)}

    def opening(self, at: int, echo: Echo | None) -> Iterator[dict[str, Any]]:
        """Yield what a stream begins a choice with: who speaks, or the prompt where it is told back."""
        if self.chat:
            delta = {"role": "assistant", "content": ""}
            yield self._chunk({"index": at, "delta": delta, "logprobs": None, "finish_reason": None})
        elif echo is not None:
            logs = self._logs(echo.tokens, start=_lead(*echo))
            yield self._chunk({"index": at, "text": echo.text, "logprobs": logs, "finish_reason": None})

    def piece(self, at: int, piece: Piece, *, desk: Desk, start: int) -> dict[str, Any]:
        """Return more of a choice.

        Args:
            at: number of the choice.
            piece: its text and tokens.
            desk: names the tokens.
            start: characters told before.
        """
        own = [desk.named(step) for step in piece.tokens] if self.candidates is not None else []
        said = {"delta": {"content": piece.text}} if self.chat else {"text": piece.text}
        return self._chunk({"index": at, **said, "logprobs": self._logs(own, start=start), "finish_reason": None})

    def closing(self, at: int, answer: Answer) -> dict[str, Any]:
        """Return what a stream ends a choice with."""
        said = {"delta": {}} if self.chat else {"text": ""}
        return self._chunk({"index": at, **said, "logprobs": None, "finish_reason": self._end(answer)})

    def bill(self, wishes: Sequence[Wish], answers: Sequence[Answer]) -> dict[str, Any]:
        """Return the last piece of a stream that is to tell what it took."""
        return {**self._head(".chunk"), "choices": [], "usage": self.usage(wishes, answers)}

    def usage(self, wishes: Sequence[Wish], answers: Sequence[Answer]) -> dict[str, int]:
        """Return the tokens read, each prompt counted once, and given."""
        read = sum(len(wish.prompt) for wish in wishes[:: self.choices])
        given = sum(len(answer.completion.token_ids) for answer in answers)
        return {"prompt_tokens": read, "completion_tokens": given, "total_tokens": read + given}

    def echo(self, wish: Wish, steps: Sequence[Step], *, desk: Desk) -> Echo:
        """Return what is told of a prompt: its text, and how likely each token was where that is known."""
        named: list[_Named] = []
        if self.candidates is not None:
            first, _ = desk.named(Step(wish.prompt[0], 0.0, [], []))
            named = [(first, None), *(desk.named(step) for step in steps)]
        return Echo(desk.decoded(wish.prompt) if wish.sent is None else wish.sent, named)

    def _chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        return {**self._head(".chunk"), "choices": [choice]}

    def _head(self, suffix: str = "") -> dict[str, Any]:
        kind = f"chat.completion{suffix}" if self.chat else "text_completion"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _end(self, answer: Answer) -> str:
        return "stop" if answer.ended else "length"

    def _logs(self, named: Sequence[_Named], *, start: int) -> dict[str, Any] | None:
        """Return log-probabilities as they are told; None where nobody asked for them."""
        if self.candidates is None:
            return None
        return {"content": self._content(named), "refusal": None} if self.chat else self._columns(named, start=start)

    def _content(self, named: Iterable[_Named]) -> list[dict[str, Any]]:
        kept = self.candidates or 0
        return [{**_token(own), "top_logprobs": [_token(each) for each in (top or ())[:kept]]} for own, top in named]

    def _columns(self, named: Sequence[_Named], *, start: int) -> dict[str, Any]:
        """Return tokens as the older protocol tells them: one list for each thing told."""
        kept = self.candidates or 0
        offsets, at = [], start
        for own, _ in named:
            offsets.append(max(0, at))
            at += len(own.token)
        return {
            "tokens": [own.token for own, _ in named],
            "token_logprobs": [None if top is None else _finite(own.logprob) for own, top in named],
            "top_logprobs": [None if top is None else _likely(top[:kept]) for _, top in named] if kept else None,
            "text_offset": offsets,
        }


def error_body(message: str, *, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """Return an error as clients of OpenAI read it."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": _ERRORS.get(status, usual), "param": param, "code": code}}


def models_body(names: Sequence[str], *, created: int, length: int) -> dict[str, Any]:
    """Return the list of models."""
    held = {"object": "model", "created": created, "owned_by": "cruijff-kit", "max_model_len": length}
    return {"object": "list", "data": [{"id": name, **held} for name in names]}


def to_json(body: Any) -> bytes:
    """Return a reply as it is sent; a number is told so that the same one is read again."""
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def _named(answer: Answer) -> list[_Named]:
    found = answer.completion
    return list(zip(found.given, found.top, strict=True))


def _lead(text: str, tokens: Sequence[_Named]) -> int:
    """Return where a prompt's first token stands: before the text that was sent, where it is a BOS of ours."""
    return min(0, len(text) - sum(len(own.token) for own, _ in tokens))


def _token(each: TokenLogprob) -> dict[str, Any]:
    # Part of a character has no text, and the bytes it stands for are the tokenizer's secret.
    torn = "\ufffd" in each.token
    told = None if torn else list(each.token.encode("utf-8", "replace"))
    return {"token": each.token, "logprob": _finite(each.logprob), "bytes": told}


def _likely(top: Sequence[TokenLogprob]) -> dict[str, float]:
    """Return candidates by their text; of those that read alike the likeliest."""
    told: dict[str, float] = {}
    for each in top:
        told.setdefault(each.token, _finite(each.logprob))
    return told


def _finite(logprob: float) -> float:
    return max(logprob, _LEAST)
