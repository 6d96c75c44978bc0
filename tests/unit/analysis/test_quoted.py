"""Quoted figures: the numbers of a sentence lead to the files of the figures that they are."""

import pytest

from cruijff_kit.analysis.quoted import Figures, Grounds, constants_of, labels_of
from cruijff_kit.schema.report import Trace

GROUNDS = Grounds(constants_of({"lora_rank": (4, 16), "lr": (3e-4, 1e-3)}, 0.05), design=("d1",), counts=("r1", "d2"))
FIGURES = Figures(
    (
        Trace(figure="accuracy/run-a/words/0/match", value=0.75, low=0.6, high=0.8512, n=40, references=("e1",)),
        Trace(figure="accuracy/run-b/words/0/match", value=0.75, low=0.61, high=0.85, n=40, references=("e2",)),
        Trace(figure="effect/lora_rank/16 - 4", value=-0.25, low=-0.4, high=-0.1, references=("r1",)),
        Trace(figure="training/run-a/tokens_per_second", value=9013.4, references=("t1",)),
    )
)


@pytest.mark.parametrize(
    "sentence, labels",
    (
        ("Nothing is there.", ()),
        ("run-a has 0.750 [0.600, 0.851].", ("e1",)),
        ("run-b has 0.750 [0.610, 0.850].", ("e2",)),
        ("lora_rank 16 instead of 4 lowers it by 0.250 (95 % interval [-0.400, -0.100]).", ("r1", "d1")),
        ("At alpha 0.05 nothing is clear.", ("d1",)),
        ("12 of 14 runs are complete.", ("r1", "d2")),
        # A level is one where its factor is named; a count or a bound that happens to equal it is none.
        ("All 16 comparisons show a gain (p < 0.001).", ("r1", "d2")),
        ("Runs of lora_rank 16 show a gain (p < 0.001).", ("d1", "r1", "d2")),
        ("An invented 0.123 is counted, never traced.", ("r1", "d2")),
        ("run-a took 9,013.4 tokens a second at lr 0.001.", ("t1", "d1")),
        ("The interval is [\u22120.400, \u22120.100] for lora_rank.", ("r1",)),
        ("`rank4_lr3e-04-6670fb54` and v0.1.0 hold no number", ()),
    ),
)
def test_each_number_leads_to_its_figure_or_to_what_it_counts(sentence: str, labels: tuple[str, ...]) -> None:
    assert labels_of(sentence, FIGURES, grounds=GROUNDS) == labels


def test_a_number_with_fewer_decimals_is_a_figure_at_its_own_rounding() -> None:
    assert FIGURES.quoted("0.85", frozenset({"run-a"}), chosen=()) == 0
    assert FIGURES.quoted("0.9", frozenset({"run-a"}), chosen=()) in (0, 1)
    assert FIGURES.quoted("0.86", frozenset({"run-a"}), chosen=()) is None
    assert FIGURES.quoted("85.1", frozenset({"run-a"}), chosen=(), scale=0.01) == 0
    assert FIGURES.quoted("7.5e-1", frozenset({"run-a"}), chosen=()) == 0
    assert FIGURES.quoted("7.49e-1", frozenset({"run-a"}), chosen=()) is None
