"""A task of one's own as text: its module, its test and rows to fill in."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from cruijff_kit.data.prompts import placeholders
from cruijff_kit.data.tabular.cells import one_line
from cruijff_kit.schema.task import TaskRequest

__all__ = ["render_rows", "render_task", "render_test"]

_ASKED_AS: Mapping[str, str] = MappingProxyType(
    {
        "choice": "Answer with the letter alone.",
        "options": "Answer with one of these alone: {options}.",
        "free": "",
        "numeric": "Answer with a number alone.",
        "probability": "How likely is {event}? Answer with a probability in percent.",
        "json": 'Answer with JSON alone: {{"decision": …, "rationale": …, "abstain": true or false}}.{among}',
    }
)
_TASK = '''"""{caption}

Made by `ck task new`; yours to change. It needs no design to run:

    inspect eval {folder}/task.py --model …

A design names it below `evaluation.tasks`:

    {entry}
"""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.solver import generate, system_message

from cruijff_kit.data.prompts import fill_template
from cruijff_kit.data.streams import stream_rows
from cruijff_kit.runtime.inspect_scorers import {imports}

DATA = Path(__file__).parent / {data!r}
PROMPT = {prompt!r}
SYSTEM = {system!r}
TARGET = {target!r}
OPTIONS = {options!r}


@task
def {name}(data: str = str(DATA), split: str = {split!r}) -> Task:
    """Ask every row of a split; of data without splits, every row.

    Args:
        data: a `.json`, `.jsonl`, `.parquet` or `.csv` file.
        split: the split that is asked.
    """
    samples = [sample(row, f"{name}-{{number}}") for number, row in enumerate(rows(Path(data), split))]
    asked = [system_message(SYSTEM), generate()] if SYSTEM else [generate()]
    return Task(dataset=MemoryDataset(samples, name={name!r}), solver=asked, scorer=[{scorers}])


def rows(path: Path, split: str) -> list[dict]:
    """Return the rows of a split, or all where the data has none; a row that cannot be read is an error."""
    with path.open("rb") as file:
        found = list(stream_rows(file, path.name))
    wrong = [f"{{each.place}}: {{each.problem.message}}" for each in found if each.problem]
    if wrong:
        raise ValueError("\\n".join(wrong))
    splits = {{each.split for each in found}}
    chosen = [dict(each.row) for each in found if splits == {{"train"}} or each.split == split]
    if not chosen:
        raise ValueError(f"`{{path}}` has no split `{{split}}`; it has {{', '.join(sorted(splits)) or 'no rows'}}")
    return chosen


def sample(row: dict, number: str) -> Sample:
    """Return one row as inspect-ai asks it."""
{body}
'''
_PLAIN = """    columns = {column: str(value) for column, value in row.items()}
    return Sample(id=number, input=fill_template(PROMPT, columns), target=str(row[TARGET]))"""
_LETTERS = """    columns = {column: str(value) for column, value in row.items()}
    choices = {letter: str(choice) for letter, choice in zip(OPTIONS, row["choices"])}
    listed = "\\n".join(f"{letter}) {choice}" for letter, choice in choices.items())
    right = [letter for letter, choice in choices.items() if str(row[TARGET]) in (letter, choice)]
    return Sample(id=number, input=fill_template(PROMPT, {**columns, "choices": listed}), target=right[0])"""
_TEST = '''"""The task asks every row, and tells right answers from wrong ones; no model is needed."""

import asyncio
{json}from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from inspect_ai.model import ModelOutput
from inspect_ai.scorer import Target
from inspect_ai.solver import TaskState

SPEC = spec_from_file_location("task_{name}", Path(__file__).parent / "task.py")
MODULE = module_from_spec(SPEC)
SPEC.loader.exec_module(MODULE)
TASK = MODULE.{name}()
OPTIONS = MODULE.OPTIONS


def right(target):
    return {right}


def wrong(target):
    return {wrong}


def judged(sample, answer):
    """Return what the scorer that decides says of an answer: C right, I wrong, N none."""
    output = ModelOutput.from_content("nobody", answer)
    state = TaskState("nobody", sample.id, 1, sample.input, [], target=Target(sample.target), output=output)
    return asyncio.run(TASK.scorer[0](state, Target(sample.target))).value


def test_every_row_is_asked_once_and_has_an_answer():
    samples = list(TASK.dataset)
    assert len({{each.id for each in samples}}) == len(samples) > 0
    assert all(each.input and each.target for each in samples)
{closed}

def test_right_answers_are_told_from_wrong_ones():
    for sample in TASK.dataset:
        assert judged(sample, right(sample.target)) == "C"
        assert judged(sample, wrong(sample.target)) == "I"
'''
_CLOSED = "    assert {{each.target for each in samples}} <= set(OPTIONS)\n"
_OTHER = "next(each for each in OPTIONS if each != target)"
_RIGHT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "choice": ("target", _OTHER),
        "options": ("target", _OTHER),
        "free": ("target", '"?" if target != "?" else "!"'),
        "numeric": ("target", "str(float(target) + 1)"),
        "probability": ('"99%" if target == OPTIONS[-1] else "1%"', '"1%" if target == OPTIONS[-1] else "99%"'),
        "json": ("decided(target)", "decided({other})"),
    }
)
_DECIDED = """

def decided(answer):
    return json.dumps({"decision": answer, "rationale": "so it is", "abstain": False})
"""
_LETTERS_ALL = tuple("ABCDEFGHIJ")


def render_task(request: TaskRequest, *, folder: str, data: str, entry: str) -> str:
    """Return the module of a task.

    Args:
        request: what it asks.
        folder: where it lies in the experiment.
        data: its rows, as seen from that folder.
        entry: its line in a design.
    """
    options = _LETTERS_ALL if request.answer == "choice" else request.options
    scorers = ", ".join(_scorer(name, request) for name in request.scored_by)
    return _TASK.format(
        caption=_line(request.caption or f"answers of kind {request.answer}"),
        folder=folder,
        entry=entry,
        imports=", ".join(sorted(set(request.scored_by))),
        data=data,
        prompt=_prompt(request),
        system=request.system,
        target=request.target,
        options=list(options),
        name=request.name,
        split=request.split,
        scorers=scorers,
        body=_LETTERS if request.answer == "choice" else _PLAIN,
    )


def render_test(request: TaskRequest) -> str:
    """Return the test of a task: it runs without a model."""
    options = _LETTERS_ALL if request.answer == "choice" else request.options
    right, wrong = _RIGHT[request.answer]
    text = _TEST.format(
        json="import json\n" if request.answer == "json" else "",
        name=request.name,
        right=right,
        wrong=wrong.format(other=_OTHER if options else '"?" if target != "?" else "!"')
        if request.answer == "json"
        else wrong,
        closed=_CLOSED.format() if options else "",
    )
    return text.replace("\n\ndef right(", f"{_DECIDED}\n\ndef right(", 1) if request.answer == "json" else text


def render_rows(request: TaskRequest) -> str:
    """Return rows to be replaced, one a line, with every column that the prompt names."""
    answers = request.options or {"numeric": ("1", "2.5"), "choice": ("the first", "the second")}.get(
        request.answer, ("one", "two")
    )
    lines = []
    for number in range(4):
        columns = {
            name: f"{name} {number + 1}"
            for name in placeholders(request.prompt)
            if name not in {request.target, "choices"}
        }
        row = {**columns, **({"choices": list(answers)} if request.answer == "choice" else {})}
        lines.append(json.dumps({**row, request.target: answers[number % len(answers)]}, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def _prompt(request: TaskRequest) -> str:
    listed = "" if request.answer != "choice" or "choices" in placeholders(request.prompt) else "{choices}"
    among = f" The decision is one of: {', '.join(request.options)}." if request.options else ""
    asked = _ASKED_AS[request.answer]
    if asked:
        event = request.options[-1] if request.options else ""
        asked = asked.format(options=", ".join(request.options), event=event, among=among)
    return "\n\n".join(part for part in (request.prompt, listed, asked) if part)


def _scorer(name: str, request: TaskRequest) -> str:
    takes = bool(request.options or request.answer == "choice") and name != "continuous"
    return f"{name}(options=OPTIONS)" if takes else f"{name}()"


def _line(text: str) -> str:
    return one_line(text).replace("\\", "/").replace('"', "'")
