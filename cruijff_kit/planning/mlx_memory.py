"""Peak memory of a training step that MLX computes, in its own allocator's count.

MLX builds the whole step as one graph and frees an array with its last use, so the peak
lies where the backward pass begins: what the forward pass keeps, and the largest gradients
under way. Attention is no fused kernel where gradients are asked for, so the
probabilities of every head stand in memory, a length for each token. Adapters are in single
precision whatever the base is, so what they read is held in it too. Coefficients were
read from mlx-lm's layers, and where the order of the graph decides, from `mx.get_peak_memory()`
over sizes that vary one at a time; a test holds the sum against it.
"""

from collections.abc import Iterator, Mapping
from math import ceil

from cruijff_kit.planning.shapes import Shape, adapted_layers
from cruijff_kit.planning.training_pass import Work, adapter_size
from cruijff_kit.schema.estimate import MemoryParts

__all__ = ["mlx_memory"]

_SINGLE = 4
_GROUP = 64
# What a process holds before it has a model: Python, MLX, mlx-lm and the tokenizers of transformers; measured.
_PROCESS = 280_000_000
# Freed buffers that the allocator keeps for the next pass.
_KEPT = 0.10


def mlx_memory(shape: Shape, work: Work) -> MemoryParts:
    """Return the peak memory of an optimiser step, in bytes."""
    adapter = adapter_size(shape, work.rank, targets=work.targets, dora=work.dora) * _SINGLE
    parts = {
        "weights": ceil(_frozen(shape, work)),
        "adapter": adapter,
        "optimizer": 2 * adapter,
        # Those of earlier passes; of the pass itself one block's stand beside the activations, in `working`.
        "gradients": adapter if work.accumulation > 1 else adapter // max(shape.layers, 1),
        **max(_moments(shape, work), key=lambda moment: sum(moment.values())),
    }
    return MemoryParts(**parts, overhead=_PROCESS + int(_KEPT * sum(parts.values())))


def _moments(shape: Shape, work: Work) -> Iterator[Mapping[str, int]]:
    """Yield what stands beside weights and moments when the loss is differentiated, and when a block is.

    Without recomputation the two are one: activations of all blocks, four times the logits, gradients under way.
    """
    block, working = (work.tokens * each(shape, work) for each in (_block, _working))
    logits = work.supervised * shape.vocabulary * _SINGLE
    kept = shape.layers * (work.tokens * _stream(shape, work) if work.checkpointing else block)
    # As computed and in single precision, their probabilities, their gradient.
    yield {"activations": ceil(kept), "logits": 4 * logits, "working": ceil(working)}
    if work.checkpointing:
        # The block before it has begun to be computed again when one is differentiated.
        again = (1.75 if shape.layers > 2 else 1.35) * block
        yield {"activations": ceil(kept), "logits": 2 * logits, "working": ceil(working + again)}


def _frozen(shape: Shape, work: Work) -> float:
    if not work.quantized:
        return shape.parameters * work.element
    linear = shape.layers * shape.block
    # Scale and bias of each group are of the base's own type.
    return linear * (0.5 + 2 * work.element / _GROUP) + (shape.parameters - linear) * work.element


def _stream(shape: Shape, work: Work) -> float:
    """Return the bytes a token of a block's input."""
    return 1.1 * shape.width * work.element


def _block(shape: Shape, work: Work) -> float:
    """Return the bytes a token that one block keeps for its backward pass.

    Of SwiGLU the two projections, the sigmoid and its product; of attention query, key,
    value and the probabilities; of the normalisations their input.
    """
    element = work.element
    plain = 4 * shape.inner + 1.2 * shape.width + shape.queries + 2 * shape.keys
    heads = shape.queries // shape.head
    return plain * element + heads * _length(work) * element + _updates(shape, work)


def _updates(shape: Shape, work: Work) -> float:
    """Return the bytes a token that the low-rank updates of one block keep.

    The input of each, which layers that read the same share, in single precision too where the base
    has another; and the `rank` numbers between.
    """
    names = adapted_layers(shape, work.targets)
    single = _SINGLE + (work.element if work.element != _SINGLE else 0)
    inputs = {_source(name): shape.linear(name)[0] for name in names}
    total = sum(inputs.values()) * single + 1.4 * work.rank * len(names) * _SINGLE
    if work.dropout:
        total += 1.35 * sum(shape.linear(name)[0] for name in names) * _SINGLE
    if work.dora:
        total += 1.15 * sum(shape.linear(name)[1] for name in names) * work.element
    return total


def _source(name: str) -> str:
    """Return which tensor a layer reads: those of one name read the same one."""
    if name in {"q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value"}:
        return "attention"
    if name in {"gate_proj", "up_proj", "gate_up_proj", "dense_h_to_4h"}:
        return "mlp"
    return name


def _working(shape: Shape, work: Work) -> float:
    """Return the bytes a token of gradients under way inside a block."""
    element = work.element if work.element == _SINGLE else 2 * _SINGLE / 3
    heads = shape.queries // shape.head
    return (6 * shape.inner + 10 * shape.width) * element + heads * _length(work) * work.element


def _length(work: Work) -> int:
    """Return the tokens of a row, padding included: as many probabilities has each of its tokens and heads."""
    return ceil(work.tokens / work.rows)
