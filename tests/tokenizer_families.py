"""Twelve tokenizer families, built small: each with the chat template and special tokens it is known by.

The templates are written here from what the families are known to do; only their shape is theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["FAMILIES", "Family", "byte_family", "piece_family"]

_TEXTS = ("Question: amber\nAnswer: Amber", "user\nWhich one?", "assistant\nThis one.", "Answer: Basin") * 8


class Family(NamedTuple):
    """One family of tokenizers, and what is known of it."""

    build: Callable[[], Any]
    """Builds its tokenizer."""
    end: str = ""
    """Token that ends an answer in its template."""
    eos: str = ""
    """Token that ends a text."""
    bos: str = ""
    """Token that begins a row, where there is one."""
    system: bool = True
    """Whether its template takes a system message."""
    steady: bool = True
    """Whether its template lets every answer of a conversation be learnt."""


LLAMA2 = (
    "{% set ns = namespace(first='') %}{% if messages[0]['role'] == 'system' %}"
    "{% set ns.first = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}{% set messages = messages[1:] %}"
    "{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + (ns.first if loop.first else '') + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{ 'Today Date: ' + date_string + '\n\n' + system + '<|eot_id|>' }}"
    "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN25 = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help people.<|im_end|>\n' }}{% endif %}"
    + CHATML
)
QWEN3 = (
    "{% set ns = namespace(asked=0) %}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{% set ns.asked = loop.index0 %}{% endif %}{% endfor %}"
    "{% for message in messages %}{% if message['role'] != 'assistant' %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% else %}"
    "{% set parts = message['content'].split('</think>') %}{% set answer = parts[-1].lstrip('\n') %}"
    "{% set thought = parts[0].split('<think>')[-1].strip('\n') if parts | length > 1 else '' %}"
    "{{ '<|im_start|>assistant\n' }}{% if loop.index0 > ns.asked and (loop.last or thought) %}"
    "{{ '<think>\n' + thought + '\n</think>\n\n' }}{% endif %}{{ answer + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
MISTRAL1 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate, the user first') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
TEKKEN = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] + '\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "{% set ns = namespace(last=0) %}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST]' + (system if loop.index0 == ns.last else '') + message['content'] + '[/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GLM4 = (
    "[gMASK]<sop>{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


@cache
def _bytes_with_merges() -> str:
    """Return a byte-level BPE whose merges reach across the words of questions and answers."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(_TEXTS, trainer)
    return backend.to_str()


def byte_family(template: str | None, *specials: str, bos: str | None, eos: str, post: Sequence[str] = ()) -> Any:
    """Build a tokenizer of the byte-level kind; `post` is what its post-processor puts before a text."""
    backend = Tokenizer.from_str(_bytes_with_merges())
    backend.decoder = decoders.ByteLevel()
    return _finished(backend, template, specials, bos=bos, eos=eos, post=post)


def piece_family(template: str | None, *specials: str, bos: str, eos: str, blank_first: bool) -> Any:
    """Build a tokenizer of the SentencePiece kind: blanks are `▁`, unknown characters are bytes."""
    letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:?!\n"
    units = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    vocab = {unit: at for at, unit in enumerate(units)}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=True, unk_token="<unk>"))
    blanks = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks]) if blank_first else blanks
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if blank_first else steps)
    return _finished(backend, template, specials, bos=bos, eos=eos, post=(bos,))


def _finished(
    backend: Tokenizer, template: str | None, specials: Sequence[str], *, bos: str | None, eos: str, post: Sequence[str]
) -> Any:
    named = tuple(dict.fromkeys((*((bos,) if bos else ()), eos, *specials)))
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in named])
    if post:
        ids = [(text, backend.token_to_id(text)) for text in post]
        backend.post_processor = processors.TemplateProcessing(
            single=[*post, "$A"], pair=[*post, "$A", "$B"], special_tokens=ids
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=eos, extra_special_tokens=list(specials)
    )
    tokenizer.chat_template = template
    return tokenizer


_HEADERS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_IM = ("<|im_start|>", "<|im_end|>")
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
_TURN = ("<start_of_turn>", "<end_of_turn>")
_BEGIN, _TEXT_END = "<|begin_of_text|>", "<|end_of_text|>"

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "llama2": Family(lambda: piece_family(LLAMA2, bos="<s>", eos="</s>", blank_first=True), "</s>", "</s>", "<s>"),
        "llama3": Family(
            lambda: byte_family(LLAMA3, *_HEADERS, bos=_BEGIN, eos=_TEXT_END, post=(_BEGIN,)),
            "<|eot_id|>",
            _TEXT_END,
            _BEGIN,
        ),
        "qwen25": Family(lambda: byte_family(QWEN25, *_IM, bos=None, eos="<|im_end|>"), "<|im_end|>", "<|im_end|>"),
        "qwen3": Family(lambda: byte_family(QWEN3, *_IM, bos=None, eos="<|im_end|>"), "<|im_end|>", "<|im_end|>"),
        "mistral1": Family(
            lambda: piece_family(MISTRAL1, bos="<s>", eos="</s>", blank_first=True), "</s>", "</s>", "<s>", system=False
        ),
        "tekken": Family(
            lambda: byte_family(TEKKEN, "[INST]", "[/INST]", bos="<s>", eos="</s>", post=("<s>",)),
            "</s>",
            "</s>",
            "<s>",
        ),
        "gemma": Family(
            lambda: piece_family(GEMMA, *_TURN, bos="<bos>", eos="<eos>", blank_first=False),
            "<end_of_turn>",
            "<eos>",
            "<bos>",
            system=False,
        ),
        "phi3": Family(
            lambda: byte_family(PHI3, *_ROLES, "<|end|>", bos=None, eos="<|endoftext|>"), "<|end|>", "<|endoftext|>"
        ),
        "glm4": Family(
            lambda: byte_family(
                GLM4, *_ROLES, "[gMASK]", "<sop>", bos=None, eos="<|endoftext|>", post=("[gMASK]", "<sop>")
            ),
            "<|endoftext|>",
            "<|endoftext|>",
            steady=False,
        ),
        "smollm": Family(lambda: byte_family(QWEN25, bos="<|im_start|>", eos="<|im_end|>"), "<|im_end|>", "<|im_end|>"),
        "zephyr": Family(lambda: piece_family(ZEPHYR, bos="<s>", eos="</s>", blank_first=True), "</s>", "</s>", "<s>"),
        "gpt2": Family(lambda: byte_family(None, bos="<|endoftext|>", eos="<|endoftext|>"), "", "<|endoftext|>"),
    }
)
"""Family name to family."""
