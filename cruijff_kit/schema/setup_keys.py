"""Keys of `setup_finetune.yaml`: the first system's names, their defaults then and now, and where each goes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cruijff_kit.schema.config import TRAIN_PLACES

__all__ = [
    "ABSENT",
    "DERIVED",
    "FINETUNE",
    "REQUIRED",
    "SETUP_FILE",
    "SETUP_KEYS",
    "SITE",
    "KeyTable",
    "SetupKey",
]

SETUP_FILE = "setup_finetune.yaml"
"""Name of the file, unless `--config_file` names another."""

ABSENT = "(no key)"
"""The form had no such key."""
REQUIRED = "(required)"
"""There is no default: whoever writes the file says it."""
SITE = "(site)"
"""The default is this machine's, from `site.yaml`."""
DERIVED = "(derived)"
"""The default follows from other keys; the note says how."""


class SetupKey(NamedTuple):
    """One key: what it means, its defaults in the first system's two forms and here, and what becomes of it."""

    name: str
    """Name in the file and, after `--`, on the command line."""
    kind: str
    """Form of the value; with `?` it may be null."""
    autumn: Any
    """Default in the first system's earlier form (autumn 2025); `fixed: …` where its template held the value."""
    later: Any
    """Default in its later form."""
    ours: Any
    """Default here: the later form's, unless the note gives a reason."""
    way: Literal["config", "job", "made"]
    """Set in `finetune.yaml`, set in the job script, or made into something else."""
    target: str
    """Place in `finetune.yaml`, field of the job script, or what it is made into."""
    meaning: str
    """What it does, in a few words."""
    note: str = ""
    """Why ours differs from the later form, or how it is derived."""

    @property
    def place(self) -> tuple[str, ...]:
        """Return the place in the training configuration; empty for a key that is not set there as it is."""
        return tuple(self.target.split(".")) if self.way == "config" else ()

    @property
    def optional(self) -> bool:
        """Return whether null is a value of it."""
        return self.kind.endswith("?")

    @property
    def goes(self) -> str:
        """Return what becomes of it, as people read it."""
        files = {"config": "finetune.yaml: ", "job": "job script: ", "made": "makes "}
        return files[self.way] + self.target


class KeyTable(NamedTuple):
    """The keys of one command: what a file or a flag may say, under which names, and what it may not."""

    verb: str
    """Command that takes them."""
    file: str
    """File they are read from unless `--config_file` names another."""
    keys: Mapping[str, SetupKey]
    """Every key by its name."""
    renamed: Mapping[str, str]
    """Further names of keys."""
    refused: Mapping[str, str]
    """Keys of the first system that are not taken, and what to do instead."""


def _at(control: str) -> str:
    return ".".join(TRAIN_PLACES[control])


_ALL_LINEAR = (
    "the first system adapted q, v, output and the MLP; ours adapts every linear layer of a block unless named"
)
_RUN_NAME = (
    "was a random `adjective_noun`; ours is `adjective_noun-<8 hex>` drawn from the hash of the configuration, folder "
    "and recipe, and a name whose output directory belongs to another run is refused"
)
_DATA = "dataset.path"
_OUTPUT = "output_dir"
_MODEL = "base_model"

_NAMING = (
    SetupKey("config_file", "path", SETUP_FILE, SETUP_FILE, SETUP_FILE, "made", "which file is read",
             "The file these keys are read from; a flag only."),
    SetupKey("my_wandb_project", "name?", "PredictingZygosity", "PredictingZygosity", None, "config", "wandb_project",
             "W&B project.", "a project's name is no default for everyone"),
    SetupKey("my_wandb_run_name", "name?", DERIVED, DERIVED, DERIVED, "made", "run_id, job name, `ck-out-<name>`",
             "Name of the run.", _RUN_NAME),
    SetupKey("experiment_name", "name?", "", REQUIRED, "", "made", _OUTPUT,
             "Folder below the output directory; empty for none.", "empty keeps the outputs in the base directory"),
    SetupKey("output_dir_base", "path?", REQUIRED, ABSENT, SITE, "made", _OUTPUT,
             "Where `ck-out-<run>` goes.", "the site's, or this folder; held a path of one cluster"),
    SetupKey("project_dir", "path?", ABSENT, REQUIRED, None, "made", _OUTPUT,
             "The later form's name of `output_dir_base`.", "another name of `output_dir_base`, which has a default"),
)  # fmt: skip

_DATA_KEYS = (
    SetupKey("input_dir_base", "path", REQUIRED, REQUIRED, REQUIRED, "made", _DATA,
             "Directory of the data."),
    SetupKey("input_formatting", "text", "raw", "raw", "raw", "made", _DATA,
             "Folder below it; empty for none."),
    SetupKey("dataset_label", "text", "tune_dataset", "tune_dataset", "tune_dataset", "made", _DATA,
             "Data file or folder without its ending."),
    SetupKey("dataset_ext", "text", ".json", "", "", "made", _DATA,
             "Ending of the data file; empty takes the label as it stands, or with `.json`."),
    SetupKey("dataset_type", "dataset type", "instruct_dataset", REQUIRED, "chat_completion", "config",
             _at("dataset_type"), "How a row becomes tokens; the first system's names are taken too.",
             "what `instruct_dataset` stood for, so that files without the key keep their meaning"),
    SetupKey("input_key", "text", "fixed: input", "input", "input", "config", "dataset.input_key",
             "Column of the question."),
    SetupKey("output_key", "text", "fixed: output", "output", "output", "config", "dataset.output_key",
             "Column of the answer."),
    SetupKey("prompt", "text", "fixed: {input}", "{input}\n", "{input}\n", "config", _at("prompt"),
             "Template of the user's turn."),
    SetupKey("system_prompt", "text", "", "", "", "config", _at("system_prompt"),
             "System message; empty for none."),
    SetupKey("template", "text", ABSENT, ABSENT, "model", "config", _at("template"),
             "How conversations are written: a template's name, text or file.", "a new key: the model's own template"),
    SetupKey("template_date", "text", ABSENT, ABSENT, "26 Jul 2024", "config", _at("template_date"),
             "Date for chat templates that print one.", "a new key: the template printed the day of training"),
    SetupKey("train_on_input", "truth", False, False, False, "config", _at("train_on_input"),
             "Whether prompt tokens are supervised."),
    SetupKey("max_seq_len", "integer", "fixed: 2048", 2048, 2048, "config", _at("max_seq_len"),
             "Longest row in tokens."),
    SetupKey("overlong", "choice", ABSENT, ABSENT, "refuse", "config", _at("overlong"),
             "`refuse` or `truncate` longer rows.", "a new key: longer rows passed unseen"),
    SetupKey("training_samples", "integer?", ABSENT, None, None, "config", _at("training_samples"),
             "Rows to train on, a seeded subset."),
)  # fmt: skip

_TRAINING = (
    SetupKey("batch_size", "integer", 4, 4, 4, "config", _at("batch_size"), "Rows a forward pass."),
    SetupKey("batch_size_val", "integer?", ABSENT, None, DERIVED, "config", _at("batch_size_val"),
             "Rows a forward pass in validation.", "`batch_size` where it is not set"),
    SetupKey("epochs", "integer", 1, 1, 1, "config", _at("epochs"), "Passes over the data."),
    SetupKey("max_steps_per_epoch", "integer?", None, None, None, "config", _at("max_steps_per_epoch"),
             "Optimiser steps after which an epoch ends."),
    SetupKey("gradient_accumulation_steps", "integer", "fixed: 1", 1, 1, "config", _at("gradient_accumulation_steps"),
             "Forward passes an optimiser step."),
    SetupKey("lr", "number", 1e-4, 1e-4, 1e-4, "config", _at("lr"), "Peak learning rate."),
    SetupKey("lr_scheduler", "schedule", "get_cosine_schedule_with_warmup", "get_cosine_schedule_with_warmup",
             "cosine", "config", _at("lr_scheduler"), "Schedule, by its short or its first name.",
             "the same schedule by its short name"),
    SetupKey("num_warmup_steps", "integer", 100, 100, 100, "config", _at("num_warmup_steps"),
             "Optimiser steps of linear rise."),
    SetupKey("weight_decay", "number", "fixed: 0.01", 0.01, 0.01, "config", _at("weight_decay"),
             "Decoupled weight decay."),
    SetupKey("max_grad_norm", "number?", "fixed: null", "fixed: null", 1.0, "config", _at("max_grad_norm"),
             "Gradient norm limit; null for none.", "a new key: the first system did not clip"),
    SetupKey("packed", "truth", "fixed: true", False, False, "config", _at("packed"),
             "Whether rows are laid end to end."),
    SetupKey("seed", "integer", "fixed: 1234", 14, 14, "config", "seed", "Seed of all randomness."),
    SetupKey("dtype", "choice", "fixed: bf16", "fixed: bf16", DERIVED, "config", _at("dtype"), "`bf16` or `fp32`.",
             "bf16 on a GPU as before, fp32 without one"),
    SetupKey("activation_checkpointing", "truth", "fixed: false", "fixed: false", False, "config",
             _at("activation_checkpointing"), "Whether blocks are computed again for the backward pass."),
    SetupKey("compile", "truth", "fixed: false", "fixed: false", False, "config", _at("compile"),
             "Whether blocks are compiled."),
    SetupKey("strategy", "choice", ABSENT, ABSENT, "ddp", "config", _at("strategy"),
             "What several GPUs share: `ddp` or `fsdp`.", "a new key"),
    SetupKey("custom_recipe", "text?", None, DERIVED, DERIVED, "made", "the job's command",
             "Recipe: ours, a module or a `.py` file.",
             "`lora_single_device`, or `lora_distributed` where `gpus` is above 1"),
    SetupKey("base_recipe", "text?", ABSENT, None, None, "made", "defaults of nine keys",
             "torchtune configuration whose values stand below the file's."),
)  # fmt: skip

_LORA = (
    SetupKey("lora_rank", "integer", 64, 64, 64, "config", _at("lora_rank"), "Rank."),
    SetupKey("lora_alpha", "number?", DERIVED, DERIVED, DERIVED, "config", _at("lora_alpha"), "Scaling numerator.",
             "twice the rank where it is not set"),
    SetupKey("lora_dropout", "number", "fixed: 0.0", 0.0, 0.0, "config", _at("lora_dropout"),
             "Dropout on the LoRA input."),
    SetupKey("lora_variant", "choice", ABSENT, ABSENT, "lora", "config", _at("lora_variant"),
             "`lora`, `rslora` or `dora`.", "a new key"),
    SetupKey("target_modules", "words?", "fixed: q_proj v_proj output_proj and MLP",
             "fixed: q_proj v_proj output_proj and MLP", None, "config", _at("target_modules"),
             "Linear layers adapted; all where null.", _ALL_LINEAR),
    SetupKey("quantization", "choice", ABSENT, ABSENT, "none", "config", _at("quantization"),
             "How the frozen base is stored: `none`, `nf4`, or MLX's `int4`.", "a new key"),
)  # fmt: skip

_KEPT = (
    SetupKey("save_adapter_weights_only", "truth", False, True, True, "config", _at("save_adapter_weights_only"),
             "Whether no merged model is written."),
    SetupKey("stash_adapter_weights", "truth", False, ABSENT, False, "config", _at("stash_adapter_weights"),
             "Whether a merged epoch keeps its adapter in `adapter_weights/`."),
    SetupKey("epochs_to_save", "epochs", "all", ABSENT, "all", "config", _at("epochs_to_save"),
             "`all`, `last`, `none`, or epochs such as `0,2,4`."),
    SetupKey("save_last_epoch_only", "truth", False, ABSENT, False, "made", "epochs_to_save",
             "Whether only the last epoch is saved."),
    SetupKey("keep_best", "truth", ABSENT, ABSENT, True, "config", _at("keep_best"),
             "Whether the adapter of the lowest validation loss is kept.", "a new key"),
    SetupKey("checkpoint_every_n_steps", "integer", ABSENT, ABSENT, 0, "config", _at("checkpoint_every_n_steps"),
             "Steps between checkpoints to resume from.", "a new key: 0 is every ten minutes and at epoch ends"),
    SetupKey("log_every_n_steps", "integer", 5, 5, 5, "config", _at("log_every_n_steps"),
             "Steps between lines of `metrics.jsonl`."),
    SetupKey("run_val_every_n_steps", "integer", 0, 0, 0, "config", _at("run_val_every_n_steps"),
             "Steps between validation passes; 0 validates at epoch ends."),
    SetupKey("custom_metrics", "text?", DERIVED, ABSENT, None, "config", _at("custom_metrics"),
             "`label_format`, or a Python file.", "the autumn form took a module where it could be imported"),
)  # fmt: skip

_MACHINE = (
    SetupKey("torchtune_model_name", "name", "fixed: Llama-3.2-1B-Instruct", "Llama-3.2-1B-Instruct",
             "Llama-3.2-1B-Instruct", "made", _MODEL, "Name of the base model."),
    SetupKey("models_dir", "path?", REQUIRED, REQUIRED, SITE, "made", _MODEL,
             "Directory of the base models.", "the site's where it has one; else it is required"),
    SetupKey("model_checkpoint", "text?", ABSENT, None, DERIVED, "made", _MODEL,
             "Directory of the base model in it, or an absolute path.", "`torchtune_model_name` where it is not set"),
    SetupKey("time", "text", "00:15:00", "00:15:00", "00:15:00", "job", "time", "Time limit."),
    SetupKey("gpus", "integer", 1, 1, 1, "job", "gpus", "GPUs; 0 trains on the CPU."),
    SetupKey("cpus_per_task", "integer", "fixed: 1", None, 1, "job", "cpus", "CPUs and OpenMP threads.",
             "a job has one at least; the later form took the number from its list of models"),
    SetupKey("mem", "text?", "fixed: 8G", None, None, "job", "mem", "Memory, such as `80G`."),
    SetupKey("partition", "text?", None, None, SITE, "job", "partition", "Partition.", "the site's"),
    SetupKey("account", "text?", None, None, SITE, "job", "account", "Account.", "the site's"),
    SetupKey("qos", "text?", ABSENT, ABSENT, SITE, "job", "qos", "Quality of service.", "a new key: the site's"),
    SetupKey("constraint", "text?", None, None, SITE, "job", "constraint", "Node features.",
             "the site's; none where it has none, as before"),
    SetupKey("gpu_type", "text?", ABSENT, ABSENT, SITE, "job", "gpu_type", "Kind of GPU, as the scheduler calls it.",
             "a new key: the site's, where there are GPUs"),
    SetupKey("nodes", "integer", "fixed: 1", "fixed: 1", 1, "job", "nodes", "Nodes, each with its own GPUs."),
    SetupKey("exclusive", "truth", ABSENT, ABSENT, False, "job", "exclusive",
             "Whether the job takes its nodes for itself.", "a new key"),
    SetupKey("conda_env", "text?", "ttenv", "cruijff", SITE, "job", "conda", "conda environment to activate.",
             "the site's; one name is not everyone's"),
    SetupKey("venv", "path?", ABSENT, "", SITE, "job", "venv", "Virtual environment to activate.", "the site's"),
    SetupKey("modules", "words?", "fixed: anaconda", "", SITE, "job", "modules", "Environment modules to load.",
             "the site's"),
)  # fmt: skip

SETUP_KEYS: Mapping[str, SetupKey] = MappingProxyType(
    {key.name: key for key in (*_NAMING, *_DATA_KEYS, *_LORA, *_TRAINING, *_KEPT, *_MACHINE)}
)
"""Every key by its name; flags, `--list-keys`, reading, rendering and refusals all come from here."""

FINETUNE = KeyTable("setup-finetune", SETUP_FILE, SETUP_KEYS, MappingProxyType({}), MappingProxyType({}))
"""Keys of `ck setup-finetune`."""
