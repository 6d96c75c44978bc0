"""Texts of rows written by a model: one for each different row, kept in a file that grows until all are there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cruijff_kit.data.generators.registry import check_arguments
from cruijff_kit.data.generators.tabular import telling_of
from cruijff_kit.data.tabular.cells import one_line
from cruijff_kit.data.tabular.division import NONE
from cruijff_kit.data.tabular.row_reader import RowReader
from cruijff_kit.data.tabular.texts import scan_table
from cruijff_kit.data.tabular.written import read_texts, told_key, told_text
from cruijff_kit.errors import SpecError
from cruijff_kit.ports import Progress, World
from cruijff_kit.schema.serving import ChatSettings, Saying, ServedModel
from cruijff_kit.schema.table import Tabular, WrittenTexts
from cruijff_kit.workflow.conversion import own_target, record_written
from cruijff_kit.workflow.generated_files import open_named
from cruijff_kit.workflow.serve import open_dialogue
from cruijff_kit.workflow.tiers import tier_of

__all__ = ["INSTRUCTION", "write_texts"]

INSTRUCTION = (
    "Tell the following of this person or thing in two or three plain sentences. Say everything that is "
    "listed, change no number, add nothing.\n\n{told}"
)
"""What a model is asked unless told otherwise; `{told}` stands for the row."""

_PART = 64
_GREEDY = ChatSettings(max_tokens=256)


def write_texts(
    arguments: Mapping[str, Any],
    target: str,
    *,
    served: ServedModel | None,
    instruction: str = INSTRUCTION,
    progress: Progress | None = None,
    world: World,
) -> WrittenTexts:
    """Have a model write a text of every different row that a table's data set would hold; or write the questions.

    Texts that the target holds already are kept, whoever wrote them; stopped at any moment, the same call goes on.
    The model is asked on this machine and answers with its likeliest words, so another call writes the same.

    Args:
        arguments: of the generator `tabular`, as `tell_table` takes them; style and texts count for nothing.
        target: `.jsonl` file inside the experiment, kept as closely as the table.
        served: who writes, as `choose_model` returns it; None writes each row's question, to be answered elsewhere.
        instruction: what is asked, `{told}` in the place of the row.
        progress: told of texts written.
        world: the experiment and its surroundings.

    Raises:
        SpecError: the arguments, the table, or the target cannot be used.
        ResultError: an adapter does not fit.
        SiteError: the model cannot be loaded.
    """
    if not target.endswith(".jsonl") or "{told}" not in instruction:
        fact = "the instruction has no `{told}`" if target.endswith(".jsonl") else f"`{target}` names no file of lines"
        raise SpecError(fact, hint="name a `.jsonl` file, and put `{told}` where the row belongs")
    typed = _typed(arguments)
    # Texts grow in their file; questions are never written over anything.
    name = own_target(target, source=typed.source, force=served is not None, world=world)
    rows = {key: instruction.replace("{told}", told) for key, told in _rows(typed, world).items()}
    if served is None:
        world.store.write(name, _lines({"told_sha256": key, "prompt": prompt} for key, prompt in rows.items()))
        return _receipt(typed, name, counts=(len(rows), len(rows), 0), model="", world=world)
    there = read_texts(world.store.read(name) or b"", name=name)
    left = {key: prompt for key, prompt in rows.items() if key not in there}
    cut = _write(left, there, name=name, served=served, progress=progress, world=world)
    receipt = _receipt(typed, name, counts=(len(there), len(left), cut), model=_writer(served), world=world)
    inputs = {typed.source: world.store.digest(str(world.store.root / typed.source)) or ""}
    record_written("narrate", name, inputs=inputs, outputs={name: receipt.sha256}, world=world)
    return receipt


def _write(
    left: Mapping[str, str],
    there: dict[str, dict[str, Any]],
    *,
    name: str,
    served: ServedModel,
    progress: Progress | None,
    world: World,
) -> int:
    """Add a text for each question to those that are there, the file every so often, and count those cut off."""
    if not left:
        return 0
    dialogue, cut = open_dialogue(served, world=world), 0
    for at, (key, prompt) in enumerate(left.items(), 1):
        reply = dialogue.answer([Saying(role="user", content=prompt)], _GREEDY, heard=lambda _: None)
        text = one_line(reply.text)
        if reply.ended == "interrupted" or not text:
            world.store.write(name, _lines(there.values()))
            fact = "the model was interrupted" if reply.ended == "interrupted" else "the model says nothing of a row"
            hint = "go on by the same command" if reply.ended == "interrupted" else "ask another model, or otherwise"
            raise SpecError(f"{fact}: {at - 1:,} of {len(left):,} texts are written", hint=hint)
        cut += reply.ended == "length"
        there[key] = {"told_sha256": key, "text": text, "model": _writer(served)}
        if at % _PART == 0 or at == len(left):
            world.store.write(name, _lines(there.values()))
        if progress is not None:
            progress(at, len(left), "writing")
    return cut


def _writer(served: ServedModel) -> str:
    return f"{served.name}@{(served.adapter_sha256 or served.base_sha256)[:12]}"


def _typed(arguments: Mapping[str, Any]) -> Tabular:
    plain = {key: value for key, value in arguments.items() if key not in {"style", "texts", "template"}}
    problems = check_arguments("tabular", plain)
    if problems:
        raise SpecError("the table cannot be told like that", problems=problems)
    return Tabular.model_validate(plain)


def _rows(typed: Tabular, world: World) -> dict[str, str]:
    """Return what is told of each different row that a split holds, by its hash."""
    place = world.store.root / typed.source
    with open_named(world.store.root / typed.schema_file, shown=typed.schema_file) as file:
        told = telling_of(typed, {"schema_file": file.read()})
    with open_named(place, shown=typed.source) as file:
        scan = scan_table(told, file)
    with open_named(place, shown=typed.source) as file:
        return dict(_told(RowReader(told, file), scan.splits))


def _told(reader: RowReader, splits: Any) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(reader.rows, 1):
        if splits[number - 1] != NONE:
            read = reader.read(row, number)
            if not isinstance(read, str):
                yield told_key(read.features), told_text(read.features)


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"{json.dumps(dict(row), ensure_ascii=False)}\n" for row in rows)


def _receipt(typed: Tabular, name: str, *, counts: tuple[int, int, int], model: str, world: World) -> WrittenTexts:
    texts, new, cut = counts
    return WrittenTexts(
        path=name,
        sha256=world.store.digest(name) or "",
        texts=texts,
        new=new,
        cut=cut,
        model=model,
        tier=tier_of(world.store.root / typed.source, world=world),
    )
