"""How fast and in how much memory texts are embedded, beside a loop that keeps everything.

100,000 short texts on the small base model, on one thread of a CPU: `ck embed`'s verb, which streams
to HDF5, and a plain loop over transformers as sentence encoders have it: all texts sorted by length,
the same batches, vectors gathered in a list and saved at the end. Each runs in a process of its own;
the vectors of both are compared. Then both keep every token of every layer, as many texts as asked.

    python benchmarks/embeddings.py [--texts 100000] [--all-layers-texts 20000] [--batch-size 32]
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cruijff_kit.bootstrap import open_world  # the path is set above
from cruijff_kit.schema.embedding import EmbedOrder, EmbedWork  # the path is set above

LIMIT = 2048
"""MiB that the streamed job may take."""
AGREED = 1e-4
"""Largest difference of a coordinate."""


def write_texts(path: Path, count: int) -> None:
    """Write made-up texts of 3 to 16 words, a row a line."""
    words = (Path(__file__).resolve().parents[1] / "cruijff_kit/data/words/english.txt").read_text("utf-8").split()
    dice = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(json.dumps({"input": " ".join(dice.choices(words, k=dice.randint(3, 16)))}) + "\n")


def world_of(folder: Path) -> Any:
    """Return a world without an experiment."""
    return open_world(folder, root=folder, kind="human", name="benchmark", client=None)


def ours(options: argparse.Namespace) -> None:
    """Embed by the verb."""
    from cruijff_kit.workflow import embed_texts

    work = EmbedWork(pool=options.pool, layers=options.layers, batch_size=options.batch_size, device="cpu")
    order = EmbedOrder(data=options.data, out=options.out, model=options.model, work=work)
    embed_texts(order, world=world_of(Path(options.data).parent))


def plain(options: argparse.Namespace) -> None:
    """Embed by a loop that keeps everything in memory."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "right"
    model = AutoModel.from_pretrained(options.model).eval()
    texts = [json.loads(line)["input"] for line in Path(options.data).read_text("utf-8").splitlines()]
    order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), options.batch_size):
        chosen = order[start : start + options.batch_size]
        batch = tokenizer([texts[at] for at in chosen], return_tensors="pt", padding=True)
        with torch.inference_mode():
            output = model(**batch, output_hidden_states=options.layers == "all")
        if options.layers == "all":
            states = torch.stack(output.hidden_states, dim=1)
            found.update(
                (at, own[:, mask.bool()]) for at, own, mask in zip(chosen, states, batch.attention_mask, strict=True)
            )
        else:
            mask = batch.attention_mask[..., None]
            found.update(zip(chosen, (output.last_hidden_state * mask).sum(1) / mask.sum(1), strict=True))
    kept = [found[at] for at in range(len(texts))]
    torch.save(torch.cat(kept, dim=1) if options.layers == "all" else torch.stack(kept), options.out)


def gap(ours_file: Path, plain_file: Path) -> float:
    """Return the largest difference of a coordinate between the two."""
    import torch

    from cruijff_kit.runtime.tensor_files import load_tensor_with_ids

    return float((load_tensor_with_ids(ours_file).tensor[:, 0] - torch.load(plain_file)).abs().max())


def measured(who: str, options: argparse.Namespace, **changes: Any) -> tuple[float, float]:
    """Return seconds and peak resident MiB of one way, in a process of its own."""
    given = {**vars(options), **changes, "child": who}
    flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    start = time.perf_counter()
    told = subprocess.run([sys.executable, __file__, *flags], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return time.perf_counter() - start, float(told.stdout.split()[-1])


def main() -> int:
    """Measure, print a table, and fail where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--all-layers-texts", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=32)
    for name in ("model", "data", "out", "pool", "layers", "child"):
        parser.add_argument(f"--{name}", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        {"ours": ours, "plain": plain}[options.child](options)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    with tempfile.TemporaryDirectory() as name:
        return _compared(Path(name), options)


def _compared(folder: Path, options: argparse.Namespace) -> int:
    options.model = world_of(folder).hub.make_tiny().path
    print("| what | texts | texts/s, start included | peak resident MiB |\n| --- | ---: | ---: | ---: |")
    peak, difference = 0.0, 0.0
    for pool, layers, count in (
        ("mean_non_padding", "last", options.texts),
        ("none", "all", options.all_layers_texts),
    ):
        data = folder / f"{layers}.jsonl"
        write_texts(data, count)
        files = {"ours": folder / f"{layers}.h5", "plain": folder / f"{layers}.pt"}
        for who, out in files.items():
            seconds, resident = measured(who, options, data=data, out=out, pool=pool, layers=layers)
            what = "`ck embed`" if who == "ours" else "plain loop"
            print(
                f"| {what}, pool {pool}, layers {layers} | {count:,} | {count / seconds:,.0f} | {resident:,.0f} |",
                flush=True,
            )
            peak = max(peak, resident) if who == "ours" else peak
        if layers == "last":
            difference = gap(files["ours"], files["plain"])
            assert difference <= AGREED, f"the two disagree by {difference}"
    met = peak <= LIMIT
    print(
        f"\nThe pooled vectors agree to {difference:.0e}. At most {LIMIT} MiB resident: {'met' if met else 'MISSED'}."
    )
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
