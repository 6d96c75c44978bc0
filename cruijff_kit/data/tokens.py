"""Rows to token ids and labels: the one path that training, evaluation and spot checks share.

A row is tokenised in two pieces, prompt and answer, and the pieces are joined. So the
ids of the prompt are the same whether an answer follows or not, also with tokenizers
that would merge characters across the seam, and the mask is the seam itself:

    chat:  [BOS] rendered conversation, generation header | answer, end of turn
    text:  [BOS] filled prompt template                   | answer, EOS

What the template writes after the end of the turn is left out. Tokens left of the seam
are not supervised unless `train_on_input` is set; all tokens right of it are.
"""

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from cruijff_kit.data.prompts import fill_template, placeholders
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.config import DatasetConfig
from cruijff_kit.schema.noun import Noun
from cruijff_kit.schema.prediction import PromptIds
from cruijff_kit.schema.spec import DatasetType

__all__ = [
    "IGNORE",
    "Encoded",
    "Encoding",
    "Row",
    "Turn",
    "conversation",
    "encode_conversation",
    "encode_prompt",
    "encode_row",
    "encoding_problems",
    "prompt_sha256",
    "row_text",
    "stop_ids",
]

IGNORE = -100
"""Label of a token that is not supervised."""

Row = Mapping[str, Any]
"""One row of a data set: column name to value."""

Turn = dict[str, str]
"""One turn of a conversation: `role` (system, user or assistant) and `content`."""

_CONTENT = "\ue000answer\ue001"
_PATTERNS = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1")
# The empty text at its end keeps a line break that a template begins with.
_CLOCK = "{% macro strftime_now(pattern) %}{{ pinned_dates.get(pattern, date_string) }}{% endmacro %}{{ '' }}"
_DATE_FORMATS = ("%d %b %Y", "%d %B %Y", "%Y-%m-%d")


class Encoding(Noun):
    """How rows become tokens: everything but the row and the tokenizer."""

    dataset_type: DatasetType
    """Conversation or plain text."""
    prompt: str = "{input}"
    """Template of the user's turn, or of the text before the answer."""
    system_prompt: str = ""
    """System message; empty leaves the message out."""
    template_date: str = "26 Jul 2024"
    """Date for chat templates that print one."""
    input_key: str = "input"
    """Column that `{input}` stands for."""
    output_key: str = "output"
    """Column of the answer."""
    max_seq_len: int = 2048
    """Longest row in tokens."""
    overlong: Literal["refuse", "truncate"] = "refuse"
    """What happens to longer rows."""
    train_on_input: bool = False
    """Whether prompt tokens are supervised too."""

    @classmethod
    def of(cls, config: DatasetConfig) -> "Encoding":
        """Return the encoding that a job's data set block describes."""
        return cls(**{name: getattr(config, name) for name in cls.model_fields})


class Encoded(NamedTuple):
    """One row as the model reads it and as the loss sees it."""

    ids: tuple[int, ...]
    """Token ids of prompt and answer."""
    labels: tuple[int, ...]
    """The same ids where supervised, `IGNORE` elsewhere; not shifted."""
    prompt_length: int
    """Tokens before the seam; `ids[:prompt_length]` is what an evaluation sends."""
    truncated: bool = False
    """Whether the end of the answer was cut, and with it the end token."""


def encode_prompt(row: Row, *, encoding: Encoding, tokenizer: Tokenizer, place: str = "") -> PromptIds:
    """Return the ids a model reads before it answers a row.

    Args:
        row: columns of the row; the answer may be missing.
        encoding: how rows become tokens.
        tokenizer: the base model's tokenizer.
        place: where the row stands, such as `train[17]`, for error messages.

    Raises:
        SpecError: a column is missing, the template cannot be rendered, or the
            prompt leaves no room for an answer within `max_seq_len`.
    """
    turns = conversation(row, encoding=encoding, place=place)
    return encode_conversation(turns, encoding=encoding, tokenizer=tokenizer, place=place)


def conversation(row: Row, *, encoding: Encoding, place: str = "") -> list[Turn]:
    """Return the turns that put a row's question: a system turn where set, then the user's.

    Raises:
        SpecError: a column is missing, or plain text was given a system message.
    """
    user = {"role": "user", "content": fill_template(encoding.prompt, _columns(row, encoding, place=place))}
    if not encoding.system_prompt:
        return [user]
    if encoding.dataset_type == "text_completion":
        raise SpecError("the prompt cannot be built", problems=[_SYSTEM_IN_TEXT])
    return [{"role": "system", "content": encoding.system_prompt}, user]


def encode_conversation(
    turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer, place: str = ""
) -> PromptIds:
    """Return the ids a model reads before it answers the last turn.

    Of the encoding only how turns become tokens is used, never prompt or system message:
    they are in the turns. Plain text is a single user turn.

    Raises:
        SpecError: the last turn is not the user's, the template cannot be rendered, or
            the prompt leaves no room for an answer within `max_seq_len`.
    """
    if not turns or turns[-1]["role"] != "user":
        raise _row_error("the last turn is not the user's", place=place, hint="end the conversation with the question")
    if encoding.dataset_type == "chat_completion":
        text = _render(turns, encoding=encoding, tokenizer=tokenizer, add_generation_prompt=True)
    elif len(turns) > 1:
        raise _row_error("plain text has one turn, the user's", place=place, hint="use `dataset_type: chat_completion`")
    else:
        text = turns[0]["content"]
    ids = _one_bos(text, tokenizer)
    if len(ids) >= encoding.max_seq_len:
        raise _too_long(f"the prompt has {len(ids)} tokens and leaves no room for an answer", encoding, place=place)
    return ids


def encode_row(row: Row, *, encoding: Encoding, tokenizer: Tokenizer, place: str = "") -> Encoded:
    """Return the ids and labels of a whole row, prompt first.

    A row longer than `max_seq_len` is refused or, where `overlong` says so, cut at
    its end: it keeps its prompt and at least one supervised token, and loses its end token.

    Args:
        row: columns of the row.
        encoding: how rows become tokens.
        tokenizer: the base model's tokenizer.
        place: where the row stands, such as `train[17]`, for error messages.

    Raises:
        SpecError: as for `encode_prompt`, or the row is too long and not to be cut.
    """
    prompt = encode_prompt(row, encoding=encoding, tokenizer=tokenizer, place=place)
    answer = tokenizer.encode(row_text(row, encoding.output_key, place=place), add_special_tokens=False)
    ids = (*prompt, *answer, *_end_ids(encoding=encoding, tokenizer=tokenizer))
    truncated = len(ids) > encoding.max_seq_len
    if truncated and encoding.overlong == "refuse":
        raise _too_long(f"the row has {len(ids)} tokens", encoding, place=place)
    ids = ids[: encoding.max_seq_len]
    # Nothing precedes the first token, so no loss can be taken on it.
    masked = 1 if encoding.train_on_input else len(prompt)
    return Encoded(ids, (IGNORE,) * masked + ids[masked:], len(prompt), truncated)


def stop_ids(*, encoding: Encoding, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the ids that end an answer: the trained end token and EOS."""
    ends = (_end_ids(encoding=encoding, tokenizer=tokenizer)[-1], tokenizer.eos_token_id)
    return tuple(dict.fromkeys(end for end in ends if end is not None))


def prompt_sha256(ids: Sequence[int]) -> str:
    """Return the SHA-256 of ids written as little-endian 32-bit integers."""
    return hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest()


def row_text(row: Row, column: str, *, place: str = "") -> str:
    """Return a column's value as text; numbers and truth values are written out.

    Raises:
        SpecError: the column is missing, empty (null) or holds a list or object.
    """
    value = row.get(column)
    if isinstance(value, str | int | float):
        return str(value)
    known = ", ".join(f"`{name}`" for name in row) or "none"
    fact = f"column `{column}` holds {type(value).__name__}" if column in row else f"column `{column}` is missing"
    hint = "give every row a text or number in that column, or name another column in `data.training`"
    raise _row_error(f"{fact}; the row has {known}", place=place, hint=hint)


def encoding_problems(encoding: Encoding, *, tokenizer: Tokenizer) -> list[Problem]:
    """Return what makes an encoding unusable with a tokenizer, all at once."""
    problems = []
    if encoding.dataset_type == "chat_completion" and not tokenizer.chat_template:
        problems.append(_NO_CHAT_TEMPLATE)
    if encoding.dataset_type == "text_completion" and encoding.system_prompt:
        problems.append(_SYSTEM_IN_TEXT)
    if "input" not in placeholders(encoding.prompt):
        hint = "put `{input}` where the question belongs"
        problems.append(Problem(f"prompt `{encoding.prompt}` lacks `{{input}}`", path="controls.prompt", hint=hint))
    if not problems and not _ends(encoding, tokenizer):
        problems.append(_NO_END)
    return problems


_NO_CHAT_TEMPLATE = Problem(
    "`chat_completion` needs a chat template, and the model's tokenizer has none",
    path="controls.dataset_type",
    hint="use `dataset_type: text_completion`, or an instruction-tuned model",
)
_SYSTEM_IN_TEXT = Problem(
    "`text_completion` has no system message, and `system_prompt` is not empty",
    path="controls.system_prompt",
    hint="write the instruction into `controls.prompt`, before `{input}`",
)
_NO_END = Problem(
    "the tokenizer has no end token, so a model could never learn to stop",
    path="models",
    hint="set `eos_token` in the model's `tokenizer_config.json`",
)


def _columns(row: Row, encoding: Encoding, *, place: str) -> dict[str, str]:
    # The answer is no column of the prompt: a template that names it would give it away.
    asked = {"input", *placeholders(encoding.prompt)} & (row.keys() - {encoding.output_key})
    columns = {name: row_text(row, name, place=place) for name in row if name in asked}
    others = {name: "" for name in row if name not in asked and name != encoding.output_key}
    return {**others, **columns, "input": row_text(row, encoding.input_key, place=place)}


def _one_bos(text: str, tokenizer: Tokenizer) -> PromptIds:
    """Tokenise text with one BOS where template or post-processor asks for one."""
    ids = tokenizer.encode(text, add_special_tokens=False)
    bos = tokenizer.bos_token_id
    if bos is None:
        return tuple(ids)
    written = next((at for at, token in enumerate(ids) if token != bos), len(ids))
    wanted = written > 0 or tokenizer.encode("", add_special_tokens=True)[:1] == [bos]
    return (*((bos,) if wanted else ()), *ids[written:])


def _end_ids(*, encoding: Encoding, tokenizer: Tokenizer) -> tuple[int, ...]:
    ends = _ends(encoding, tokenizer)
    if not ends:
        raise SpecError("the row cannot be ended", problems=[_NO_END])
    return ends


def _ends(encoding: Encoding, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return what the template writes after an answer up to its end token, else EOS."""
    if encoding.dataset_type == "chat_completion":
        return _chat_ends(tokenizer, template=tokenizer.chat_template, date=encoding.template_date)
    return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)


# The end of a turn is the same for every row, and rendering it costs as much as a row does.
@lru_cache(maxsize=16)
def _chat_ends(tokenizer: Tokenizer, *, template: str | None, date: str) -> tuple[int, ...]:
    encoding = Encoding(dataset_type="chat_completion", template_date=date)
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _CONTENT}]
    text = _render(turns, encoding=encoding, tokenizer=tokenizer, add_generation_prompt=False)
    ids = tokenizer.encode(text.rpartition(_CONTENT)[2].rstrip(), add_special_tokens=False)
    special = (at for at, token in enumerate(ids) if not tokenizer.decode([token], skip_special_tokens=True))
    end = next(special, None)
    if end is not None:
        return tuple(ids[: end + 1])
    # Text alone would not stop generation: without EOS after it there is no end.
    return () if tokenizer.eos_token_id is None else (*ids, tokenizer.eos_token_id)


def _render(turns: Sequence[Turn], *, encoding: Encoding, tokenizer: Tokenizer, add_generation_prompt: bool) -> str:
    import jinja2

    if not tokenizer.chat_template:
        raise SpecError("the conversation cannot be rendered", problems=[_NO_CHAT_TEMPLATE])
    date = encoding.template_date
    try:
        return tokenizer.apply_chat_template(
            list(turns),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            date_string=date,
            **_clock(tokenizer.chat_template, date),
        )
    except jinja2.TemplateError as err:
        roles = ", ".join(turn["role"] for turn in turns)
        problem = Problem(
            f"the model's chat template refuses a conversation of {roles}: {err}",
            path="controls.system_prompt" if encoding.system_prompt else "controls.dataset_type",
            hint="leave `system_prompt` empty where the template knows no system role",
        )
        raise SpecError("the conversation cannot be rendered", problems=[problem]) from err


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


def _too_long(fact: str, encoding: Encoding, *, place: str) -> SpecError:
    hint = "raise `controls.max_seq_len`, shorten the row, or set `controls.overlong: truncate` to cut answers"
    return _row_error(f"{fact}; `max_seq_len` is `{encoding.max_seq_len}`", place=place, hint=hint)


def _row_error(fact: str, *, place: str, hint: str) -> SpecError:
    return SpecError("a row cannot be tokenised", problems=[Problem(fact, place=place, hint=hint)])
