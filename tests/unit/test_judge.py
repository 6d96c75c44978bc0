"""The judge on recorded results: sound ones pass, and each kind of fault is told by the figure that must see it."""

from collections.abc import Sequence
from typing import Any

import pytest

from cruijff_kit.data.encoding import Encoding, Row
from cruijff_kit.data.generators.registry import make_dataset
from cruijff_kit.data.tokens import encode_row, prompt_sha256
from cruijff_kit.recipes.tiny_llama import build_tokenizer
from cruijff_kit.sanity_checks.bands import LEAST_PILOTS
from cruijff_kit.sanity_checks.checks import Arm
from cruijff_kit.sanity_checks.designs import ASKED
from cruijff_kit.sanity_checks.judge import Evidence, judged
from cruijff_kit.sanity_checks.pilots import design_sha256, figures_of, floors_of, read_pilots
from cruijff_kit.sanity_checks.registry import CHECKS
from cruijff_kit.schema.prediction import Prediction
from cruijff_kit.schema.result import ResultRow, ResultTable
from cruijff_kit.schema.sanity import JudgedFigure

ARMS = [(check.name, arm) for check in CHECKS.values() for arm in check.arms(check.sizes["small"])]
TOKENIZER = build_tokenizer()
RUN = "arm_seed101-0123abcd"


def named(each: Any) -> str:
    """Return an arm's name in a test's id."""
    return each.name if isinstance(each, Arm) else str(each)


def found(check: str, arm: Arm, *, accuracy: float | None, loss: float, **changes: Any) -> Evidence:
    """Return a run of an arm with these results; everything else about it is sound unless changed."""
    size = CHECKS[check].sizes["small"]
    own = {name.removeprefix("data."): value for name, value in arm.parameters.items() if name.startswith("data.")}
    splits: dict[str, Sequence[Row]] = {**make_dataset(CHECKS[check].generator, {**size.arguments, **own}).splits}
    encoding = Encoding(dataset_type="chat_completion", train_on_input=arm.on_input)
    n = len(splits["test"])
    encoded = [encode_row(row, encoding=encoding, tokenizer=TOKENIZER) for row in splits["test"]]
    asked = changes.pop("asked", [each.ids[: each.prompt_length] for each in encoded])
    table = ResultTable(
        experiment="x",
        rows=(result("training", "val_loss", loss, n=1), result(ASKED, "match", accuracy, n=n)),
        runs=(),
        predictions=tuple(answer(ids, number) for number, ids in enumerate(asked)),
    )
    return Evidence(RUN, 101, {**splits, **changes}, encoding, TOKENIZER, table)


def result(task: str, metric: str, value: float | None, *, n: int) -> ResultRow:
    """Return one row of a result table."""
    return ResultRow(
        run=RUN, type="fine-tuned", model="base", factors={}, seed=101, task=task, epoch=9, metric=metric, value=value,
        n=n, reason="" if value is not None else "the job failed",
    )  # fmt: skip


def answer(ids: Sequence[int], number: int) -> Prediction:
    """Return the record of one answer."""
    return Prediction(
        sample_id=f"test-{number}", run=RUN, epoch=9, task=ASKED, split="test", target="a", prediction="a",
        completion="a", prompt_token_sha256=prompt_sha256(ids), checkpoint_sha256="a" * 64,
    )  # fmt: skip


def verdicts(check: str, arm: Arm, evidence: Evidence) -> dict[str, JudgedFigure]:
    """Return the judged figures of a run, by the pilots of this package."""
    return {each.figure: each for each in judged(arm, evidence, pilots=read_pilots(CHECKS[check], None))}


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_pilots_of_its_present_design_and_enough_of_them(name: str) -> None:
    check = CHECKS[name]
    pilots = read_pilots(check, None)
    assert pilots is not None
    assert pilots.design_sha256 == design_sha256(check, check.sizes["small"])
    assert len(pilots.seeds) >= LEAST_PILOTS
    # No run is judged by itself: seeds of runs start at 1.
    assert min(pilots.seeds) > 100
    for arm in check.arms(check.sizes["small"]):
        for figure in ("accuracy", "validation loss"):
            assert sorted(each.seed for each in figures_of(pilots, arm=arm.name, figure=figure)) == list(pilots.seeds)


@pytest.mark.parametrize("check,arm", ARMS, ids=named)
def test_every_pilot_is_inside_every_band(check: str, arm: Arm) -> None:
    pilots = read_pilots(CHECKS[check], None)
    right, losses = (figures_of(pilots, arm=arm.name, figure=figure) for figure in ("accuracy", "validation loss"))
    for one, other in zip(right, losses, strict=True):
        seen = verdicts(check, arm, found(check, arm, accuracy=one.value, loss=other.value))
        assert {name for name, each in seen.items() if each.verdict != "inside"} == set()


@pytest.mark.parametrize("check,arm", ARMS, ids=named)
def test_a_result_better_than_can_be_or_worse_than_pilots_is_outside(check: str, arm: Arm) -> None:
    pilots = read_pilots(CHECKS[check], None)
    usual = figures_of(pilots, arm=arm.name, figure="validation loss")[0].value
    worse = verdicts(check, arm, found(check, arm, accuracy=0.0, loss=usual + 2))
    assert worse["validation loss"].verdict == "outside"
    # Of what only chance answers none may be right.
    assert (worse["accuracy"].verdict == "inside") == (arm.known.accuracy < 0.5)
    if arm.known.accuracy < 1:
        better = verdicts(check, arm, found(check, arm, accuracy=1.0, loss=0.0))
        assert better["accuracy"].verdict == better["validation loss"].verdict == "outside"


@pytest.mark.parametrize("check,arm", ARMS, ids=named)
def test_a_leak_and_a_second_bos_are_seen_whatever_the_results(check: str, arm: Arm) -> None:
    pilots = read_pilots(CHECKS[check], None)
    right, loss = (
        figures_of(pilots, arm=arm.name, figure=figure)[0].value for figure in ("accuracy", "validation loss")
    )
    sound = found(check, arm, accuracy=right, loss=loss)
    leaked = sound._replace(splits={**sound.splits, "train": [*sound.splits["train"], sound.splits["test"][0]]})
    seen = verdicts(check, arm, leaked)
    assert seen["held-out questions trained on"].verdict == "outside"
    assert seen["held-out questions trained on"].value == 1
    prompts = [
        encode_row(row, encoding=sound.encoding, tokenizer=TOKENIZER).ids for row in list(sound.splits["test"])[:3]
    ]
    doubled = found(check, arm, accuracy=right, loss=loss, asked=[(ids[0], *ids) for ids in prompts])
    assert verdicts(check, arm, doubled)["prompts as trained"].value == 0


@pytest.mark.parametrize("check,arm", [each for each in ARMS if each[1].known.law is not None], ids=named)
def test_labels_that_do_not_keep_to_the_rule_are_seen(check: str, arm: Arm) -> None:
    sound = found(check, arm, accuracy=1.0, loss=0.1)
    wrong = [{**row, "output": sound.splits["train"][at - 7]["output"]} for at, row in enumerate(sound.splits["train"])]
    outside = verdicts(check, arm, sound._replace(splits={**sound.splits, "train": wrong}))["rule kept"].verdict
    # Answers that are always the same, or a coin's, are as they were when they are dealt out anew.
    assert (outside == "inside") == (arm.name in {"coin", "up_answer", "up_prompt"})


def test_a_job_that_failed_leaves_a_figure_missing_with_its_reason_and_is_no_pass() -> None:
    check, arm = ARMS[0]
    seen = verdicts(check, arm, found(check, arm, accuracy=None, loss=0.001))
    assert (seen["accuracy"].verdict, seen["accuracy"].reason) == ("missing", "the job failed")
    unasked = verdicts(check, arm, found(check, arm, accuracy=1.0, loss=0.001, asked=()))
    assert unasked["prompts as trained"].verdict == "missing"


def test_pilots_count_for_their_own_model_size_and_design_alone() -> None:
    check = CHECKS["bit_sequences"]
    small, full = check.sizes["small"], check.sizes["full"]
    pilots = read_pilots(check, None)
    assert pilots is not None
    same, told = floors_of(check, small, model=("elsewhere", pilots.model_sha256), path=None)
    assert same == pilots
    assert "pilots of" in told
    # The tiny base is known by its recipe: its last bits differ from machine to machine.
    assert floors_of(check, small, model=(pilots.model, "0" * 64), path=None)[0] == pilots
    for size, model in ((small, ("llama", "0" * 64)), (full, (pilots.model, pilots.model_sha256))):
        none, why = floors_of(check, size, model=model, path=None)
        assert none is None
        assert "only derived ends are judged" in why
    changed = small._replace(arguments={**small.arguments, "N": 900})
    assert "has changed since its pilots" in floors_of(check, changed, model=(pilots.model, ""), path=None)[1]
