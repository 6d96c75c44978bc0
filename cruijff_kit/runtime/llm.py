"""Language models for research by hand: tokens, logits, next tokens and embeddings of any prompts.

    tokenizer, model = load_model("models/tiny", adapter="outputs/ck-out-rank8-4f1c9a02/epoch_0")
    prompts, targets, ids = load_prompts_and_targets("data/words.json", split="test")
    tokens = tokenize_prompts(tokenizer, prompts)
    chances = get_logits(model, tokens).softmax(-1)
    states = get_embeddings(model, tokens, pool="mean_non_padding", layers=(0, -1))
    save_tensor_with_ids("states.h5", states.tensor, ids=ids)

Over the epochs of a run with one base in memory:

    resident = ResidentModel("models/tiny")
    for name, adapter in {"base": None, "epoch_0": "outputs/ck-out-rank8-4f1c9a02/epoch_0"}.items():
        with resident.network(adapter) as model:
            yes, no = get_logits(model, tokens).softmax(-1)[:, [yes_id, no_id]].T

Prompts go through the functions that training and evaluation use, so their ids are those.
Tokens may be padded on either side with the same results; no pad token is ever added and
no embedding resized. Texts of like length share a forward pass, results come in the order
given and lie on the CPU, and what is held on the device does not grow with their number.
For texts by the hundred thousand there is `ck embed`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cruijff_kit.data.encoding import Encoding
from cruijff_kit.data.tokens import encode_prompt, row_text
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.hidden import by_length, forward, hidden_states
from cruijff_kit.runtime.next_tokens import Sampling, get_next_tokens
from cruijff_kit.runtime.padding import TokenBatch, pad_prompts
from cruijff_kit.runtime.pooling import COUNTS_PADDING, pool_hidden_states
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.row_files import selected_rows
from cruijff_kit.runtime.tensor_files import TensorWithIds, load_tensor_with_ids, save_tensor_with_ids
from cruijff_kit.schema.embedding import Layers, Padding, Pool

__all__ = [
    "CHAT",
    "TEXT",
    "Embeddings",
    "LoadedModel",
    "PromptsAndTargets",
    "ResidentModel",
    "Sampling",
    "TensorWithIds",
    "TokenBatch",
    "get_embeddings",
    "get_logits",
    "get_next_tokens",
    "load_model",
    "load_prompts_and_targets",
    "load_tensor_with_ids",
    "pool_hidden_states",
    "save_tensor_with_ids",
    "tokenize_prompts",
]

CHAT = Encoding(dataset_type="chat_completion")
"""A prompt is the user's turn in the model's chat template; `Encoding.of(config.dataset)` is a run's own."""

TEXT = Encoding(dataset_type="text_completion")
"""A prompt is plain text; `TEXT.model_copy(update={"prompt": "Q: {input} A:"})` puts it into a template."""

_SHOWN = 20


class LoadedModel(NamedTuple):
    """A tokenizer and its model."""

    tokenizer: Any
    """As the directory has it."""
    model: Any
    """Causal language model of transformers in evaluation mode, the adapter on it where one was named."""


class PromptsAndTargets(NamedTuple):
    """Columns of a data file."""

    prompts: list[str]
    """What is asked."""
    targets: list[str]
    """What is expected."""
    ids: list[str]
    """Ids of the rows: their own column, or `<split>-<number>`."""


class Embeddings(NamedTuple):
    """Hidden states, pooled or not."""

    tensor: Tensor
    """Shape (N, L, H); (N, L, W, H) where nothing is pooled, zeros at padding. In fp32."""
    attention_mask: Tensor
    """The mask of the tokens, shape (N, W), on the side they were padded on."""


def load_model(
    path: str, *, adapter: str | None = None, dtype: Literal["fp32", "bf16"] = "fp32", device: str = "auto"
) -> LoadedModel:
    """Return tokenizer and model of a directory, a LoRA adapter put on it unmerged.

    Args:
        path: directory in Hugging Face format; nothing is fetched, and none of its code run.
        adapter: directory of a LoRA adapter in peft format.
        dtype: arithmetic.
        device: `cpu`, `cuda`, or `auto` for the GPU where there is one.

    Raises:
        ResultError: the adapter does not fit.
        SiteError: either cannot be loaded, or there is no such device.
    """
    resident = ResidentModel(path, dtype=dtype, device=device)
    with resident.network(adapter) as model:
        # Nobody else will ask this resident model for another adapter, so this one stays on.
        return LoadedModel(resident.tokenizer, model)


def tokenize_prompts(
    tokenizer: Tokenizer,
    prompts: Sequence[str | Mapping[str, Any]],
    *,
    encoding: Encoding = CHAT,
    padding_side: Padding = "right",
) -> TokenBatch:
    """Return the ids a model reads of each prompt, exactly those of a training with this encoding.

    Args:
        tokenizer: the model's tokenizer.
        prompts: texts, or rows of which the encoding names the columns.
        encoding: chat template or plain text, prompt template, system message, longest prompt.
        padding_side: where shorter prompts are filled up.

    Returns:
        Ids and mask, both of shape (N, W).

    Raises:
        SpecError: prompts cannot be tokenised or are too long; at most twenty are listed.
    """
    ids, problems = [], list[Problem]()
    for number, prompt in enumerate(prompts):
        row = {encoding.input_key: prompt} if isinstance(prompt, str) else prompt
        try:
            ids.append(encode_prompt(row, encoding=encoding, tokenizer=tokenizer, place=f"prompt {number}"))
        except SpecError as err:
            problems += err.problems
    if problems:
        raise SpecError("prompts cannot be tokenised", problems=problems[:_SHOWN])
    return pad_prompts(ids, side=padding_side)


def get_logits(model: Any, tokens: TokenBatch, *, batch_size: int = 32) -> Tensor:
    """Return the logits behind each prompt's last token, padding on either side: shape (N, vocabulary), fp32.

    Raises:
        PlanError: a prompt has no tokens.
        ResultError: the logits are not finite.
    """

    def last(batch: TokenBatch, _: object) -> Tensor:
        # Padded on the left every prompt ends at the last position, the only one that logits are made for.
        return forward(model, batch, use_cache=False, logits_to_keep=1).logits[:, -1].float()

    return _in_order(by_length(tokens.prompts(), batch_size, take=last, side="left"))


def get_embeddings(
    model: Any,
    tokens: TokenBatch,
    *,
    pool: Pool = "last_non_padding",
    layers: Layers = "last",
    batch_size: int = 32,
) -> Embeddings:
    """Return hidden states of any layers, pooled over each prompt's tokens.

    Args:
        model: causal language model, adapters on it or not.
        tokens: prompts, padded on either side.
        pool: see `pool_hidden_states`; only `mean` and `last`, which count padding, depend on its side.
        layers: `last`, `all`, or numbers: 0 is what enters the first block, -1 what leaves the last, normalised.
        batch_size: prompts of one forward pass.

    Raises:
        PlanError: the model has no such layer, or a prompt no tokens.
        ResultError: the hidden states are not finite.
    """
    if pool in COUNTS_PADDING:
        states = _with_padding(model, tokens, pool=pool, layers=layers, batch_size=batch_size)
        return Embeddings(states, tokens.attention_mask)
    prompts = tokens.prompts()

    def pooled(batch: TokenBatch, _: object) -> Tensor:
        states = hidden_states(model, batch, layers=layers)
        return pool_hidden_states(states, batch.attention_mask, pool=pool).float()

    found = by_length(prompts, batch_size, take=pooled)
    if pool != "none":
        return Embeddings(_in_order(found), tokens.attention_mask)
    whole: Tensor | None = None
    for index, states in found:
        if whole is None:
            whole = states.new_zeros(len(prompts), len(states), tokens.input_ids.shape[1], states.shape[-1])
        whole[index][:, tokens.attention_mask[index].bool()] = states[:, : len(prompts[index])]
    return Embeddings(torch.empty(0) if whole is None else whole, tokens.attention_mask)


def load_prompts_and_targets(
    eval_file: str | Path,
    *,
    num_obs: int | None = None,
    split: str | None = None,
    input_colname: str = "input",
    output_colname: str = "output",
    id_colname: str | None = None,
) -> PromptsAndTargets:
    """Return questions, answers and ids of a JSON, JSON Lines, parquet or CSV file or data folder.

    Args:
        eval_file: the file or folder.
        num_obs: first rows only.
        split: rows of one split only.
        input_colname: column of the question.
        output_colname: column of the answer.
        id_colname: column of the ids.

    Raises:
        SpecError: the file cannot be used, has no such split, or rows lack a column.
    """
    found = PromptsAndTargets([], [], [])
    for each in selected_rows(Path(eval_file), split=split, most=num_obs):
        place = each.place
        found.prompts.append(row_text(each.row, input_colname, place=place))
        found.targets.append(row_text(each.row, output_colname, place=place))
        own = f"{each.split}-{each.number}" if id_colname is None else row_text(each.row, id_colname, place=place)
        found.ids.append(own)
    return found


def _with_padding(model: Any, tokens: TokenBatch, *, pool: Pool, layers: Layers, batch_size: int) -> Tensor:
    """Return pooled states of the tensor as it was given: what counts padding must not see it change."""
    parts = []
    for start in range(0, len(tokens.input_ids), batch_size):
        batch = TokenBatch(*(each[start : start + batch_size] for each in tokens))
        states = hidden_states(model, batch, layers=layers)
        parts.append(pool_hidden_states(states, batch.attention_mask, pool=pool).float().cpu())
    return torch.cat(parts) if parts else torch.empty(0)


def _in_order(found: Iterator[tuple[int, Tensor]]) -> Tensor:
    taken = dict(found)
    return torch.stack([taken[index] for index in range(len(taken))]) if taken else torch.empty(0)
