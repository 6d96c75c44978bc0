"""An experiment that can be archived: two finished runs, their outputs on scratch, all that a directory may hold."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cruijff_kit.adapters.library import DiskLibrary
from cruijff_kit.adapters.shelf import DiskShelf
from cruijff_kit.adapters.vault import DiskVault
from cruijff_kit.ports import World
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done
from cruijff_kit.schema.site import Site
from cruijff_kit.workflow.scaffold import scaffold_runs
from tests.fakes.designed import design, put_design, world_at

__all__ = ["FILES", "Project", "Standing"]

FILES = {
    "adapters": "epoch_0/adapter_model.safetensors",
    "merged": "epoch_0/merged/model.safetensors",
    "checkpoints": "recipe_state/step_3/tensors.safetensors",
    "unfinished": ".step_4.17.part/tensors.safetensors",
    "tracking": "logs/wandb/run.wandb",
}
"""A file of each kind that a training leaves."""
_GROWS = ("audit.jsonl", "-experiment.log")
Standing = dict[str, tuple[str, int, int]]
"""Path to what lies there, its bits and its time; folders have none."""


class Project(NamedTuple):
    """A project with one experiment, and scratch beside it."""

    base: Path
    """Where both lie."""

    @classmethod
    def made(cls, base: Path, *, scratch: bool = True, tier: str = "green") -> "Project":
        """Make the experiment: scaffolded, two seeds trained, files of every kind, a link and an empty folder."""
        project = cls(base)
        sizes = {"bit_length": 6, "N": 40, "val_size": 8, "test_size": 8}
        data = {"training": {"generator": "bit_sequences", "arguments": sizes}}
        output = {"output_dir_base": str(project.scratch)} if scratch else {}
        spec = design(
            factors={},
            runs=[{"name": "tuned"}],
            controls={"seeds": [1, 2], "epochs": 1},
            data={**data, "tier": tier},
            output=output,
            tools={"evaluation": "none"},
            evaluation={},
        )
        put_design(project.root, spec)
        world = project.world()
        for run in scaffold_runs(world=world).runs:
            project.train(run, scratch=scratch)
        (project.root / "notes").mkdir(mode=0o700)
        (project.root / "mine.sh").write_text("echo mine\n")
        (project.root / "mine.sh").chmod(0o755)
        (project.root / "latest").symlink_to("runs")
        return project

    @property
    def root(self) -> Path:
        """Return the experiment."""
        return self.base / "project" / "parity"

    @property
    def scratch(self) -> Path:
        """Return where its outputs lie."""
        return self.base / "scratch"

    @property
    def archive(self) -> Path:
        """Return where it is archived by itself."""
        return self.base / "project" / "archive" / "parity"

    def outputs(self, run: str, *, scratch: bool = True) -> Path:
        """Return the output directory of a run."""
        return (self.scratch / "parity" if scratch else self.root / "outputs") / RunLayout(run).output

    def world(self, **changes: object) -> World:
        """Return the world of the experiment."""
        world = world_at(self.root, site=Site(output_dir_base=str(self.scratch)))
        world = world._replace(shelf=DiskShelf(), vault=DiskVault(world.clock), library=DiskLibrary())
        return world._replace(**changes)

    def train(self, run: str, *, scratch: bool) -> None:
        """Leave what a training leaves, and its `DONE`."""
        output = self.outputs(run, scratch=scratch)
        vouched = {}
        for kind, path in FILES.items():
            (output / path).parent.mkdir(parents=True, exist_ok=True)
            (output / path).write_bytes(f"{run} {kind} ".encode() * 300)
            if kind in {"adapters", "merged"}:
                vouched[str(output / path)] = self.digest(output / path)
        done = Done(exit_code=0, artefacts=vouched, finished=datetime(2026, 11, 27, tzinfo=UTC))
        self.world().store.write(RunLayout(run).done("train"), done.model_dump_json())

    def standing(self) -> Standing:
        """Return all that lies in the experiment and on scratch, what grows at every step aside."""
        found: Standing = {}
        for top in (self.root, self.scratch):
            for path in sorted(top.rglob("*")):
                if not path.name.endswith(_GROWS):
                    found[str(path.relative_to(self.base))] = self.seen(path)
        return found

    @classmethod
    def seen(cls, path: Path) -> tuple[str, int, int]:
        """Return what lies at a path."""
        facts = path.lstat()
        if path.is_symlink():
            return f"-> {path.readlink()}", 0, 0
        return ("", facts.st_mode, 0) if path.is_dir() else (cls.digest(path), facts.st_mode, facts.st_mtime_ns)

    @staticmethod
    def digest(path: Path) -> str:
        """Return the hash of a file."""
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def keep(self, place: Path) -> None:
        """Keep a copy of everything elsewhere."""
        shutil.copytree(self.base, place, symlinks=True)

    def restore(self, place: Path) -> None:
        """Have everything as it was kept, and nothing else."""
        shutil.rmtree(self.base)
        shutil.copytree(place, self.base, symlinks=True)
