"""Job configurations: what a planned run's jobs read, as nouns."""

from typing import Any, Literal, NamedTuple, TypeAlias

from cruijff_kit.data.mlx_limits import MLX_RECIPE
from cruijff_kit.planning.data_checks import columns_of
from cruijff_kit.schema.backend import Device, Library
from cruijff_kit.schema.config import (
    BaseModelConfig,
    DatasetConfig,
    EvalConfig,
    LoraConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.evaluation import EvalTask
from cruijff_kit.schema.layout import RunLayout, adapter_in
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.plan import Cell, PlannedRun
from cruijff_kit.schema.spec import ExperimentSpec

__all__ = ["Gpu", "Places", "eval_config", "task_fields", "train_config"]

Gpu: TypeAlias = Literal["cuda", "mps"]
"""Whose GPUs jobs may be given, as torch calls them."""


class Places(NamedTuple):
    """Absolute directories that configurations name."""

    root: str
    """The experiment."""
    outputs: str
    """Where `ck-out-<run>` directories go."""

    def at(self, path: str) -> str:
        """Return the absolute form of a path relative to the experiment."""
        return path if path.startswith("/") else f"{self.root}/{path}"


def train_config(
    run: PlannedRun, facts: DatasetFacts, *, spec: ExperimentSpec, places: Places, gpu: Gpu = "cuda"
) -> TrainConfig:
    """Return the training configuration of a fine-tuned run; `gpu` is what torch calls the GPUs it may be given."""
    value = {name: setting.value for name, setting in run.settings.items()}
    layout = RunLayout(run.id)
    return TrainConfig(
        run_id=run.id,
        run_dir=places.at(layout.folder),
        output_dir=f"{places.outputs}/{layout.output}",
        base_model=_base_model(run),
        dataset=_dataset(run, facts, spec=spec, places=places),
        split_val="validation" if facts.splits.get("validation") else None,
        training_samples=value["training_samples"],
        model=LoraConfig(
            lora_rank=value["lora_rank"],
            lora_alpha=value["lora_alpha"],
            lora_dropout=value["lora_dropout"],
            variant=value["lora_variant"],
            target_modules=value["target_modules"],
            quantization=value["quantization"],
        ),
        optimizer=OptimizerConfig(lr=value["lr"], weight_decay=value["weight_decay"]),
        lr_scheduler=ScheduleConfig(name=value["lr_scheduler"], num_warmup_steps=value["num_warmup_steps"]),
        epochs=value["epochs"],
        max_steps_per_epoch=value["max_steps_per_epoch"],
        batch_size=value["batch_size"],
        batch_size_val=value["batch_size_val"],
        gradient_accumulation_steps=value["gradient_accumulation_steps"],
        clip_grad_norm=value["max_grad_norm"],
        dtype=value["dtype"],
        device=_device(value["recipe"], spec, gpu=gpu),
        seed=run.seed,
        log_every_n_steps=value["log_every_n_steps"],
        run_val_every_n_steps=value["run_val_every_n_steps"],
        epochs_to_save=run.epochs_saved,
        keep_best=value["keep_best"],
        save_adapter_weights_only=value["save_adapter_weights_only"],
        stash_adapter_weights=value["stash_adapter_weights"],
        checkpoint_every_n_steps=value["checkpoint_every_n_steps"],
        packed=value["packed"],
        enable_activation_checkpointing=value["activation_checkpointing"],
        compile=value["compile"],
        strategy=value["strategy"],
        custom_metrics=_metrics(value["custom_metrics"], places),
        wandb_project=spec.output.wandb_project,
        **{name: value[name] for name in LossControls.model_fields if name in value},
    )


def eval_config(
    run: PlannedRun, cell: Cell, *, facts: DatasetFacts, spec: ExperimentSpec, places: Places, gpu: Gpu = "cuda"
) -> EvalConfig:
    """Return the configuration of one evaluation cell.

    The subset of samples is drawn with the first seed of the design, so that every
    run is measured on the same items and comparisons can pair them.
    """
    layout, library = RunLayout(run.id), _library(spec)
    return EvalConfig(
        run_id=run.id,
        cell_dir=places.at(layout.cell(cell.name)),
        epoch=cell.epoch,
        base_model=_base_model(run),
        adapter=None if cell.epoch is None else f"{places.outputs}/{_adapter(run, cell.epoch)}",
        dataset=_dataset(run, facts, spec=spec, places=places),
        **task_fields(cell.task, facts),
        groups=columns_of(spec.analysis),
        generation=run.generation or spec.evaluation.generation,
        dtype=run.settings["dtype"].value,
        backend=library,
        device=_eval_device(library, spec, gpu=gpu),
        seed=spec.controls.seeds[0],
    )


def task_fields(task: EvalTask, facts: DatasetFacts) -> dict[str, Any]:
    """Return what a cell's configuration says of its task, the samples to expect included."""
    rows = facts.splits[task.split]
    return {
        "name": task.name,
        "task": task.task,
        "split": task.split,
        "samples": task.samples,
        "expected_samples": min(task.samples or rows, rows),
        "scorers": task.scorers,
        "rules": task.rules,
    }


def _device(recipe: str, spec: ExperimentSpec, *, gpu: Gpu) -> Device:
    """Return where a training computes; MLX finds the machine's own processor by itself."""
    if recipe == MLX_RECIPE:
        return "auto"
    return gpu if spec.resources.gpus else "cpu"


def _library(spec: ExperimentSpec) -> Library:
    return "mlx" if spec.tools.preparation == "mlx" else "torch"


def _eval_device(library: Library, spec: ExperimentSpec, *, gpu: Gpu) -> Device:
    """Return where an evaluation computes: nobody hides Apple's GPU from a job that asks for none."""
    if library == "mlx" or gpu == "cuda":
        return "auto"
    return gpu if spec.resources.eval_gpus else "cpu"


def _metrics(named: str | None, places: Places) -> str | None:
    """Return custom metrics as a job finds them: a file by its absolute path, ours by their name."""
    return places.at(named) if named is not None and named.endswith(".py") else named


def _adapter(run: PlannedRun, epoch: int) -> str:
    """Return the adapter that a cell is evaluated with: the adapter itself on its base, never a merged model."""
    only, stash = (run.settings[name].value for name in ("save_adapter_weights_only", "stash_adapter_weights"))
    return adapter_in(RunLayout(run.id).epoch(epoch), adapter_only=only, stash=stash)


def _base_model(run: PlannedRun) -> BaseModelConfig:
    model = run.model
    sha256 = str(model.sha256)
    return BaseModelConfig(name=model.name, path=run.model_path, sha256=sha256, api=model.api, base_url=model.base_url)


def _dataset(run: PlannedRun, facts: DatasetFacts, *, spec: ExperimentSpec, places: Places) -> DatasetConfig:
    value = {name: setting.value for name, setting in run.settings.items()}
    return DatasetConfig(
        path=places.at(facts.path),
        sha256=facts.sha256,
        columns=tuple(sorted(spec.data.training.columns.items())),
        input_key=spec.data.training.input_key,
        output_key=spec.data.training.output_key,
        dataset_type=value["dataset_type"],
        prompt=value["prompt"],
        system_prompt=value["system_prompt"],
        template=value["template"],
        template_date=value["template_date"],
        train_on_input=value["train_on_input"],
        max_seq_len=value["max_seq_len"],
        overlong=value["overlong"],
    )
