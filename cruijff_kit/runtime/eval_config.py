"""Reading `eval.yaml`, and proving that its inputs are what it says."""

from pathlib import Path
from typing import NamedTuple

from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.runtime.adapter_files import ADAPTER_WEIGHTS
from cruijff_kit.runtime.files import file_sha256
from cruijff_kit.runtime.job_files import left_in
from cruijff_kit.runtime.train_config import load_config
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.layout import RunLayout
from cruijff_kit.schema.run import Done

__all__ = ["Place", "checkpoint_sha256", "load_eval_config", "place_of"]


class Place(NamedTuple):
    """Where a run lies; everything its evaluation job writes is below it."""

    experiment: Path
    """Absolute experiment directory, or the one that a lone cell was set up in."""
    layout: RunLayout
    """Paths of the run, relative to it."""
    cell: Path | None = None
    """Folder of a cell that stands alone; None in an experiment, where cells of one run share a job."""

    def at(self, path: str) -> Path:
        """Return a path of the layout as an absolute one."""
        return self.experiment / path

    @property
    def folder(self) -> Path:
        """Return the folder of the job."""
        return self.cell or self.at(self.layout.eval_folder)

    @property
    def status(self) -> Path:
        """Return the state file that the job writes."""
        return self.folder / "status.json"

    @property
    def lock(self) -> Path:
        """Return the folder of the lock that the job holds while it works; a lone cell's in its own folder."""
        return self.cell / "lock" if self.cell is not None else self.at(self.layout.lock("eval"))

    @property
    def done(self) -> Path:
        """Return the marker that the job leaves last; a lone cell's own."""
        return self.folder / "DONE"


def load_eval_config(path: Path) -> EvalConfig:
    """Read the configuration of one evaluation cell.

    Raises:
        SpecError: the file is missing, is no YAML, or breaks the form; all problems at once.
    """
    return load_config(path, EvalConfig)


def place_of(config: EvalConfig) -> Place:
    """Return where the run of a cell lies.

    Raises:
        SpecError: the cell's directory is not that of an evaluation of its run.
    """
    cell = Path(config.cell_dir)
    layout = RunLayout(config.run_id)
    if config.alone:
        if not cell.is_absolute() or cell.parent.name != "eval":
            hint = "run `ck setup-inspect` again"
            raise SpecError(f"`cell_dir` is `{cell}`, which is no absolute `eval/<cell>`", hint=hint)
        return Place(cell.parents[1], layout, cell)
    expected = Path(layout.cell(cell.name))
    if not cell.is_absolute() or cell.parts[-len(expected.parts) :] != expected.parts:
        raise SpecError(f"`cell_dir` is `{cell}`, which does not end in `{expected}`", hint="run `ck scaffold` again")
    return Place(cell.parents[len(expected.parts) - 1], layout)


def checkpoint_sha256(config: EvalConfig, place: Place) -> str:
    """Return the hash of what is evaluated, proven by what the training job left.

    Raises:
        ResultError: another version wrote what tells that it has finished.
        RunError: training has not finished, or the adapter is not the one it wrote.
    """
    if config.adapter is None:
        return config.base_model.sha256
    if config.adapter_sha256 is not None:
        return _as_set_up(config, config.adapter_sha256)
    marker = place.at(place.layout.done("train"))
    done = left_in(marker, Done)
    if done is None or done.exit_code != 0:
        raise _refused(config, f"its training left no valid `{marker}`")
    files = {place.experiment / name: sha256 for name, sha256 in done.artefacts.items()}
    weights = Path(config.adapter) / ADAPTER_WEIGHTS
    if weights not in files:
        raise _refused(config, f"its training did not write `{weights}`")
    for path, sha256 in files.items():
        if path.parent == weights.parent and (not path.is_file() or file_sha256(path) != sha256):
            raise _refused(config, f"`{path}` is not the file that its training wrote")
    return files[weights]


def _as_set_up(config: EvalConfig, sha256: str) -> str:
    """Return the hash of an adapter's weights, proven to be that of the set-up."""
    weights = Path(str(config.adapter)) / ADAPTER_WEIGHTS
    if not weights.is_file() or file_sha256(weights) != sha256:
        fact = f"`{weights}` is not the file that was set up"
        raise RunError(fact, run_id=config.run_id, hint="bring it back, or run `ck setup-inspect` again")
    return sha256


def _refused(config: EvalConfig, fact: str) -> RunError:
    hint = f"see `ck status`, then train again with `ck retry {config.run_id}`"
    return RunError(f"run `{config.run_id}` cannot be evaluated: {fact}", run_id=config.run_id, hint=hint)
