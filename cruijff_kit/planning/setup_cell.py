"""One evaluation set up by keys: what its job reads."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.yaml_text import dotted
from cruijff_kit.errors import PlanError, Problem
from cruijff_kit.planning.job_configs import task_fields
from cruijff_kit.planning.scorer_checks import check_task
from cruijff_kit.schema.config import EvalConfig
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.evaluation import EvalTask, Generation
from cruijff_kit.schema.noun import fact_of

__all__ = ["CellGround", "cell_config", "cell_folder"]

_DATA = (
    *("dataset_type", "prompt", "system_prompt", "input_key", "output_key"),
    *("template", "template_date", "max_seq_len", "overlong"),
)


class CellGround(NamedTuple):
    """What the keys do not say: where the files go, and what was found on disk."""

    root: str
    """Absolute directory that the cell lies below."""
    model_sha256: str
    """Hash of the base model."""
    data: DatasetFacts
    """The data set."""
    columns: Mapping[str, str]
    """Columns renamed as rows are read."""
    adapter: str | None
    """Absolute directory of the adapter; None for a control."""
    adapter_sha256: str | None
    """Hash of its weights."""


def cell_folder(values: Mapping[str, Any], *, root: str) -> str:
    """Return the directory of the cell: `eval/<name>_epoch_<n>`, or `eval/<name>_base` for a control."""
    suffix = "base" if values["epoch"] is None else f"epoch_{values['epoch']}"
    return f"{root}/eval/{values['name']}_{suffix}"


def cell_config(values: Mapping[str, Any], ground: CellGround) -> EvalConfig:
    """Return what the evaluation job reads; the one function that makes it of the keys.

    Args:
        values: every key with its value.
        ground: what was found for them.

    Raises:
        PlanError: a value does not fit its place; lists every problem.
    """
    folder = cell_folder(values, root=ground.root)
    base = values["base_model_dir"]
    try:
        planned = _task(values)
        return EvalConfig.model_validate(
            {
                "run_id": values["run"],
                "cell_dir": folder,
                "alone": True,
                "epoch": values["epoch"],
                "base_model": {"name": _named(base), "path": base, "sha256": ground.model_sha256},
                "adapter": ground.adapter,
                "adapter_sha256": ground.adapter_sha256,
                "dataset": {
                    "path": ground.data.path,
                    "sha256": ground.data.sha256,
                    "columns": tuple(sorted(ground.columns.items())),
                    **{name: values[name] for name in _DATA},
                },
                "groups": tuple(values["groups"] or ()),
                "generation": {name: values[name] for name in Generation.model_fields},
                "dtype": values["dtype"],
                "seed": values["seed"] or 0,
                **task_fields(planned, ground.data),
            }
        )
    except ValidationError as err:
        raise PlanError("the keys make no evaluation", problems=list(_problems(err))) from err


def _task(values: Mapping[str, Any]) -> EvalTask:
    """Return the task as a design would say it.

    Raises:
        PlanError: its scorers lack what they need, or are told what they do not read.
        ValidationError: a value has another form.
    """
    said = {name: values[name] for name in ("name", "task", "split", "samples", "ignore_case")}
    said |= {"scorers": values["scorer"], "options": values["options"] or ()}
    if values["threshold"] != EvalTask.model_fields["threshold"].default:
        said["threshold"] = values["threshold"]
    task = EvalTask.model_validate(said)
    problems = [each._replace(path="scorer" if each.path == "scorers" else each.path) for each in check_task(task)]
    if problems:
        raise PlanError("the keys make no evaluation", problems=problems)
    return task


def _named(folder: str) -> str:
    """Return a directory's name as a model's."""
    plain = "".join(each if each.isalnum() or each in "._-" else "-" for each in folder.rstrip("/").rpartition("/")[2])
    return plain.lstrip("._-")[:64] or "model"


def _problems(err: ValidationError) -> Iterator[Problem]:
    """Yield what a configuration refuses, at the key that set it."""
    keys = {"run_id": "run", "scorers": "scorer", "generation": "do_sample"}
    for each in err.errors():
        where = dotted(each["loc"])
        plain = where.removeprefix("generation.").removeprefix("dataset.").partition("[")[0]
        hint = "`ck setup-inspect --list-keys` tells what it takes"
        yield Problem(fact_of(each["msg"]), keys.get(plain, plain), hint=hint)
