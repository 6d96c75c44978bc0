"""Rows to token ids and labels: the one path that training, evaluation and spot checks share.

A row is tokenised in two pieces, prompt and answer, and the pieces are joined. So the
ids of the prompt are the same whether an answer follows or not, also with tokenizers
that would merge characters across the seam, and the mask is the seam itself:

    chat:  [BOS] rendered conversation, generation header | answer, end of turn
    text:  [BOS] filled prompt template                   | answer, EOS

What the template writes after the end of the turn is left out. Tokens left of the seam
are not supervised unless `train_on_input` is set; all tokens right of it are. A row of
type `chat` has a seam on either side of every earlier answer too (`data/conversations.py`).
Rows of type `auto` are read by their own columns (`data/items.py`); of those, a plain `text` has no prompt.
"""

import hashlib
import struct
from collections.abc import Sequence

from cruijff_kit.data.conversations import Asked, ask, ask_steadily
from cruijff_kit.data.encoding import IGNORE, Encoded, Encoding, Row, row_error
from cruijff_kit.data.items import TEXT, item_facts, item_form, item_turns
from cruijff_kit.data.prompts import asks, fill_template, placeholders
from cruijff_kit.data.template_registry import MODEL, NOT_IN_TEXT, get
from cruijff_kit.data.templates import answer_end, no_template, one_bos
from cruijff_kit.data.turns import MESSAGES, Turn, read_turns
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import PromptIds

__all__ = [
    "IGNORE",
    "Encoded",
    "Encoding",
    "Row",
    "Turn",
    "answer_ids",
    "answer_text",
    "conversation",
    "encode_conversation",
    "encode_prompt",
    "encode_row",
    "encoding_problems",
    "is_whole",
    "prompt_sha256",
    "row_text",
    "stop_ids",
]


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

    Of a row that holds a conversation they are all turns before its last answer; the
    system message goes first where the row has none of its own.

    Raises:
        SpecError: a column is missing or holds no conversation, plain text was given a system message, or
            the row is learnt whole and asks nothing.
    """
    if encoding.dataset_type in _TALKS:
        turns = _turns(row, encoding=encoding, place=place)[:-1]
        own = turns[0]["role"] == "system" or not encoding.system_prompt
        return turns if own else [{"role": "system", "content": encoding.system_prompt}, *turns]
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
        raise row_error("the last turn is not the user's", place=place, hint="end the conversation with the question")
    if encoding.dataset_type != "text_completion":
        ids = ask(turns, encoding=encoding, tokenizer=tokenizer).ids
    elif len(turns) > 1:
        raise row_error("plain text has one turn, the user's", place=place, hint="use `dataset_type: chat_completion`")
    else:
        ids = one_bos(turns[0]["content"], tokenizer)
    _refuse_full(ids, encoding, place=place)
    return ids


def encode_row(row: Row, *, encoding: Encoding, tokenizer: Tokenizer, place: str = "") -> Encoded:
    """Return the ids and labels of a whole row, prompt first.

    A row longer than `max_seq_len` is refused or, where `overlong` says so, cut at
    its end: it keeps its prompt and at least one supervised token, and loses its end token.
    Every answer of a conversation is supervised.

    Args:
        row: columns of the row.
        encoding: how rows become tokens.
        tokenizer: the base model's tokenizer.
        place: where the row stands, such as `train[17]`, for error messages.

    Raises:
        SpecError: as for `encode_prompt`, the row is too long and not to be cut, or the
            template does not let every answer of a conversation be supervised.
    """
    if is_whole(row, encoding):
        asked, ids = _whole(row, encoding=encoding, tokenizer=tokenizer, place=place)
    else:
        asked = _asked(row, encoding=encoding, tokenizer=tokenizer, place=place)
        answer = answer_text(row, encoding=encoding, place=place)
        ids = (*asked.ids, *answer_ids(answer, encoding=encoding, tokenizer=tokenizer))
    truncated = len(ids) > encoding.max_seq_len
    if truncated and encoding.overlong == "refuse":
        raise _too_long(f"the row has {len(ids)} tokens", encoding, place=place)
    ids = ids[: encoding.max_seq_len]
    encoded = Encoded(ids, ids, len(asked.ids), truncated, asked.answers)
    # Nothing precedes the first token, so no loss can be taken on it.
    learnt = ((1, len(ids)),) if encoding.train_on_input or not asked.ids else encoded.answers
    return encoded._replace(labels=_labels(ids, learnt))


def is_whole(row: Row, encoding: Encoding) -> bool:
    """Return whether a row is a plain text that is learnt whole, so that nothing of it can be asked."""
    return encoding.dataset_type == "auto" and item_form(row) == "text"


def answer_text(row: Row, *, encoding: Encoding, place: str = "") -> str:
    """Return the answer that is expected to a row: its column, the last turn of its conversation, or its whole text.

    Raises:
        SpecError: there is none.
    """
    if is_whole(row, encoding):
        return row_text(row, TEXT, place=place)
    if encoding.dataset_type in _TALKS:
        return _turns(row, encoding=encoding, place=place)[-1]["content"]
    return row_text(row, encoding.output_key, place=place)


def answer_ids(answer: str, *, encoding: Encoding, tokenizer: Tokenizer) -> PromptIds:
    """Return the ids of an answer as it is learnt behind its prompt, end of turn included."""
    spelt = tokenizer.encode(answer, add_special_tokens=False)
    return (*spelt, *_end_ids(encoding=encoding, tokenizer=tokenizer))


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
    raise row_error(f"{fact}; the row has {known}", place=place, hint=hint)


def encoding_problems(encoding: Encoding, *, tokenizer: Tokenizer) -> list[Problem]:
    """Return what makes an encoding unusable with a tokenizer, all at once."""
    problems = []
    named, plain = encoding.template != MODEL, encoding.dataset_type == "text_completion"
    # Rows of type `auto` may all be plain text; those that are not are refused one by one.
    if not named and encoding.dataset_type in {"chat", "chat_completion"} and not tokenizer.chat_template:
        problems.append(no_template(encoding))
    if named and plain:
        problems.append(_TEMPLATE_IN_TEXT)
    elif named:
        problems += _unusable(encoding.template)
    if encoding.dataset_type == "text_completion" and encoding.system_prompt:
        problems.append(_SYSTEM_IN_TEXT)
    if not asks(encoding.prompt, input_key=encoding.input_key):
        hint = "put `{input}` where the question belongs"
        problems.append(Problem(f"prompt `{encoding.prompt}` lacks `{{input}}`", path="controls.prompt", hint=hint))
    if not problems and not answer_end(encoding=encoding, tokenizer=tokenizer).ids:
        problems.append(_NO_END)
    return problems


_SYSTEM_IN_TEXT = Problem(
    "`text_completion` has no system message, and `system_prompt` is not empty",
    path="controls.system_prompt",
    hint="write the instruction into `controls.prompt`, before `{input}`",
)
_TEMPLATE_IN_TEXT = Problem(
    NOT_IN_TEXT,
    path="controls.template",
    hint="leave `template` out, or use `dataset_type: chat_completion`",
)
_TALKS = ("chat", "auto")
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


def _end_ids(*, encoding: Encoding, tokenizer: Tokenizer) -> tuple[int, ...]:
    ends = answer_end(encoding=encoding, tokenizer=tokenizer).ids
    if not ends:
        raise SpecError("the row cannot be ended", problems=[_NO_END])
    return ends


def _unusable(template: str) -> list[Problem]:
    try:
        get(template)
    except ValueError as err:
        return [Problem(str(err), path="controls.template", hint="see `template` in `ck schema`")]
    return []


def _whole(row: Row, *, encoding: Encoding, tokenizer: Tokenizer, place: str) -> tuple[Asked, PromptIds]:
    """Return what stands before a plain text, BOS or nothing, and all of its ids with EOS once at their end."""
    fact = next(item_facts(row), None)
    if fact is not None:
        raise row_error(fact[1], place=place, hint=_ITEM_HINT, path="controls.dataset_type")
    eos, bos = tokenizer.eos_token_id, tokenizer.bos_token_id
    if eos is None:
        raise SpecError("the row cannot be ended", problems=[_NO_END])
    ids = one_bos(row_text(row, TEXT, place=place), tokenizer)
    ids = ids if ids[-1:] == (eos,) and len(ids) > 1 else (*ids, eos)
    begun = ids[:1] if bos is not None and ids[0] == bos else ()
    _refuse_full(begun, encoding, place=place)
    return Asked(begun), ids


def _asked(row: Row, *, encoding: Encoding, tokenizer: Tokenizer, place: str) -> Asked:
    """Return the prompt of a row, earlier answers marked; the same ids that an evaluation sends."""
    turns = conversation(row, encoding=encoding, place=place)
    if len(turns) < 3 or encoding.dataset_type not in _TALKS:
        return Asked(encode_conversation(turns, encoding=encoding, tokenizer=tokenizer, place=place))
    asked = ask_steadily(turns, encoding=encoding, tokenizer=tokenizer)
    _refuse_full(asked.ids, encoding, place=place)
    return asked


def _turns(row: Row, *, encoding: Encoding, place: str) -> list[Turn]:
    if encoding.dataset_type == "auto":
        fact = next(item_facts(row), None)
        if fact is None and is_whole(row, encoding):
            fact = ("", "the row is a plain `text`: it is learnt whole and asks nothing")
        if fact is not None:
            raise row_error(fact[1], place=place, hint=_ITEM_HINT, path="controls.dataset_type")
        return item_turns(row, joint=get(encoding.template).joint)
    try:
        return read_turns(row[MESSAGES])
    except KeyError:
        known = ", ".join(f"`{name}`" for name in row) or "none"
        fact = f"column `{MESSAGES}` is missing; the row has {known}"
        raise row_error(fact, place=place, hint=_MESSAGES_HINT) from None
    except ValueError as err:
        raise row_error(f"column `{MESSAGES}`: {err}", place=place, hint=_MESSAGES_HINT) from err


_ITEM_HINT = (
    "give the row `messages`, `instruction` and `output`, `prompt` and `completion`, or to be learnt whole a `text`"
)
_MESSAGES_HINT = (
    "give every row its turns there, an answer last; `columns` of `data.training` renames another column, "
    "and rows of one question and one answer are `dataset_type: chat_completion`"
)


def _labels(ids: tuple[int, ...], learnt: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    labels = [IGNORE] * len(ids)
    for start, end in learnt:
        labels[start:end] = ids[start:end]
    return tuple(labels)


def _refuse_full(ids: PromptIds, encoding: Encoding, *, place: str) -> None:
    if len(ids) >= encoding.max_seq_len:
        raise _too_long(f"the prompt has {len(ids)} tokens and leaves no room for an answer", encoding, place=place)


def _too_long(fact: str, encoding: Encoding, *, place: str) -> SpecError:
    hint = "raise `controls.max_seq_len`, shorten the row, or set `controls.overlong: truncate` to cut answers"
    return row_error(f"{fact}; `max_seq_len` is `{encoding.max_seq_len}`", place=place, hint=hint)
