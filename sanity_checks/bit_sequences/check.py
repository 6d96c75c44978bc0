"""The check on bit sequences: its sizes, its three arms and what is known of them."""

import math
from collections.abc import Callable
from functools import partial

from cruijff_kit.data.encoding import Row
from cruijff_kit.sanity_checks.checks import Arm, Check, Known, Size
from cruijff_kit.schema.spec import Level

__all__ = ["CHECK"]

_FLIPPED = 0.2
_ONES = 0.25

_SMALL = Size(
    name="small",
    words="9 bits written in letters, the parity told bit by bit: for the tiny base, on a CPU",
    # Bare parity is beyond a model of 0.3 million parameters at any length that leaves rows to hold out.
    arguments={"bit_length": 9, "N": 512, "val_size": 100, "test_size": 200, "letters": "ab", "seed": 42},
    controls={
        "epochs": 34,
        "batch_size": 16,
        "lr": 3e-3,
        "num_warmup_steps": 20,
        "lora_rank": 16,
        "max_seq_len": 64,
    },
    max_tokens=16,
    resources={"time": "00:20:00", "eval_time": "00:20:00"},
)
_FULL = Size(
    name="full",
    words="15 bits, bare parity, 33,000 draws of which 4,000 validate: for a model that knows language, on a GPU",
    arguments={"bit_length": 15, "N": 33000, "val_size": 4000, "test_size": 2000, "repeats": True, "seed": 42},
    controls={
        "epochs": 10,
        "batch_size": 1,
        "lora_rank": 8,
        "run_val_every_n_steps": 2000,
        "max_seq_len": 256,
        "dtype": "bf16",
    },
    max_tokens=4,
    resources={"time": "04:00:00", "eval_time": "00:30:00", "gpus": 1},
)


def _arms(size: Size) -> tuple[Arm, ...]:
    aloud = size.name == "small"
    parity: dict[str, Level] = {"data.bit_parity": True, "data.aloud": True} if aloud else {"data.bit_parity": True}
    # A rate is learnt at once; whoever goes on learns the labels by heart.
    rate: dict[str, Level] = {"epochs": 14} if aloud else {}
    # Noise hides the rule for longer: after 34 epochs some seeds lack it yet, after 51 labels are learnt by heart.
    longer: dict[str, Level] = {"epochs": 42} if aloud else {}
    law = partial(_is_parity, letters=str(size.arguments.get("letters", "01")))
    return (
        Arm("parity", "a rule without exception is learnt whole", {**parity, "data.p": 0.0}, _known(0, size, law=law)),
        Arm(
            "noisy",
            f"of a rule that {_FLIPPED:.0%} of the labels break, the rule is learnt and no label",
            {**parity, "data.p": _FLIPPED, **longer},
            _known(_FLIPPED, size, law=law),
        ),
        Arm(
            "coin",
            f"of a coin that shows 1 in {_ONES:.0%} of the rows, the rate is learnt and nothing else",
            {"data.bit_parity": False, "data.p": _ONES, **rate},
            _known(_ONES, size, law=partial(_is_zero, letters=str(size.arguments.get("letters", "01")))),
        ),
    )


def _known(p: float, size: Size, *, law: Callable[[Row], bool]) -> Known:
    """Return what is known of labels that are the less likely one with probability p."""
    surprises = [-math.log(chance) for chance in (1 - p, p) if chance]
    chances = [chance for chance in (1 - p, p) if chance]
    entropy = sum(chance * nats for chance, nats in zip(chances, surprises, strict=True))
    spread = math.sqrt(sum(chance * (nats - entropy) ** 2 for chance, nats in zip(chances, surprises, strict=True)))
    held_out = size.arguments["val_size"] + size.arguments["test_size"]
    return Known(max(p, 1 - p), entropy, spread, math.log(held_out), law, guessed=0.5)


def _is_parity(row: Row, *, letters: str) -> bool:
    return row["output"][-1] == letters[row["input"].count(letters[1]) % 2]


def _is_zero(row: Row, *, letters: str) -> bool:
    return row["output"] == letters[0]


CHECK = Check(
    name="bit_sequences",
    words="parity, noisy parity and a coin: what can be learnt is learnt, and no more",
    question="Does training learn the parity of bits where there is one to learn, and only a rate where there is none?",
    hypothesis="Parity is answered right always, noisy parity as often as labels keep to it, a coin as often as it "
    "shows its likelier side; losses fall to the entropy of the labels and no further.",
    generator="bit_sequences",
    sizes={"small": _SMALL, "full": _FULL},
    arms=_arms,
)
"""The check, as it is registered."""
