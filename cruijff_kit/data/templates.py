"""Chat templates: a conversation as its model's template writes it, and what ends an answer there."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.template_registry import MODEL, get
from cruijff_kit.data.turns import Turn
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import PromptIds

__all__ = [
    "AnswerEnd",
    "answer_end",
    "asked_text",
    "bos_marks_turns",
    "continued",
    "no_template",
    "one_bos",
    "render",
]

_CONTENT = "\ue000answer\ue001"
_PATTERNS = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1")
# The empty text at its end keeps a line break that a template begins with.
_CLOCK = "{% macro strftime_now(pattern) %}{{ pinned_dates.get(pattern, date_string) }}{% endmacro %}{{ '' }}"
_DATE_FORMATS = ("%d %b %Y", "%d %B %Y", "%Y-%m-%d")


class AnswerEnd(NamedTuple):
    """What ends an answer."""

    ids: PromptIds
    """Ids after an answer, its end token last; empty where the tokenizer has none."""
    written: str | None
    """The same as the template writes it, without the EOS it lacks; None where it writes nothing."""


def render(turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer, asks: bool) -> str:
    """Return a conversation as text, with the header of an answer where it `asks` for one.

    Raises:
        SpecError: there is no template, or it refuses such a conversation.
    """
    import jinja2

    named, date = encoding.template, encoding.template_date
    template = tokenizer.chat_template if named == MODEL else get(named).chat_template
    if not template:
        raise SpecError("the conversation cannot be rendered", problems=[no_template(encoding)])
    own = {} if named == MODEL else {"chat_template": template}
    try:
        return tokenizer.apply_chat_template(
            list(turns),
            tokenize=False,
            add_generation_prompt=asks,
            date_string=date,
            **{**own, **_clock(template, date)},
        )
    except jinja2.TemplateError as err:
        roles = ", ".join(turn["role"] for turn in turns)
        system = turns[0]["role"] == "system"
        whose = "the model's chat template" if named == MODEL else "the template"
        problem = Problem(
            f"{whose} refuses a conversation of {roles}: {err}",
            path="controls.system_prompt" if encoding.system_prompt else "controls.dataset_type",
            hint="leave `system_prompt` empty where the template knows no system role"
            if system
            else "let user and assistant take turns, the user first",
        )
        raise SpecError("the conversation cannot be rendered", problems=[problem]) from err


def asked_text(text: str, *, encoding: Encoding, tokenizer: Tokenizer) -> str:
    """Return what stands before an answer without its last blank, where the tokenizer begins a text with one.

    Written before the answer and again by the tokenizer it would stand there twice.
    """
    twice = encoding.template != MODEL and text.endswith(" ") and _begins_with_blank(tokenizer)
    return text[:-1] if twice else text


def one_bos(text: str, tokenizer: Tokenizer) -> PromptIds:
    """Tokenise the beginning of a row with one BOS where template or post-processor asks for one."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    bos = tokenizer.bos_token_id
    if bos is None:
        return tuple(ids)
    written = next((at for at, token in enumerate(ids) if token != bos), len(ids))
    wanted = written > 0 or tokenizer.encode("", add_special_tokens=True)[:1] == [bos]
    return (*((bos,) if wanted else ()), *ids[written:])


def answer_end(*, encoding: Encoding, tokenizer: Tokenizer) -> AnswerEnd:
    """Return what the template writes after an answer up to its end token, else EOS."""
    if encoding.dataset_type == "text_completion":
        return AnswerEnd(_eos(tokenizer), None)
    if encoding.dataset_type == "auto" and encoding.template == MODEL and not tokenizer.chat_template:
        # Rows of plain text need no template; others are refused where they are rendered.
        return AnswerEnd(_eos(tokenizer), None)
    return _chat_end(tokenizer, _Written(encoding.template, tokenizer.chat_template, encoding.template_date))


def continued(text: str, tokenizer: Tokenizer) -> list[int]:
    """Return the ids of a text that follows an answer; tokenizers that begin a text with a blank do so once."""
    answer = tokenizer.encode(_CONTENT, add_special_tokens=False)
    both = tokenizer.encode(_CONTENT + text, add_special_tokens=False)
    return both[len(answer) :] if both[: len(answer)] == answer else tokenizer.encode(text, add_special_tokens=False)


def bos_marks_turns(*, encoding: Encoding, tokenizer: Tokenizer) -> bool:
    """Return whether the template begins every turn with the BOS token, as some of ChatML's kind do."""
    if encoding.dataset_type == "text_completion" or (encoding.template == MODEL and not tokenizer.chat_template):
        return False
    return _bos_marks(tokenizer, _Written(encoding.template, tokenizer.chat_template, encoding.template_date))


def no_template(encoding: Encoding) -> Problem:
    """Return the problem of a tokenizer without a chat template."""
    fact = f"`{encoding.dataset_type}` needs a chat template, and the model's tokenizer has none"
    hint = (
        "name one with `template`, such as `chatml`, use `dataset_type: text_completion`, or an instruction-tuned model"
    )
    return Problem(fact, path="controls.dataset_type", hint=hint)


class _Written(NamedTuple):
    """How a tokenizer's conversations are written: what is known of them is known for all rows."""

    template: str
    own: str | None
    date: str

    @property
    def encoding(self) -> Encoding:
        return Encoding(dataset_type="chat_completion", template=self.template, template_date=self.date)


# The end of a turn is the same for every row, and rendering it costs as much as a row does.
@lru_cache(maxsize=16)
def _chat_end(tokenizer: Tokenizer, written: _Written) -> AnswerEnd:
    encoding = written.encoding
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _CONTENT}]
    after = render(turns, encoding=encoding, tokenizer=tokenizer, asks=False).rpartition(_CONTENT)[2].rstrip()
    ids = continued(after, tokenizer)
    end = next((at for at, token in enumerate(ids) if _is_special(token, tokenizer)), None)
    if end is None:
        # Text alone would not stop generation: without EOS after it there is no end.
        eos = _eos(tokenizer)
        return AnswerEnd((*ids, *eos) if eos else (), after or None)
    token = tokenizer.decode([ids[end]], skip_special_tokens=False)
    return AnswerEnd(tuple(ids[: end + 1]), after[: after.find(token) + len(token)])


@lru_cache(maxsize=16)
def _begins_with_blank(tokenizer: Tokenizer) -> bool:
    return tokenizer.encode("a", add_special_tokens=False) != continued("a", tokenizer)


@lru_cache(maxsize=16)
def _bos_marks(tokenizer: Tokenizer, written: _Written) -> bool:
    encoding = written.encoding
    turns = [{"role": "user", "content": "question"}]
    ids = tokenizer.encode(render(turns, encoding=encoding, tokenizer=tokenizer, asks=True), add_special_tokens=False)
    return sum(token == tokenizer.bos_token_id for token in ids) > 1


def _is_special(token: int, tokenizer: Tokenizer) -> bool:
    # A blank alone may read as nothing too: some tokenizers begin every text with one.
    shown = tokenizer.decode([token], skip_special_tokens=False)
    return bool(shown) and not tokenizer.decode([token], skip_special_tokens=True)


def _eos(tokenizer: Tokenizer) -> PromptIds:
    return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)


def _clock(template: str | None, date: str) -> dict[str, Any]:
    """Return what makes a template's own clock tell the pinned date; nothing where it asks for no time.

    A macro of the clock's name stands in front of the template. A function handed over
    with the conversation would not do: newer versions of transformers let only data in.
    """
    if template is None or "strftime_now" not in template:
        return {}
    dates = {pattern: _dated(date, pattern) for _, pattern in _PATTERNS.findall(template)}
    return {"chat_template": f"{_CLOCK}{template}", "pinned_dates": dates}


def _dated(date: str, pattern: str) -> str:
    """Write the pinned date in a template's own pattern; as it stands if unreadable."""
    for known in _DATE_FORMATS:
        try:
            return datetime.strptime(date, known).replace(tzinfo=UTC).strftime(pattern)
        except ValueError:
            continue
    return date
