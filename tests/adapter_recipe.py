"""A user's own recipe: no training, but an adapter that a model takes, and every file a recipe owes.

Its experiment's project says by a file `mood` what a training does: `go` ends well, `fail` ends
with an error, and `wait` looks again until it says something else.
"""

import argparse
import hashlib
import json
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml


def main() -> None:
    """Do as the project's mood says; leave metrics, an adapter an epoch, and DONE."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    config = yaml.safe_load(parser.parse_args().config.read_text(encoding="utf-8"))
    folder, output = Path(config["run_dir"]), Path(config["output_dir"])
    experiment = folder.parent.parent
    mood = experiment.parent / "mood"
    while (said := mood.read_text(encoding="utf-8").strip()) == "wait":
        time.sleep(0.05)
    sys.stdout.write("step 1 of 2\n")
    if said != "go":
        raise OSError(said)
    ready = Path(config["base_model"]["path"]).parent / "adapter"
    epochs = range(config["epochs"])
    lines = [{"step": epoch + 1, "epoch": epoch, "loss": 2.0 - epoch, "lr": 1e-3} for epoch in epochs]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    artefacts = {}
    for epoch in epochs:
        shutil.copytree(ready, output / f"epoch_{epoch}", dirs_exist_ok=True)
        for path in sorted((output / f"epoch_{epoch}").glob("adapter_*")):
            artefacts[path.relative_to(experiment).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    finished = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    aside = folder / "DONE.part"
    aside.write_text(json.dumps({"exit_code": 0, "artefacts": artefacts, "finished": finished}), encoding="utf-8")
    aside.rename(folder / "DONE")


if __name__ == "__main__":
    main()
