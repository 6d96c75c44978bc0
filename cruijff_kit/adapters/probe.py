"""First steps of a run in a child process and a folder of its own, thrown away afterwards."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.errors import RunError
from cruijff_kit.planning.throughput import pace
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.estimate import Probe
from cruijff_kit.schema.run import Manifest, MetricPoint

__all__ = ["StepProber"]

_LONGEST = 3600.0
_WORDS = 8


class StepProber:
    """Runs the real recipe on the real model and rows, for a few steps."""

    def __init__(self, *, longest: float = _LONGEST) -> None:
        """Take the seconds after which a probe is given up."""
        self._longest = longest

    def probe(self, config: str, *, command: Sequence[str], steps: int) -> Probe:
        """Train a few steps as a `finetune.yaml` says, in a folder that is thrown away.

        Neither the run nor the experiment is written to: run directory and output lie in a
        temporary folder, and nothing is validated or saved on the way.

        Raises:
            RunError: the steps could not be taken; the recipe's last words are told.
        """
        run = TrainConfig.model_validate(load_yaml(config, name="finetune.yaml").value)
        with tempfile.TemporaryDirectory(prefix="ck-probe-") as folder:
            place = Path(folder) / "runs" / run.run_id
            place.mkdir(parents=True)
            short = run.model_copy(update={**_SHORT, **_places(place), "max_steps_per_epoch": steps})
            path = place / "finetune.yaml"
            path.write_text(dump_yaml(short.model_dump(mode="json")), encoding="utf-8")
            self._train(_aimed(command, path), run_id=run.run_id)
            return _measured(place, run_id=run.run_id)

    def _train(self, command: list[str], *, run_id: str) -> None:
        """Run the recipe to its end.

        Raises:
            RunError: it ended with anything but 0, or took too long.
        """
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                # A face may speak a protocol on this process's own output.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=self._longest,
                check=False,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled"},
            )
        except subprocess.TimeoutExpired as err:
            fact = f"the first steps took longer than {self._longest:g} s"
            raise RunError(fact, run_id=run_id, hint="take fewer steps, or probe on a node with a GPU") from err
        except OSError as err:
            raise RunError(f"the recipe could not be started: {err}", run_id=run_id) from err
        if ended.returncode:
            words = "\n".join(ended.stderr.splitlines()[-_WORDS:])
            hint = "`ck estimate RUN` says what would fit" if "memory" in words else "mend what it says, then try again"
            raise RunError(f"the first steps failed; the recipe said:\n{words}", run_id=run_id, hint=hint)


_SHORT: dict[str, Any] = {
    "epochs": 1,
    "log_every_n_steps": 1,
    "run_val_every_n_steps": 0,
    "split_val": None,
    "epochs_to_save": (),
    "keep_best": False,
    "checkpoint_every_n_steps": 0,
    "custom_metrics": None,
}
"""What a probe leaves out: everything beside optimiser steps."""


def _places(place: Path) -> dict[str, str]:
    return {"run_dir": str(place), "output_dir": str(place.parent.parent / "outputs" / f"ck-out-{place.name}")}


def _aimed(command: Sequence[str], config: Path) -> list[str]:
    """Return a job's command with another configuration."""
    words = [word for word in command if word != "--resume"]
    words[words.index("--config") + 1] = str(config)
    return words


def _measured(place: Path, *, run_id: str) -> Probe:
    try:
        lines = (place / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        points = [MetricPoint.model_validate_json(line) for line in lines]
        manifest = Manifest.model_validate_json((place / "manifest.json").read_bytes())
    except (OSError, ValidationError) as err:
        hint = "a recipe of yours has to write `metrics.jsonl` and `manifest.json`, as ours do"
        raise RunError("the first steps left nothing to measure", run_id=run_id, hint=hint) from err
    found = pace([point.tokens_per_second for point in points if point.tokens_per_second])
    peaks = [point.peak_memory_bytes for point in points if point.peak_memory_bytes]
    return Probe(
        run_id=run_id,
        steps=len(points),
        tokens_per_second=found.middle if found else None,
        low=found.slow if found else None,
        high=found.fast if found else None,
        peak_memory_bytes=max(peaks, default=None),
        device=manifest.device,
    )
