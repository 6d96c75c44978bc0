"""The evaluation job of one run: one process, one base model, every cell.

    python -m cruijff_kit.runtime.evaluate runs/RUN/eval/CELL/eval.yaml ...

Each cell leaves its `.eval` log, `manifest.json` and `DONE`; the job leaves
`eval/status.json`, and `eval/DONE` last. A cell that stands alone is its own job, and
all of it lies in its folder. A finished cell is not run again while its configuration,
model, data and adapter are the same; an unfinished one starts afresh.
"""

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.runtime.eval_config import Place, checkpoint_sha256, load_eval_config, place_of
from cruijff_kit.runtime.files import discard, file_sha256, write_aside
from cruijff_kit.runtime.garbage import seldom_collected, uncollected
from cruijff_kit.runtime.job_files import (
    StatusFile,
    artefact_hashes,
    exit_code_of,
    finished,
    job_ids,
    left_in,
    now,
    raise_if_stopped,
    stop_on_signals,
)
from cruijff_kit.runtime.provenance import environment_lock, git_state, package_versions
from cruijff_kit.runtime.run_lock import hold_run
from cruijff_kit.runtime.train_config import check_inputs
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.noun import Timestamp
from cruijff_kit.schema.run import Done, Manifest, PromptParity

if TYPE_CHECKING:
    from cruijff_kit.runtime.inspect_cell import FinishedLog

__all__ = ["CellJob", "evaluate", "main"]


class CellJob(NamedTuple):
    """One cell to evaluate."""

    path: Path
    """Its `eval.yaml`."""
    config: EvalConfig
    """What that says."""

    @property
    def folder(self) -> Path:
        """Return the cell's directory."""
        return Path(self.config.cell_dir)


def evaluate(paths: Sequence[Path]) -> None:
    """Evaluate every cell that is not finished, then write the job's last marker.

    Raises:
        SpecError: a configuration is broken, or the cells are not of one run and model.
        RunError: model, data or adapter is not what was planned.
        ResultError: a log is not the success of every planned sample.
    """
    cells = [CellJob(path.resolve(), load_eval_config(path)) for path in paths]
    place = _one_place(cells)
    with (
        hold_run(place.lock, run_id=cells[0].config.run_id, job_id="".join(job_ids()), trees=(place.folder,)) as token,
        StatusFile(place.status, token=token) as status,
    ):
        stop_on_signals()
        for config in {(cell.config.base_model, cell.config.dataset): cell.config for cell in cells}.values():
            check_inputs(config)
        inputs = [_inputs(cell, place) for cell in cells]
        marks = [_earlier(cell, inputs[at], place=place) for at, cell in enumerate(cells)]
        pending = [at for at, mark in enumerate(marks) if mark is None]
        if place.cell is None and pending:
            # Where all is done already, a job that was started once more and is killed must leave the marker.
            discard(place.done)
        progress = _Progress(status, cells, pending=pending)
        with _own_surroundings(place.folder, token=token), seldom_collected():
            for at in pending:
                marks[at] = _evaluate_cell(cells[at], inputs[at], place=place, progress=progress)
        if place.cell is None:
            _finish([mark for mark in marks if mark is not None], place, token=token)
        status.enter("done", "" if pending else "every cell was finished already")


class _Progress:
    """Samples answered so far, written to the job's status."""

    def __init__(self, status: StatusFile, cells: Sequence[CellJob], *, pending: Sequence[int]) -> None:
        sizes = [cell.config.expected_samples for cell in cells]
        self.total = sum(sizes)
        self.done = self.total - sum(sizes[at] for at in pending)
        self.status = status

    def answered(self, count: int) -> None:
        self.done += count
        self.status.advance(min(self.done, self.total), self.total)


def _one_place(cells: Sequence[CellJob]) -> Place:
    """Return where the one run of these cells lies."""
    found = {(place_of(cell.config), cell.config.base_model) for cell in cells}
    if len(found) > 1:
        raise SpecError("the cells are not of one run and one base model", hint="start one job a run")
    return found.pop()[0]


def _inputs(cell: CellJob, place: Place) -> dict[str, str]:
    """Return the hash of everything that shapes a cell's result."""
    return {
        "model": cell.config.base_model.sha256,
        "data": cell.config.dataset.sha256,
        "checkpoint": checkpoint_sha256(cell.config, place),
        "config": file_sha256(cell.path),
    }


def _earlier(cell: CellJob, inputs: dict[str, str], *, place: Place) -> Done | None:
    """Return the marker of a cell that is finished with these inputs."""
    manifest = left_in(cell.folder / "manifest.json", Manifest)
    same = manifest is not None and manifest.inputs == inputs
    return finished(cell.folder / "DONE", experiment=place.experiment) if same else None


def _evaluate_cell(cell: CellJob, inputs: dict[str, str], *, place: Place, progress: _Progress) -> Done:
    started = now()
    discard(cell.folder / "DONE")
    for log in (cell.folder / "logs").glob("*.eval"):
        discard(log)
    progress.status.enter("running", f"evaluating {cell.folder.name}")

    facts = {f"{name}_sha256": sha256 for name, sha256 in inputs.items()}
    parity = _parity(cell.config)
    if parity is not None:
        facts |= {"prompt_parity": parity.verdict, "prompt_parity_reason": parity.reason}
    try:
        log = _runner()(cell.config, cell.path, place=place, facts=facts, answered=progress.answered)
    except ResultError:
        # inspect-ai takes a signal for an error of the evaluation.
        raise_if_stopped()
        raise
    manifest = cell.folder / "manifest.json"
    write_aside(manifest, _manifest(cell, inputs, started=started, parity=parity).model_dump_json(indent=2) + "\n")
    hashes = artefact_hashes([log.path, manifest], experiment=place.experiment)
    done = Done(exit_code=0, artefacts=hashes, samples=log.samples, finished=now())
    write_aside(cell.folder / "DONE", done.model_dump_json(indent=2) + "\n")
    return done


def _runner() -> "Callable[..., FinishedLog]":
    """Import what runs a cell: half of this process's time, so only a job with something to do pays for it."""
    with uncollected():
        from cruijff_kit.runtime.inspect_cell import run_cell
    return run_cell


def _parity(config: EvalConfig) -> PromptParity | None:
    """Return what is known of a server's prompts; None where the model is loaded here."""
    if config.base_model.api is None:
        return None
    from cruijff_kit.runtime.prompt_parity import prompt_parity

    return prompt_parity(config)


def _manifest(cell: CellJob, inputs: dict[str, str], *, started: Timestamp, parity: PromptParity | None) -> Manifest:
    import torch

    commit, patch = git_state()
    return Manifest(
        run_id=cell.config.run_id,
        git_sha=commit,
        git_patch_sha256=patch,
        packages=package_versions(),
        environment=environment_lock(),
        inputs=inputs,
        seeds={"samples": cell.config.seed},
        host=socket.gethostname(),
        device="behind an API" if parity is not None else _device(cell.config),
        threads=torch.get_num_threads(),
        job_ids=job_ids(),
        started=started,
        ended=now(),
        prompt_parity=parity,
    )


def _device(config: EvalConfig) -> str:
    """Return where the model of a cell computed, as recorded."""
    if config.backend == "mlx":
        from cruijff_kit.runtime.mlx_model import describe_mlx

        return describe_mlx()
    from cruijff_kit.runtime.devices import choose_device, describe_device

    return describe_device(choose_device(config.device))


def _finish(marks: Sequence[Done], place: Place, *, token: int) -> None:
    """Write the job's marker: it vouches for every file that the cells' own markers name."""
    hashes = {name: sha256 for mark in marks for name, sha256 in mark.artefacts.items()}
    samples = sum(mark.samples or 0 for mark in marks)
    done = Done(exit_code=0, artefacts=hashes, samples=samples, token=token, finished=now())
    write_aside(place.done, done.model_dump_json(indent=2) + "\n")


@contextmanager
def _own_surroundings(folder: Path, *, token: int) -> Iterator[None]:
    """Keep inspect's traces and caches inside the run, and remove them when the job ends."""
    for earlier in folder.glob(".scratch_*"):
        discard(earlier)
    scratch = folder / f".scratch_{token}"
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        os.environ[name] = str(scratch)
    # Only the command line reads most of these; a user's shell must not change a result.
    for name in [name for name in os.environ if name.startswith("INSPECT_")]:
        del os.environ[name]
    try:
        yield
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate the cells named on the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cruijff_kit.runtime.evaluate", description="Evaluate one run: all its cells in one process."
    )
    parser.add_argument("configs", nargs="+", type=Path, metavar="eval.yaml", help="cells of one run")
    configs = parser.parse_args(argv).configs
    return exit_code_of(lambda: evaluate(configs))


if __name__ == "__main__":
    sys.exit(main())
