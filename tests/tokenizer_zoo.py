"""Small tokenizers, really built, one for each behaviour that has broken somebody's training."""

from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

__all__ = ["CHATML", "LLAMA3", "LLAMA3_DATED", "byte_level", "merging"]

LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start|>' + message['role'] + '<|end|>\n\n' + message['content'] | trim + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"
)
"""Writes BOS itself, as Llama 3 does."""

LLAMA3_DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ bos_token }}{{ '<|start|>system<|end|>\n\nToday: ' + date_string + ' ' + strftime_now('%Y/%m') + '<|eot|>' }}"
) + LLAMA3.removeprefix("{{ bos_token }}")
"""Prints a date twice: from `date_string` and from the clock."""

CHATML = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|start|>system\nYou are helpful.<|eot|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|start|>' + message['role'] + '\n' + message['content'] + '<|eot|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)
"""Has a default system text, no BOS, and a newline after each end of turn."""

_SPECIALS = ("<|bos|>", "<|eos|>", "<|start|>", "<|end|>", "<|eot|>")


def byte_level(*, template: str | None = LLAMA3, post_bos: bool = True, bos: str | None = "<|bos|>") -> Any:
    """Build a tokenizer of 256 bytes without merges, whose post-processor may add BOS."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={char: at for at, char in enumerate(alphabet)}, merges=[]))
    return _finished(backend, template=template, post_bos=post_bos, bos=bos)


def merging(texts: Sequence[str], *, template: str | None = None, post_bos: bool = False) -> Any:
    """Build a byte-level BPE tokenizer whose merges cross any boundary in these texts."""
    backend = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.train_from_iterator(texts, trainer)
    return _finished(backend, template=template, post_bos=post_bos, bos="<|bos|>")


def _finished(backend: Tokenizer, *, template: str | None, post_bos: bool, bos: str | None) -> Any:
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in _SPECIALS])
    if post_bos:
        bos_id = backend.token_to_id("<|bos|>")
        backend.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", pair="<|bos|> $A $B", special_tokens=[("<|bos|>", bos_id)]
        )
    extra = ["<|start|>", "<|end|>", "<|eot|>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token="<|eos|>", extra_special_tokens=extra
    )
    tokenizer.chat_template = template
    return tokenizer
