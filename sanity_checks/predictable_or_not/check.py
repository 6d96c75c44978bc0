"""The check on predictable and unpredictable sequences: its sizes, its eight arms and what is known of them."""

import math
from functools import partial
from typing import Literal

from cruijff_kit.data.encoding import Row
from cruijff_kit.data.generators.number_sequences import NumberSequences, ramp_room
from cruijff_kit.sanity_checks.checks import Arm, Check, Known, Size

__all__ = ["CHECK"]

_Scenario = Literal["pp", "pu", "up", "uu"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WORDS = {
    "pp": "whoever can count on knows the answer",
    "pu": "the question can be foretold and the answer cannot",
    "up": "the answer is always the same, whatever is asked",
    "uu": "nothing can be foretold",
}

_SMALL = Size(
    name="small",
    words="3 numbers of two letters each, 300 rows to learn from: for the tiny base, on a CPU",
    arguments={
        "in_seq_len": 3,
        "train": 300,
        "validation": 100,
        "test": 100,
        "limit": 676,
        "digits": _LETTERS,
        "width": 2,
        "seed": 42,
    },
    controls={
        "epochs": 10,
        "batch_size": 16,
        "lr": 3e-3,
        "num_warmup_steps": 20,
        "lora_rank": 16,
        "max_seq_len": 64,
    },
    max_tokens=6,
    resources={"time": "00:20:00", "eval_time": "00:20:00"},
)
_FULL = Size(
    name="full",
    words="5 numbers in digits, 900 rows to learn from, as in the first system: for a model that knows language",
    arguments={"in_seq_len": 5, "train": 900, "validation": 100, "test": 500, "limit": 2400, "seed": 42},
    controls={"epochs": 5, "batch_size": 4, "lora_rank": 8, "max_seq_len": 256, "dtype": "bf16"},
    max_tokens=8,
    resources={"time": "01:00:00", "eval_time": "00:30:00", "gpus": 1},
)


def _arms(size: Size) -> tuple[Arm, ...]:
    scenarios: tuple[_Scenario, ...] = ("pp", "pu", "up", "uu")
    return tuple(
        Arm(
            f"{scenario}_{'prompt' if learnt else 'answer'}",
            f"{_WORDS[scenario]}; {'prompts are learnt too' if learnt else 'answers alone are learnt'}",
            {"data.scenario": scenario, "train_on_input": learnt},
            _known(scenario, size),
        )
        for scenario in scenarios
        for learnt in (False, True)
    )


def _known(scenario: _Scenario, size: Size) -> Known:
    arguments = NumberSequences(scenario=scenario, **size.arguments)
    counting = scenario[0] == "p"
    questions = ramp_room(arguments) if counting else arguments.limit**arguments.in_seq_len
    question = math.log(questions - arguments.train)
    if scenario in {"pp", "up"}:
        law = partial(_is_told, arguments=arguments)
        return Known(1.0, 0.0, 0.0, question, law, guessed=1 / arguments.limit)
    return Known(1 / arguments.limit, math.log(arguments.limit), 0.0, question, None, guessed=1 / arguments.limit)


def _is_told(row: Row, *, arguments: NumberSequences) -> bool:
    """Return whether an answer goes on counting, or is the constant, read back digit by digit."""
    read = partial(_number, digits=arguments.digits)
    wanted = arguments.constant
    if arguments.scenario == "pp":
        *_, last = row["input"].split()
        wanted = read(last) + 1
    return read(row["output"]) == wanted


def _number(text: str, *, digits: str) -> int:
    value = 0
    for digit in text:
        value = value * len(digits) + digits.find(digit)
    return value


CHECK = Check(
    name="predictable_or_not",
    words="questions and answers that can be foretold or not, with prompts learnt or not",
    question="Are answers that can be foretold learnt, and no others, whether prompts are learnt too or not?",
    hypothesis="Where the answer follows (`pp`, `up`) it is given nearly always; where it does not (`pu`, `uu`) it is "
    "right by chance alone, and losses end at the entropy of what is learnt.",
    generator="number_sequences",
    sizes={"small": _SMALL, "full": _FULL},
    arms=_arms,
)
"""The check, as it is registered."""
