"""Embeddings made by models in this process."""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cruijff_kit.adapters.file_lock import hold_lock
from cruijff_kit.adapters.state_dir import state_dir
from cruijff_kit.errors import SiteError
from cruijff_kit.ports import Progress
from cruijff_kit.schema.embedding import EmbeddingFile, EmbedJob

__all__ = ["LocalEmbedder"]

_WAIT = 2.0


class LocalEmbedder:
    """Models of this machine's disks; each file has one writer at a time."""

    def embed(self, job: EmbedJob, *, progress: Progress | None = None) -> tuple[EmbeddingFile, ...]:
        """Embed the texts of a job by each of its models, or go on where a kill has stopped it.

        Raises:
            PlanError: the model has no such layer.
            ResultError: a file of other settings is there, an adapter does not fit, or vectors are not finite.
            SiteError: the model cannot be loaded, an extra is missing, or another process writes the same file.
            SpecError: the data cannot be used; nothing is written.
        """
        try:
            from cruijff_kit.runtime.embed import embed_job
        except ImportError as err:
            hint = "pip install 'cruijff-kit[eval]'"
            raise SiteError(f"embedding texts needs `{err.name}`, which is not installed", hint=hint) from err
        with ExitStack() as locks:
            # In one order, so that two jobs never wait for each other.
            for out in sorted({target.out for target in job.targets}):
                locks.enter_context(hold_lock(_lock_of(out), name=Path(out).name, wait=_WAIT))
            return _embedded(lambda: embed_job(job, progress=progress))


def _embedded(work: Callable[[], tuple[EmbeddingFile, ...]]) -> tuple[EmbeddingFile, ...]:
    try:
        return work()
    except OSError as err:
        place = f"`{err.filename}`" if err.filename else "embeddings"
        fact = f"{place} cannot be written: {(err.strerror or str(err)).lower()}"
        raise SiteError(fact, hint="mend that and repeat the command: finished blocks are kept") from err


def _lock_of(out: str) -> Path:
    """Return the lock of a file; in the state directory, because beside the file it would stay for ever."""
    return state_dir() / "locks" / f"embed-{hashlib.sha256(out.encode()).hexdigest()[:32]}.lock"
