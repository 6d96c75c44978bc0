"""Run ids: a slug of what varies and a hash of what can change results."""

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

from cruijff_kit.schema.spec import Level

__all__ = ["canonical_json", "component", "content_hash", "run_id", "shorten"]

# A slug leaves room for the hash and for a job's suffix within the 64 characters of a name.
_SLUG_LIMIT = 48
_TEXT_LIMIT = 20
_SUFFIX = re.compile(r"\.(json|jsonl|parquet)$")
_SHORT = {
    "model": "",
    "lora_rank": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "batch_size": "bs",
    "gradient_accumulation_steps": "gas",
    "lr_scheduler": "sched",
    "num_warmup_steps": "warmup",
    "weight_decay": "wd",
    "max_grad_norm": "clip",
    "max_seq_len": "len",
    "max_steps_per_epoch": "steps",
    "training_samples": "n",
    "train_on_input": "input",
    "dataset_type": "type",
    "system_prompt": "system",
    "template_date": "date",
    "data.path": "data",
}


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: one text per value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def run_id(slug: str, digest: str) -> str:
    """Return the id of a run: its slug and eight digits of its content hash."""
    return f"{slug}-{digest[:8]}"


def shorten(parts: tuple[str, ...], seed: int | None) -> str:
    """Return the slug of a run from its components; its seed is never cut off."""
    tail = "" if seed is None else f"_seed{seed}"
    return "_".join(parts)[: _SLUG_LIMIT - len(tail)].rstrip("._-") + tail


def component(factor: str, level: Level) -> str:
    """Return one factor's part of a slug, such as `rank4` or `sched-linear`."""
    name = _clean(_SHORT.get(factor, factor.removeprefix("data.")))
    # A file is known by its stem; the folders before it say little.
    stem = _SUFFIX.sub("", str(level).rstrip("/").rpartition("/")[2]) if factor == "data.path" else level
    value = _spelled(stem)
    joint = "-" if name and not value[0].isdigit() else ""
    return f"{name}{joint}{value}".lstrip("-.")


def _spelled(level: Level) -> str:
    if level is None or isinstance(level, bool):
        return str(level).lower()
    if isinstance(level, float):
        return _number(level)
    return _clean(str(level)) or f"h{content_hash(level)[:6]}"


def _number(value: float) -> str:
    """Return the shorter of `0.05` and `5e-2`, the first where they tie."""
    exact = Decimal(repr(value)).normalize()
    plain = format(exact, "f")
    mantissa = exact.scaleb(-exact.adjusted())
    scientific = f"{format(mantissa, 'f')}e{exact.adjusted()}"
    return plain if len(plain) <= len(scientific) else scientific


def _clean(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[:_TEXT_LIMIT].rstrip("-.")
