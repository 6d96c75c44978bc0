"""Checks of a design against its rows: splits, columns and overlaps."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import NamedTuple

from cruijff_kit.data.loaders import Columns
from cruijff_kit.data.prompts import placeholders
from cruijff_kit.data.splits import Overlap, Splits, overlaps
from cruijff_kit.data.turns import MESSAGES
from cruijff_kit.errors import Problem
from cruijff_kit.schema.data import TrainingData
from cruijff_kit.schema.spec import Analysis, ExperimentSpec

__all__ = [
    "Used",
    "check_columns",
    "check_counts",
    "check_groups",
    "check_overlaps",
    "columns_of",
    "wanted_columns",
]


class Used(NamedTuple):
    """The rows of one data set that a design uses."""

    name: str
    """File or key, as shown to people."""
    splits: Splits
    """Splits that runs train on or are evaluated on."""
    shown: bool = False
    """Whether problems may quote the rows."""


def wanted_columns(spec: ExperimentSpec) -> Columns:
    """Return the columns that every row of a design's data must have, whatever type a run reads it as."""
    training = spec.data.training
    types = set(spec.factors.get("dataset_type", ())) or {spec.controls.dataset_type}
    types |= {run.parameters["dataset_type"] for run in spec.runs if "dataset_type" in run.parameters}
    items = "auto" in types
    messages = MESSAGES if "chat" in types else None
    if types <= {"chat", "auto"}:
        return Columns(None, None, messages, training.columns, items)
    return Columns(training.input_key, training.output_key, messages, training.columns, items)


def check_overlaps(used: Used, *, column: str | None, path: str = "data.training") -> list[Problem]:
    """Return a problem for every two splits that share questions; without a column each row says its own."""
    hint = "remove the shared rows from one of them: what was trained on measures nothing"
    return [Problem(_shared_words(used, shared), path, hint=hint) for shared in overlaps(used.splits, column=column)]


def _shared_words(used: Used, shared: Overlap) -> str:
    both = f"splits `{shared.first}` and `{shared.second}` of `{used.name}` share {len(shared.rows)} questions"
    example = f", such as `{shared.example[:40]}`" if used.shown else ""
    return f"{both}{example} ({shared.second}[{shared.rows[0]}])"


def check_counts(training: TrainingData, used: Used) -> Iterator[Problem]:
    """Yield a problem for each split whose rows differ from what the design expects."""
    for split, expected in training.splits.items():
        found = len(used.splits.get(split, ()))
        if found != expected:
            fact = f"split `{split}` of `{used.name}` has {found} rows; the design expects {expected}"
            yield Problem(fact, f"data.training.splits.{split}", hint="mend the number, or use the data that was meant")


def check_columns(prompts: Mapping[str, str], used: Used, *, training: TrainingData) -> Iterator[Problem]:
    """Yield a problem for each prompt that names a column the rows do not have.

    Args:
        prompts: path in the design to prompt template.
        used: the rows.
        training: which columns are question and answer.
    """
    columns = _shared_columns(used.splits) - {training.output_key} | {"input"}
    for path, prompt in prompts.items():
        for name in placeholders(prompt):
            if name not in columns:
                yield _unknown_column(name, columns, path=path, training=training)


def columns_of(analysis: Analysis) -> tuple[str, ...]:
    """Return the columns that predictions must carry: those broken down or audited by, and that of the clusters."""
    clusters = () if analysis.cluster is None else (analysis.cluster,)
    audited = () if analysis.audit is None else analysis.audit.groups
    return tuple(dict.fromkeys((*analysis.groups, *clusters, *audited)))


def check_groups(analysis: Analysis, used: Used) -> Iterator[Problem]:
    """Yield a problem for each group, and a cluster column, that is no column of the evaluated rows."""
    columns = _shared_columns(used.splits)
    named = [(name, "group", f"analysis.groups[{index}]") for index, name in enumerate(analysis.groups)]
    if analysis.cluster is not None:
        named.append((analysis.cluster, "cluster", "analysis.cluster"))
    audited = () if analysis.audit is None else analysis.audit.groups
    named += [(name, "group", f"analysis.audit.groups[{index}]") for index, name in enumerate(audited)]
    for name, word, path in named:
        if name not in columns:
            near = get_close_matches(name, columns, n=1)
            hint = f"write `{near[0]}`" if near else f"columns are {_listed(columns)}"
            yield Problem(f"{word} `{name}` is no column of `{used.name}`", path, hint=hint)


def _unknown_column(name: str, columns: set[str], *, path: str, training: TrainingData) -> Problem:
    if name == training.output_key:
        return Problem(f"the prompt gives the answer away: `{{{name}}}`", path, hint=f"remove `{{{name}}}`")
    near = get_close_matches(name, columns, n=1)
    hint = f"write `{{{near[0]}}}`" if near else f"name one of the columns, or write `{{{{{name}}}}}` for plain braces"
    return Problem(f"the prompt asks for column `{name}`; the rows have {_listed(columns)}", path, hint=hint)


def _shared_columns(splits: Splits) -> set[str]:
    rows = [set(row) for split in splits.values() for row in split]
    return set.intersection(*rows) if rows else set()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
