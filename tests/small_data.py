"""Arguments of every generator that make little data fast."""

from collections.abc import Mapping
from typing import Any

from tests.people import arguments

__all__ = ["NOISY", "SMALL"]

NOISY: Mapping[str, Any] = {"noise_scale": 1}
"""What a rule is told that chance has a part in."""
SMALL: Mapping[str, dict[str, Any]] = {
    "bit_sequences": {"bit_length": 6, "N": 40, "val_size": 10, "test_size": 8, "p": 0.25},
    "capitalization": {"train": 20, "validation": 5, "test": 10, "other_lengths": [4, 7], "other_count": 6},
    "bit_chances": {"bit_length": 7, "train": 40, "validation": 10, "calibration": 10, "test": 20},
    "model_organisms": {
        "k": 6,
        "N": 30,
        "test_size": 10,
        "rule": "weighted_sum_binary",
        "rule_kwargs": NOISY,
    },
    "number_sequences": {"in_seq_len": 3, "train": 40, "validation": 10, "test": 20, "limit": 130},
    "reports": {"train": 40, "validation": 10, "calibration": 12, "test": 20},
    "acs": {
        "task": "ACSIncome",
        "source": "psam_p06.csv",
        "train": 60,
        "validation": 10,
        "calibration": 10,
        "test": 15,
    },
    "acs_stand_in": {
        "task": "ACSTravelTime",
        "people": 500,
        "train": 60,
        "validation": 10,
        "calibration": 9,
        "test": 15,
    },
    "synthetic_twins": {"pairs": 60, "traits": 3, "calibration": 0.1},
    "twins": {"source": "twins.csv", "calibration": 0.1},
    "tabular": arguments(perturbations=["synonym", "shorthand", "reorder", "clause_addition"], copies=2),
}
"""Generator to arguments."""
