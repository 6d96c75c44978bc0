"""Peak memory of a training step as a sum of parts; the one estimator there is.

What a step needs is highest either when the backward pass begins (all activations are
there, and the last block is being differentiated), or when it ends (all gradients are
there, and the first block is). Both are added up from what the modules save for their
backward pass, read in torchtune 0.6.1, transformers 5.5 and torch 2.13; each term
below names its module. `benchmarks/memory.py` holds the sum against the measured peak. What
MLX needs is added up in `mlx_memory`.

The unit of the formulas is elements a token: T tokens x the sum x bytes an element.
With h the width, q = heads x head width, m the MLP's width and r the rank, a block of a
Llama with all seven layers adapted keeps in single precision

    4h + 4q + 4m + 7r    elements a token, 3m of the MLP where its layers are lean.

A padded pass has rows x longest row tokens, a packed one only the rows' own.
"""

from collections.abc import Iterator, Mapping
from math import ceil

from cruijff_kit.planning.mlx_memory import mlx_memory
from cruijff_kit.planning.shapes import Shape, adapted_layers
from cruijff_kit.planning.training_pass import Work, adapter_size
from cruijff_kit.schema.estimate import MemoryParts

__all__ = ["LOGITS_AT_ONCE", "training_memory"]

LOGITS_AT_ONCE = 2**25
"""Logits that the loss holds at a time; `runtime/losses.py` has the same number, and a test says so."""

_SINGLE = 4
# Weights in 4 bits, with a scale of 8 bits for 64 of them and one of 32 for 256 of those.
_NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
# What a process with torch, transformers and torchtune loaded holds before it has a model: measured, CPython 3.11.
_PROCESS = 600_000_000
# A CUDA context with cuBLAS's workspace, and what the caching allocator cannot use: not measured here.
_CONTEXT, _FRAGMENTS = 800_000_000, 0.04


def training_memory(shape: Shape, work: Work) -> MemoryParts:
    """Return the peak memory of an optimiser step, in bytes, of one process."""
    if work.mlx:
        return mlx_memory(shape, work)
    element = work.element
    trained = adapter_size(shape, work.rank, targets=work.targets, dora=work.dora) * element
    held = {
        "weights": ceil(_frozen(shape, work) / work.sharded) + _gathered(shape, work),
        "adapter": ceil(trained / work.sharded),
        # AdamW's moments are of the weights' own type.
        "optimizer": ceil(2 * trained / work.sharded),
    }
    moments = (_begin(shape, work, trained=trained), _end(shape, work, trained=trained))
    highest = max(moments, key=lambda parts: sum(parts.values()))
    tensors = sum(held.values()) + sum(highest.values())
    return MemoryParts(**held, **highest, overhead=_overhead(shape, work, tensors=tensors))


def _frozen(shape: Shape, work: Work) -> float:
    if not work.quantized:
        return shape.parameters * work.element
    linear = shape.layers * shape.block
    return linear * _NF4 + (shape.parameters - linear) * work.element


def _gathered(shape: Shape, work: Work) -> int:
    """Return the bytes of blocks that are whole in each process while they compute: one, and the next on its way."""
    return 2 * shape.block * work.element if work.sharded > 1 else 0


def _begin(shape: Shape, work: Work, *, trained: int) -> Mapping[str, int]:
    """Return what stands beside the weights when the backward pass begins."""
    kept = work.tokens * (_input(shape, work) if work.checkpointing else _block(shape, work))
    # Each block's output is the next one's input; the last one's is kept by the final normalisation. The embedding
    # learns nothing, so the first block's input is kept only where the block is computed again.
    outer = work.tokens * _input(shape, work) if work.checkpointing else 0
    states = work.supervised * shape.width * work.element
    loss = {"logits": _logits(shape, work) + 2 * states, "working": 0}
    layer = {"logits": states, "working": _layer(shape, work)}
    highest = max(loss, layer, key=lambda parts: sum(parts.values()))
    earlier = trained if work.accumulation > 1 else 0
    return {"gradients": earlier, "activations": shape.layers * kept + outer, **highest}


def _end(shape: Shape, work: Work, *, trained: int) -> Mapping[str, int]:
    """Return what stands beside the weights when the first block is differentiated."""
    kept = work.tokens * (_input(shape, work) if work.checkpointing else _block(shape, work))
    working = _layer(shape, work)
    return {"gradients": trained, "activations": kept, "logits": 0, "working": working}


def _input(shape: Shape, work: Work) -> int:
    """Return the bytes a token of a block's input."""
    return shape.width * work.element


def _block(shape: Shape, work: Work) -> int:
    """Return the bytes a token that one block keeps for its backward pass.

    Two normalisations keep their input in single precision and its root mean square;
    attention keeps query, key and value, its output and the log-sum of each head; SiLU keeps its
    input, and the product with the up-projection both factors. Keys and values are
    repeated to as many heads as queries, by copying unless there is but one head. A lean
    normalisation keeps its input as it came, and a lean gate its two inputs alone.
    """
    norms = 2 * (shape.width * (work.element if work.lean else _SINGLE) + _SINGLE)
    keys = shape.keys if shape.keys == shape.head and not work.packed else shape.queries
    attention = 2 * (shape.queries + keys) * work.element + (shape.queries // shape.head) * _SINGLE
    mlp = (2 if work.lean else 3) * shape.inner * work.element
    packed = 0
    if work.packed:
        # The outputs of rows of each length are laid end to end; cosines and sines are looked up by position,
        # once for queries and once for keys, and by lean layers once for all blocks.
        turns = 0 if work.lean else 2 * shape.head * _SINGLE
        packed = (0 if work.gpu else shape.queries * work.element) + turns
    return norms + attention + mlp + packed + _updates(shape, work)


def _updates(shape: Shape, work: Work) -> int:
    """Return the bytes a token that the low-rank updates of one block keep.

    The frozen product keeps nothing of its input; the first factor's gradient needs the
    input, which layers that read the same tensor share, and the second one's the `rank`
    numbers between. The attention output is kept by attention anyway. With dropout each
    layer has an input of its own, and the mask. DoRA scales both products by a learnt
    magnitude, and keeps them for its gradient.
    """
    element, names = work.element, adapted_layers(shape, work.targets)
    total = work.rank * len(names) * element
    if work.dropout:
        mask = 1 if work.gpu else element
        total += sum(shape.linear(name)[0] for name in names) * (element + mask)
    else:
        total += sum(_shared_inputs(shape, names)) * element
    if work.dora:
        total += 2 * sum(shape.linear(name)[1] for name in names) * element
    return total


def _shared_inputs(shape: Shape, names: tuple[str, ...]) -> Iterator[int]:
    """Yield the width of each distinct input that adapted layers keep."""
    if any(name in ("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value") for name in names):
        yield shape.width
    if any(name in ("gate_proj", "up_proj", "gate_up_proj", "dense_h_to_4h") for name in names):
        yield shape.width
    if any(name in ("down_proj", "dense_4h_to_h") for name in names):
        yield shape.inner


def _layer(shape: Shape, work: Work) -> int:
    """Return the bytes of gradients under way inside a block, and of the block where it is computed again.

    Behind the product of the MLP the gradients by both factors stand at once, and in a lean
    gate what it computes again; the backward pass of a normalisation outside of a fused
    kernel holds five tensors of its input's size in single precision, a lean one three.
    """
    mlp = (3 if work.lean else 2) * shape.inner * work.element
    norm = (3 if work.lean else 5) * shape.width * _SINGLE
    again = _block(shape, work) - shape.width * work.element if work.checkpointing else 0
    return max(work.tokens * (max(mlp, norm) + again), _magnitudes(shape, work))


def _magnitudes(shape: Shape, work: Work) -> int:
    """Return the bytes with which DoRA computes the norms of one layer's weight.

    The update is multiplied out by an identity matrix, added to the weight, and squared.
    """
    if not work.dora:
        return 0
    sizes = map(shape.linear, adapted_layers(shape, work.targets))
    return max(inputs * inputs + 3 * inputs * outputs for inputs, outputs in sizes) * work.element


def _logits(shape: Shape, work: Work) -> int:
    """Return the bytes of the logits that the loss holds at a time, in single precision and as computed."""
    rows = max(1, LOGITS_AT_ONCE // shape.vocabulary)
    held = min(work.supervised, rows) * shape.vocabulary
    return held * (_SINGLE + (work.element if work.dtype != "fp32" else 0))


def _overhead(shape: Shape, work: Work, *, tensors: int) -> int:
    # Summing exponentials, a kernel holds the logits once more.
    scratch = min(work.supervised * shape.vocabulary, LOGITS_AT_ONCE) * _SINGLE
    if work.gpu:
        return _CONTEXT + int(_FRAGMENTS * tensors) + scratch
    return _PROCESS + scratch
