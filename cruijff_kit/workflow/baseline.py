"""Baselines: what models of tables reach on the rows of a data set, from the cells that its texts tell."""

import hashlib
from typing import Any

from cruijff_kit.data.splits import write_splits
from cruijff_kit.data.table_rows import TableRows
from cruijff_kit.errors import ResultError, SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.made_data import TableBaseline
from cruijff_kit.workflow.generated_files import drawn_rows
from cruijff_kit.workflow.tiers import sidecar_of

__all__ = ["measure_baseline"]


def measure_baseline(
    path: str, *, split: str = "test", seed: int = 0, progress: Progress | None = None, world: World
) -> TableBaseline:
    """Return what models of tables reach on a generated data set: trained on its `train`, judged on a split.

    They see the columns that the texts tell and no others, of the same rows; nothing is written.

    Args:
        path: the data set, its sidecar beside it.
        split: split to judge on.
        seed: their dice.
        progress: told of rows read or made.
        world: the experiment and its surroundings.

    Raises:
        SpecError: there is no such data set, or it tells no table.
        ResultError: what it was made from has changed since.
        SiteError: scikit-learn, or what reads the table, is not installed.
    """
    content = world.store.read(path)
    told = sidecar_of(world.store.root / path)
    if content is None or not told:
        missing = "is not there" if content is None else "has no sidecar `.meta.json` that can be read"
        raise SpecError(f"`{path}` {missing}", hint="name one that `ck data acs` or a scaffold wrote")
    arguments = told.get("arguments")
    given = arguments if isinstance(arguments, dict) else {}
    table = drawn_rows(str(told.get("generator")), given, progress=progress, world=world)
    sha256 = hashlib.sha256(content).hexdigest()
    if write_splits(table.splits) != content:
        hint = "restore the files it was made from, or make it anew"
        raise ResultError(f"`{path}` is not what its sidecar would make now", hint=hint)
    _refuse_split(table, split, path=path)
    from cruijff_kit.analysis.table_baseline import baselines

    return TableBaseline(
        path=path,
        sha256=sha256,
        split=split,
        trained_on=len(table.splits["train"]),
        rows=len(table.splits[split]),
        features=len(table.features),
        kind="binary" if table.options else "number",
        seed=seed,
        models=baselines(table, split=split, seed=seed),
    )


def _refuse_split(table: TableRows, split: str, *, path: str) -> None:
    others: list[Any] = [name for name in table.splits if name != "train"]
    if split not in others:
        names = ", ".join(f"`{name}`" for name in others)
        raise SpecError(f"`{path}` has no split `{split}` to judge on", hint=f"name one of {names}")
