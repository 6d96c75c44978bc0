"""Keys of the predecessor's `configs/llm_lora.yaml` and `labels.yaml`: what each means here, or why it is refused."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = [
    "ALIASES",
    "CONFIG_FILE",
    "CONFIG_KEYS",
    "LABELS_FILE",
    "LABEL_KEYS",
    "MODEL_BLOCKS",
    "ConfigKey",
    "KeyKind",
]

CONFIG_FILE = "llm_lora.yaml"
"""Name of the configuration, as messages call its form."""
LABELS_FILE = "labels.yaml"
"""Name of the file of labels beside it."""

KeyKind = Literal["truth", "integer", "number", "text", "text?", "words", "rows", "schema"]
"""Form of a value; with `?` it may be null."""


class ConfigKey(NamedTuple):
    """One key: its form and default, what it becomes, and what of it is refused."""

    name: str
    """Dotted name; `<m>` stands for any name of a model."""
    kind: KeyKind
    """Form of its value."""
    default: Any
    """Value where the file does not say; that of the predecessor."""
    goes: str
    """Place in the design where `way` is `set`, else what becomes of it, in words."""
    way: Literal["set", "made", "aside"] = "set"
    """Set in the design as it is, made into something, or set aside since it asks for nothing that changes results."""
    switch: str = ""
    """Truth key that must be on for it to ask for anything, or `key=value`; empty where it always does."""
    takes: Mapping[Any, Any] | None = None
    """Values that are taken, each with what it is called here; any where None."""
    why: str = ""
    """Why other values are refused."""
    instead: str = ""
    """What to write instead: the modern key or command."""


def _same(*values: Any) -> Mapping[Any, Any]:
    return MappingProxyType({value: value for value in values})


_ADAMW = ("adamw_torch", "adamw_torch_fused", "adamw_hf", "adamw_apex_fused", "paged_adamw", "paged_adamw_32bit")
_NO_PENALTY = "it is a weight in a loss that trains on such a penalty, and none here does"
_REMOVE = "remove the key"
_MONITOR = "controls.calibration_monitor"
_ABSTAIN = "abstention_loss.enabled"
_QLORA = "lora.quantization.enabled"
_WANDB = "training.logging.wandb"

_MODEL = (
    ConfigKey("selected_model", "text", "glm-4.5-air", "models", "made",
              instead="name one of them, or write its block"),
    ConfigKey("model_options.<m>.model_id", "text", None, "models", "made"),
    ConfigKey("model_options.<m>.tokenizer_id", "text", None, "the model's own tokenizer", "made",
              why="a model reads the tokens that it was trained on", instead="name what `model_id` names"),
    ConfigKey("model_options.<m>.target_modules", "words", None, "controls.target_modules"),
    ConfigKey("model_options.<m>.chat_template", "text", None, "controls.template", "made",
              why="it names no family of models", instead="a named template, with `ck design amend` or by hand: "
              "`controls.template`"),
    ConfigKey("lora.method", "text", "lora", "controls.lora_variant", takes=_same("lora", "dora", "rslora"),
              why="AdaLoRA prunes ranks while it trains, and an adapter here has the rank that its design says",
              instead="write `lora`, `dora` or `rslora`; `--tune` searches ranks"),
    ConfigKey("lora.r", "integer", 16, "controls.lora_rank"),
    ConfigKey("lora.lora_alpha", "number", 32, "controls.lora_alpha"),
    ConfigKey("lora.lora_dropout", "number", 0.1, "controls.lora_dropout"),
    *(
        ConfigKey(f"lora.adalora.{name}", "integer", value, "nothing", "aside", "lora.method=adalora")
        for name, value in (("target_r", 8), ("init_r", 12), ("tinit", 0), ("tfinal", 0), ("deltaT", 1))
    ),
    ConfigKey(_QLORA, "truth", False, "controls.quantization", takes=MappingProxyType({True: "nf4", False: "none"})),
    ConfigKey("lora.quantization.bits", "integer", 4, "`quantization: nf4`", "aside", _QLORA, _same(4),
              "bases of 8 bits are not trained here", "write `bits: 4`"),
    ConfigKey("lora.quantization.compute_dtype", "text", "bfloat16", "controls.dtype", "made", _QLORA,
              why="a base of 4 bits is computed in the `dtype` of the training",
              instead="write `bfloat16` with `training.bf16: true`, or `float32` without it"),
    ConfigKey("lora.quantization.double_quant", "truth", True, "always done", "aside", _QLORA, _same(True),
              "the scales of 4 bits are always kept in 8", "write `double_quant: true`"),
    ConfigKey("lora.quantization.quant_type", "text", "nf4", "`quantization: nf4`", "aside", _QLORA, _same("nf4"),
              "fp4 is less exact at the same size", "write `quant_type: nf4`"),
)  # fmt: skip

_TRAINING = (
    ConfigKey("training.learning_rate", "number", 2e-4, "controls.lr"),
    ConfigKey("training.num_epochs", "integer", 3, "controls.epochs"),
    ConfigKey("training.batch_size", "integer", 4, "controls.batch_size"),
    ConfigKey("training.gradient_accumulation_steps", "integer", 4, "controls.gradient_accumulation_steps"),
    ConfigKey("training.warmup_ratio", "number", 0.03, "controls.num_warmup_steps", "made",
              why="a share is between 0 and 1", instead="write `0.03`, for one"),
    ConfigKey("training.weight_decay", "number", 0.001, "controls.weight_decay"),
    ConfigKey("training.max_grad_norm", "number", 0.3, "controls.max_grad_norm"),
    ConfigKey("training.max_length", "integer", 2048, "controls.max_seq_len"),
    ConfigKey("training.padding", "truth", True, "nothing: rows of a pass are padded as far as needed, and padding is "
              "never learnt", "aside"),
    ConfigKey("training.truncation", "truth", True, "controls.overlong",
              takes=MappingProxyType({True: "truncate", False: "refuse"})),
    ConfigKey("training.packing", "truth", True, "controls.packed"),
    ConfigKey("training.num_proc", "integer", 4, "nothing: rows are read as they are needed", "aside"),
    ConfigKey("training.fp16", "truth", False, "nothing", "aside", "", _same(False),
              "half precision of 16 bits overflows without loss scaling, which there is none of here",
              "write `bf16: true`"),
    ConfigKey("training.bf16", "truth", True, "controls.dtype", takes=MappingProxyType({True: "bf16", False: "fp32"})),
    ConfigKey("training.gradient_checkpointing", "truth", True, "controls.activation_checkpointing"),
    ConfigKey("training.optim", "text", "paged_adamw_32bit", "AdamW, the rule of every recipe; states of an adapter "
              "are too small to be paged", "aside", "", _same(*_ADAMW),
              "recipes train by AdamW with states of 32 bits", "write `adamw_torch`; `ck recipe copy` for your own"),
    ConfigKey("training.eval_steps", "integer", 100, "controls.run_val_every_n_steps", "set",
              "training.eval_strategy=steps"),
    ConfigKey("training.save_steps", "integer", 200, "controls.checkpoint_every_n_steps"),
    ConfigKey("training.logging_steps", "integer", 10, "controls.log_every_n_steps"),
    ConfigKey("training.save_total_limit", "integer", 3, "nothing: one checkpoint to resume from is kept, and "
              "the adapters that `epochs_to_save` and `keep_best` name", "aside"),
    ConfigKey("training.eval_strategy", "text", "steps", "when validation rows are asked", "made", "",
              _same("steps", "epoch", "no"), "validations come after so many steps, or at the end of an epoch",
              "write `steps` or `epoch`"),
    ConfigKey("training.load_best_model_at_end", "truth", True, "controls.keep_best"),
    ConfigKey("training.metric_for_best_model", "text", "eval_f1", "controls.metric_for_best_model", "made",
              why="nothing measures it during a training", instead="write `eval_f1` or `eval_loss`, for one"),
    ConfigKey("training.greater_is_better", "truth", True, "controls.greater_is_better", "made"),
    ConfigKey("training.early_stopping", "truth", True, "controls.early_stopping_patience", "made"),
    ConfigKey("training.early_stopping_patience", "integer", 3, "controls.early_stopping_patience", "set",
              "training.early_stopping"),
    ConfigKey("training.scheduler.type", "text", "cosine", "controls.lr_scheduler", "set", "",
              MappingProxyType({"cosine": "cosine", "linear": "linear", "none": "constant"}),
              "it is no schedule of the recipes", "write `cosine`, `linear` or `none`"),
    ConfigKey("training.scheduler.warmup_steps", "integer", 100, "controls.num_warmup_steps", "made",
              instead="write `0` for the share, or a number of steps"),
    ConfigKey(_WANDB, "truth", False, "output.wandb_project", "made"),
    ConfigKey("training.logging.project_name", "text", "llm-finetuning", "output.wandb_project", "set", _WANDB),
    ConfigKey("training.logging.entity", "text?", None, "nothing in the design: set WANDB_ENTITY where `ck wandb sync` "
              "runs", "aside", _WANDB),
    ConfigKey("training.logging.run_name", "text?", None, "nothing: a run is called by its id", "aside", _WANDB),
    ConfigKey("training.logging.tags", "words", ("lora", "finetuning"), "nothing: factors and controls are sent with a "
              "run, and say more", "aside", _WANDB),
    ConfigKey("training.logging.notes", "text?", "LLM fine-tuning experiment", "question", "made"),
)  # fmt: skip

_ROWS = (
    ConfigKey("evaluation.enabled", "truth", True, "tools.evaluation",
              takes=MappingProxyType({True: "inspect-ai", False: "none"})),
    ConfigKey("evaluation.metrics", "words", ("accuracy", "f1"), "figures of the scorers `decision` and `risk`", "made",
              "evaluation.enabled", instead="write `[accuracy, f1]`, for one"),
    ConfigKey("evaluation.val_split", "number", 0.1, "the split `validation`, stratified, seed 42", "made",
              why="a share is above 0 and below 1", instead="write `0.1`, for one"),
    ConfigKey("data.augmentation.enabled", "truth", False, "copies of training rows", "made"),
    ConfigKey("data.augmentation.methods", "words", ("synonym_replacement", "random_insertion"),
              "copies of training rows", "made", "data.augmentation.enabled",
              instead="write `synonym_replacement`, `random_insertion`, `random_swap` or `random_deletion`"),
    ConfigKey("data.augmentation.aug_p", "number", 0.1, "part of their words that change", "made",
              "data.augmentation.enabled", why="it is a part of the words, above 0 and below 1",
              instead="write `0.1`, for one"),
    ConfigKey("output.structured", "truth", False, "nothing: answers are always held to their form where the model is "
              "ours to hold", "aside"),
    ConfigKey("output.schema", "schema", None, "the one form of structured answers", "made",
              why="answers have `decision` (text), `rationale` (text) and `abstain` (truth), no more and no less",
              instead=_REMOVE),
    ConfigKey("instruction_format.system_prompt", "text", "", "controls.system_prompt", "made"),
    ConfigKey("instruction_format.input_template", "text", "", "controls.prompt", "made",
              why="a prompt holds `{text}`, and `{metadata}` beside it where there are any",
              instead="write `{text}` where the text goes; braces of another kind are written twice"),
    ConfigKey("instruction_format.output_template", "text", "", "the one form of structured answers", "made",
              why="answers have `decision`, `rationale` and `abstain`, in this order", instead=_REMOVE),
    ConfigKey("instruction_format.abstain_examples", "rows", (), "training rows that are abstained on", "made",
              why="an abstain example has `text`, and an `output` whose decision is null and whose `abstain` is true",
              instead="write `- {text: …, output: '{\"decision\": null, \"rationale\": \"…\", \"abstain\": true}'}`"),
)  # fmt: skip

_STAKES = "high_stakes"


def _stakes(group: str, *rows: Sequence[Any]) -> tuple[ConfigKey, ...]:
    """Return the keys of a group of `high_stakes`, each bound to its switch but that itself."""
    base = f"{_STAKES}.{group}"
    on = f"{base}.enabled"
    made = (ConfigKey(f"{base}.{row[0]}", *row[1:]) for row in rows)
    return tuple(key if key.name == on else key._replace(switch=on) for key in made)


_HIGH_STAKES = (
    *_stakes(
        "uncertainty",
        ("enabled", "truth", False, "evaluation.generation.dropout_passes", "made"),
        ("method", "text", "mc_dropout", "dropout passes, or seeds of an ensemble", "made", "",
         _same("mc_dropout", "deep_ensemble"), "there are passes with dropout and ensembles of seeds",
         "write `mc_dropout` or `deep_ensemble`"),
        ("num_samples", "integer", 5, "so many passes or seeds", "made", "", None,
         "fewer than two passes cannot differ", "write `5`, for one"),
        ("abstention_threshold", "number", 0.7, "nothing: confidence decides who abstains", "aside", "", _same(0.7),
         "who abstains is decided by confidence, best by a calibrated threshold",
         "set `abstain.default_threshold` of `labels.yaml`, or `ck calibrate --method crc`"),
        ("fp_penalty_weight", "number", 2.0, "nothing", "aside", "", _same(0),
         _NO_PENALTY, "weigh labels in `labels.yaml` and train with `controls.loss: harm_weighted`"),
    ),
    *_stakes(
        "factual",
        ("enabled", "truth", False, "the part `consistency` of `analysis.audit`", "made"),
        ("reliance_steps", "integer", 3, "nothing", "aside", "", _same(0),
         "steps of a reasoning are not checked: nothing here knows whether they are true", _REMOVE),
        ("fact_penalty_weight", "number", 2.0, "nothing", "aside", "", _same(0), _NO_PENALTY, _REMOVE),
        ("self_consistency_threshold", "number", 0.8, "analysis.audit.agreement"),
    ),
    *_stakes(
        "bias_audit",
        ("enabled", "truth", False, "the parts `groups` and `counterfactual` of `analysis.audit`", "made"),
        ("audit_categories", "words", ("gender", "race", "age", "nationality"), "analysis.audit.terms", "made", "",
         None, "there is no list of such terms", "name bundled lists; `analysis.audit.terms` takes files"),
        ("bias_threshold", "number", 0.1, "analysis.audit.gap"),
        ("mitigation_weight", "number", 1.5, "nothing", "aside", "", _same(0), _NO_PENALTY,
         "weigh labels in `labels.yaml` and train with `controls.loss: harm_weighted`"),
    ),
    *_stakes(
        "explainable",
        ("enabled", "truth", False, "nothing", "aside", "", _same(False),
         "nothing here can tell whether a rationale is the cause of an answer",
         "write `enabled: false`; `analysis.audit.procedures` asks rules of rationales"),
        ("chain_of_thought", "truth", True, "nothing", "aside"),
        ("reasoning_steps", "integer", 3, "nothing", "aside"),
        ("faithfulness_check", "truth", True, "nothing", "aside"),
    ),
    *_stakes(
        "procedural",
        ("enabled", "truth", False, "the part `procedures` of `analysis.audit`", "made"),
        ("domain", "text", "medical", "analysis.audit.procedures", "made", "",
         _same("medical", "legal", "financial", "general"), "there are no example rules of that name",
         "write `medical`, `legal`, `financial` or `general`, or name a `procedure_file`"),
        ("procedure_file", "text?", "configs/procedures.yaml", "analysis.audit.procedures", "made"),
        ("compliance_weight", "number", 2.0, "nothing", "aside", "", _same(0), _NO_PENALTY, _REMOVE),
    ),
    *_stakes(
        "verifiable",
        ("enabled", "truth", False, "nothing: every step of every run is on record; `ck audit verify` checks it",
         "aside"),
        ("hash_artifacts", "truth", True, "always done", "aside", "", _same(True),
         "the record cannot be turned off: what a run leaves is always hashed", _REMOVE),
        ("cryptographic_proof", "truth", True, "always done: a chain of hashes, unsigned", "aside", "", _same(True),
         "the record cannot be turned off: its lines are always chained", _REMOVE),
        ("audit_log", "text", "artifacts/audit_trail.jsonl", "nothing: the record is `logs/audit.jsonl`", "aside", "",
         _same("artifacts/audit_trail.jsonl", "logs/audit.jsonl"), "the record has one place, `logs/audit.jsonl`",
         "remove the key; `ck audit show` reads it"),
        ("checkpoint_hashing", "truth", True, "always done", "aside", "", _same(True),
         "the record cannot be turned off: checkpoints are always hashed", _REMOVE),
    ),
)  # fmt: skip

_SETS = "advanced_metrics.conformal_prediction"
_RISK = "advanced_metrics.risk_control"
_TRACKED = "advanced_metrics.calibration_tracking"
_METRICS = (
    ConfigKey(f"{_SETS}.enabled", "truth", False, "the split `calibration`, and `ck calibrate`", "made"),
    ConfigKey(f"{_SETS}.alpha", "number", 0.1, "`ck calibrate --alpha`", "made", f"{_SETS}.enabled", None,
              "a share of sets that may miss is between 0 and 1", "write `0.1`, for one"),
    ConfigKey(f"{_SETS}.method", "text", "lac", "`ck calibrate --method`", "made", f"{_SETS}.enabled",
              _same("lac", "aps", "raps"), "it is no method of conformal sets", "write `lac` or `aps`"),
    ConfigKey(f"{_SETS}.calibration_ratio", "number", 0.2, "the split `calibration`, stratified, seed 42", "made",
              "", None, "a share is above 0 and below 1", "write `0.2`, for one"),
    ConfigKey(f"{_RISK}.enabled", "truth", False, "the split `calibration`, and `ck calibrate --method crc`", "made"),
    ConfigKey(f"{_RISK}.alpha", "number", 0.1, "`ck calibrate --alpha`", "made", f"{_RISK}.enabled", None,
              "a risk is above 0", "write `0.1`, for one"),
    ConfigKey(f"{_RISK}.cost_matrix", "text?", "default", "the costs of `labels.yaml`", "aside", f"{_RISK}.enabled",
              _same("default", None), "a matrix does not say which of its axes is the truth",
              "name costs: `labels.yaml`, or `ck calibrate --costs FILE`"),
    ConfigKey(f"{_RISK}.class_names", "words", None, "the labels", "made", f"{_RISK}.enabled",
              why="the classes are those of `labels.yaml`, or of the data", instead=_REMOVE),
    ConfigKey(f"{_TRACKED}.enabled", "truth", False, "nothing", "aside", "", _same(False),
              "it is an earlier form of `calibration_monitoring`",
              "write `calibration_monitoring: {enabled, adjustment_threshold, lr_reduction_factor}`"),
    ConfigKey(f"{_TRACKED}.adjustment_threshold", "number", 0.05, "nothing", "aside", f"{_TRACKED}.enabled"),
    ConfigKey(f"{_TRACKED}.adjustment_factor", "number", 0.9, "nothing", "aside", f"{_TRACKED}.enabled"),
    ConfigKey(f"{_TRACKED}.patience", "integer", 3, "nothing", "aside", f"{_TRACKED}.enabled"),
    ConfigKey(_ABSTAIN, "truth", True, "controls.loss", "made"),
    *(
        ConfigKey(f"abstention_loss.{name}", "number", value, f"controls.loss_options.{name}", "set", _ABSTAIN)
        for name, value in (("confidence_threshold", 0.7), ("abstention_penalty", 0.3), ("uncertainty_weight", 0.1))
    ),
    ConfigKey("calibration_monitoring.enabled", "truth", True, _MONITOR, "made"),
    ConfigKey("calibration_monitoring.adjustment_threshold", "number", 0.05, f"{_MONITOR}.adjustment_threshold", "set",
              "calibration_monitoring.enabled"),
    ConfigKey("calibration_monitoring.lr_reduction_factor", "number", 0.8, f"{_MONITOR}.lr_reduction_factor", "set",
              "calibration_monitoring.enabled"),
)  # fmt: skip

CONFIG_KEYS: Mapping[str, ConfigKey] = MappingProxyType(
    {key.name: key for key in (*_MODEL, *_TRAINING, *_ROWS, *_HIGH_STAKES, *_METRICS)}
)
"""Every key of the configuration by its name."""

ALIASES: Mapping[str, str] = MappingProxyType({"advanced_metrics.abstention_loss": "abstention_loss"})
"""Groups that stood elsewhere, by where they stand here."""

LABEL_KEYS: Mapping[str, ConfigKey] = MappingProxyType(
    {
        key.name: key
        for key in (
            ConfigKey("labels", "rows", None, "controls.options, harm_weights, and costs of the evaluation", "made"),
            ConfigKey("abstain.enabled", "truth", True, "`ck predict --threshold`", "made"),
            ConfigKey("abstain.default_threshold", "number", 0.7, f"{_MONITOR}.abstain_below, `ck predict --threshold`",
                      "made", "abstain.enabled", None, "a confidence is between 0 and 1", "write `0.7`, for one"),
            ConfigKey("abstain.cascade_threshold", "number", 0.85, "`ck predict --cascade-threshold`", "made",
                      "abstain.enabled", None, "a confidence is between 0 and 1", "write `0.85`, for one"),
            ConfigKey("abstain.max_abstain_rate", "number", 0.15, "`ck predict --max-abstain-rate`", "made",
                      "abstain.enabled", None, "a share is between 0 and 1", "write `0.15`, for one"),
            ConfigKey("critical_errors", "rows", (), "controls.critical_errors, and costs of the evaluation", "made"),
        )
    }
)  # fmt: skip
"""Every key of the labels by its name."""

_SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_GLM = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")

MODEL_BLOCKS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        name: MappingProxyType(
            {"model_id": repo, "tokenizer_id": repo, "target_modules": modules, "chat_template": family}
        )
        for name, repo, modules, family in (
            ("glm-4.5-air", "ZHIPU-AI/glm-4-9b-chat", _GLM, "glm"),
            ("qwen2.5-7b", "Qwen/Qwen2.5-7B", _SEVEN, "qwen"),
            ("mistral-7b", "mistralai/Mistral-7B-v0.1", _SEVEN[:4], "mistral"),
            ("llama-3-8b", "meta-llama/Meta-Llama-3-8B", _SEVEN, "llama"),
        )
    }
)
"""Blocks of models that hold where a file has none of that name."""
