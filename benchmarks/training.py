"""How fast a LoRA training is and how much memory it takes, beside torchtune's stock recipe and TRL's trainer.

All train the same random model on the same token ids with the same labels, effective batch, adapted layers, optimiser,
schedule and clipping, without any copy of the code of one in another. Every figure comes from a process of its own;
the systems of one round run in turn, so that whatever else the machine does meets all alike. Tokens are those of the
rows, prompts included and padding excluded; time runs from the end of the first epoch to the end of the last. Peak
memory is what the process has resident, imports included; live bytes are those of the tensors alone, the model's own
among them, from an epoch that is not timed.

    python benchmarks/training.py [--model tiny|middle|1b] [--rounds 3] [--device cuda]
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

IGNORE = -100
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
RANK = 8
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bf16 peaks of GPUs, by a part of their name."""


class Size(NamedTuple):
    """A model and how much of it is trained."""

    form: dict[str, int]
    """What `LlamaConfig` takes."""
    batch: int
    """Rows of an optimiser step."""
    steps: int
    """Steps of an epoch."""


def form(width: int, layers: int, *, heads: int, inner: int, vocabulary: int) -> dict[str, int]:
    """Return the dimensions of a Llama with half as many heads for keys as for queries."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "intermediate_size": inner,
        "vocab_size": vocabulary,
        "head_dim": width // heads,
    }


SIZES = {
    "tiny": Size(form(128, 2, heads=4, inner=256, vocabulary=262), batch=16, steps=6),
    "middle": Size(form(512, 8, heads=8, inner=1536, vocabulary=8192), batch=8, steps=3),
    "1b": Size(form(2048, 16, heads=32, inner=8192, vocabulary=128256), batch=16, steps=12),
}

SYSTEMS = ("ours, torchtune", "ours, peft", "torchtune stock", "TRL SFTTrainer")
RECIPES = {"ours, torchtune": "lora_single_device", "ours, peft": "peft_lora"}


class Job(NamedTuple):
    """One training of one system in one process."""

    system: str
    """Which one."""
    folder: str
    """Where model and rows lie."""
    shape: str
    """`short` or `ragged`."""
    size: str
    """Name of the model's size."""
    epochs: int
    """Epochs; the first is not timed."""
    device: str
    """`cpu` or `cuda`."""
    live: bool
    """Whether live bytes are counted, which takes time."""

    @property
    def batch(self) -> int:
        """Return the rows of a step."""
        return SIZES[self.size].batch

    @property
    def dtype(self) -> str:
        """Return the arithmetic."""
        return "bf16" if self.device == "cuda" else "fp32"

    def rows(self) -> list[dict[str, list[int]]]:
        """Return ids and labels of every row."""
        return json.loads(Path(self.folder, f"{self.shape}.json").read_text(encoding="utf-8"))


# --- what is trained on what ---


def prepare(folder: Path, size: Size, *, dtype: torch.dtype) -> None:
    """Save a random model and both data sets."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config: dict[str, Any] = {**size.form, "tie_word_embeddings": True, "max_position_embeddings": 8192}
    LlamaForCausalLM(LlamaConfig(**config)).to(dtype).save_pretrained(folder / "model")
    draw = random.Random(0)
    count = size.batch * size.steps
    lengths = {
        "short": [draw.randint(40, 48) for _ in range(count)],
        "ragged": [min(512, max(16, round(draw.lognormvariate(math.log(90), 0.8)))) for _ in range(count)],
    }
    for name, each in lengths.items():
        rows = [row(length, draw, vocabulary=size.form["vocab_size"]) for length in each]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def row(length: int, draw: random.Random, *, vocabulary: int) -> dict[str, list[int]]:
    """Return random ids of which the last third is taught."""
    ids = [draw.randrange(vocabulary) for _ in range(length)]
    prompt = 2 * length // 3
    return {"input_ids": ids, "labels": [IGNORE] * prompt + ids[prompt:]}


# --- each system, trained in a process of its own: a function from a job to the moments at which its epochs ended ---


def train_ours(job: Job) -> Iterator[float]:
    """Train with this package: the loop, and the files a job writes as it goes."""
    from importlib import import_module

    from cruijff_kit.data.tokens import Encoded
    from cruijff_kit.runtime.job_files import MetricsFile, StatusFile
    from cruijff_kit.runtime.loop import Loop
    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.runtime.seeding import seed_everything
    from cruijff_kit.runtime.training_rows import Rows

    config, ranks, folder = our_config(job), Ranks(), Path(job.folder)
    seed_everything(config.seed)
    model = import_module(f"cruijff_kit.recipes.{RECIPES[job.system]}").build(config, ranks)
    taught = [(each["input_ids"], each["labels"]) for each in job.rows()]
    rows = Rows([Encoded(tuple(ids), tuple(labels), labels.count(IGNORE)) for ids, labels in taught], [])
    loop = Loop(config, model, rows=rows, ranks=ranks)
    with MetricsFile(folder / "metrics.jsonl") as metrics, StatusFile(folder / "status.json") as status:
        for point in loop.take():
            metrics.write(point)
            status.advance(point.step, loop.total, epoch=point.epoch)
            if point.step % loop.per_epoch == 0:
                yield time.perf_counter()


def our_config(job: Job) -> Any:
    """Return the configuration of a training of ours; ragged rows are packed."""
    from cruijff_kit.schema.config import TrainConfig

    nowhere, sha = str(Path(job.folder) / "nowhere"), "0" * 64
    return TrainConfig.model_validate(
        {
            "run_id": "bench-00000000",
            "run_dir": nowhere,
            "output_dir": nowhere,
            "base_model": {"name": "random", "path": str(Path(job.folder) / "model"), "sha256": sha},
            "dataset": {
                "path": nowhere, "sha256": sha, "dataset_type": "text_completion", "prompt": "{input}",
                "system_prompt": "", "template_date": "26 Jul 2024", "max_seq_len": 512,
            },
            "model": {"lora_rank": RANK, "lora_alpha": 2 * RANK, "lora_dropout": 0.0},
            "optimizer": {"lr": 1e-4, "weight_decay": 0.01},
            "lr_scheduler": {"name": "cosine", "num_warmup_steps": 0},
            "epochs": job.epochs,
            "max_steps_per_epoch": None,
            "batch_size": job.batch,
            "batch_size_val": job.batch,
            "gradient_accumulation_steps": 1,
            "clip_grad_norm": 1.0,
            "dtype": job.dtype,
            "device": job.device,
            "seed": 1,
            "log_every_n_steps": 1,
            "run_val_every_n_steps": 0,
            "epochs_to_save": [],
            "packed": job.shape == "ragged",
        }
    )


def train_torchtune(job: Job) -> Iterator[float]:
    """Train with torchtune's `lora_finetune_single_device` as it is installed; nothing is saved."""
    from omegaconf import OmegaConf

    from cruijff_kit.runtime.llama import llama_arguments

    package = find_spec("torchtune")
    assert package is not None
    assert package.origin is not None
    # The package `recipes` beside it refuses to be imported; the file in it is a whole program.
    path = Path(package.origin).parents[1] / "recipes" / "lora_finetune_single_device.py"
    found = spec_from_file_location("stock", path)
    assert found is not None
    assert found.loader is not None
    stock = module_from_spec(found)
    found.loader.exec_module(stock)
    folder = Path(job.folder)
    model = llama_arguments(folder / "model", max_seq_len=512)
    settings = OmegaConf.create(
        {
            "output_dir": str(folder / "stock"),
            "model": {
                "_component_": "torchtune.models.llama3_2.lora_llama3_2",
                "lora_attn_modules": ["q_proj", "k_proj", "v_proj", "output_proj"],
                "apply_lora_to_mlp": True,
                "lora_rank": RANK, "lora_alpha": 2 * RANK, "lora_dropout": 0.0,
                **model,
            },
            "tokenizer": {"_component_": "__main__.TunePadding"},
            "checkpointer": {
                "_component_": "torchtune.training.FullModelHFCheckpointer",
                "checkpoint_dir": str(folder / "model"),
                "checkpoint_files": ["model.safetensors"],
                "output_dir": str(folder / "stock"),
                "model_type": "LLAMA3_2",
            },
            "resume_from_checkpoint": False,
            "dataset": {"_component_": "__main__.TuneRows", "path": str(folder / f"{job.shape}.json")},
            "seed": 1, "shuffle": True, "batch_size": job.batch,
            "optimizer": {"_component_": "torch.optim.AdamW", "fused": True, "weight_decay": 0.01, "lr": 1e-4},
            "lr_scheduler": {
                "_component_": "torchtune.training.lr_schedulers.get_cosine_schedule_with_warmup",
                "num_warmup_steps": 0,
            },
            "loss": {"_component_": "torchtune.modules.loss.CEWithChunkedOutputLoss"},
            "epochs": job.epochs, "max_steps_per_epoch": None, "gradient_accumulation_steps": 1,
            "clip_grad_norm": 1.0, "compile": False, "log_every_n_steps": SIZES[job.size].steps,
            "metric_logger": {"_component_": "__main__.TuneStamps"},
            "device": job.device, "dtype": job.dtype, "enable_activation_checkpointing": False,
        }
    )
    recipe = stock.LoRAFinetuneRecipeSingleDevice(cfg=settings)
    recipe.setup(cfg=settings)
    recipe.save_checkpoint = lambda epoch: None
    recipe.train()
    yield from TuneStamps.moments


class TunePadding:
    """The one thing the stock recipe asks of a tokenizer once rows are tokens."""

    pad_id = 0
    """Id that fills short rows up."""


class TuneRows(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Rows as the stock recipe's collation takes them."""

    def __init__(self, tokenizer: TunePadding, path: str) -> None:
        """Read them."""
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        self._rows = [{"tokens": each["input_ids"], "labels": each["labels"]} for each in rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> dict[str, list[int]]:
        # The collation pads in place.
        return {name: list(values) for name, values in self._rows[at].items()}


class TuneStamps:
    """A logger that notes when it was called: at the last step of each epoch."""

    moments: list[float] = []  # noqa: RUF012 - read once the recipe, which makes the logger itself, has ended
    """When."""

    def log_config(self, config: Any) -> None:
        """Keep nothing."""

    def log_dict(self, payload: Any, step: int) -> None:
        """Note the moment."""
        TuneStamps.moments.append(time.perf_counter())

    def close(self) -> None:
        """Close nothing."""


def train_trl(job: Job) -> Iterator[float]:
    """Train with TRL's `SFTTrainer` and peft, padded, its rows tokenised beforehand."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    moments: list[float] = []

    class Stamps(TrainerCallback):
        """Notes the end of each epoch."""

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            moments.append(time.perf_counter())

    folder = Path(job.folder)
    dtype = torch.bfloat16 if job.dtype == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa")
    settings = SFTConfig(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=job.batch,
        num_train_epochs=job.epochs,
        learning_rate=1e-4,
        weight_decay=0.01,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        logging_steps=SIZES[job.size].steps,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        gradient_checkpointing=False,
        use_cpu=job.device == "cpu",
        bf16=job.dtype == "bf16",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        seed=1,
    )
    adapter = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=list(LINEAR), task_type="CAUSAL_LM"
    )
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(job.rows()),
        processing_class=padding_tokenizer(),
        peft_config=adapter,
        callbacks=[Stamps()],
    )
    trainer.train()
    yield from moments


def padding_tokenizer() -> Any:
    """Return a tokenizer that TRL takes the padding from and nothing else."""
    from cruijff_kit.recipes.tiny_llama import build_tokenizer

    return build_tokenizer()


TRAIN: dict[str, Callable[[Job], Iterator[float]]] = {
    "ours, torchtune": train_ours,
    "ours, peft": train_ours,
    "torchtune stock": train_torchtune,
    "TRL SFTTrainer": train_trl,
}


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of every storage made while it is on, from making to freeing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(each, torch.Tensor):
                self._note(each.untyped_storage())
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def child(job: Job) -> None:
    """Train as a job says and print its figures."""
    from cruijff_kit.runtime.memory_use import peak_memory

    tokens = sum(len(each["input_ids"]) for each in job.rows())
    if job.live:
        with LiveBytes() as live:
            list(TRAIN[job.system](job))
        print("\n" + json.dumps({"live": live.peak}))
        return
    moments = list(TRAIN[job.system](job))
    speed = tokens * (len(moments) - 1) / (moments[-1] - moments[0])
    print("\n" + json.dumps({"speed": speed, "peak": peak_memory(torch.device(job.device))}))


# --- rounds and the table ---


def measure(job: Job) -> dict[str, float]:
    """Run a job in a fresh process and return what it printed last."""
    command = [sys.executable, __file__, "--child", json.dumps(job)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_MODE": "disabled"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"`{job.system}` failed\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, options: argparse.Namespace, *, shape: str) -> dict[str, dict[str, list[float]]]:
    """Measure every system in turn, once for live bytes and then for some rounds."""
    systems = [name for name in SYSTEMS if name not in RECIPES or find_spec(f"cruijff_kit.recipes.{RECIPES[name]}")]
    found: dict[str, dict[str, list[float]]] = {name: {"speed": [], "peak": [], "live": []} for name in systems}
    for turn in range(options.rounds + 1):
        for name in systems if turn % 2 else systems[::-1]:
            if turn == 0 and options.device == "cuda":
                continue
            epochs = options.epochs + 1 if turn else 1
            job = Job(name, str(folder), shape, options.model, epochs, options.device, live=turn == 0)
            for key, value in measure(job).items():
                found[name][key].append(value)
            print(f"\r{shape}: round {turn}/{options.rounds}, {name:20}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def table(found: dict[str, dict[str, list[float]]], *, shape: str, flops: float) -> str:
    """Return medians as a Markdown table, ours held against the best of the others."""
    medians = {
        name: {key: statistics.median(values or [math.nan]) for key, values in each.items()}
        for name, each in found.items()
    }
    others = [name for name in medians if name not in RECIPES]
    fastest = max(medians[name]["speed"] for name in others)
    least = {key: min(medians[name][key] for name in others) for key in ("peak", "live")}
    padded = medians["TRL SFTTrainer"]["speed"]
    goal = 1.5 if shape == "ragged" else 1.0
    lines = [
        f"| {shape} rows | tokens/s | range | x fastest peer | x TRL | peak MB | x least | live MB | x least | MFU | target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, each in medians.items():
        kept = [each["speed"] >= goal * fastest, each["peak"] <= 1.005 * least["peak"]]
        verdict = ("met" if all(kept) else "MISSED") if name in RECIPES else ""
        speeds = found[name]["speed"]
        mfu = f"{each['speed'] * flops:.1%}" if flops else ""
        lines.append(
            f"| {name} | {each['speed']:,.0f} | {min(speeds):,.0f}-{max(speeds):,.0f} | {each['speed'] / fastest:.2f} "
            f"| {each['speed'] / padded:.2f} | {each['peak'] / 1e6:,.0f} | {each['peak'] / least['peak']:.2f} "
            f"| {each['live'] / 1e6:,.1f} | {each['live'] / least['live']:.2f} | {mfu} | {verdict} |"
        )
    return "\n".join(lines)


def share_of_peak(size: Size, rows: Sequence[dict[str, list[int]]]) -> float:
    """Return the part of this GPU's bf16 peak that one token a second takes; 0 where its peak is unknown.

    Frozen weights are multiplied forward and for the gradient of their input: 4 operations a weight and token, the
    output layer at supervised tokens only. Causal attention takes 6 a layer, token, width and token of its row.
    """
    name = torch.cuda.get_device_name()
    peak = next((flops for part, flops in PEAK_FLOPS.items() if part in name), math.inf)
    width, inner, layers = (size.form[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    tokens = sum(len(each["labels"]) for each in rows)
    supervised = sum(label != IGNORE for each in rows for label in each["labels"]) / tokens
    length = sum(len(each["labels"]) ** 2 for each in rows) / tokens
    linear = layers * (3 * width * width + 3 * width * inner) + supervised * width * size.form["vocab_size"]
    return (4 * linear + 6 * layers * width * length) / peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How fast training is, and how much memory it takes.")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--model", choices=SIZES, default=None, help="size of the random model")
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes a figure")
    parser.add_argument("--epochs", type=int, default=3, help="epochs that are timed")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train")
    parser.add_argument("--shape", choices=("short", "ragged"), help="one data shape; both where absent")
    options = parser.parse_args()
    if options.child:
        child(Job(*json.loads(options.child)))
        return
    cuda = options.device == "cuda"
    options.model = options.model or ("1b" if cuda else "tiny")
    size = SIZES[options.model]
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), size, dtype=torch.bfloat16 if cuda else torch.float32)
        for shape in [options.shape] if options.shape else ["short", "ragged"]:
            found = compare(Path(name), options, shape=shape)
            flops = (
                share_of_peak(size, json.loads(Path(name, f"{shape}.json").read_text(encoding="utf-8"))) if cuda else 0
            )
            print(table(found, shape=f"{options.model}, {shape}", flops=flops) + "\n", flush=True)


if __name__ == "__main__":
    main()
