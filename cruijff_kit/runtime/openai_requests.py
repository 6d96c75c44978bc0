"""What clients of the OpenAI protocol ask: bodies read into wishes, and what is not to be had refused by name."""

import json
import secrets
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cruijff_kit.data.tokens import Turn
from cruijff_kit.errors import PlanError, SpecError
from cruijff_kit.runtime.answering import Desk, TooLongError, Wish
from cruijff_kit.runtime.sampling import Chance, choose_chance
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["ChatRequest", "CompletionRequest", "Refusal", "TokenizeRequest", "read_body", "turns_of", "wishes_of"]

_MOST_LOGPROBS = 20
_MOST_ANSWERS = 128
_SEEDS = 2**62

# Asked for with any other value, these would change an answer; and nothing here heeds them.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "audio": (),
        "best_of": (1,),
        "frequency_penalty": (0,),
        "function_call": ("none",),
        "functions": ([],),
        "guided_choice": (),
        "guided_json": (),
        "guided_regex": (),
        "logit_bias": ({},),
        "min_p": (0,),
        "modalities": (["text"],),
        "options": ([],),
        "presence_penalty": (0,),
        "prompt_logprobs": (0,),
        "repetition_penalty": (1,),
        "response_format": ({"type": "text"},),
        "suffix": ("",),
        "tool_choice": ("none", "auto"),
        "tools": ([],),
        "top_k": (0, -1),
        "web_search_options": (),
    }
)


class Refusal(Exception):  # noqa: N818 -- it is an answer, and no error of this program
    """A request that is answered by words instead: status, and OpenAI's code and parameter."""

    def __init__(self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        """Keep what is told."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


class _Request(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    model: str | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(gt=-_SEEDS, lt=_SEEDS)] | None = None
    n: Annotated[int, Field(ge=1, le=_MOST_ANSWERS)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Return the strings that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def usage_wanted(self) -> bool:
        """Return whether a stream is to end with what it took."""
        return bool((self.stream_options or {}).get("include_usage"))

    @property
    def limit(self) -> int | None:
        """Return the longest answer asked for."""
        return self.max_tokens

    @property
    def candidates(self) -> int | None:
        """Return how many candidates are wanted per position; None where no log-probabilities are."""
        raise NotImplementedError


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    type: Literal["text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]


class ChatRequest(_Request):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[_Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=0)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=_MOST_LOGPROBS)] | None = None

    @property
    def limit(self) -> int | None:
        """Return the longest answer asked for, by its newer name first."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def candidates(self) -> int | None:
        """Return how many candidates are wanted per position; None where no log-probabilities are."""
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(_Request):
    """`POST /v1/completions`."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=_MOST_LOGPROBS)] | None = None

    @property
    def candidates(self) -> int | None:
        """Return how many candidates are wanted per position; None where no log-probabilities are."""
        return self.logprobs


class TokenizeRequest(BaseModel):
    """`POST /tokenize`, as vLLM has it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    model: str | None = None
    messages: Annotated[list[_Message], Field(min_length=1)] | None = None
    prompt: str | None = None


_Body = TypeVar("_Body", ChatRequest, CompletionRequest, TokenizeRequest)


def read_body(kind: type[_Body], content: bytes) -> _Body:
    """Return a request's body; what is wrong with it is told at once, and none of its text.

    Raises:
        Refusal: it is no JSON object, values are out of range, or what it asks for is not to be had.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as err:
        raise Refusal("the body is not readable JSON") from err
    if not isinstance(told, dict):
        raise Refusal("the body is not a JSON object")
    refused = list(_refused(told))
    if refused:
        named = ", ".join(f"`{name}`" for name in refused)
        raise Refusal(f"this server has no {named}\n\nhint: leave these out", param=refused[0], code="unsupported")
    try:
        return kind.model_validate_json(content)
    except ValidationError as err:
        found = [(".".join(str(part) for part in each["loc"][:3]), each["msg"]) for each in err.errors()]
        facts = list(dict.fromkeys(f"`{place}`: {message[:1].lower()}{message[1:]}" for place, message in found))
        raise Refusal("; ".join(facts), param=found[0][0].partition(".")[0]) from err


def turns_of(request: ChatRequest | TokenizeRequest) -> list[Turn]:
    """Return the turns of a conversation; parts of one message stand below each other, as inspect-ai has them."""
    return [
        {
            "role": "system" if message.role == "developer" else message.role,
            "content": message.content
            if isinstance(message.content, str)
            else "\n".join(part.text for part in message.content),
        }
        for message in request.messages or ()
    ]


def wishes_of(request: ChatRequest | CompletionRequest, desk: Desk) -> list[Wish]:
    """Return every answer that a request wants: each prompt's choices beside each other.

    Raises:
        Refusal: a prompt cannot be encoded or answered so, or there are too many.
    """
    count = request.n or 1
    try:
        prompts = _prompts(request, desk)
        if len(prompts) * count > _MOST_ANSWERS:
            raise Refusal(f"{len(prompts) * count} answers were asked for; {_MOST_ANSWERS} is the most", param="n")
        chance = choose_chance(request.temperature, request.top_p, seed=request.seed)
        limits = [desk.limit(each.ids, _limit(request)) for each in prompts]
    except (SpecError, PlanError) as err:
        code = "context_length_exceeded" if isinstance(err, TooLongError) else None
        raise Refusal(_words(err), code=code) from err
    stops, plain = tuple(stop for stop in request.stops if stop), isinstance(request, CompletionRequest)
    return [
        Wish(each.ids, limit, _own(chance, at, seed=request.seed), request.candidates or 0, stops, plain, each.sent)
        for each, limit in zip(prompts, limits, strict=True)
        for at in range(count)
    ]


class _Prompt(NamedTuple):
    """A prompt as ids, and the text it was sent as."""

    ids: PromptIds
    sent: str | None = None


def _prompts(request: ChatRequest | CompletionRequest, desk: Desk) -> list[_Prompt]:
    if isinstance(request, ChatRequest):
        return [_Prompt(desk.chat_ids(turns_of(request)))]
    given = request.prompt
    listed: list[Any] = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else list(given)
    if not listed:
        raise SpecError("`prompt` is empty", hint="send some text, or ids")
    return [_Prompt(desk.text_ids(each), each) if isinstance(each, str) else _Prompt(tuple(each)) for each in listed]


def _limit(request: ChatRequest | CompletionRequest) -> int | None:
    """Return the longest answer; none at all is an answer only where the prompt is told back."""
    if request.limit == 0 and not (isinstance(request, CompletionRequest) and request.echo):
        raise SpecError("`max_tokens` is `0`, so nothing would be answered", hint="raise it, or set `echo`")
    return request.limit


def _own(chance: Chance, at: int, *, seed: int | None) -> Chance:
    """Return how the choice of a number is made: by a seed of its own, which is the request's for the first."""
    if chance.temperature is None:
        return chance
    return chance._replace(seed=secrets.randbits(62) if seed is None else seed + at)


def _refused(told: Mapping[str, Any]) -> Iterator[str]:
    for name, neutral in _NEUTRAL.items():
        value = told.get(name)
        if value is not None and value not in neutral:
            yield name


def _words(err: SpecError | PlanError) -> str:
    """Return an error's facts and remedies, without the keys of a design they may name."""
    facts = [problem.message for problem in err.problems]
    return "; ".join(facts) if facts else str(err)
