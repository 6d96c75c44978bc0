"""The experiment as designed: the front matter of `experiment_summary.md`."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cruijff_kit.schema.claims import Claim
from cruijff_kit.schema.data import DataSpec
from cruijff_kit.schema.dataset_type import DatasetType
from cruijff_kit.schema.design_kinds import FractionalDesign, GridDesign, LatinDesign, Level, SearchDesign
from cruijff_kit.schema.evaluation import Evaluation
from cruijff_kit.schema.losses import LossControls
from cruijff_kit.schema.model_audit import AuditRules
from cruijff_kit.schema.noun import Name, Noun, Sha256, TimeLimit
from cruijff_kit.schema.policy import DesignPolicy

__all__ = [
    "Analysis",
    "Controls",
    "DatasetType",
    "DesignKind",
    "EvalResources",
    "ExperimentSpec",
    "Factors",
    "Level",
    "LoraVariant",
    "ModelRef",
    "Output",
    "Pilot",
    "Quantization",
    "Resources",
    "RunSpec",
    "Schedule",
    "Strategy",
    "Tools",
]

Schedule = Literal["cosine", "linear", "constant", "constant_with_warmup"]
"""Learning-rate schedules that the recipes implement."""

LoraVariant = Literal["lora", "rslora", "dora"]
"""Forms of the low-rank update."""

Quantization = Literal["none", "nf4", "int4"]
"""How the frozen base is stored."""

Strategy = Literal["ddp", "fsdp"]
"""How several GPUs share a training."""

DesignKind = Annotated[GridDesign | FractionalDesign | LatinDesign | SearchDesign, Field(discriminator="kind")]
"""A design that chooses its runs by more than `full` or `list` says."""

Factors = dict[str, tuple[Level, ...]]
"""Factor name to its levels, in the order they were written."""

_SIZE = r"^[1-9]\d*[KMGT]$"
_FEATURES = r"^[A-Za-z0-9_&|.()*-]+$"


class Tools(Noun):
    """Which engines prepare and evaluate the models."""

    preparation: Literal["torchtune", "peft", "mlx", "none"] = "torchtune"
    """Fine-tuning backend: `torchtune` for Llama, `peft` for any, `mlx` on Apple silicon; `none` trains nothing."""
    evaluation: Literal["inspect-ai", "none"] = "inspect-ai"
    """Evaluation engine; `none` to compare training losses only."""


class ModelRef(Noun):
    """A base model: a name for the design, and the directory it lives in or the API it answers behind."""

    name: Name
    """Name used in factors, runs and reports."""
    path: str | None = None
    """Directory in Hugging Face format; relative paths start at the site's models directory.

    Beside `api` it is a local copy, whose tokenizer the server's prompts are compared with.
    """
    api: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*/[^\s/][^\s]*$")
    """Provider and model of inspect-ai, such as `openai/gpt-4o` or `openai-api/vllm/tiny`; only evaluated."""
    base_url: str | None = Field(default=None, pattern=r"^https?://[^\s@?#]+$")
    """Address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`; it holds no key."""
    revision: str | None = None
    """Revision the directory was downloaded at, where known."""
    trust_remote_code: Literal[False] = False
    """Code inside a model directory is never executed."""
    sha256: Sha256 | None = None
    """Content hash the directory must have; filled in when the design is written."""

    @model_validator(mode="after")
    def _somewhere(self) -> "ModelRef":
        if self.path is None and self.api is None:
            raise ValueError("give `path`, the model's directory, or `api`, its provider and name")
        if self.base_url is not None and self.api is None:
            raise ValueError("`base_url` belongs to a model behind an `api`")
        return self


class Controls(LossControls):
    """Everything held fixed unless a factor varies it; shared by training and evaluation."""

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] = Field(default=(14,), min_length=1)
    """One replicate of every run per seed; a seed fixes all randomness of its run."""
    recipe: str | None = None
    """Training recipe of this package, or a module or Python file of yours; the backend's own where absent."""
    dataset_type: DatasetType = "chat_completion"
    """How a row becomes tokens; `chat` rows hold conversations in `messages`, `auto` goes by each row's own columns."""
    prompt: str = "{input}"
    """Template of the user's turn; fields in braces name columns, `{{` is a literal brace."""
    system_prompt: str = ""
    """System message; empty means none, in training and in evaluation alike."""
    template: str = Field(default="model", min_length=1)
    """How conversations are written: `model` is the model's own chat template, `alpaca`, `chatml`, `llama2`, `llama3`

    and `tinyllama` are named ones; else a text with `{input}` and `{output}`, or a file that holds one.
    """
    template_date: str = Field(default="26 Jul 2024", min_length=1)
    """Date handed to chat templates that print one, so that tokens never depend on today."""
    epochs: int = Field(default=1, ge=1, le=10_000)
    """Passes over the training split."""
    batch_size: int = Field(default=4, ge=1, lt=2**32)
    """Rows per forward pass."""
    batch_size_val: int | None = Field(default=None, ge=1, lt=2**32)
    """Rows per forward pass in validation; `batch_size` where absent."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, lt=2**32)
    """Forward passes per optimiser step."""
    lr: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    lr_scheduler: Schedule = "cosine"
    """Shape of the learning rate over optimiser steps."""
    num_warmup_steps: int = Field(default=100, ge=0, lt=2**32)
    """Optimiser steps over which the learning rate rises linearly."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay of AdamW."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Gradient norm is clipped to this; None leaves it."""
    lora_rank: int = Field(default=64, ge=1, lt=2**32)
    """Rank of the LoRA update."""
    lora_alpha: float | None = Field(default=None, gt=0)
    """LoRA scaling numerator; twice the rank where absent."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the LoRA input."""
    lora_variant: LoraVariant = "lora"
    """`rslora` scales by alpha over the root of the rank, `dora` learns each weight's magnitude apart."""
    target_modules: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Linear layers that are adapted, by the model's own names; all those of every block where absent."""
    quantization: Quantization = "none"
    """`nf4` keeps the frozen base in 4 bits, which needs a GPU and `bitsandbytes`; `int4` is MLX's own form of it."""
    train_on_input: bool = False
    """Whether prompt tokens are supervised too."""
    max_seq_len: int = Field(default=2048, ge=1, lt=2**32)
    """Longest row in tokens."""
    overlong: Literal["refuse", "truncate"] = "refuse"
    """What happens to rows longer than `max_seq_len`: the design is refused, or the row's answer is cut."""
    max_steps_per_epoch: int | None = Field(default=None, ge=1, lt=2**32)
    """Optimiser steps after which an epoch ends early."""
    training_samples: int | None = Field(default=None, ge=1, lt=2**32)
    """Rows of the training split to use: a seeded shuffled subset."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of weights and activations."""
    packed: bool = False
    """Whether the rows of a pass are laid end to end without padding; each row sees itself alone."""
    activation_checkpointing: bool = False
    """Whether blocks are computed again for the backward pass, for less memory and more time."""
    compile: bool = False
    """Whether blocks are compiled first, which pays in long training."""
    strategy: Strategy = "ddp"
    """What several GPUs share: `ddp` the rows, `fsdp` the frozen weights too."""
    log_every_n_steps: int = Field(default=1, ge=1, lt=2**32)
    """Optimiser steps between lines of `metrics.jsonl`."""
    run_val_every_n_steps: int = Field(default=0, ge=0, lt=2**32)
    """Optimiser steps between validation passes; 0 validates at the end of each epoch only."""
    epochs_to_save: Literal["all", "last", "none"] | tuple[Annotated[int, Field(ge=0)], ...] = "all"
    """Epochs whose adapter is kept, counted from 0."""
    keep_best: bool = True
    """Whether the adapter of the best validation, by `metric_for_best_model`, is kept beside the epochs, as `best`."""
    save_adapter_weights_only: bool = True
    """Whether only adapters are kept; else the merged model of each kept epoch too."""
    stash_adapter_weights: bool = False
    """Whether a merged model takes the epoch's folder and its adapter moves to `adapter_weights/` below it."""
    checkpoint_every_n_steps: int = Field(default=0, ge=0, lt=2**32)
    """Optimiser steps between checkpoints to resume from; 0 makes one every ten minutes and at epoch ends."""
    custom_metrics: str | None = None
    """`label_format` (labels `0` and `1`), `label_format:yes,no`, or `file.py` with `calculate_custom_metrics`."""


class RunSpec(Noun):
    """A run that the factors cannot express, such as the base model as control."""

    name: Name
    """Slug of the run; the content hash is appended."""
    type: Literal["fine-tuned", "control"] = "fine-tuned"
    """`control` evaluates the base model untouched."""
    model: Name | None = None
    """Base model; the only one of the design where absent."""
    parameters: dict[str, Level] = {}
    """Controls that differ for this run."""
    # A design that says nothing of it keeps the hash it had before there was such a key.
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...] | None = Field(
        default=None, min_length=1, exclude_if=lambda value: value is None
    )
    """Replicate seeds of this run alone; those of `controls` where absent."""


class Pilot(Noun):
    """What earlier results say of the spread, for the statement of power."""

    accuracy: float | None = Field(default=None, gt=0, lt=1)
    """Share of items answered right; 0.5, the hardest case, where absent."""
    discordance: float | None = Field(default=None, gt=0, le=1)
    """Share of items on which one of two models is right and the other wrong."""
    icc: float | None = Field(default=None, ge=0, le=1)
    """Correlation within a cluster of the change from one model to another."""
    cluster_size: float | None = Field(default=None, ge=1)
    """Mean samples a cluster."""
    seed_sd: float | None = Field(default=None, gt=0)
    """Standard deviation of the primary metric between seeds of one combination."""


class Analysis(Noun):
    """The analysis, fixed before any result is seen."""

    primary_metric: str = "match"
    """Outcome: a scorer, whose mean is taken, or one of its figures such as `risk/auc`."""
    primary_task: Name | None = None
    """Task the bottom line is about; the first one where absent."""
    comparisons: tuple[str, ...] = ()
    """Planned comparisons: factor names, or `base` for base against fine-tuned; all where empty."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Two-sided significance level; intervals have level 1 - alpha."""
    power: float = Field(default=0.8, gt=0, lt=1)
    """Power at which the minimum detectable difference is stated."""
    groups: tuple[str, ...] = ()
    """Columns by which results are broken down, such as `word_length`."""
    cluster: str | None = None
    """Column whose equal values mark samples that stand or fall together, such as a passage or a person."""
    pilot: Pilot | None = None
    """Spread seen in earlier results."""
    # A design that says nothing of it keeps the hash it had before there was such a key.
    audit: AuditRules | None = Field(default=None, exclude_if=lambda value: value is None)
    """What `ck audit-model` asks of a model, where it differs from the defaults."""
    claims: tuple[Claim, ...] = Field(default=(), exclude_if=lambda value: not value)
    """What the hypothesis says in figures: each is confirmed, violated or left open by the comparison it names."""


class EvalResources(Noun):
    """What an evaluation asks for instead of what a training does; what it leaves out is the training's."""

    gpus: int | None = Field(default=None, ge=0, le=1)
    """GPUs: 0 evaluates on the CPU; one where absent and the training has any."""
    gpu_type: Name | None = None
    """Kind of GPU, as the scheduler calls it."""
    cpus: int | None = Field(default=None, ge=1, le=512)
    """CPUs."""
    mem: str | None = Field(default=None, pattern=_SIZE)
    """Memory, such as `16G`."""
    partition: Name | None = None
    """Partition."""
    account: Name | None = None
    """Account."""
    qos: Name | None = None
    """Quality of service."""
    constraint: str | None = Field(default=None, pattern=_FEATURES)
    """Node features."""
    exclusive: bool | None = None
    """Whether it takes its node for itself."""


class Resources(Noun):
    """What each job asks of the scheduler."""

    time: TimeLimit = "01:00:00"
    """Time limit of a training job, `[days-]hours:minutes:seconds`."""
    eval_time: TimeLimit = "01:00:00"
    """Time limit of an evaluation job."""
    gpus: int = Field(default=0, ge=0, le=64)
    """GPUs of a training job on each of its nodes, one process each; an evaluation takes one. 0 computes on the CPU."""
    nodes: int = Field(default=1, ge=1, le=64)
    """Nodes of a training job; an evaluation takes one."""
    gpu_type: Name | None = None
    """Kind of GPU, as the scheduler calls it; the site's where absent."""
    cpus: int = Field(default=1, ge=1, le=512)
    """CPUs of a job on each of its nodes; also the OpenMP threads of all its processes there."""
    mem: str | None = Field(default=None, pattern=_SIZE)
    """Memory of a job on each of its nodes, such as `80G`."""
    partition: Name | None = None
    """Partition; the site's where absent."""
    account: Name | None = None
    """Account; the partition's or the site's where absent."""
    qos: Name | None = None
    """Quality of service; the partition's or the site's where absent."""
    constraint: str | None = Field(default=None, pattern=_FEATURES)
    """Node features; the site's where absent."""
    exclusive: bool = False
    """Whether a job takes its nodes for itself."""
    # A design that says nothing of it keeps the hash it had before there was such a key.
    evaluation: EvalResources | None = Field(default=None, exclude_if=lambda value: value is None)
    """What an evaluation asks for where that differs from a training, such as `{partition: cpu, gpus: 0}`."""
    notify: bool = False
    """Whether the scheduler writes one mail, to the site's `mail`, when the last job of a submission ends."""

    @property
    def processes(self) -> int:
        """Return the processes of a training, on all its nodes."""
        return max(1, self.gpus) * self.nodes

    @property
    def all_gpus(self) -> int:
        """Return the GPUs of a training, on all its nodes."""
        return self.gpus * self.nodes

    @property
    def eval_gpus(self) -> int:
        """Return the GPUs of an evaluation: one at most."""
        own = None if self.evaluation is None else self.evaluation.gpus
        return min(1, self.gpus) if own is None else own

    def of_evaluation(self) -> "Resources":
        """Return what an evaluation asks for, as if it were a training; what it leaves out is the training's."""
        own = {} if self.evaluation is None else self.evaluation.model_dump(exclude_none=True)
        given = self.model_dump(exclude_unset=True, exclude={"evaluation"})
        one = {"time": self.eval_time, "gpus": self.eval_gpus, "nodes": 1}
        return Resources.model_validate({**given, **own, **one})


class Output(Noun):
    """Where checkpoints go, and what runs are called."""

    output_dir_base: str | None = None
    """Directory for checkpoints instead of `outputs/` in the experiment."""
    wandb_project: Name | None = None
    """Weights & Biases project: each training keeps an offline run for it, sent by `ck wandb sync` alone."""
    # A design that says nothing of it keeps the hash it had before there was such a key.
    naming: Literal["factors", "words"] = Field(default="factors", exclude_if=lambda value: value == "factors")
    """What begins the ids of runs that factors make: their levels, or an adjective and a noun."""


class ExperimentSpec(Noun):
    """A whole experiment as designed; `parse(render(spec)) == spec`."""

    schema_version: Literal[1] = 1
    """Version of this form; newer ones are refused with the remedy."""
    name: Name
    """Name of the experiment and of its directory."""
    type: Literal["experiment", "sanity_check"] = "experiment"
    """Whether the answer is unknown, or known and checked."""
    question: str = Field(min_length=1)
    """The scientific question in one sentence."""
    hypothesis: str = ""
    """What is expected, written before any run."""
    created: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """ISO-8601 date of the design."""
    tools: Tools = Tools()
    """Engines."""
    models: tuple[ModelRef, ...] = Field(min_length=1)
    """Base models."""
    data: DataSpec
    """Data."""
    design: Literal["full", "list"] | DesignKind = "full"
    """`full` crosses all factors, `list` runs only what `runs` names; `{kind: …}` takes points of a space:

    `grid`, `fractional`, `latin_hypercube` or `search`.
    """
    factors: Factors = {}
    """What is varied: any control, `model`, `data.path` or `data.<generator argument>`."""
    runs: tuple[RunSpec, ...] = ()
    """Runs that the factors cannot express."""
    controls: Controls = Controls()
    """What is held fixed."""
    evaluation: Evaluation = Evaluation()
    """What is measured."""
    analysis: Analysis = Analysis()
    """How it is analysed."""
    resources: Resources = Resources()
    """What jobs ask for."""
    output: Output = Output()
    """Where checkpoints go, and what runs are called."""
    # A design that says nothing of it keeps the hash it had before there was such a key.
    policy: DesignPolicy | None = Field(default=None, exclude_if=lambda value: value is None)
    """What follows when jobs end badly, where it differs from the site's `policy`."""

    @field_validator("factors", mode="after")
    @classmethod
    def _levels_differ(cls, factors: Factors) -> Factors:
        for name, levels in factors.items():
            if not levels:
                raise ValueError(f"factor `{name}` has no levels")
            if len({repr(level) for level in levels}) < len(levels):
                raise ValueError(f"factor `{name}` names a level twice")
        return factors

    @model_validator(mode="before")
    @classmethod
    def _known_version(cls, value: Any) -> Any:
        version = value.get("schema_version", 1) if isinstance(value, dict) else 1
        if isinstance(version, int) and version > 1:
            raise ValueError(f"schema_version `{version}` is newer than this package reads (1); upgrade cruijff-kit")
        return value
