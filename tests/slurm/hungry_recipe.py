"""A user's own recipe that needs a hundred megabytes for every row of a pass, and leaves what a recipe owes."""

import argparse
import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import yaml

ROW = 100_000_000
LOOKS = 4.0
"""Seconds that the memory is held: without cgroups Slurm looks once a second."""


def main() -> None:
    """Hold the memory of one pass for a while, then leave an adapter and `DONE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    config = yaml.safe_load(parser.parse_args().config.read_text(encoding="utf-8"))
    folder, output = Path(config["run_dir"]), Path(config["output_dir"])
    held = b"x" * (ROW * config["batch_size"])
    threading.Event().wait(LOOKS)
    adapter = output / "epoch_0" / "adapter_model.safetensors"
    adapter.parent.mkdir(parents=True, exist_ok=True)
    adapter.write_bytes(held[:8])
    digest = hashlib.sha256(adapter.read_bytes()).hexdigest()
    finished = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    artefacts = {adapter.relative_to(folder.parent.parent).as_posix(): digest}
    aside = folder / "DONE.part"
    aside.write_text(json.dumps({"exit_code": 0, "artefacts": artefacts, "finished": finished}), encoding="utf-8")
    aside.rename(folder / "DONE")


if __name__ == "__main__":
    main()
