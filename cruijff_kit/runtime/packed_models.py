"""Packed rows in models of transformers: each row sees itself alone, or the model is refused."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface

from cruijff_kit.errors import SiteError
from cruijff_kit.runtime.packed_attention import Layout, Scores, attend, layout

__all__ = ["pack_model", "packed_inputs"]

_NAME = "cruijff_kit_rows"
_HINT = "leave `packed: false`; rows of like length waste little on padding"
_KINDS = {"full_attention", "sliding_attention"}


def pack_model(model: Any, decoder: Any) -> None:
    """Let a model attend row by row, after proof that it then computes what it did before.

    Args:
        model: causal language model of transformers, in evaluation mode.
        decoder: the part of it that reads text.

    Raises:
        SiteError: its attention cannot be replaced, or its rows would see each other.
    """
    config = model.config.get_text_config()
    strange = sorted(set(getattr(config, "layer_types", None) or ()) - _KINDS)
    if getattr(config, "attn_logit_softcapping", None) is not None:
        raise _refused(model, "its attention caps scores, which packed attention does not")
    if strange or not getattr(model, "_supports_attention_backend", False):
        raise _refused(model, f"it has layers of kind `{strange[0]}`" if strange else "its attention is its own")
    rows = _rows(min(config.vocab_size, 1000), device=model.device)
    before = [_hidden(decoder, {"input_ids": row, "use_cache": False}) for row in rows]
    AttentionInterface.register(_NAME, _attention)
    model.set_attn_implementation(_NAME)
    ids, lengths = torch.cat(rows, dim=1), [row.shape[1] for row in rows]
    positions = torch.cat([torch.arange(length, device=model.device) for length in lengths])[None]
    try:
        after = _hidden(decoder, packed_inputs(ids, positions, lengths=lengths)).split(lengths, dim=1)
    except TypeError as err:
        raise _refused(model, f"it does not take the rows' places: {err}") from err
    off = max(float((old - new).abs().max() / old.abs().max()) for old, new in zip(before, after, strict=True))
    if off > (1e-4 if model.dtype == torch.float32 else 5e-2):
        raise _refused(model, f"packed rows come out otherwise than single ones, by {off:.1e} of the largest value")


def packed_inputs(ids: Tensor, positions: Tensor, *, lengths: Any) -> dict[str, Any]:
    """Return what the decoder of a packed model is called with; all tensors on its device."""
    rows = layout(lengths, device=ids.device)
    return {"input_ids": ids, "position_ids": positions, "use_cache": False, "packed_rows": rows}


def _rows(vocabulary: int, *, device: torch.device) -> list[Tensor]:
    """Return three short rows of unlike tokens, shape (1, length) each."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(vocabulary, (1, length), generator=generator).to(device) for length in (5, 9, 7)]


def _hidden(decoder: Any, inputs: Mapping[str, Any]) -> Tensor:
    with torch.no_grad():
        return decoder(**inputs).last_hidden_state


def _attention(module: torch.nn.Module, *tensors: Tensor, **options: Any) -> tuple[Tensor, None]:
    """Attend as transformers asks for it; tensors are query, key, value and a mask that is none.

    Raises:
        SiteError: the model did not hand on where the rows lie.
    """
    query, key, value = tensors[:3]
    rows: Layout | None = options.get("packed_rows")
    if rows is None:
        raise SiteError(f"`{type(module).__name__}` does not learn where packed rows lie", hint=_HINT)
    scores = Scores(options.get("dropout", 0.0), options.get("scaling"), options.get("sliding_window"))
    found = attend(query, key, value=value, rows=rows, scores=scores)
    return found.transpose(1, 2).contiguous(), None


def _refused(model: Any, fact: str) -> SiteError:
    return SiteError(f"`packed: true` is not for a `{model.config.model_type}` model: {fact}", hint=_HINT)
