"""Does an adapter do anything? One base in memory, the adapter off and on, one text."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.base_record import ADAPTER_WEIGHTS, adapter_settings, read_record
from cruijff_kit.runtime.model_files import model_sha256
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.schema.adapter import AdapterCheck, AdapterLimits

__all__ = ["check_adapter"]

_OWN = {ADAPTER_WEIGHTS, "adapter_model.bin"}


def check_adapter(adapter: Path, base: Path, *, prompt: str, limits: AdapterLimits) -> AdapterCheck:
    """Compare a base with and without an adapter on one text.

    The adapter has an effect where the text's perplexity moves by `ppl_threshold` or
    more, or the logits differ by `mse_threshold` or more in mean square.

    Raises:
        ResultError: the adapter does not fit the base, or logits are not numbers.
        SiteError: either cannot be loaded.
        SpecError: the text has fewer than two tokens.
    """
    model = ResidentModel(str(base))
    ids = tuple(model.tokenizer.encode(prompt))
    if len(ids) < 2:
        raise SpecError(
            f"the text `{prompt}` has {len(ids)} tokens, and a perplexity needs two", hint="give `--prompt` more"
        )
    off, on = model.logits(ids), model.logits(ids, adapter=str(adapter))
    if not (off.isfinite().all() and on.isfinite().all()):
        raise ResultError("the logits are not numbers", hint="look at the loss in `metrics.jsonl`")
    before, after = _perplexity(off, ids), _perplexity(on, ids)
    mse = (on - off).square().mean().item()
    effect = abs(after - before) >= limits.ppl_threshold or mse >= limits.mse_threshold
    untouched = not any(
        tensor.any() for name, tensor in load_file(adapter / ADAPTER_WEIGHTS).items() if ".lora_B." in name
    )
    return AdapterCheck(
        adapter=str(adapter),
        base=str(base),
        prompt=prompt,
        tokens=len(ids),
        base_ppl=before,
        adapter_ppl=after,
        logit_mse=mse,
        logit_max=(on - off).abs().max().item(),
        changed_tokens=int((on.argmax(-1) != off.argmax(-1)).sum()),
        limits=limits,
        untouched=untouched,
        effect=effect,
        verdict=_verdict(after - before, mse, limits=limits, untouched=untouched),
        warnings=tuple(_warnings(adapter, base)),
    )


def _perplexity(logits: Tensor, ids: tuple[int, ...]) -> float:
    return math.exp(cross_entropy(logits[:-1], torch.tensor(ids[1:], device=logits.device)).item())


def _verdict(ppl: float, mse: float, *, limits: AdapterLimits, untouched: bool) -> str:
    if untouched:
        return "the adapter is as it was before its first step: every B is zero, so it changes nothing"
    tests = (
        f"perplexity moves by {abs(ppl):.4g} (threshold {limits.ppl_threshold:g})",
        f"logits by {mse:.4g} in mean square (threshold {limits.mse_threshold:g})",
    )
    met = abs(ppl) >= limits.ppl_threshold, mse >= limits.mse_threshold
    word = "the adapter has an effect" if any(met) else "base and adapter are very similar on this text"
    return f"{word}: {tests[0]}, {tests[1]}"


def _warnings(adapter: Path, base: Path) -> Iterator[str]:
    named = adapter_settings(adapter).get("base_model_name_or_path")
    if isinstance(named, str) and named.startswith("/") and not Path(named).is_dir():
        yield f"`adapter_config.json` names the base `{named}`, which is not there; `ck adapter port` mends it"
    record = read_record(adapter)
    if record and model_sha256(base) != record.sha256:
        yield f"`{base}` is not the model it was trained on: the content differs from the hash in `base_model.json`"
    beside = sorted({path.name for kind in ("*.safetensors", "*.bin") for path in adapter.glob(kind)} - _OWN)
    if beside:
        yield f"weights `{beside[0]}` lie beside the adapter: loaded as a model, this folder applies LoRA twice"
