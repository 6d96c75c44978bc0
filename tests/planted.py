"""Defects planted into one arm of a sanity check, whose run is made in this process."""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cruijff_kit import workflow
from cruijff_kit.bootstrap import open_local
from cruijff_kit.data.draws import ordered
from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.data.loaders import load_splits
from cruijff_kit.data.splits import Splits, write_splits
from cruijff_kit.data.yaml_text import dump_yaml, load_yaml
from cruijff_kit.recipes import peft_lora
from cruijff_kit.runtime import evaluate, inspect_provider
from cruijff_kit.sanity_checks.bench import Begun, Bench
from cruijff_kit.sanity_checks.checks import Arm
from cruijff_kit.sanity_checks.designs import design_text
from cruijff_kit.sanity_checks.registry import CHECKS
from cruijff_kit.schema.sanity import CheckOrder, FigureName, JudgedFigure

__all__ = ["DEFECTS", "QUICK", "SOUND", "Defect", "figures_with"]

Rows = Callable[[Splits], Splits]


class Defect(NamedTuple):
    """Something wrong in one arm, and what must notice it."""

    name: str
    check: str
    arm: str
    caught_by: frozenset[FigureName]
    """Figures that must lie outside their bands."""
    rows: Rows | None = None
    """What becomes of the rows."""
    late: bool = False
    """Whether that happens behind the gates, which refuse a design whose splits share rows."""
    parameters: Mapping[str, Any] = {}
    """Parameters of the run that are not the check's."""
    twice: bool = False
    """Whether prompts begin with two BOS when the model is asked."""


def _leaked(splits: Splits) -> Splits:
    return {**splits, "train": [*splits["train"], *splits["validation"]]}


def _given_away(splits: Splits) -> Splits:
    return {
        split: [{**row, "input": f"{row['input']} {row['output']}"} for row in rows] for split, rows in splits.items()
    }


def _shuffled(splits: Splits) -> Splits:
    places = ordered(map(str, range(len(splits["train"]))), seed=1, label="shuffled")
    answers = [splits["train"][int(place)]["output"] for place in places]
    rows = [{**row, "output": answer} for row, answer in zip(splits["train"], answers, strict=True)]
    return {**splits, "train": rows}


ACCURACY: frozenset[FigureName] = frozenset({"accuracy"})
LOSS: frozenset[FigureName] = frozenset({"validation loss"})
LEAK: frozenset[FigureName] = frozenset({"held-out questions trained on"})
PROMPTS: frozenset[FigureName] = frozenset({"prompts as trained"})
ANSWERS: frozenset[FigureName] = frozenset({"accuracy", "rule kept"})

DEFECTS = (
    Defect("leaked sequences", "bit_sequences", "noisy", LEAK, rows=_leaked, late=True),
    Defect("answer in the question", "bit_sequences", "coin", ACCURACY, rows=_given_away),
    Defect("shuffled labels", "bit_sequences", "parity", ANSWERS, rows=_shuffled),
    Defect("two BOS when asked", "bit_sequences", "parity", PROMPTS, twice=True),
    Defect("prompts learnt", "bit_sequences", "coin", LOSS, parameters={"train_on_input": True}),
    Defect("noise left out", "bit_sequences", "noisy", ANSWERS, parameters={"data.p": 0.0}),
    Defect("nothing learnt", "bit_sequences", "parity", ACCURACY | LOSS, parameters={"lr": 1e-9}),
    Defect("leaked sequences", "predictable_or_not", "uu_answer", LEAK, rows=_leaked, late=True),
    Defect("answer in the question", "predictable_or_not", "pu_answer", ACCURACY, rows=_given_away),
    Defect("shuffled labels", "predictable_or_not", "pp_answer", ANSWERS, rows=_shuffled),
    Defect("two BOS when asked", "predictable_or_not", "up_answer", PROMPTS, twice=True),
    Defect("prompts learnt", "predictable_or_not", "up_answer", LOSS, parameters={"train_on_input": True}),
    Defect("prompts not learnt", "predictable_or_not", "uu_prompt", LOSS, parameters={"train_on_input": False}),
    Defect("another scenario", "predictable_or_not", "up_answer", ACCURACY, parameters={"data.scenario": "uu"}),
)
"""What is planted: leaks, answers given away, shuffled labels, two BOS, wrong masks, wrong rows, no training."""

QUICK = tuple(each for each in DEFECTS if each.name in {"two BOS when asked", "prompts learnt"})[2:]
"""Those that are planted at every run of the tests."""

SOUND = tuple(
    Defect("nothing wrong", check, arm, frozenset())
    for check, arm in dict.fromkeys((each.check, each.arm) for each in DEFECTS)
)
"""The same arms without a defect."""


def figures_with(defect: Defect, root: Path, *, model: Path, monkeypatch: pytest.MonkeyPatch) -> list[JudgedFigure]:
    """Make one run of an arm with a defect in it, and return its judged figures.

    What is expected of it is the check's own: the judge is not told of the defect.
    """
    bench = Bench(root, lambda folder: open_local(folder, root=root, name="ada"))
    folder = root / "planted"
    world = bench.enter(folder)
    workflow.write_design(_design(defect, folder, model=model), reason="A defect is planted.", world=world)
    plan_id = workflow.scaffold_runs(reason="A defect is planted.", world=world).plan_id
    (run,) = folder.glob("runs/*")
    if defect.late and defect.rows is not None:
        _replace_rows(defect.rows, folder, run=run)
    assert peft_lora.main(["--config", str(run / "finetune.yaml")]) == 0
    with monkeypatch.context() as patched:
        if defect.twice:
            patched.setattr(
                inspect_provider, "encode_conversation", partial(_twice, inspect_provider.encode_conversation)
            )
        assert evaluate.main([str(path) for path in run.glob("eval/*/eval.yaml")]) == 0
    order = CheckOrder(check=defect.check, size="small", model=str(model), seeds=(1,))
    verdict = bench.judge(Begun(order, world, plan_id, ""))
    return [each for each in verdict.figures if each.arm == defect.arm]


def _design(defect: Defect, folder: Path, *, model: Path) -> str:
    check = CHECKS[defect.check]
    size = check.sizes["small"]
    arm = next(each for each in check.arms(size) if each.name == defect.arm)
    text = design_text(check, size, name="planted", model=str(model), seeds=[1], created="2026-11-27")
    design = load_yaml(text, name="design").value
    parameters = {**arm.parameters, **defect.parameters}
    if defect.rows is not None and not defect.late:
        folder.joinpath("data").mkdir(parents=True)
        folder.joinpath("data", "planted.json").write_bytes(
            write_splits(defect.rows(_rows(arm, size.arguments, check.generator)))
        )
        design["data"]["training"] = {"path": "data/planted.json"}
        parameters = {name: value for name, value in parameters.items() if not name.startswith("data.")}
    design["runs"] = [{"name": arm.name, "parameters": parameters}]
    if "lr" in parameters:
        del design["controls"]["lr"]
    return dump_yaml(design)


def _rows(arm: Arm, arguments: Mapping[str, Any], generator: str) -> Splits:
    own = {name.removeprefix("data."): value for name, value in arm.parameters.items() if name.startswith("data.")}
    return make_dataset(generator, {**arguments, **own}).splits


def _replace_rows(rows: Rows, folder: Path, *, run: Path) -> None:
    """Change a data set after its design was sealed, and every hash of it that a job looks at."""
    (data,) = (path for path in folder.glob("data/*.json") if not path.name.endswith(".meta.json"))
    before = data.read_bytes()
    after = write_splits(rows(load_splits(before, name=data.name)))
    data.write_bytes(after)
    for config in (run / "finetune.yaml", *run.glob("eval/*/eval.yaml")):
        text = config.read_text(encoding="utf-8")
        assert sha256(before).hexdigest() in text
        config.write_text(text.replace(sha256(before).hexdigest(), sha256(after).hexdigest()), encoding="utf-8")


def _twice(encode: Callable[..., tuple[int, ...]], *arguments: Any, **named: Any) -> tuple[int, ...]:
    ids = encode(*arguments, **named)
    return (ids[0], *ids)
