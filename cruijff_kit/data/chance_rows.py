"""Probabilities of options as people and programs write them: `no=.2,yes=.8`, or a JSON object a line."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from cruijff_kit.data.draws import uniform
from cruijff_kit.data.plain_values import is_number
from cruijff_kit.errors import SpecError
from cruijff_kit.schema.noun import fact_of
from cruijff_kit.schema.verdict import Chances

__all__ = ["ChanceRow", "chances_of", "read_chance_row", "read_shares"]

_LEAST = -1e4
"""Log-probability of what cannot be; files hold no infinity."""
_SLACK = 1e-6
"""What rounding may leave of a sum that should be 1."""
_IDS = ("sample_id", "id")
_LONGEST = 200
_HOW = 'give {"probabilities": {"no": 0.2, "yes": 0.8}}, "logprobs" alike, or "options" with "option_logprobs"'


class ChanceRow(NamedTuple):
    """One line read."""

    chances: Chances
    """Its options and their log-probabilities."""
    checkpoint: str | None
    """Hash of the checkpoint that gave them, where the line says so."""


def read_shares(text: str) -> dict[str, float]:
    """Return probabilities written as `no=.2,yes=.8`, an option that holds a comma or `=` in a JSON object.

    Raises:
        SpecError: they are not written so, or do not add up to 1.
    """
    if text.lstrip().startswith("{"):
        return _shares(_object(text), name="the probabilities")
    found = dict[str, float]()
    for part in text.split(","):
        option, mark, number = part.rpartition("=")
        if not mark or not option.strip():
            raise SpecError(f"`{part[:_LONGEST]}` is no `option=probability`", hint="write `no=.2,yes=.8`")
        if option.strip() in found:
            raise SpecError(f"option `{option.strip()}` is there twice", hint="name each option once")
        try:
            found[option.strip()] = float(number)
        except ValueError as err:
            raise SpecError(f"`{number[:_LONGEST]}` is no probability", hint="write `no=.2,yes=.8`") from err
    return _shares(found, name="the probabilities")


def chances_of(shares: Mapping[str, float], *, sample_id: str, seed: int = 0) -> Chances:
    """Return probabilities as everything here takes them.

    Args:
        shares: option to probability.
        sample_id: what the sample is called; with the numbers it decides what randomises its set.
        seed: the calibrator's.

    Raises:
        SpecError: they are no probabilities of two options at least.
    """
    shares = _shares(shares, name="the probabilities")
    logs = [math.log(share) if share > 0 else _LEAST for share in shares.values()]
    return _chances(list(shares), logs, sample_id=sample_id, seed=seed)


def read_chance_row(line: str, *, number: int, seed: int = 0) -> ChanceRow:
    """Return what one line of JSON Lines says: a row of `ck decide`, of `ck predict`, or a prediction record.

    Other keys are passed over.

    Args:
        line: the line.
        number: its number from 1, which is its name where it has none.
        seed: the calibrator's.

    Raises:
        SpecError: it holds no probabilities that can be used.
    """
    row = _object(line)
    named = next((row[key] for key in _IDS if row.get(key) not in (None, "")), number)
    sample_id = str(named)[:_LONGEST]
    if isinstance(row.get("probabilities"), dict):
        found = chances_of(row["probabilities"], sample_id=sample_id, seed=seed)
    else:
        options, logs = _logs(row)
        found = _chances(options, logs, sample_id=sample_id, seed=seed)
    groups = row.get("groups") or {}
    if not isinstance(groups, dict):
        raise SpecError("`groups` is no object of column and value", hint='write {"groups": {"site": "north"}}')
    told = {str(name): str(value) for name, value in groups.items()}
    if isinstance(row.get("prompt_token_sha256"), str):
        item = f"{sample_id}/{row['prompt_token_sha256']}"
        found = found.model_copy(update={"uniform": uniform(item, seed=seed, label="conformal")})
    checkpoint = row.get("checkpoint_sha256")
    return ChanceRow(found.model_copy(update={"groups": told}), checkpoint if isinstance(checkpoint, str) else None)


def _logs(row: Mapping[str, Any]) -> tuple[list[str], list[float]]:
    """Return options and log-probabilities of a row that has no probabilities."""
    if isinstance(row.get("logprobs"), dict):
        options, logs = list(row["logprobs"]), list(row["logprobs"].values())
    elif isinstance(row.get("options"), list) and isinstance(row.get("option_logprobs"), list):
        options, logs = row["options"], row["option_logprobs"]
    else:
        raise SpecError("the line holds no probabilities", hint=_HOW)
    wrong = [each for each in logs if not is_number(each)]
    if wrong or not all(isinstance(each, str) for each in options):
        raise SpecError(f"`{str((wrong or options)[0])[:_LONGEST]}` is no log-probability of an option", hint=_HOW)
    return options, [max(_LEAST, float(each)) for each in logs]


def _chances(options: Sequence[str], logs: Sequence[float], *, sample_id: str, seed: int) -> Chances:
    item = f"{sample_id}/{json.dumps([options, logs])}"
    try:
        return Chances(
            options=tuple(options),
            logprobs=tuple(logs),
            sample_id=sample_id,
            uniform=uniform(item, seed=seed, label="conformal"),
        )
    except ValidationError as err:
        raise SpecError(fact_of(err.errors()[0]["msg"]), hint="name two options at least, each once") from err


def _shares(given: Mapping[str, Any], *, name: str) -> dict[str, float]:
    wrong = [each for each in given.values() if not is_number(each) or not 0 <= each <= 1 + _SLACK]
    if wrong:
        raise SpecError(f"`{str(wrong[0])[:_LONGEST]}` is no probability; it must lie in [0, 1]", hint=_HOW)
    total = math.fsum(given.values())
    if abs(total - 1) > _SLACK:
        hint = "give them as they are, with all their digits, or as log-probabilities, which need not be normalised"
        raise SpecError(f"{name} add up to {total:g}, not to 1", hint=hint)
    return {str(option): float(share) for option, share in given.items()}


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except RecursionError as err:
        raise SpecError("the JSON is nested too deeply", hint=_HOW) from err
    except ValueError as err:
        raise SpecError(f"the JSON cannot be read: {str(err)[:_LONGEST]}", hint=_HOW) from err
    if not isinstance(found, dict):
        raise SpecError("the JSON is no object", hint=_HOW)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as err:
        raise SpecError("the JSON holds half of a character, which no file can hold", hint=_HOW) from err
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError("a key is there twice")
    return named
