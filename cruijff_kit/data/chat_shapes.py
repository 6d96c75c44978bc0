"""Shapes of the named templates: each written as a chat template, so that one `render` serves all.

    alpaca      preamble, `### Instruction:`, `### Input:` where there is one, `### Response:`
    chatml      <|im_start|>role … <|im_end|> a turn, joined by line ends
    llama2      <s>[INST] … [/INST] answer </s>, the system message between <<SYS>> marks
    llama3      BOS, then <|start_header_id|>role<|end_header_id|> … <|eot_id|> a turn
    tinyllama   <|role|> … </s> a turn

BOS and EOS are those of the model's own tokenizer, and whoever tokenises sees to it that there is one of
each. What a template writes before an answer is the same whether the answer follows or not.
`llama3` is the shape of Llama 3; later ones of that family date their system message, as `model` does.
"""

from collections.abc import Iterator, Sequence

from cruijff_kit.data.prompts import braced

__all__ = ["ALPACA", "CHATML", "INPUT_MARK", "LLAMA2", "LLAMA3", "TINYLLAMA", "custom_shape", "joint_of"]

INPUT_MARK = "\n\n### Input:\n"
"""What stands between an instruction and its input in the one turn that holds both."""

_APPROPRIATE = "Write a response that appropriately completes the request."
_ALONE = f"Below is an instruction that describes a task. {_APPROPRIATE}"
_WITH_INPUT = (
    f"Below is an instruction that describes a task, paired with an input that provides further context. {_APPROPRIATE}"
)

# The rest of a template sees `turns` without the system message, and what that says in `system`.
_PARTED = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
    "{% set turns = messages[1:] %}{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}"
)
_IN_TURNS = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns, the user first') }}{% endif %}"
)


def _string(text: str) -> str:
    """Return a text as a literal of the template language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


_ALPACA_USER = (
    f"{{% set parts = message['content'].split({_string(INPUT_MARK)}, 1) %}}"
    "{% if loop.first %}{{ system if system else "
    f"({_string(_WITH_INPUT)} if parts | length > 1 and parts[1].strip() else {_string(_ALONE)}) }}}}{{% endif %}}"
    "{{ '\\n\\n### Instruction:\\n' ~ parts[0] }}"
    f"{{% if parts | length > 1 and parts[1].strip() %}}{{{{ {_string(INPUT_MARK)} ~ parts[1] }}}}{{% endif %}}"
    "{{ '\\n\\n### Response:\\n' }}"
)
ALPACA = (
    f"{_PARTED}{{% for message in turns %}}{_IN_TURNS}{{% if message['role'] == 'user' %}}{_ALPACA_USER}"
    "{% else %}{{ message['content'] ~ eos_token }}{% endif %}{% endfor %}"
)
"""Stanford Alpaca; a system message takes the preamble's place, further turns go on without one."""

CHATML = (
    "{% for message in messages %}{{ '' if loop.first else '\\n' }}"
    "{{ '<|im_start|>' ~ message['role'] ~ '\\n' ~ message['content'] ~ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML, without a system message of its own."""

LLAMA2 = (
    f"{_PARTED}{{% for message in turns %}}{_IN_TURNS}{{% if message['role'] == 'user' %}}"
    "{{ bos_token ~ '[INST] ' }}"
    "{% if loop.first and messages | length > turns | length %}"
    "{{ '<<SYS>>\\n' ~ system ~ '\\n<</SYS>>\\n\\n' }}{% endif %}"
    "{{ message['content'] ~ ' [/INST] ' }}{% else %}{{ message['content'] ~ ' ' ~ eos_token }}{% endif %}{% endfor %}"
)
"""Llama 2; each exchange begins with BOS."""

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\\n\\n'"
    " ~ message['content'] ~ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
"""Llama 3."""

TINYLLAMA = (
    "{% for message in messages %}{{ '' if loop.first else '\\n' }}"
    "{{ '<|' ~ message['role'] ~ '|>\\n' ~ message['content'] ~ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n<|assistant|>\\n' }}{% endif %}"
)
"""TinyLlama's chat models, and Zephyr."""

_ASKED = ("instruction", "input", "prompt", "question")
_ANSWERED = ("output", "response", "completion", "answer")
_SYSTEM = "system"


def custom_shape(text: str) -> str:
    """Return a template of `{field}` placeholders as a chat template; one text a question and its answer.

    `{instruction}`, `{prompt}` or `{question}` is the question, `{output}`, `{response}`, `{completion}` or
    `{answer}` its answer, `{system}` the system message. Beside `{instruction}` its `{input}` may
    stand, alone `{input}` is the question. `{{` is a literal brace. EOS follows each answer.

    Raises:
        ValueError: a placeholder is missing, unknown or misplaced; the message is the first fact.
    """
    pieces = list(braced(text))
    fields = [field for _, field in pieces if field]
    fact = next(_misfits(fields), None)
    if fact is not None:
        raise ValueError(fact)
    last = max(at for at, (_, field) in enumerate(pieces) if field in _ANSWERED)
    both = "input" in fields and any(name in fields for name in _ASKED if name != "input")
    before = "".join(_written(literal, field, both=both) for literal, field in pieces[:last])
    after = "".join(literal for literal, _ in pieces[last + 1 :])
    refusal = (
        ""
        if _SYSTEM in fields
        else "{% if messages | length > turns | length %}"
        "{{ raise_exception('it has no `{system}`, and there is a system message') }}{% endif %}"
    )
    parted = f"{{% set parts = message['content'].split({_string(INPUT_MARK)}, 1) %}}" if both else ""
    return (
        f"{_PARTED}{refusal}{{% for message in turns %}}{_IN_TURNS}{{% if message['role'] == 'user' %}}{parted}{before}"
        f"{{% else %}}{{{{ message['content'] ~ {_string(after)} ~ eos_token }}}}{{% endif %}}{{% endfor %}}"
    )


def joint_of(chat_template: str) -> str:
    """Return what goes between an instruction and its input in one turn: a mark where the template parts them."""
    return INPUT_MARK if f"split({_string(INPUT_MARK)}" in chat_template else "\n\n"


def _misfits(fields: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with a template's placeholders."""
    unknown = [field for field in fields if field not in {*_ASKED, *_ANSWERED, _SYSTEM}]
    if unknown:
        known = ", ".join(f"`{{{name}}}`" for name in (*_ASKED, *_ANSWERED, _SYSTEM))
        yield f"unknown placeholder `{{{unknown[0]}}}`; known are {known}, and other columns go into `prompt`"
    answers = [field for field in fields if field in _ANSWERED]
    if len(answers) != 1:
        yield f"it names {'no' if not answers else 'more than one'} answer; it needs one, such as `{{output}}`"
    elif fields[-1] != answers[0]:
        yield f"`{{{fields[-1]}}}` follows the answer, so a model would be asked without it"
    asked = [field for field in fields if field in _ASKED]
    if len(set(asked) - {"input"}) > 1 or len(set(asked)) < len(asked):
        yield "it names more than one question"
    elif not asked:
        yield "it names no question; it needs one, such as `{instruction}`"


def _written(literal: str, field: str, *, both: bool) -> str:
    """Return a piece in front of the answer: text as it stands, or what a placeholder stands for."""
    if not field:
        return f"{{{{ {_string(literal)} }}}}"
    if field == _SYSTEM:
        return "{{ system if loop.first else '' }}"
    if not both:
        return "{{ message['content'] }}"
    return "{{ parts[1] if parts | length > 1 else '' }}" if field == "input" else "{{ parts[0] }}"
