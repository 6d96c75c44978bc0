"""Embeddings of a data file, streamed to disk block by block; a killed job goes on where it was."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress, Tokenizer
from cruijff_kit.runtime.block_file import Block, BlockFile, FileContent, is_finished, plan_blocks
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.hidden import by_length, hidden_states
from cruijff_kit.runtime.model_files import load_tokenizer
from cruijff_kit.runtime.padding import TokenBatch, pad_prompts
from cruijff_kit.runtime.pooling import pool_hidden_states
from cruijff_kit.runtime.provenance import package_versions
from cruijff_kit.runtime.resident import ResidentModel
from cruijff_kit.runtime.tensor_files import LENGTHS, TENSOR
from cruijff_kit.runtime.text_spool import Text, TextSpool
from cruijff_kit.schema.embedding import EmbeddingFile, EmbedJob, EmbedTarget, EmbedWork, Pool

__all__ = ["embed_job"]

_ALONE: dict[Pool, Pool] = {"mean": "mean_non_padding", "last": "last_non_padding"}
_NO_MATTER = {"path", "sha256", "output_key", "train_on_input", "max_seq_len", "overlong"}
_IDS_AT_ONCE = 4096
_PACKAGES = ("cruijff-kit", "numpy", "peft", "tokenizers", "torch", "transformers")


class _Stage(NamedTuple):
    """What all files of a job share."""

    job: EmbedJob
    model: ResidentModel
    spool: TextSpool
    shape: tuple[int, int, int]
    blocks: list[Block]
    progress: Progress | None


def embed_job(job: EmbedJob, *, progress: Progress | None = None) -> tuple[EmbeddingFile, ...]:
    """Embed the texts of a job by each of its models; the base is loaded once.

    A file of the same settings that is finished stays as it is, and one that was begun is
    gone on with. Texts are read, checked and tokenised before the first model is loaded.

    Args:
        job: everything that decides the files.
        progress: called with texts done, texts in all, and the file at hand.

    Raises:
        PlanError: the model has no such layer.
        ResultError: a file of other settings is there, an adapter does not fit, or vectors are not finite.
        SiteError: the model cannot be loaded, or an extra is not installed.
        SpecError: the data cannot be used.
    """
    settings = {target.out: _settings(job, target) for target in job.targets}
    finished = {out for out, own in settings.items() if is_finished(Path(out), own, force=job.force)}
    due = [target for target in job.targets if target.out not in finished]
    made = _embed_all(job, due, settings=settings, progress=progress) if due else {}
    return tuple(_described(target, made.get(target.out, 0)) for target in job.targets)


def _embed_all(
    job: EmbedJob, due: Sequence[EmbedTarget], *, settings: dict[str, dict[str, str]], progress: Progress | None
) -> dict[str, int]:
    """Write the files that are due; return how many texts each took."""
    made: dict[str, int] = {}
    with ExitStack() as stack:
        stage = _staged(job, stack, progress=progress)
        for target in due:
            made[target.out] = _embed(target, settings[target.out], stage=stage)
    return made


def _staged(job: EmbedJob, stack: ExitStack, *, progress: Progress | None) -> _Stage:
    spool = stack.enter_context(TextSpool(Path(job.targets[0].out).parent))
    spool.fill(job, tokenizer=_tokenizer(job.model), progress=progress)
    model = ResidentModel(job.model, dtype=job.work.dtype, device=job.work.device)
    first = next(spool.read())
    with model.network() as network:
        probe = hidden_states(network, pad_prompts([first.ids]), layers=job.work.layers)
    layers, width, pooled = probe.shape[1], probe.shape[-1], job.work.pool != "none"
    rows = len(spool.lengths) if pooled else sum(spool.lengths)
    blocks = plan_blocks(spool.lengths, pooled=pooled, row_bytes=4 * layers * width)
    return _Stage(job, model, spool, (rows, layers, width), blocks, progress)


def _tokenizer(model: str) -> Tokenizer:
    try:
        return load_tokenizer(Path(model))
    except (OSError, ValueError) as err:
        fact = str(err).splitlines()[0]
        raise SiteError(f"the tokenizer in `{model}` cannot be loaded: {fact}", hint="see `ck models check`") from err


def _embed(target: EmbedTarget, settings: dict[str, str], *, stage: _Stage) -> int:
    """Write what is missing of one file, give it its name, and return how many texts that took."""
    ids = ([text.id for text in some] for some in _several(stage.spool.read(), _IDS_AT_ONCE))
    content = FileContent(settings, _notes(stage.job, target), ids, stage.spool.lengths, stage.shape)
    path, count = Path(target.out), 0
    # The adapter first: a file is begun for a model that is there.
    with stage.model.network(target.adapter) as network, BlockFile(path, content, blocks=stage.blocks) as file:
        missing, texts = set(file.missing()), stage.spool.read()
        for number, block in enumerate(stage.blocks):
            own = [text.ids for text in islice(texts, block.texts)]
            if number in missing:
                file.write(number, _vectors(network, own, work=stage.job.work))
                count += block.texts
            if stage.progress is not None:
                stage.progress(block.first + block.texts, len(stage.spool.lengths), path.name)
        file.finish()
    return count


def _vectors(network: Any, prompts: Sequence[tuple[int, ...]], *, work: EmbedWork) -> np.ndarray:
    """Return the vectors of some texts, shape (texts or tokens, L, H)."""
    pool = _ALONE.get(work.pool, work.pool)

    def pooled(batch: TokenBatch, _: object) -> Tensor:
        states = hidden_states(network, batch, layers=work.layers)
        return pool_hidden_states(states, batch.attention_mask, pool=pool).float()

    found = by_length(prompts, work.batch_size, take=pooled)
    if pool != "none":
        taken = dict(found)
        return torch.stack([taken[at] for at in range(len(prompts))]).numpy()
    # A copy of a text's own tokens, so that its whole padded batch need not stay.
    tokens = {at: states[:, : len(prompts[at])].transpose(0, 1).contiguous() for at, states in found}
    return torch.cat([tokens[at] for at in range(len(prompts))]).numpy()


def _settings(job: EmbedJob, target: EmbedTarget) -> dict[str, str]:
    """Return what decides the vectors of one file, as texts; the batch size does not."""
    data = job.dataset
    encoding = data.model_dump(mode="json", exclude=_NO_MATTER)
    versions = package_versions()
    return {
        "model_sha256": job.model_sha256,
        "adapter_sha256": target.adapter_sha256 or "",
        "data_sha256": data.sha256,
        "split": job.split or "",
        "encoding": json.dumps(encoding, sort_keys=True, ensure_ascii=False),
        "id_column": job.id_column or "",
        "pool": job.work.pool,
        "layers": json.dumps(job.work.layers),
        "dtype": job.work.dtype,
        "truncate": json.dumps(job.work.truncate),
        "tier": job.tier,
        "versions": json.dumps({name: versions[name] for name in _PACKAGES if name in versions}, sort_keys=True),
    }


def _notes(job: EmbedJob, target: EmbedTarget) -> dict[str, str]:
    """Return what else a reader wants to know: names and places, which may change while content does not."""
    axes = "texts, layers, width" if job.work.pool != "none" else "tokens of all texts in a row, layers, width"
    return {
        "format": "cruijff-kit embeddings, version 1",
        "axes": axes,
        "label": target.label,
        "model": job.model,
        "adapter": target.adapter or "",
        "run": job.run or "",
        "data": job.dataset.path,
        "written_by": f"h5py {h5py.__version__}",
    }


def _several(texts: Iterator[Text], size: int) -> Iterator[list[Text]]:
    while some := list(islice(texts, size)):
        yield some


def _described(target: EmbedTarget, embedded: int) -> EmbeddingFile:
    path = Path(target.out)
    with h5py.File(path, "r") as file:
        shape, rows = _sizes(file)
    return EmbeddingFile(
        label=target.label, path=target.out, rows=rows, shape=shape, embedded=embedded, sha256=file_sha256(path)
    )


def _sizes(file: Any) -> tuple[tuple[int, ...], int]:
    return tuple(file[TENSOR].shape), len(file[LENGTHS])
