"""Colours of the report: readable on their ground, and told apart by those who see fewer of them."""

from itertools import combinations

import numpy as np
import pytest

from cruijff_kit.rendering.style import DARK, LIGHT

SERIES = ("c0", "c1", "c2", "c3", "c4", "c5")
# What is said in words has these roles; lines of a grid are seen or not, and say nothing.
WORDS = ("ink", "muted", "base", "accent", "good", "bad", "open", *SERIES)
# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, IEEE TVCG 15 (2009), 1291-1298, full severity.
EYES = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
TO_CONES = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_OKLAB = np.array(
    [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.808675766]]
)  # fmt: skip
APART = 0.08
"""Distance in Oklab at which two marks of a plot are told apart at a glance."""


def linear(colour: str) -> np.ndarray:
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", (LIGHT, DARK), ids=("light", "dark"))
@pytest.mark.parametrize("role", WORDS)
def test_words_have_the_contrast_that_small_print_needs(palette: dict[str, str], role: str) -> None:
    assert contrast(palette[role], palette["paper"]) >= 4.5


def test_words_have_that_contrast_on_white_paper_too() -> None:
    assert min(contrast(LIGHT[role], "#ffffff") for role in WORDS) >= 4.5


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("palette", (LIGHT, DARK), ids=("light", "dark"))
def test_series_are_told_apart_by_every_eye(palette: dict[str, str], eye: str) -> None:
    seen = [
        TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(np.array(EYES[eye]) @ linear(palette[role]), 0, 1)) for role in SERIES
    ]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) >= APART
