"""The first system's configuration of a run: `setup_finetune.yaml`, and the `finetune.yaml` that was made of it."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cruijff_kit.data.setup_text import read_setup, setup_value
from cruijff_kit.data.yaml_text import load_yaml
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.setup_keys import ABSENT, DERIVED, REQUIRED, SETUP_FILE, SETUP_KEYS, SITE
from cruijff_kit.schema.spec import Controls

__all__ = ["FINETUNE_FILE", "FirstConfig", "Form", "read_first_config"]

FINETUNE_FILE = "finetune.yaml"
"""What the first system's recipe read."""

Form = Literal["autumn", "later"]
"""Which of its two forms an experiment has: their defaults differ."""

# Place in a torchtune configuration, to the key of the table that says what it becomes.
_PLACES: Mapping[str, str] = MappingProxyType(
    {
        "seed": "seed", "epochs": "epochs", "batch_size": "batch_size", "batch_size_val": "batch_size_val",
        "gradient_accumulation_steps": "gradient_accumulation_steps", "max_steps_per_epoch": "max_steps_per_epoch",
        "log_every_n_steps": "log_every_n_steps", "run_val_every_n_steps": "run_val_every_n_steps",
        "clip_grad_norm": "max_grad_norm", "dtype": "dtype", "compile": "compile",
        "enable_activation_checkpointing": "activation_checkpointing",
        "save_adapter_weights_only": "save_adapter_weights_only",
        "model.lora_rank": "lora_rank", "model.lora_alpha": "lora_alpha", "model.lora_dropout": "lora_dropout",
        "optimizer.lr": "lr", "optimizer.weight_decay": "weight_decay",
        "lr_scheduler.num_warmup_steps": "num_warmup_steps", "tokenizer.max_seq_len": "max_seq_len",
        "dataset.packed": "packed", "dataset.train_on_input": "train_on_input",
        "dataset.new_system_prompt": "system_prompt", "dataset.system_prompt": "system_prompt",
        "dataset.prompt": "prompt",
    }
)  # fmt: skip
_MODEL_PLACE = "checkpointer.checkpoint_dir"
_NAMES = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_MADE_UP = (ABSENT, DERIVED, REQUIRED, SITE)
_FIXED = "fixed: "
_NO_CONTROL = {"seed", "input_key", "output_key"}
# Its template adapted these in every block: the attention's q, v and output, and the whole MLP.
_ADAPTED = ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class FirstConfig(NamedTuple):
    """What the two files say of a run."""

    controls: Mapping[str, Any]
    """Control to its value, as one of the files says it."""
    defaults: Mapping[str, Any]
    """Controls that neither says, at the default of the first system's form."""
    seed: int | None
    """Seed; None where neither says it."""
    named: Mapping[str, Any]
    """Keys that lead to names, data and models, as they were written."""
    model: str
    """Directory of the base model; empty where neither says it."""
    outcomes: tuple[tuple[str, str], ...]
    """Key with its file, and what became of it."""
    problems: tuple[Problem, ...]
    """All that is wrong with the files."""

    @property
    def data(self) -> str:
        """Return where the data lay; empty where that is not said."""
        base, label = self.named.get("input_dir_base"), self.named.get("dataset_label")
        if not base or not label:
            return ""
        parts = [str(base).rstrip("/"), str(self.named.get("input_formatting") or "").strip("/")]
        return "/".join([*filter(None, parts), f"{label}{self.named.get('dataset_ext') or ''}"])


def read_first_config(setup: str | None, finetune: str | None, *, where: str, form: Form) -> FirstConfig:
    """Return what a run was configured with; where the two files differ, the one that the recipe read counts.

    Args:
        setup: text of its `setup_finetune.yaml`; None where there is none.
        finetune: text of its `finetune.yaml`; None where there is none.
        where: the run's folder, for problems.
        form: which form of the first system it is of.
    """
    problems, outcomes, said = list[Problem](), list[tuple[str, str]](), dict[str, Any]()
    if setup is not None:
        said |= _setup_values(setup, f"{where}/{SETUP_FILE}", outcomes=outcomes, problems=problems)
    tuned, model = dict[str, Any](), ""
    if finetune is not None:
        tuned, model = _finetune_values(finetune, f"{where}/{FINETUNE_FILE}", problems=problems)
    for name, value in tuned.items():
        if name in said and said[name] != value:
            outcomes.append((f"{SETUP_FILE}: {name}", f"`{FINETUNE_FILE}`, which the recipe read, says another value"))
        outcomes.append((f"{FINETUNE_FILE}: {name}", _became(name)))
    whole = {**said, **tuned}
    fields = Controls.model_fields
    told = {name: value for name, value in whole.items() if name in fields and name not in _NO_CONTROL}
    checkpoint = said.get("model_checkpoint") or said.get("torchtune_model_name")
    named = f"{said['models_dir']}/{checkpoint}" if said.get("models_dir") and checkpoint else str(checkpoint or "")
    return FirstConfig(
        controls=told,
        defaults={name: value for name, value in _defaults(form).items() if name not in told},
        seed=whole.get("seed"),
        named={name: value for name, value in said.items() if name not in fields},
        model=model or named,
        outcomes=tuple(outcomes),
        problems=tuple(problems),
    )


def _setup_values(text: str, name: str, *, outcomes: list[tuple[str, str]], problems: list[Problem]) -> dict[str, Any]:
    try:
        given = read_setup(text, name=name)
    except SpecError as err:
        problems += err.problems or [Problem(str(err).partition("\n")[0], place=name)]
        return {}
    for each in given.problems:
        # Its own reader warned of keys that it did not know, and went on.
        if each.path and each.path.partition(".")[0] not in SETUP_KEYS:
            outcomes.append(
                (f"{SETUP_FILE}: {each.path}", "set aside: no key that is known here; kept in the original")
            )
        else:
            problems.append(each)
    outcomes += [(f"{SETUP_FILE}: {key}", _became(key)) for key in given.values]
    return given.values


def _became(name: str) -> str:
    key = SETUP_KEYS[name]
    if name in Controls.model_fields:
        return f"controls.{name}"
    if name == "seed":
        return "seed of the run"
    if key.way == "job":
        return "set aside: asked of a scheduler that this experiment no longer needs; kept in the original"
    return f"tells {key.target}; kept in the original"


def _finetune_values(text: str, name: str, *, problems: list[Problem]) -> tuple[dict[str, Any], str]:
    try:
        document = load_yaml(text, name=name)
    except SpecError as err:
        problems += err.problems or [Problem(str(err).partition("\n")[0], place=name)]
        return {}, ""
    if not isinstance(document.value, dict):
        problems.append(Problem("the file does not hold `key: value` lines", place=name, hint="restore the file"))
        return {}, ""
    flat = dict(_flat(document.value))
    found = dict[str, Any]()
    for place, key in _PLACES.items():
        if place not in flat:
            continue
        raw = _resolved(flat[place], flat)
        try:
            found[key] = setup_value(SETUP_KEYS[key], raw)
        except ValueError as err:
            problems.append(Problem(f"{str(err).partition(chr(10))[0]}", place, name, hint="restore the file"))
    model = _resolved(flat.get(_MODEL_PLACE), flat)
    return found, "" if model is None else str(model)


def _flat(found: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _resolved(value: Any, flat: Mapping[str, Any]) -> Any:
    """Return a value with names in `${…}` replaced, a few levels deep; what names nothing stays as it is."""
    for _ in range(8):
        if not isinstance(value, str) or not _NAMES.search(value):
            return value
        whole = _NAMES.fullmatch(value)
        if whole is not None and whole[1] in flat:
            value = flat[whole[1]]
        else:
            value = _NAMES.sub(lambda found: str(flat.get(found[1], found[0])), value)
    return value


def _defaults(form: Form) -> dict[str, Any]:
    """Return the controls that a form of the first system set where nobody did."""
    found = dict[str, Any]()
    for name, key in SETUP_KEYS.items():
        raw = getattr(key, form)
        if name not in Controls.model_fields or name in _NO_CONTROL or raw in _MADE_UP or raw is None:
            continue
        if isinstance(raw, str) and raw.startswith(_FIXED):
            raw = raw.removeprefix(_FIXED)
        found[name] = _ADAPTED if name == "target_modules" else setup_value(key, raw)
    return found
