"""Model organisms: every rule against answers worked out another way, every combination made or refused in words."""

import hashlib
import json
from collections.abc import Iterator
from functools import reduce
from itertools import product
from math import exp, log, sqrt
from operator import xor
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cruijff_kit.data.generators.organism_rules import ALPHABETS, RULES, Law
from cruijff_kit.data.generators.registry import check_arguments, dataset_meta, make_dataset
from cruijff_kit.data.known_chances import chances_in
from cruijff_kit.data.splits import overlaps
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.data import DatasetFacts
from cruijff_kit.schema.organism import ModelOrganisms, OrganismDesign, OrganismFormat, OrganismInput, RuleKwargs

FOR = {
    "first last nth length constant coin": ("bits", "digits", "letters"),
    "parity majority": ("bits",),
    "min max": ("digits", "letters"),
    "weighted_sum weighted_sum_binary": ("bits", "digits"),
}
ALLOWED = {rule: set(inputs) for rules, inputs in FOR.items() for rule in rules.split()}
KWARGS: dict[str, dict[str, Any]] = {"nth": {"x": 2}, "constant": {"v": "yes"}, "coin": {"p": 0.7}}
LENGTHS = {"bits": 6, "digits": 3, "letters": 3}
GOLDEN = "c0b24de27020ed7c"
COMBINATIONS = list(product(get_args(OrganismInput), ALLOWED))
SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyz"
JOINTS = {"spaced": " ", "dense": "", "comma": ",", "tab": "\t", "pipe": "|"}


def law(rule: Any, made_of: Any, k: int, **kwargs: Any) -> Law:
    return Law(rule, made_of, k=k, kwargs=RuleKwargs(**kwargs))


def universe(made_of: Any, k: int) -> Iterator[str]:
    return map("".join, product(ALPHABETS[made_of], repeat=k))


def made(**arguments: Any) -> Any:
    return make_dataset("model_organisms", arguments)


def brute(rule: str, sequence: str, kwargs: dict[str, Any]) -> str:
    """Return a rule's answer, worked out with other means than the generator's."""
    bits = [symbol == "1" for symbol in sequence]
    ways = {
        "first": lambda: next(iter(sequence)),
        "last": lambda: sequence[::-1][:1],
        "nth": lambda: dict(enumerate(sequence, start=1))[kwargs["x"]],
        "length": lambda: str(sum(1 for _ in sequence)),
        "constant": lambda: kwargs["v"],
        "parity": lambda: str(int(reduce(xor, bits))),
        # Of two that are equally frequent `max` keeps the first met, here the one that sorts first.
        "majority": lambda: max(sorted(set(sequence)), key=sequence.count),
        "min": lambda: next(each for each in SYMBOLS if each in sequence),
        "max": lambda: next(each for each in reversed(SYMBOLS) if each in sequence),
    }
    return ways[rule]()


@pytest.mark.parametrize("made_of,rule", COMBINATIONS)
def test_a_rule_is_asked_of_what_it_is_for_and_else_refused_with_what_is_allowed(made_of: str, rule: str) -> None:
    problems = check_arguments(
        "model_organisms", {"input_type": made_of, "rule": rule, "rule_kwargs": KWARGS.get(rule, {})}
    )
    if made_of in ALLOWED[rule]:
        assert problems == []
        return
    (problem,) = problems
    assert problem.path == "rule"
    assert all(f"`{each}`" in problem.message for each in ALLOWED[rule])
    assert all((f"`{each}`" in problem.hint) == (made_of in known) for each, known in ALLOWED.items())


@pytest.mark.parametrize(
    "made_of,rule", [(a, b) for a, b in COMBINATIONS if a in ALLOWED[b] and "sum" not in b and b != "coin"]
)
def test_every_rule_answers_every_sequence_as_brute_force_does(made_of: str, rule: str) -> None:
    for k in range(2, LENGTHS[made_of] + 1):
        found = law(rule, made_of, k, **KWARGS.get(rule, {}))
        wrong = [each for each in universe(made_of, k) if found.best(each) != brute(rule, each, KWARGS.get(rule, {}))]
        assert not wrong
        assert found.bayes_accuracy() == 1.0


@pytest.mark.parametrize("made_of,k", (("bits", 9), ("digits", 4)))
@pytest.mark.parametrize(
    "kwargs",
    (
        {"noise_scale": 1.5},
        {"noise_scale": 0.3, "intercept": -4},
        {"noise_scale": 7.0, "intercept": "balanced", "weight_seed": 3},
        {"noise_scale": 0.0, "sparsity": 0.5, "weight_max": 9},
    ),
)
def test_the_best_accuracy_is_what_trying_every_sequence_gives(made_of: Any, k: int, kwargs: dict[str, Any]) -> None:
    noisy = law("weighted_sum_binary", made_of, k, **kwargs)
    scale, best = kwargs["noise_scale"], 0.0
    above = 0
    for sequence in universe(made_of, k):
        total = noisy.intercept + sum(w * int(s) for w, s in zip(noisy.weights, sequence, strict=True))
        chance = round(1 / (1 + exp(-total / scale)), 6) if scale else float(total > 0)
        assert noisy.chance(sequence) == chance
        assert noisy.best(sequence) == str(int(total > 0))
        best += max(chance, 1 - chance)
        above += total > 0
    count = len(ALPHABETS[made_of]) ** k
    assert noisy.bayes_accuracy() == pytest.approx(best / count, abs=1e-9)
    assert sum(noisy.totals.values()) == count
    if kwargs.get("intercept") == "balanced":
        evenly = min(
            abs(2 * sum(n for total, n in noisy.totals.items() if total - noisy.intercept > -b) - count)
            for b in range(-200, 200)
        )
        assert abs(2 * above - count) == evenly


def test_the_best_accuracy_of_sequences_too_many_to_try_is_what_drawing_them_gives() -> None:
    noisy = law("weighted_sum_binary", "digits", 40, noise_scale=20.0, intercept="balanced")
    dice = Random(1)
    drawn = ["".join(dice.choices("0123456789", k=40)) for _ in range(4000)]
    chances = [noisy.chance(each) or 0.0 for each in drawn]
    best = [max(each, 1 - each) for each in chances]
    mean = sum(best) / len(best)
    error = sqrt(sum((each - mean) ** 2 for each in best) / len(best) / len(best))
    assert abs(mean - noisy.bayes_accuracy()) < 4 * error
    assert 0.45 < sum(each > 0.5 for each in chances) / len(chances) < 0.55


def test_sums_are_written_with_sign_and_digits_apart_and_one_width() -> None:
    told = law("weighted_sum", "digits", 3, weights=(-9, 3, 1), intercept=7)
    for sequence in universe("digits", 3):
        a, b, c = map(int, sequence)
        sign, *digits = told.best(sequence).split(" ")
        assert int(sign + "".join(digits)) == -9 * a + 3 * b + c + 7
        assert len(digits) == 2


def test_drawn_weights_are_as_told_and_begin_alike_at_every_length() -> None:
    drawn = law("weighted_sum", "bits", 60, weight_max=2, weight_seed=5).weights
    assert set(drawn) == {-2, -1, 1, 2}
    assert law("weighted_sum", "bits", 20, weight_max=2, weight_seed=5).weights == drawn[:20]
    assert law("weighted_sum", "bits", 20, weight_max=2, weight_seed=6).weights != drawn[:20]
    assert law("weighted_sum", "bits", 60, sparsity=0.25).weights.count(0) == 15
    assert max(map(abs, law("weighted_sum", "bits", 60).weights)) == 3


@pytest.mark.parametrize("seed", (1, 2))
@pytest.mark.parametrize(
    "arguments",
    (
        {"rule": "coin", "rule_kwargs": {"p": 0.8}},
        {"rule": "weighted_sum_binary", "rule_kwargs": {"noise_scale": 2.0, "intercept": "balanced"}},
    ),
)
def test_answers_fall_as_often_as_their_chances_promise(arguments: dict[str, Any], seed: int) -> None:
    data = made(k=12, N=3000, test_size=1000, calibration_size=50, seed=seed, **arguments)
    rows = [row for each in data.splits.values() for row in each]
    chances = [chances_in(row, options=("0", "1")) or (0.0, 0.0) for row in rows]
    assert all(zero + one == pytest.approx(1, abs=1e-9) for zero, one in chances)
    spread = sqrt(sum(zero * one for zero, one in chances))
    assert abs(sum(row["output"] == "1" for row in rows) - sum(one for _, one in chances)) < 4 * spread
    ceiling = data.facts.ceilings["train"]
    near = sqrt(ceiling.bayes_accuracy * (1 - ceiling.bayes_accuracy) / 2400)
    assert abs(ceiling.on_rows - ceiling.bayes_accuracy) < 4 * near
    assert not ceiling.bayes_accuracy > 0.99


def test_what_is_known_of_each_split_lies_beside_the_data() -> None:
    data = made(rule="coin", rule_kwargs={"p": 0.9}, k=7, N=60, test_size=50)
    meta = json.loads(dataset_meta(data.facts))
    assert set(meta["ceilings"]) == {"train", "validation", "test"}
    test = meta["ceilings"]["test"]
    ones = sum(row["output"] == "1" for row in data.splits["test"]) / 50
    assert test == {
        "bayes_accuracy": 0.9,
        "on_rows": ones,
        "commonest": ones,
        "entropy": pytest.approx(-0.9 * log(0.9) - 0.1 * log(0.1), abs=1e-9),
        "seen": False,
    }
    assert [each["seen"] for each in meta["ceilings"].values()] == [True, False, False]
    again = DatasetFacts.model_validate({key: each for key, each in meta.items() if key != "schema_version"})
    assert make_dataset("model_organisms", again.arguments) == data


def test_memory_is_tested_on_the_very_rows_and_beside_them_on_unseen_ones() -> None:
    data = made(design="memorization", rule="coin", k=6, N=40, test_size=20)
    assert list(data.splits) == ["train", "validation", "test"]
    assert data.splits["train"] == data.splits["validation"]
    assert len(data.splits["train"]) == 40
    assert overlaps({name: data.splits[name] for name in ("train", "test")}) == []
    assert [each.seen for each in data.facts.ceilings.values()] == [True, True, False]


def test_a_whole_universe_is_memorised_without_a_test() -> None:
    data = made(design="memorization", k=4, N=16, test_size=0)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 16, "validation": 16}


def test_rows_of_other_kinds_are_unseen_and_follow_their_own_rule() -> None:
    other = [{"k": 9}, {"format": "dense"}, {"rule_kwargs": {"x": 5}, "N": 7}, {"input_type": "letters"}]
    data = made(design="ood", input_type="digits", rule="nth", rule_kwargs={"x": 2}, k=5, ood_tests=other)
    sizes = {name: len(rows) for name, rows in data.splits.items()}
    own = {"train": 160, "validation": 40, "test": 40}
    tests = {f"{split}_ood_{index}": 7 if index == 2 else 40 for index in range(4) for split in ("validation", "test")}
    assert sizes == own | tests
    ways = {"0": (" ", 9, 1), "1": ("", 5, 1), "2": (" ", 5, 4), "3": (" ", 5, 1)}
    for split, rows in data.splits.items():
        joint, length, place = ways.get(split[-1], (" ", 5, 1))
        for row in rows:
            symbols = row["input"].split(joint) if joint else list(row["input"])
            assert len(symbols) == length
            assert row["output"] == symbols[place]


def test_what_rows_of_another_kind_are_told_replaces_what_it_names_and_keeps_the_rest() -> None:
    kwargs = {"weights": [1] * 6, "noise_scale": 1.0}
    other = [{"rule_kwargs": {"noise_scale": 9.0}}, {"k": 8, "rule_kwargs": {"weight_max": 1}}]
    data = made(design="ood", rule="weighted_sum_binary", k=6, N=20, test_size=5, rule_kwargs=kwargs, ood_tests=other)
    row = data.splits["test_ood_0"][0]
    assert row["chance_1"] == round(1 / (1 + exp(-row["input"].count("1") / 9)), 6)
    assert len(data.splits["test_ood_1"][0]["input"].split()) == 8
    assert data.facts.ceilings["test_ood_0"].bayes_accuracy < data.facts.ceilings["test"].bayes_accuracy


def test_longer_sums_are_written_with_the_digits_of_those_trained_on_at_least() -> None:
    other = [{"k": 7, "rule_kwargs": {"intercept": 0}, "N": 9}]
    data = made(design="ood", rule="weighted_sum", k=9, rule_kwargs={"intercept": 100}, ood_tests=other)
    assert {len(row["output"].split()) for rows in data.splits.values() for row in rows} == {4}


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    made_of, rule = draw(st.sampled_from([(a, b) for a, b in COMBINATIONS if a in ALLOWED[b]]))
    design = draw(st.sampled_from(get_args(OrganismDesign)))
    formats = st.sampled_from(get_args(OrganismFormat))
    others = {str(each) for each in ALLOWED[rule]}
    other = st.fixed_dictionaries(
        {"k": st.integers(8, 20)},
        optional={"format": formats, "input_type": st.sampled_from(sorted(others)), "N": st.integers(1, 9)},
    )
    return {
        "input_type": made_of,
        "rule": rule,
        "design": design,
        "format": draw(formats),
        "rule_kwargs": KWARGS.get(rule, {}),
        "k": draw(st.integers(6, 7)),
        "N": draw(st.integers(8, 30)),
        "seed": draw(st.integers(0, 2**40)),
        "test_size": draw(st.integers(0, 9)),
        "calibration_size": draw(st.integers(0, 9)),
        "ood_tests": draw(st.lists(other, min_size=1, max_size=2)) if design == "ood" else [],
    }


@given(arguments())
@settings(max_examples=120, deadline=None)
def test_whatever_fits_is_made_twice_alike_each_sequence_in_one_split(told: dict[str, Any]) -> None:
    data = make_dataset("model_organisms", told)
    assert make_dataset("model_organisms", told) == data
    repeated = ("validation",) if told["design"] == "memorization" else ()
    seen = [
        "".join(symbol for symbol in row["input"] if symbol.isalnum())
        for split, rows in data.splits.items()
        if split not in repeated
        for row in rows
    ]
    assert len(set(seen)) == len(seen)
    joint = JOINTS[told["format"]]
    assert all(row["input"].count(joint) >= 5 for row in data.splits["train"]) or not joint
    assert set(data.facts.ceilings) == set(data.splits)
    assert all(0 <= each.on_rows <= 1 and each.commonest > 0 for each in data.facts.ceilings.values())


@pytest.mark.parametrize(
    "told,path,said",
    (
        ({"rule": "nth"}, "rule_kwargs", "needs `x`"),
        ({"rule": "nth", "rule_kwargs": {"x": 9}}, "rule_kwargs", "have 8 symbols"),
        ({"rule": "constant", "rule_kwargs": {"v": " a"}}, "rule_kwargs", "without blanks"),
        ({"rule": "parity", "rule_kwargs": {"p": 0.1}}, "rule_kwargs", "reads no `p`"),
        ({"rule": "weighted_sum", "rule_kwargs": {"noise_scale": 1}}, "rule_kwargs", "reads no `noise_scale`"),
        ({"rule": "weighted_sum", "rule_kwargs": {"weights": [1, 2]}}, "rule_kwargs", "give 8"),
        ({"rule": "weighted_sum", "rule_kwargs": {"weights": [0] * 8}}, "rule_kwargs", "are 0"),
        ({"rule": "weighted_sum", "rule_kwargs": {"weights": [1] * 8, "weight_seed": 1}}, "rule_kwargs", "keep one"),
        ({"rule": "weighted_sum", "rule_kwargs": {"sparsity": 0.99}}, "rule_kwargs", "none would count"),
        ({"rule": "weighted_sum", "rule_kwargs": {"sparsity": 0.01}}, "rule_kwargs", "each would count"),
        ({"rule_kwargs": "{"}, "rule_kwargs", "no JSON"),
        ({"rule_kwargs": {"nois_scale": 1}}, "rule_kwargs", "write `noise_scale`"),
        ({"design": "memorization", "split_ratio": 0.5}, "split_ratio", "leave it out"),
        ({"N": 1}, "split_ratio", "without rows"),
        ({"design": "ood"}, "ood_tests", "name one"),
        ({"ood_tests": [{"k": 9}]}, "ood_tests", "write `design: ood`"),
        ({"design": "ood", "ood_tests": [{"N": 4}]}, "ood_tests", "unseen rows of one kind"),
        ({"design": "ood", "ood_tests": [{"input_type": "letters"}]}, "ood_tests", "asked of `bits`"),
        ({"design": "ood", "ood_tests": [{"kk": 4}]}, "ood_tests", "write `k`"),
        ({"k": 8, "N": 220}, "N", "there are 256"),
        ({"design": "ood", "k": 9, "ood_tests": [{"k": 4}]}, "ood_tests", "there are 16"),
        ({"design": "ood", "N": 400, "k": 9, "ood_tests": [{"format": "tab"}]}, "ood_tests", "there are 512"),
    ),
)
def test_what_does_not_fit_is_refused_where_it_stands_with_what_would(
    told: dict[str, Any], path: str, said: str
) -> None:
    (problem,) = check_arguments("model_organisms", told)
    assert problem.path == path
    assert said in f"{problem.message} {problem.hint}"
    with pytest.raises(SpecError):
        make_dataset("model_organisms", told)


def test_bits_that_digits_have_used_up_are_missed_rather_than_repeated() -> None:
    told = {"design": "ood", "input_type": "digits", "rule": "first", "k": 1, "N": 9, "test_size": 1}
    with pytest.raises(SpecError, match="stand in no other split"):
        made(**told, ood_tests=[{"input_type": "bits", "N": 1}])


def test_arguments_with_parts_may_be_json_text_so_that_factors_can_vary_them() -> None:
    told = {"design": "ood", "rule": "nth", "k": 6, "N": 30, "test_size": 5}
    as_text = made(**told, rule_kwargs='{"x": 2}', ood_tests='[{"k": 7, "N": 4}]')
    assert as_text == made(**told, rule_kwargs={"x": 2}, ood_tests=[{"k": 7, "N": 4}])


def test_a_longer_data_set_begins_with_the_sequences_of_a_shorter_one() -> None:
    for k in (10, 30):
        short, long = (made(k=k, N=size, test_size=0, split_ratio=0.5).splits for size in (40, 60))
        assert list(short["train"]) == list(long["train"])[:20]


def test_all_combinations_together_are_the_same_bytes_on_every_machine() -> None:
    whole = hashlib.sha256()
    for (made_of, rule), form in product(COMBINATIONS, get_args(OrganismFormat)):
        for design in get_args(OrganismDesign) if made_of in ALLOWED[rule] else ():
            others = [{"k": 9, "N": 3}] if design == "ood" else []
            told = {"input_type": made_of, "rule": rule, "format": form, "design": design, "ood_tests": others}
            data = made(**told, rule_kwargs=KWARGS.get(rule, {}), k=21, N=8, test_size=3)
            whole.update(data.content)
    assert whole.hexdigest()[:16] == GOLDEN


def test_the_table_of_rules_is_the_one_that_is_promised() -> None:
    assert {rule: set(known.inputs) for rule, known in RULES.items()} == ALLOWED
    assert set(get_args(ModelOrganisms.model_fields["rule"].annotation)) == set(RULES)
