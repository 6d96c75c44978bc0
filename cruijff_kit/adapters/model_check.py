"""Checking a model directory part by part: configuration, weights, tokenizer, and what must not lie there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.model_files import (
    WeightHeader,
    expected_bytes,
    has_vocabulary,
    model_config,
    weight_files,
    weight_headers,
)
from cruijff_kit.schema.registry import ModelTrait

__all__ = ["check_files"]

_DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
_AGAIN = "pull or copy it again"


def check_files(folder: Path, *, tokenizer: Callable[[], Tokenizer]) -> tuple[ModelTrait, ...]:
    """Return what was found of each part; a part that cannot be read is a trait that is wrong.

    Args:
        folder: model directory.
        tokenizer: loads the directory's tokenizer.
    """
    try:
        config = model_config(folder)
    except SiteError as err:
        return (_wrong("configuration", err),)
    found = str((config.get("architectures") or ["unknown"])[0])
    known = ModelTrait(name="configuration", ok=True, found=found)
    try:
        headers = weight_headers(folder)
    except (SiteError, ValueError, KeyError) as err:
        return (known, _wrong("weights", err), _tokenizer(folder, config, load=tokenizer), _beside(folder))
    return (
        known,
        *_weights(folder, headers),
        _dtype(config, headers),
        _tokenizer(folder, config, load=tokenizer),
        _beside(folder),
    )


def _wrong(name: str, err: Exception) -> ModelTrait:
    hint = err.hint if isinstance(err, SiteError) else _AGAIN
    return ModelTrait(name=name, ok=False, found=str(err).partition("\n")[0], hint=hint)


def _weights(folder: Path, headers: dict[str, WeightHeader]) -> Iterator[ModelTrait]:
    files = weight_files(folder)
    short = [path.name for path in files if path.stat().st_size != expected_bytes(path)]
    if short:
        fact = f"{len(short)} of {len(files)} files have another size than their header says: `{short[0]}`"
        yield ModelTrait(name="weights", ok=False, found=fact, hint=_AGAIN)
    else:
        size = sum(path.stat().st_size for path in files) / 1e9
        yield ModelTrait(name="weights", ok=True, found=f"{len(files)} files, {size:.3g} GB, {len(headers)} tensors")
    yield _index(folder, files)


def _index(folder: Path, files: list[Path]) -> ModelTrait:
    path = folder / "model.safetensors.index.json"
    if not path.is_file():
        alone = len(files) == 1
        hint = "" if alone else "bring `model.safetensors.index.json`, or remove weights of another model"
        fact = "none needed" if alone else f"missing, and there are {len(files)} files"
        return ModelTrait(name="index", ok=alone, found=fact, hint=hint)
    named: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
    held = {path.name: _names(path) for path in files}
    gone = [name for name, shard in named.items() if name not in held.get(shard, ())]
    strange = sorted(path.name for path in folder.glob("*.safetensors") if path.name not in held)
    if gone:
        fact = f"{len(gone)} of {len(named)} tensors are not where the index says: `{gone[0]}`"
        return ModelTrait(name="index", ok=False, found=fact, hint=_AGAIN)
    if strange:
        hint = "remove it: it belongs to another model or another program"
        return ModelTrait(name="index", ok=False, found=f"does not name `{strange[0]}`", hint=hint)
    return ModelTrait(name="index", ok=True, found=f"{len(named)} tensors in {len(held)} files, all there")


def _names(path: Path) -> set[str]:
    with path.open("rb") as file:
        return set(json.loads(file.read(int.from_bytes(file.read(8), "little"))))


def _dtype(config: dict[str, Any], headers: dict[str, WeightHeader]) -> ModelTrait:
    kinds = sorted({header.dtype for header in headers.values()})
    inner = config.get("text_config", config)
    said = inner.get("dtype") or inner.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype")
    wanted = _DTYPES.get(str(said))
    fact = ", ".join(kinds)
    if wanted is None:
        return ModelTrait(name="element type", ok=None, found=f"{fact}; the configuration does not say")
    hint = "" if wanted in kinds else f"`config.json` says `{said}`; pull it again, or mend it"
    return ModelTrait(name="element type", ok=wanted in kinds, found=fact, hint=hint)


def _tokenizer(folder: Path, config: dict[str, Any], *, load: Callable[[], Tokenizer]) -> ModelTrait:
    if not has_vocabulary(folder):
        return ModelTrait(name="tokenizer", ok=False, found="there is no file with its vocabulary", hint=_AGAIN)
    try:
        tokenizer = load()
    except SiteError as err:
        # Without the extra nothing was looked at, so nothing was found wrong.
        missing = "not installed" in str(err)
        found = str(err).partition("\n")[0]
        return ModelTrait(name="tokenizer", ok=None if missing else False, found=found, hint=err.hint)
    size, rows = len(tokenizer.get_vocab()), config.get("text_config", config).get("vocab_size")  # type: ignore[attr-defined]  # every tokenizer of transformers has it
    template = "a chat template" if tokenizer.chat_template else "no chat template"
    fact = f"{size} tokens, {template}"
    if isinstance(rows, int) and size > rows:
        hint = "it is another model's tokenizer, or tokens were added without rows for them"
        return ModelTrait(name="tokenizer", ok=False, found=f"{fact}; the embedding has {rows} rows", hint=hint)
    return ModelTrait(name="tokenizer", ok=True, found=fact)


def _beside(folder: Path) -> ModelTrait:
    found = sorted(path.name for path in folder.glob("adapter_*"))
    if found:
        hint = (
            "move the adapter to a folder of its own: a loader that sees it would apply it, over merged weights twice"
        )
        return ModelTrait(name="adapter beside", ok=False, found=", ".join(found), hint=hint)
    return ModelTrait(name="adapter beside", ok=True, found="none")
