"""Organism nouns: what a model organism is bred on: sequences, a rule, how they are written, what is held out."""

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cruijff_kit.schema.noun import Noun

__all__ = [
    "ModelOrganisms",
    "OodTest",
    "OrganismDesign",
    "OrganismFormat",
    "OrganismInput",
    "OrganismRule",
    "RuleKwargs",
]

OrganismInput = Literal["bits", "digits", "letters"]
"""What sequences are made of: `0` and `1`, `0` to `9`, `a` to `z`."""

OrganismRule = Literal[
    "first",
    "last",
    "nth",
    "length",
    "constant",
    "coin",
    "parity",
    "majority",
    "min",
    "max",
    "weighted_sum",
    "weighted_sum_binary",
]
"""What the answer to a sequence is."""

OrganismFormat = Literal["spaced", "dense", "comma", "tab", "pipe"]
"""What stands between two symbols of a sequence: a blank, nothing, a comma, a tab, a bar."""

OrganismDesign = Literal["memorization", "in_distribution", "ood"]
"""What is asked: rows that were trained on, unseen ones of the same kind, or ones of another kind too."""


def _from_json(value: Any) -> Any:
    """Return what JSON text says, so that a factor or a flag can give an argument that has parts."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as err:
        raise ValueError(f"it is no JSON: {err}") from err


def _absent(value: Any) -> bool:
    return value is None


_Intercept = Annotated[int, Field(ge=-9999, le=9999)] | Literal["balanced"]


class RuleKwargs(Noun):
    """What a rule is told beside the sequence; each rule reads its own and refuses the others."""

    x: int | None = Field(default=None, ge=1, exclude_if=_absent)
    """Of `nth`: place of the symbol, counted from 1."""
    v: str | int | None = Field(default=None, exclude_if=_absent)
    """Of `constant`: the answer."""
    p: float | None = Field(default=None, ge=0, le=1, exclude_if=_absent)
    """Of `coin`: probability of the answer `1`; 0.5 where absent."""
    weights: tuple[Annotated[int, Field(ge=-99, le=99)], ...] | None = Field(default=None, exclude_if=_absent)
    """Of weighted sums: one whole number a place; drawn where absent."""
    weight_max: int | None = Field(default=None, ge=1, le=9, exclude_if=_absent)
    """Of weighted sums: largest weight drawn, either sign, never 0; 3 where absent."""
    sparsity: float | None = Field(default=None, ge=0, lt=1, exclude_if=_absent)
    """Of weighted sums: share of the drawn weights that is 0; 0 where absent."""
    weight_seed: int | None = Field(default=None, ge=0, exclude_if=_absent)
    """Of weighted sums: fixes the weights, whatever the rows' `seed`; 0 where absent."""
    intercept: Annotated[int, Field(ge=-9999, le=9999)] | Literal["balanced"] | None = Field(
        default=None, exclude_if=_absent
    )
    """Of weighted sums: added to the sum; `balanced` makes sums above 0 as likely as others. 0 where absent."""
    noise_scale: float | None = Field(default=None, ge=0, exclude_if=_absent)
    """Of `weighted_sum_binary`: the answer is `1` with the logistic of the sum by this; 0 and absent are certain."""

    def told(self) -> dict[str, Any]:
        """Return what is said, by name."""
        return {name: value for name, value in self if value is not None}


_Kwargs = Annotated[RuleKwargs, BeforeValidator(_from_json)]


class OodTest(Noun):
    """Rows of another kind than those trained on; what is absent is as in training."""

    input_type: OrganismInput | None = Field(default=None, exclude_if=_absent)
    """What sequences are made of."""
    k: int | None = Field(default=None, ge=1, le=64, exclude_if=_absent)
    """Symbols of each sequence."""
    format: OrganismFormat | None = Field(default=None, exclude_if=_absent)
    """How symbols are written beside each other."""
    rule_kwargs: RuleKwargs | None = Field(default=None, exclude_if=_absent)
    """What the rule is told instead; what is not named stays."""
    N: int | None = Field(default=None, ge=1, le=1_000_000, exclude_if=_absent)
    """Rows of each of its two splits; as many as `validation` and `test` have where absent."""


class ModelOrganisms(Noun):
    """Arguments of the generator `model_organisms`."""

    input_type: OrganismInput = "bits"
    """What sequences are made of: `bits`, `digits` or `letters`."""
    rule: OrganismRule = "parity"
    """What the answer to a sequence is, such as `parity`, `nth` or `weighted_sum_binary`."""
    k: int = Field(default=8, ge=1, le=64)
    """Symbols of each sequence."""
    N: int = Field(default=200, ge=1, le=1_000_000)
    """Distinct sequences of `train` and `validation` together."""
    seed: int = Field(default=42, ge=0)
    """Fixes the sequences drawn and the answers that chance decides."""
    design: OrganismDesign = "in_distribution"
    """`memorization` validates on the rows trained on, `in_distribution` on others, `ood` on other kinds too."""
    format: OrganismFormat = "spaced"
    """How symbols are written beside each other: `spaced`, `dense`, `comma`, `tab` or `pipe`."""
    rule_kwargs: _Kwargs = RuleKwargs()
    """What the rule is told beside the sequence, such as `{"x": 3}` for `nth`; JSON on a command line."""
    split_ratio: float = Field(default=0.8, gt=0, lt=1)
    """Share of `N` that is trained on."""
    test_size: int | None = Field(default=None, ge=0, le=1_000_000)
    """Further sequences, in `test` and in each `test_ood_…`; as many as the ratio leaves of `N` where absent, or 0."""
    calibration_size: int = Field(default=0, ge=0, le=1_000_000)
    """Further sequences that calibrators are fitted on, in `calibration`; 0 makes no such split."""
    ood_tests: Annotated[tuple[OodTest, ...], BeforeValidator(_from_json)] = ()
    """Other kinds of rows, each in `validation_ood_…` and `test_ood_…`, counted from 0; of the design `ood`."""
