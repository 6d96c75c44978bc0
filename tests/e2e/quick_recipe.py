"""A user's own recipe: no training, but every file a recipe owes, and a trace."""

import argparse
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml


def main() -> None:
    """Leave one line in `ran.txt` per start, then metrics, an adapter, and DONE."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    config = yaml.safe_load(parser.parse_args().config.read_text(encoding="utf-8"))
    folder, output = Path(config["run_dir"]), Path(config["output_dir"])
    with (folder / "ran.txt").open("a", encoding="utf-8") as trace:
        trace.write(f"{os.environ.get('SLURM_JOB_ID', 'by hand')}\n")
    time.sleep(0.2)
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "epoch": 0, "loss": 1.5}) + "\n", encoding="utf-8")
    adapter = output / "epoch_0" / "adapter_model.safetensors"
    adapter.parent.mkdir(parents=True, exist_ok=True)
    adapter.write_bytes(str(config["seed"]).encode())
    finished = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    digest = hashlib.sha256(adapter.read_bytes()).hexdigest()
    experiment = folder.parent.parent
    done = {"exit_code": 0, "artefacts": {adapter.relative_to(experiment).as_posix(): digest}, "finished": finished}
    aside = folder / "DONE.part"
    aside.write_text(json.dumps(done), encoding="utf-8")
    aside.rename(folder / "DONE")


if __name__ == "__main__":
    main()
