"""Mirror nouns: what went to a login host and what came from there."""

from typing import Literal

from cruijff_kit.schema.noun import Noun

__all__ = ["WITHOUT_TEXTS", "Fetched", "MirrorMark", "MirrorReceipt"]

WITHOUT_TEXTS = (
    *("/experiment_summary.md", "/design.lock.json", "/plan.json", "/wanted.json", "/compute.json"),
    *("/summary.md", "/results.parquet", "/report/**", "/logs/audit.jsonl"),
    *("/runs/*/run.yaml", "/runs/*/setup_finetune.yaml", "/runs/*/finetune.yaml", "/runs/*/finetune.slurm"),
    *("/runs/*/metrics.jsonl", "/runs/*/DONE", "/runs/*/manifest.json"),
    *("/runs/*/eval/DONE", "/runs/*/eval/inspect.slurm"),
    *("/runs/*/eval/*/eval.yaml", "/runs/*/eval/*/manifest.json", "/runs/*/eval/*/DONE"),
)
"""Files of an experiment that hold no text of its data: design, plan, configurations, figures and the record."""


class MirrorMark(Noun):
    """`.mirror.json`: whose copy a folder is; only copying writes into it."""

    schema_version: Literal[1] = 1
    """Version of this form."""
    site: str | None
    """The one of several sites; None where there is only one."""
    host: str
    """Login host, as `ssh` knows it."""
    dir: str
    """Directory of the experiment there."""

    @property
    def words(self) -> str:
        """Return where that is, as messages say it."""
        return f"{self.host}:{self.dir}"


class Fetched(Noun):
    """What one copy brought."""

    files: tuple[str, ...]
    """Files that are new or other than before, relative to the experiment."""
    left: tuple[str, ...] = ()
    """Files that were too large to come by themselves."""


class MirrorReceipt(Noun):
    """What became of a copy in both directions."""

    home: str
    """Where the experiment lies."""
    sent: tuple[str, ...]
    """Inputs that went there, new or other than before."""
    fetched: tuple[str, ...]
    """Files that came from there."""
    left: tuple[str, ...]
    """Files that stayed there for their size."""
    verified: int
    """Files here of which a finished job says the hash, and have it."""
    lines: int
    """Lines of the audit log, whose chain holds."""
    withheld: str = ""
    """Why texts stayed there; empty where they may come."""
