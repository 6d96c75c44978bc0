"""LoRA fine-tuning on one device, with torchtune's components and a loop of its own.

    python -m cruijff_kit.recipes.lora_single_device --config finetune.yaml

Everything the run needs is in the configuration. It leaves `metrics.jsonl`,
`status.json`, one adapter directory per saved epoch in peft's format, `manifest.json`,
and last `DONE`. A finished run, started again, ends at once; an unfinished one starts
afresh.

The loss of an optimiser step is the mean over all its supervised tokens, however the
step is split into forward passes: `batch_size` 4 with 2 accumulation steps gives the
gradient of `batch_size` 8.
"""

import argparse
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy
from torchtune.models.llama3_2 import lora_llama3_2
from torchtune.modules.peft import get_adapter_params, set_trainable_params
from transformers import AutoTokenizer

from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding
from cruijff_kit.errors import CruijffError, RunError
from cruijff_kit.runtime.devices import choose_device, choose_dtype, default_dtype, describe_device
from cruijff_kit.runtime.files import file_sha256, write_aside
from cruijff_kit.runtime.job_files import (
    MetricsFile,
    StatusFile,
    Stopped,
    artefact_hashes,
    finished,
    job_ids,
    now,
    stop_on_signals,
)
from cruijff_kit.runtime.llama import llama_arguments, load_base, save_adapter
from cruijff_kit.runtime.provenance import git_state, package_versions
from cruijff_kit.runtime.schedules import rate_at
from cruijff_kit.runtime.seeding import seed_everything, shuffled
from cruijff_kit.runtime.train_config import check_inputs, load_train_config
from cruijff_kit.runtime.training_rows import Batch, encode_rows, padded, read_split, steps_of_epoch, subset
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.run import Done, Manifest, MetricPoint

__all__ = ["Model", "Rows", "Steps", "build_model", "load_rows", "main", "save_epoch", "train", "validate"]


class Model(NamedTuple):
    """A LoRA model, its output layer apart so that only needed logits are computed."""

    body: torch.nn.Module
    """Token ids, shape (rows, length), to normalised hidden states (rows, length, width)."""
    head: Any
    """Hidden states to logits over the vocabulary."""
    device: torch.device
    """Where both lie."""
    arguments: dict[str, Any]
    """Dimensions, as torchtune's builder took them."""


class Rows(NamedTuple):
    """Tokenised rows of a run."""

    train: list[Encoded]
    """Training rows."""
    val: list[Encoded]
    """Validation rows; empty where there is no such split."""


def build_model(config: TrainConfig) -> Model:
    """Build the base model with LoRA layers, load its weights, freeze all but LoRA."""
    base = Path(config.base_model.path)
    arguments = llama_arguments(base, max_seq_len=config.dataset.max_seq_len)
    device = choose_device(config.device)
    with device, default_dtype(choose_dtype(config.dtype, device)):
        model = lora_llama3_2(
            list(config.model.lora_attn_modules),
            apply_lora_to_mlp=config.model.apply_lora_to_mlp,
            lora_rank=config.model.lora_rank,
            lora_alpha=config.model.lora_alpha,
            lora_dropout=config.model.lora_dropout,
            **arguments,
        )
    missing, unexpected = model.load_state_dict(load_base(base, arguments), strict=False)
    strange = [*(name for name in missing if ".lora_" not in name), *unexpected]
    if strange:
        fact = f"weights of `{base}` do not fit its config.json: `{strange[0]}`"
        raise RunError(fact, run_id=config.run_id, hint="download the model again")
    set_trainable_params(model, get_adapter_params(model))
    head = model.output
    model.output = torch.nn.Identity()
    return Model(model, head, device, arguments)


def token_losses(model: Model, batch: Batch) -> torch.Tensor:
    """Return the summed loss of a batch's supervised tokens, in nats."""
    labels = batch.labels.to(model.device)
    wanted = labels != IGNORE
    hidden = model.body(batch.ids.to(model.device))
    logits = model.head(hidden[wanted].to(next(model.body.parameters()).dtype)).float()
    return cross_entropy(logits, labels[wanted], reduction="sum")


def validate(model: Model, rows: Sequence[Encoded], *, size: int) -> float:
    """Return the mean loss per supervised token over all rows, in nats."""
    model.body.eval()
    with torch.inference_mode():
        sums = [(token_losses(model, batch).item(), batch.supervised) for batch in padded(rows, size=size)]
    model.body.train()
    return sum(loss for loss, _ in sums) / sum(count for _, count in sums)


class Steps:
    """The optimiser steps of one run, one at a time."""

    def __init__(self, config: TrainConfig, model: Model, *, rows: Rows) -> None:
        """Prepare optimiser and schedule for all steps of the run."""
        self.config = config
        self.model = model
        self.rows = rows
        self.per_epoch = steps_of_epoch(
            len(rows.train),
            batch_size=config.batch_size,
            accumulation=config.gradient_accumulation_steps,
            limit=config.max_steps_per_epoch,
        )
        self.total = self.per_epoch * config.epochs
        self.done = 0
        self.tokens = 0
        self.supervised = 0
        self.trainable = [parameter for parameter in model.body.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trainable, lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, rate_at(config.lr_scheduler, total_steps=self.total)
        )

    def take(self) -> Iterator[MetricPoint]:
        """Take every step of the run, with the validation loss where it is due."""
        for number in range(self.config.epochs):
            yield from map(self._validated, self.epoch(number))

    def epoch(self, number: int) -> Iterator[MetricPoint]:
        """Take one epoch's steps, in the epoch's own seeded order of rows."""
        rows = shuffled(self.rows.train, seed=self.config.seed, purpose=f"epoch {number}")
        window = self.config.batch_size * self.config.gradient_accumulation_steps
        for start in range(0, self.per_epoch * window, window):
            yield self._step(rows[start : start + window], number)

    def _step(self, rows: Sequence[Encoded], epoch: int) -> MetricPoint:
        started = time.perf_counter()
        rate = float(self.schedule.get_last_lr()[0])
        batches = list(padded(rows, size=self.config.batch_size))
        supervised = sum(batch.supervised for batch in batches)
        loss = 0.0
        for batch in batches:
            # Divided by the whole step's tokens: a row weighs the same however the step is split.
            part = token_losses(self.model, batch) / supervised
            part.backward()
            loss += part.item()
        if self.config.clip_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.trainable, self.config.clip_grad_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return self._point(loss, rate, epoch=epoch, batches=batches, seconds=time.perf_counter() - started)

    def _point(self, loss: float, rate: float, *, epoch: int, batches: list[Batch], seconds: float) -> MetricPoint:
        if not loss < float("inf"):
            raise RunError(
                f"the loss is `{loss}` at step {self.done + 1}",
                run_id=self.config.run_id,
                hint="lower `lr`, or clip the gradient with `max_grad_norm: 1.0`",
            )
        tokens = sum(batch.tokens for batch in batches)
        self.done += 1
        self.tokens += tokens
        self.supervised += sum(batch.supervised for batch in batches)
        return MetricPoint(
            step=self.done,
            epoch=epoch,
            loss=loss,
            lr=rate,
            tokens=self.tokens,
            supervised_tokens=self.supervised,
            tokens_per_second=tokens / seconds,
        )

    def _validated(self, point: MetricPoint) -> MetricPoint:
        every = self.config.run_val_every_n_steps
        due = point.step % self.per_epoch == 0 or (every > 0 and point.step % every == 0)
        if not due or not self.rows.val:
            return point
        loss = validate(self.model, self.rows.val, size=self.config.batch_size_val)
        return point.model_copy(update={"val_loss": loss})


def train(config: TrainConfig, status: StatusFile) -> list[Path]:
    """Train as configured and return the files made: metrics, then adapters."""
    run = Path(config.run_dir)
    rows = load_rows(config)
    seed_everything(config.seed)
    status.enter("starting", "loading the base model")
    steps = Steps(config, build_model(config), rows=rows)
    steps.model.body.train()
    status.enter("running", "training")
    made = [run / "metrics.jsonl"]
    with MetricsFile(made[0]) as metrics:
        for point in steps.take():
            if point.step % config.log_every_n_steps == 0 or point.val_loss is not None:
                metrics.write(point)
            status.advance(point.step, steps.total, epoch=point.epoch)
            if point.step % steps.per_epoch == 0 and point.epoch in config.epochs_to_save:
                made += save_epoch(config, steps.model, epoch=point.epoch)
    return made


def load_rows(config: TrainConfig) -> Rows:
    """Read and tokenise the splits of a run; all over-long rows are told at once."""
    encoding = Encoding.of(config.dataset)
    tokenizer = AutoTokenizer.from_pretrained(config.base_model.path, local_files_only=True, trust_remote_code=False)
    data = Path(config.dataset.path)
    chosen = subset(read_split(data, config.split), config.training_samples, seed=config.seed)
    val = read_split(data, config.split_val) if config.split_val else []
    return Rows(
        encode_rows(chosen, split=config.split, encoding=encoding, tokenizer=tokenizer),
        encode_rows(val, split=config.split_val or "", encoding=encoding, tokenizer=tokenizer),
    )


def save_epoch(config: TrainConfig, model: Model, *, epoch: int) -> list[Path]:
    """Write the adapter of an epoch and return its files."""
    return save_adapter(
        get_adapter_params(model.body),
        Path(config.output_dir) / f"epoch_{epoch}",
        base=Path(config.base_model.path),
        lora=config.model,
        arguments=model.arguments,
    )


def start_afresh(config: TrainConfig) -> None:
    """Remove what an earlier, unfinished run of this configuration left."""
    for name in ("DONE", "metrics.jsonl"):
        (Path(config.run_dir) / name).unlink(missing_ok=True)
    for pattern in ("epoch_*", ".epoch_*.part"):
        for folder in Path(config.output_dir).glob(pattern):
            shutil.rmtree(folder)


def manifest(config: TrainConfig, config_path: Path, *, earlier: tuple[str, ...], status: StatusFile) -> Manifest:
    """Return where this run came from."""
    commit, patch = git_state()
    return Manifest(
        run_id=config.run_id,
        git_sha=commit,
        git_patch_sha256=patch,
        packages=package_versions(),
        inputs={
            "model": config.base_model.sha256,
            "data": config.dataset.sha256,
            "config": file_sha256(config_path),
        },
        seeds=dict.fromkeys(("initialisation", "dropout", "shuffling", "subset"), config.seed),
        host=socket.gethostname(),
        device=describe_device(choose_device(config.device)),
        threads=torch.get_num_threads(),
        job_ids=tuple(dict.fromkeys((*earlier, *job_ids()))),
        started=status.status.started,
        ended=now(),
    )


def run_job(config: TrainConfig, config_path: Path) -> None:
    """Do the whole job: check inputs, train, write provenance, then the last marker."""
    run = Path(config.run_dir)
    experiment = run.parent.parent
    earlier = earlier_manifest(run)
    same = earlier is not None and earlier.inputs.get("config") == file_sha256(config_path)
    if same and finished(run / "DONE", experiment=experiment):
        say(f"run {config.run_id} is finished; nothing to do")
        return
    with StatusFile(run / "status.json") as status:
        stop_on_signals()
        start_afresh(config)
        check_inputs(config)
        made = train(config, status)
        before = earlier.job_ids if earlier else ()
        write_aside(
            run / "manifest.json",
            manifest(config, config_path, earlier=before, status=status).model_dump_json(indent=2) + "\n",
        )
        hashes = artefact_hashes([*made, run / "manifest.json"], experiment=experiment)
        status.enter("done")
        write_aside(run / "DONE", Done(exit_code=0, artefacts=hashes, finished=now()).model_dump_json(indent=2) + "\n")


def earlier_manifest(run: Path) -> Manifest | None:
    """Return the provenance an earlier job of this run left; None where there is none."""
    try:
        return Manifest.model_validate_json((run / "manifest.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def say(line: str) -> None:
    """Write a line to the job's own output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Train the run that `--config` describes and return the exit code."""
    parser = argparse.ArgumentParser(prog="lora_single_device", description="LoRA fine-tuning on one device.")
    parser.add_argument("--config", type=Path, required=True, help="the run's finetune.yaml")
    config_path = parser.parse_args(argv).config
    try:
        run_job(load_train_config(config_path), config_path)
    except CruijffError as err:
        sys.stderr.write(f"{err}\n")
        return err.exit_code
    except Stopped as stop:
        sys.stderr.write(f"{stop}\n")
        return stop.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
