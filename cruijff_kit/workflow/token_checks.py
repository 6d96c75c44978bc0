"""Count rows in the tokens of the model that will read them, before anything is trained."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cruijff_kit.data.gate import Proof, prove_mask
from cruijff_kit.data.items import item_form, item_question
from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tokens import Encoding, Row, encode_prompt, encode_row, encoding_problems, is_whole
from cruijff_kit.errors import Problem, SiteError, SpecError
from cruijff_kit.ports import Tokenizer, World
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.proof import MaskProof
from cruijff_kit.schema.spec import ExperimentSpec
from cruijff_kit.workflow.mask_gate import TRAINED, Reading, proof_of, reading_of
from cruijff_kit.workflow.plan import Planned
from cruijff_kit.workflow.row_checks import other_rows, used_splits

__all__ = ["TokenFindings", "check_tokens"]

# Tokenizers may put a blank or a marker before a text.
_SLACK = 16


class TokenFindings(NamedTuple):
    """What rows were found to be as tokens."""

    problems: list[Problem]
    """All that stands in the way."""
    warnings: list[str]
    """What could not be checked."""
    proofs: tuple[MaskProof, ...] = ()
    """What was proven of the masks of rows that are trained on."""


def check_tokens(spec: ExperimentSpec, planned: Planned, *, world: World) -> TokenFindings:
    """Return which rows or settings the models' tokenizers cannot take, and what their masks prove.

    Each distinct way of reading is checked once, however many runs share it. Without
    the extra that reads tokenizers nothing is checked, and a warning says so.
    """
    by_key = {dataset.facts.key: dataset for dataset in planned.datasets}
    readings: dict[Reading, list[PlannedRun]] = {}
    for run in planned.plan.runs:
        if not run.model_path:
            # Behind an API, with no tokenizer here.
            continue
        readings.setdefault(reading_of(run, spec), []).append(run)
    others = list(other_rows(spec, planned, world=world).values())
    tokenizers: dict[str, Tokenizer] = {}
    problems: list[Problem] = []
    proofs: list[MaskProof] = []
    for reading, runs in readings.items():
        try:
            tokenizer = tokenizers.get(reading.model_path) or world.hub.tokenizer(reading.model_path)
        except SiteError as err:
            fact = str(err).partition("\n")[0]
            if "pip install" in err.hint:
                return TokenFindings(problems, [f"the length of rows was not checked: {fact}"])
            problems.append(Problem(fact, "models", hint=err.hint))
            continue
        tokenizers[reading.model_path] = tokenizer
        own = used_splits(by_key[reading.dataset].splits, runs)
        found = list(_unreadable(reading.encoding, [own, *others], tokenizer=tokenizer))
        trained = next((run for run in runs if run.type == "fine-tuned"), None)
        if trained is not None and not found:
            proof = _proven(reading.encoding, own, tokenizer=tokenizer)
            found += proof.problems
            facts = by_key[reading.dataset].facts
            proofs.append(proof_of(trained, reading, facts=facts, spec=spec, proof=proof))
        problems += [_at_factor(each, spec) for each in found]
    return TokenFindings(problems, [], tuple(proofs))


def _proven(encoding: Encoding, own: Splits, *, tokenizer: Tokenizer) -> Proof:
    trained = {split: rows for split, rows in own.items() if split in TRAINED}
    return prove_mask(trained, encoding=encoding, tokenizer=tokenizer)


def _unreadable(encoding: Encoding, data: Sequence[Splits], *, tokenizer: Tokenizer) -> Iterator[Problem]:
    problems = encoding_problems(encoding, tokenizer=tokenizer)
    if problems:
        yield from problems
        return
    for splits in data:
        for split, rows in splits.items():
            yield from _counted(list(_refused(rows, split, encoding=encoding, tokenizer=tokenizer)), split)


def _counted(wrong: list[Problem], split: str) -> Iterator[Problem]:
    if wrong:
        first, more = wrong[0], len(wrong) - 1
        fact = f"{first.place}: {first.message}" + (f"; so have {more} more rows of `{split}`" if more else "")
        yield Problem(fact, first.path or "controls.max_seq_len", hint=first.hint)


def _refused(rows: Sequence[Row], split: str, *, encoding: Encoding, tokenizer: Tokenizer) -> Iterator[Problem]:
    """Yield the rows that cannot be tokenised within the limit; most are seen to fit by their bytes.

    A token stands for a byte at least, so a row has no more tokens than another row of
    the same template and form has, plus its own bytes.
    """
    allowances: dict[str, int] = {}
    for index, row in enumerate(rows):
        shape = _shape(row, encoding)
        asks_nothing = is_whole(row, encoding) and not split.startswith(TRAINED)
        if _bytes(row) * max(1, encoding.prompt.count("{")) < allowances.get(shape, 0) and not asks_nothing:
            continue
        place = f"{split}[{index}]"
        try:
            length = _tokens(row, encoding, tokenizer=tokenizer, place=place)
        except SpecError as err:
            yield from (problem._replace(place=place) for problem in err.problems)
            continue
        allowances[shape] = allowances.get(shape) or max(encoding.max_seq_len - length - _SLACK, 0)


def _shape(row: Row, encoding: Encoding) -> str:
    """Return what rows must share to be written alike: their form, where each has its own."""
    if encoding.dataset_type != "auto":
        return ""
    return f"{item_form(row)}, with input" if item_question(row).input else str(item_form(row))


def _tokens(row: Row, encoding: Encoding, *, tokenizer: Tokenizer, place: str) -> int:
    """Return the tokens of a row; of rows that are only evaluated, those of the prompt."""
    if place.startswith(TRAINED):
        return len(encode_row(row, encoding=encoding, tokenizer=tokenizer, place=place).ids)
    return len(encode_prompt(row, encoding=encoding, tokenizer=tokenizer, place=place))


def _bytes(row: Row) -> int:
    return sum(len(str(value).encode()) for value in row.values())


def _at_factor(problem: Problem, spec: ExperimentSpec) -> Problem:
    control = problem.path.removeprefix("controls.")
    return problem._replace(path=f"factors.{control}") if control in spec.factors else problem
