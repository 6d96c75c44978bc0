"""A tiny Llama that can repeat words and nothing else: the base model of the demo.

    python -m cruijff_kit.recipes.tiny_llama --output DIR [--seed 7] [--steps 600] [--words FILE]

It has the Llama-3.2 architecture (grouped-query attention, scaled RoPE, tied embeddings),
a tokenizer of single bytes and a chat template in Llama-3 form whose headers are one
special token each. It is pretrained on one CPU thread to repeat what the user said, so
that fine-tuning it to capitalise is a real experiment of seconds.

The loss falls on the answer only. Rows are random letter strings in every case, and
words of the half of the word list that evaluations never use. A tenth of the batches
carry a system message, so that one does not disturb the model later. Upper case must be
in pretraining: LoRA leaves the embeddings frozen.

The model is saved only if it repeats unseen words and does not capitalise them.
"""

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cruijff_kit.data.tokens import IGNORE, Encoding, encode_row
from cruijff_kit.data.words import load_words, parse_words, pretraining_half

__all__ = ["Recipe", "build_model", "build_tokenizer", "exact_share", "main", "pretrain"]

BOS, EOT, PAD = "<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"
HEADERS = {role: f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant")}

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
"""Llama-3 form, without a date; a whole header is one token of this vocabulary."""


class Recipe(NamedTuple):
    """Everything that shapes the weights, and the known answers they must give."""

    seed: int = 7
    """Seed of initialisation and data."""
    steps: int = 600
    """Optimiser steps."""
    batch_size: int = 64
    """Rows a step."""
    lr: float = 2e-3
    """Peak learning rate of AdamW."""
    warmup: int = 50
    """Steps of linear rise."""
    final_lr: float = 0.05
    """Share of the peak that the cosine ends at."""
    max_letters: int = 10
    """Longest random letter string."""
    words_share: float = 0.3
    """Share of rows that are real words."""
    system_share: float = 0.1
    """Share of batches with a system message."""
    min_repeat: float = 0.95
    """Known answer: unseen words repeated, at least."""
    max_capitalise: float = 0.02
    """Known answer: unseen words capitalised, at most."""


def build_tokenizer() -> Any:
    """Return a tokenizer of 256 bytes without merges, and six special tokens."""
    vocabulary = {letter: byte for byte, letter in enumerate(byte_letters())}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    specials = (BOS, EOT, PAD, *HEADERS.values())
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in specials])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, backend.token_to_id(BOS))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=EOT,
        pad_token=PAD,
        extra_special_tokens=list(HEADERS.values()),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def byte_letters() -> list[str]:
    """Return the letter that stands for each byte in byte-level vocabularies, by byte.

    Printable bytes stand for themselves, the others for the letters from U+0100 on. So
    in this tokenizer a byte's id is its value.
    """
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def build_model(tokenizer: Any, *, seed: int) -> LlamaForCausalLM:
    """Return a random model of 329,088 parameters in Llama-3.2 form."""
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "dtype": "float32",
    }
    return LlamaForCausalLM(LlamaConfig(**settings))


def random_letters(rng: random.Random, longest: int) -> str:
    """Return 1 to `longest` letters: lower, Capitalised, UPPER or mixed case."""
    letters = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, longest)))
    style = rng.choices(("lower", "capital", "upper", "mixed"), (40, 20, 15, 25))[0]
    if style == "mixed":
        return "".join(rng.choice((letter, letter.upper())) for letter in letters)
    return {"lower": letters, "capital": letters.capitalize(), "upper": letters.upper()}[style]


def batches(recipe: Recipe, words: Sequence[str], *, tokenizer: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (ids, labels), each of shape (batch_size, longest row), right-padded."""
    rng = random.Random(recipe.seed)
    special = {role: tokenizer.convert_tokens_to_ids(text) for role, text in HEADERS.items()}
    bos, eot, pad = (tokenizer.convert_tokens_to_ids(text) for text in (BOS, EOT, PAD))

    def row(system: str) -> tuple[list[int], int]:
        text = rng.choice(words) if rng.random() < recipe.words_share else random_letters(rng, recipe.max_letters)
        told = [special["system"], *system.encode(), eot] if system else []
        prompt = [bos, *told, special["user"], *text.encode(), eot, special["assistant"]]
        return [*prompt, *text.encode(), eot], len(prompt)

    for _ in range(recipe.steps):
        has_system = rng.random() < recipe.system_share
        system = " ".join(rng.choices(words, k=rng.randint(1, 3))) if has_system else ""
        rows = [row(system) for _ in range(recipe.batch_size)]
        width = max(len(ids) for ids, _ in rows)
        ids = np.full((len(rows), width), pad)
        labels = np.full((len(rows), width), IGNORE)
        for at, (tokens, seam) in enumerate(rows):
            ids[at, : len(tokens)] = tokens
            labels[at, seam : len(tokens)] = tokens[seam:]
        yield torch.from_numpy(ids), torch.from_numpy(labels)


def rate(step: int, recipe: Recipe) -> float:
    """Return the share of the peak learning rate at a step, from 0."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.final_lr + (1 - recipe.final_lr) * (1 + math.cos(math.pi * progress)) / 2


def pretrain(recipe: Recipe, words: Sequence[str], *, tokenizer: Any) -> LlamaForCausalLM:
    """Train the model to repeat; reports `step i/n` lines on standard error."""
    model = build_model(tokenizer, seed=recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, recipe))
    model.train()
    for step, (ids, labels) in enumerate(batches(recipe, words, tokenizer=tokenizer), start=1):
        # Padding is on the right, so causal attention alone keeps it out.
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
        wanted = labels[:, 1:] != IGNORE
        loss = torch.nn.functional.cross_entropy(logits[wanted], labels[:, 1:][wanted])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % 10 == 0 or step == recipe.steps:
            say(f"step {step}/{recipe.steps} loss {loss.item():.4f}")
    return model.eval()


def exact_share(model: torch.nn.Module, pairs: Sequence[tuple[str, str]], *, tokenizer: Any) -> float:
    """Return the share of pairs answered exactly under greedy decoding.

    One pass over question and answer suffices: greedy decoding gives the answer if and
    only if each of its tokens, end included, is the most likely one after those before.
    """
    encoding = Encoding(dataset_type="chat_completion")
    right = 0
    for question, answer in pairs:
        row = encode_row({"input": question, "output": answer}, encoding=encoding, tokenizer=tokenizer)
        with torch.inference_mode():
            best = model(input_ids=torch.tensor([row.ids])).logits[0].argmax(-1).tolist()
        right += tuple(best[row.prompt_length - 1 : -1]) == row.ids[row.prompt_length :]
    return right / len(pairs)


def known_answers(model: LlamaForCausalLM, unseen: Sequence[str], *, tokenizer: Any) -> dict[str, float]:
    """Return how often unseen words are repeated, and how often capitalised."""
    return {
        "repeat": exact_share(model, [(word, word) for word in unseen], tokenizer=tokenizer),
        "capitalise": exact_share(model, [(word, word.capitalize()) for word in unseen], tokenizer=tokenizer),
    }


def say(line: str) -> None:
    """Write a progress line that a parent process can read at once."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tiny_llama", description="Make the small base model of the demo.")
    parser.add_argument("--output", type=Path, required=True, help="directory to write the model into")
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--words", type=Path, help="word list, one word a line, instead of the one shipped")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Pretrain, check the known answers, save; 0 where they were given, else 1."""
    arguments = _arguments(argv)
    # Sums depend on the number of threads, and with them the weights.
    torch.set_num_threads(1)
    recipe = Recipe(seed=arguments.seed, steps=arguments.steps)
    words = parse_words(arguments.words.read_bytes()) if arguments.words else load_words()
    seen = [word for word in words if pretraining_half(word)]
    tokenizer = build_tokenizer()
    model = pretrain(recipe, seen, tokenizer=tokenizer)
    unseen = [word for word in words if len(word) == 5 and not pretraining_half(word)]
    answers = known_answers(
        model, random.Random(recipe.seed).sample(unseen, min(200, len(unseen))), tokenizer=tokenizer
    )
    say("known answers " + json.dumps(answers))
    if answers["repeat"] < recipe.min_repeat or answers["capitalise"] > recipe.max_capitalise:
        say(f"missed: repeat >= {recipe.min_repeat}, capitalise <= {recipe.max_capitalise}; try another --seed")
        return 1
    model.save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)
    card = {
        "recipe": recipe._asdict(),
        "known_answers": answers,
        "words": len(seen),
        "parameters": model.num_parameters(),
    }
    (arguments.output / "recipe.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
