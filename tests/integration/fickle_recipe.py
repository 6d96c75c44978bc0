"""A user's own recipe that fails once before it works: its job vanishes at rank 2, its memory is spent at rank 4."""

import argparse
import hashlib
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import yaml


def main() -> None:
    """Fail at the first start, then leave what a recipe owes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    config = yaml.safe_load(parser.parse_args().config.read_text(encoding="utf-8"))
    folder, output = Path(config["run_dir"]), Path(config["output_dir"])
    trace = folder / "ran.txt"
    with trace.open("a", encoding="utf-8") as file:
        file.write(f"{config['batch_size']} x {config['gradient_accumulation_steps']}\n")
    if len(trace.read_text(encoding="utf-8").splitlines()) == 1:
        if config["model"]["lora_rank"] == 2:
            os.killpg(0, signal.SIGKILL)
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB")
    adapter = output / "epoch_0" / "adapter_model.safetensors"
    adapter.parent.mkdir(parents=True, exist_ok=True)
    adapter.write_bytes(b"weights")
    digest = hashlib.sha256(adapter.read_bytes()).hexdigest()
    finished = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    artefacts = {adapter.relative_to(folder.parent.parent).as_posix(): digest}
    done = {"exit_code": 0, "artefacts": artefacts, "finished": finished}
    aside = folder / "DONE.part"
    aside.write_text(json.dumps(done), encoding="utf-8")
    aside.rename(folder / "DONE")


if __name__ == "__main__":
    main()
