"""An embedder that counts texts instead of reading them, and keeps what it was asked."""

import hashlib
from pathlib import Path

from cruijff_kit.data.streams import stream_rows
from cruijff_kit.errors import PlanError, Problem, ResultError, SpecError
from cruijff_kit.ports import Progress
from cruijff_kit.schema.embedding import EmbeddingFile, EmbedJob

__all__ = ["FakeEmbedder"]


class FakeEmbedder:
    """Files by path, each with what decided it; every model has so many layers of a width."""

    def __init__(self, *, layers: int = 2, width: int = 32) -> None:
        self.layers, self.width = layers, width
        self.files: dict[str, tuple[str, EmbeddingFile]] = {}
        self.asked: list[EmbedJob] = []

    def embed(self, job: EmbedJob, *, progress: Progress | None = None) -> tuple[EmbeddingFile, ...]:
        self.asked.append(job)
        settings = {target.out: self._settings(job, target.adapter_sha256) for target in job.targets}
        for out, own in settings.items():
            if out in self.files and self.files[out][0] != own and not job.force:
                raise ResultError(f"`{out}` holds other embeddings", hint="replace it with `--force`")
        texts, kept = self._texts(job), self._kept(job)
        found = []
        for done, target in enumerate(job.targets, start=1):
            old = self.files.get(target.out)
            again = old is not None and old[0] == settings[target.out]
            file = EmbeddingFile(
                label=target.label,
                path=target.out,
                rows=texts,
                shape=(texts, kept, self.width),
                embedded=0 if again else texts,
                sha256=hashlib.sha256(settings[target.out].encode()).hexdigest(),
            )
            self.files[target.out] = (settings[target.out], file)
            found.append(file)
            if progress is not None and not again:
                progress(done * texts, len(job.targets) * texts, target.label)
        return tuple(found)

    def _settings(self, job: EmbedJob, adapter: str | None) -> str:
        parts = (job.model_sha256, adapter, job.dataset, job.split, job.id_column, job.tier)
        work = job.work.model_dump(exclude={"batch_size", "device"})
        return f"{parts} {work}"

    def _texts(self, job: EmbedJob) -> int:
        count, column = 0, job.dataset.input_key
        with Path(job.dataset.path).open("rb") as file:
            for row in stream_rows(file, job.dataset.path):
                if column not in row.row:
                    fact = f"column `{column}` is missing"
                    raise SpecError("the data cannot be embedded", problems=[Problem(fact, place=row.place)])
                count += job.split in (None, row.split)
        if not count:
            raise SpecError(f"`{job.dataset.path}` has no split `{job.split}`")
        return count

    def _kept(self, job: EmbedJob) -> int:
        match job.work.layers:
            case "last":
                return 1
            case "all":
                return self.layers + 1
            case chosen:
                if not all(-self.layers - 1 <= layer <= self.layers for layer in chosen):
                    raise PlanError(f"the model has no layer `{chosen}`")
                return len(chosen)
