"""Twins: as alike as their heritability makes them, told apart no better than the model allows."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cruijff_kit.data.generators.registry import GENERATORS, make_dataset
from cruijff_kit.data.generators.twins import SyntheticTwins
from cruijff_kit.data.twin_model import best_accuracy, chance_identical, kin_of
from cruijff_kit.errors import SpecError
from tests.twin_table import twin_csv


def pairs_of(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return values (pair, trait, twin) and whether each pair is identical."""
    values = [
        [[float(each) for each in part.split(": ")[1].split(", ")] for part in row["input"].split("; ")] for row in rows
    ]
    return np.array(values), np.array([row["output"] == "1" for row in rows])


@pytest.mark.parametrize("a2,c2", ((0.5, 0.2), (0.8, 0.0), (0.0, 0.4)))
def test_falconers_estimate_finds_the_heritability_they_were_made_with(a2: float, c2: float) -> None:
    made = make_dataset("synthetic_twins", {"pairs": 1_500, "traits": 8, "a2": a2, "c2": c2})
    values, identical = pairs_of([row for rows in made.splits.values() for row in rows])
    found = {}
    for kind in (True, False):
        some = values[identical == kind].reshape(-1, 2)
        found[kind] = (np.corrcoef(some.T)[0, 1], len(some))
    spread = math.sqrt(sum((1 - r**2) ** 2 / n for r, n in found.values()))
    estimate = 2 * (found[True][0] - found[False][0])
    assert abs(estimate - a2) < 2 * 4 * spread
    assert abs(2 * found[False][0] - found[True][0] - c2) < 4 * math.sqrt(5) * spread
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


def test_correlations_are_those_of_the_components_that_twins_share() -> None:
    a2, c2, n = 0.45, 0.25, 400_000
    a, c, e = math.sqrt(a2), math.sqrt(c2), math.sqrt(1 - a2 - c2)
    rng = np.random.default_rng(5)
    shared, first, second, family, own, other = rng.standard_normal((6, n))
    half = math.sqrt(0.5)
    identical = (a * shared + c * family + e * own, a * shared + c * family + e * other)
    fraternal = tuple(
        a * half * (shared + genes) + c * family + e * rest for genes, rest in ((first, own), (second, other))
    )
    kin = kin_of(a2, c2)
    assert np.corrcoef(identical)[0, 1] == pytest.approx(kin.identical, abs=0.01)
    assert np.corrcoef(fraternal)[0, 1] == pytest.approx(kin.fraternal, abs=0.01)


@pytest.mark.parametrize("form", ("pair", "difference"))
def test_the_chance_is_the_ratio_of_the_two_densities(form: Any) -> None:
    kins, share = [kin_of(0.5, 0.2), kin_of(0.3, 0.1)], 0.3
    traits = [(0.31, 0.29), (-1.02, 0.44)]

    def density(alike: list[float]) -> float:
        both = list(zip(traits, alike, strict=True))
        if form == "difference":
            return float(
                np.prod([stats.halfnorm.pdf(abs(one - two), scale=math.sqrt(2 * (1 - r))) for (one, two), r in both])
            )
        # One value, and the other given it.
        first = [stats.norm.pdf(one) for (one, _), _ in both]
        return float(
            np.prod(first) * np.prod([stats.norm.pdf(two, r * one, math.sqrt(1 - r**2)) for (one, two), r in both])
        )

    one, other = (density([getattr(kin, kind) for kin in kins]) for kind in ("identical", "fraternal"))
    wanted = share * one / (share * one + (1 - share) * other)
    assert chance_identical(traits, kins, share=share, form=form) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("traits", (1, 2, 5, 24))
def test_the_best_accuracy_is_that_of_the_exact_distribution(traits: int) -> None:
    # With equal traits and differences alone the ratio is a sum of squares, which chi-squared tells.
    kin, share = kin_of(0.6, 0.1), 0.4
    one, other = 1 - kin.identical, 1 - kin.fraternal
    bound = (math.log(share / (1 - share)) + traits * math.log(other / one) / 2) / ((1 / one - 1 / other) / 2)
    wanted = share * stats.chi2.cdf(bound / one, traits) + (1 - share) * stats.chi2.sf(bound / other, traits)
    assert best_accuracy([kin] * traits, share=share, form="difference") == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("form", ("pair", "difference"))
def test_whoever_goes_by_the_chances_is_right_as_often_as_the_model_says(form: str) -> None:
    given = {
        "pairs": 3_000,
        "traits": 6,
        "a2": [0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
        "c2": 0.1,
        "identical": 0.4,
        "form": form,
    }
    made = make_dataset("synthetic_twins", given)
    rows = [row for rows in made.splits.values() for row in rows]
    ceiling = GENERATORS["synthetic_twins"].ceiling
    assert ceiling is not None
    best = ceiling(SyntheticTwins(**given))
    assert best is not None
    right = sum((row["chance_1"] > 0.5) == (row["output"] == "1") for row in rows) / len(rows)
    assert abs(right - best) < 4 * math.sqrt(best * (1 - best) / len(rows))
    promised = sum(max(row["chance_0"], row["chance_1"]) for row in rows) / len(rows)
    assert promised == pytest.approx(best, abs=0.02)


def test_where_nothing_tells_them_apart_the_best_is_the_more_frequent_kind() -> None:
    assert best_accuracy([kin_of(0.0, 0.5)] * 3, share=0.3) == 0.7
    made = make_dataset("synthetic_twins", {"pairs": 50, "traits": 2, "a2": 0, "identical": 0.3})
    assert {row["chance_1"] for rows in made.splits.values() for row in rows} == {0.3}


def test_differences_are_what_the_two_values_are_apart() -> None:
    both, apart = (
        make_dataset("synthetic_twins", {"pairs": 40, "traits": 2, "form": form}) for form in ("pair", "difference")
    )
    values, _ = pairs_of([row for rows in both.splits.values() for row in rows])
    told = sorted(row["input"] for rows in apart.splits.values() for row in rows)
    gaps = np.abs(values[:, :, 0] - values[:, :, 1])
    assert told == sorted("; ".join(f"V{at}: {gap:.2f}" for at, gap in enumerate(row, 1)) for row in gaps)


def test_tenths_are_kept_for_choosing_and_judging() -> None:
    made = make_dataset("synthetic_twins", {"pairs": 500, "traits": 4})
    assert made.facts.splits == {"train": 400, "validation": 50, "test": 50}


@pytest.mark.parametrize("kinds", ({True: "MZ", False: "DZ"}, {True: "1", False: "0"}, {True: "mz", False: "2"}))
def test_a_table_is_read_in_the_form_people_have_it(kinds: dict[bool, str]) -> None:
    made = make_dataset("twins", {"source": "t.csv"}, files={"source": twin_csv(60, traits=24, kinds=kinds)})
    plain = make_dataset("twins", {"source": "t.csv"}, files={"source": twin_csv(60, traits=24)})
    assert made.content == plain.content
    row = made.splits["train"][0]
    assert set(row) == {"input", "output"}
    assert row["input"].startswith("V1: ")
    assert row["input"].count("; ") == 23
    assert all(
        len(each.split(".")[1]) == 2 for part in row["input"].split("; ") for each in part.split(": ")[1].split(", ")
    )


def test_a_trait_without_a_value_is_left_out_and_keeps_its_number() -> None:
    table = b"a.1,a.2,b.1,b.2,zyg\n1,2,,4,MZ\n3,4,5,6,DZ\n7,8,9,9.125,DZ\n"
    made = make_dataset("twins", {"source": "t.csv", "validation": 0, "test": 0}, files={"source": table})
    texts = {row["input"]: row["output"] for row in made.splits["train"]}
    assert texts == {
        "V1: 1.00, 2.00": "1",
        "V1: 3.00, 4.00; V2: 5.00, 6.00": "0",
        "V1: 7.00, 8.00; V2: 9.00, 9.12": "0",
    }


@pytest.mark.parametrize(
    "table,fact",
    (
        (b"a.1,a.2,zyg\n1,2,MZ\n1,2,dizygotic\n", "t.csv row 2: a cell of `zyg` names no kind"),
        (b"a.1,a.2,zyg\n1,tall,MZ\n", "t.csv row 1: `a.2` is no number"),
        (b"a.1,a.2,kind\n1,2,MZ\n", "no column `zyg`"),
        (b"a,b,zyg\n1,2,MZ\n", "it has 0 traits"),
        (b"a.1,a.2,zyg\n1,2,MZ\n", "no pair is left for it"),
    ),
)
def test_a_table_that_cannot_be_told_is_refused_in_words(table: bytes, fact: str) -> None:
    with pytest.raises(SpecError) as refusal:
        make_dataset("twins", {"source": "t.csv"}, files={"source": table})
    assert fact in str(refusal.value)


@pytest.mark.parametrize(
    "changes,path,fact",
    (
        ({"a2": 0.8, "c2": 0.3}, "a2", "do not fit into its variance"),
        ({"a2": -0.1}, "a2", "do not fit into its variance"),
        ({"a2": [0.5, 0.5]}, "a2", "2 shares for 24 traits"),
        ({"validation": 0.5, "test": 0.5}, "test", "nothing is left to train on"),
        ({"answers": ["1", "1"]}, "answers", "not two words that can be told apart"),
    ),
)
def test_shares_that_do_not_fit_are_refused_at_their_place(changes: dict[str, Any], path: str, fact: str) -> None:
    with pytest.raises(SpecError) as refusal:
        make_dataset("synthetic_twins", changes)
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert fact in problem.message
