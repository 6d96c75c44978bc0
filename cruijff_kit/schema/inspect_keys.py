"""Keys of `ck setup-inspect`: the first system's names where they mean something here, and why the others do not."""

from collections.abc import Mapping
from types import MappingProxyType

from cruijff_kit.schema.setup_keys import ABSENT, DERIVED, REQUIRED, SETUP_KEYS, KeyTable, SetupKey

__all__ = ["INSPECT", "INSPECT_FILE"]

INSPECT_FILE = "setup_inspect.yaml"
"""Name of the file, unless `--config_file` names another; it may be missing."""

_TRAINED = "the training's own, which lies beside the adapter"

_SUBJECT = (
    SetupKey("config_file", "path", ABSENT, "eval.yaml", INSPECT_FILE, "made", "which file is read",
             "The file these keys are read from; a flag only.", "`eval.yaml` is what is written here"),
    SetupKey("finetune_epoch_dir", "path?", REQUIRED, ABSENT, None, "made", "adapter",
             "Directory of the adapter; none evaluates the base model as control.", "a control has no adapter"),
    SetupKey("base_model_dir", "path?", DERIVED, REQUIRED, DERIVED, "made", "base_model",
             "Directory of the base model.", "the one that the adapter names"),
    SetupKey("config_path", "path?", DERIVED, DERIVED, DERIVED, "made", "the training's keys",
             "Training configuration whose data and prompts count.", "found beside the adapter, or here"),
    SetupKey("run", "name?", DERIVED, DERIVED, DERIVED, "made", "run_id",
             "Name of the run in logs and predictions.", "the training's; `<base model>-base` for a control"),
    SetupKey("epoch", "integer?", DERIVED, DERIVED, DERIVED, "made", "epoch, directory of the cell",
             "Epoch of the adapter.", "read off `epoch_<n>`; 0 where the directory has another name"),
)  # fmt: skip

_TASK = (
    SetupKey("task", "text", "fixed: inspect_task.py", REQUIRED, "rows", "made", "task",
             "Task of this package, or `file.py@task`.", "rows of the training's data set need no task of their own"),
    SetupKey("name", "name?", DERIVED, REQUIRED, DERIVED, "made", "name, directory of the cell",
             "Name of the evaluation.", "the task's"),
    SetupKey("data_path", "path?", DERIVED, REQUIRED, DERIVED, "made", "dataset.path",
             "Data set to evaluate on.", _TRAINED),
    SetupKey("split", "text", "test", "test", "test", "made", "split", "Split that is evaluated."),
    SetupKey("samples", "integer?", ABSENT, ABSENT, None, "made", "samples", "Rows to evaluate, a seeded subset."),
    SetupKey("scorer", "words", "fixed: match, includes", "match, includes", ("match", "includes"), "made", "scorers",
             "Scorers, the first one primary."),
    SetupKey("options", "words?", ABSENT, ABSENT, None, "made", "rules.options",
             "Answers of a closed set, each scored in full; the last of two is the event."),
    SetupKey("ignore_case", "truth", ABSENT, False, False, "made", "rules.ignore_case",
             "Whether capital and small letters are the same."),
    SetupKey("threshold", "number", ABSENT, 0.5, 0.5, "made", "rules.threshold",
             "Probability from which `numeric_risk` foretells the event."),
    SetupKey("groups", "words?", ABSENT, ABSENT, None, "made", "groups", "Columns copied into the predictions."),
)  # fmt: skip

_TOKENS = (
    SetupKey("dataset_type", "dataset type", "chat_completion", DERIVED, "chat_completion", "made",
             "dataset.dataset_type", "How a row becomes tokens.", _TRAINED),
    SetupKey("prompt", "text", "{input}", "{input}", "{input}", "made", "dataset.prompt",
             "Template of the user's turn.", _TRAINED),
    SetupKey("system_prompt", "text", "", "", "", "made", "dataset.system_prompt",
             "System message; empty for none.", _TRAINED),
    SetupKey("input_key", "text", "input", "input", "input", "made", "dataset.input_key",
             "Column of the question.", _TRAINED),
    SetupKey("output_key", "text", "output", "output", "output", "made", "dataset.output_key",
             "Column of the answer.", _TRAINED),
    SetupKey("template", "text", ABSENT, ABSENT, "model", "made", "dataset.template",
             "How conversations are written: a template's name, text or file.", _TRAINED),
    SetupKey("template_date", "text", ABSENT, ABSENT, "26 Jul 2024", "made", "dataset.template_date",
             "Date for chat templates that print one.", _TRAINED),
    SetupKey("max_seq_len", "integer", ABSENT, ABSENT, 2048, "made", "dataset.max_seq_len",
             "Longest prompt and answer in tokens.", _TRAINED),
    SetupKey("overlong", "choice", ABSENT, ABSENT, "refuse", "made", "dataset.overlong",
             "`refuse` or `truncate` longer rows.", _TRAINED),
    SetupKey("dtype", "choice", ABSENT, ABSENT, DERIVED, "made", "dtype", "`bf16` or `fp32`.",
             "the training's; else bf16 on a GPU, fp32 without one"),
)  # fmt: skip

_GENERATION = (
    SetupKey("do_sample", "truth", ABSENT, False, False, "made", "generation.do_sample",
             "Whether answers are sampled."),
    SetupKey("temperature", "number?", 1e-7, None, None, "made", "generation.temperature",
             "Temperature of sampling; only with `do_sample`.", "was 1e-7 because 0 broke sampling"),
    SetupKey("top_p", "number?", ABSENT, ABSENT, None, "made", "generation.top_p",
             "Probability mass sampled from; only with `do_sample`."),
    SetupKey("seed", "integer?", ABSENT, 14, 14, "made", "generation.seed, seed",
             "Seed of sampling and of the subset of rows."),
    SetupKey("max_tokens", "integer", DERIVED, DERIVED, 20, "made", "generation.max_tokens",
             "Longest answer in tokens.", "the task's own before"),
    SetupKey("batch_size", "integer", ABSENT, ABSENT, 64, "made", "generation.batch_size", "Prompts a forward pass."),
    SetupKey("max_connections", "integer?", ABSENT, 32, None, "made", "generation.max_connections",
             "Samples in flight at once.", "four batches, so that they can be sorted by length"),
    SetupKey("top_logprobs", "integer", ABSENT, 20, 5, "made", "generation.top_logprobs",
             "Candidate tokens recorded a position.", "option probabilities no longer need the twenty"),
    SetupKey("dropout_passes", "integer", ABSENT, ABSENT, 0, "made", "generation.dropout_passes",
             "Passes with LoRA's dropout on that option probabilities are the mean of."),
)  # fmt: skip

# One process evaluates: there is nothing that several nodes would share.
_JOB = tuple(key for key in SETUP_KEYS.values() if key.way == "job" and key.name != "nodes")

_RENAMED = MappingProxyType({"dataset": "data_path", "scorers": "scorer", "task_name": "name", "task_script": "task"})

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "assistant_prefix": "put it at the end of `prompt`, in training too: a finished assistant turn before the "
        "answer is something that no training row holds",
        "dataset_ext": "write the whole path with `data_path`",
        "dataset_label": "write the whole path with `data_path`",
        "eval_dir": "the cell goes to `eval/<name>_epoch_<n>` below this directory; choose it with `ck -C DIR`",
        "input_dir_base": "write the whole path with `data_path`",
        "is_finetuned": "remove it: whether there is an adapter says it, `finetune_epoch_dir`",
        "logprobs": "remove it: log-probabilities of every answer are recorded",
        "model_hf_name": "remove it: logs name the model by run and epoch; `run` changes the first",
        "model_path": "write `finetune_epoch_dir` for an adapter, `base_model_dir` for a base or merged model",
        "output_dir": "logs go to `logs/` in the cell, which lies below this directory; choose it with `ck -C DIR`",
        "source_model": "remove it: the base model is recorded with its hash",
        "use_chat_template": "write `dataset_type: text_completion` for text without a chat template",
        "vis_label": "write `name`, by which reports and pictures call the evaluation",
    }
)

INSPECT = KeyTable(
    "setup-inspect",
    INSPECT_FILE,
    MappingProxyType({key.name: key for key in (*_SUBJECT, *_TASK, *_TOKENS, *_GENERATION, *_JOB)}),
    _RENAMED,
    _REFUSED,
)
"""Keys of `ck setup-inspect`; flags, `--list-keys`, reading and refusals all come from here."""
