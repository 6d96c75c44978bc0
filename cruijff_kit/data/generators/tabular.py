r"""Rows of a table told in words, each with a question and an answer.

    {"input": "- The age is: 41 years\n- The state is: Ohio", "output": "1", "row": 17}

The table, its schema and its template are files of the user's; the rows depend on their
contents and on the arguments alone. Rows of one entity, and rows that read the same, never
stand in two splits.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from cruijff_kit.data.splits import Splits
from cruijff_kit.data.tabular.row_reader import Telling
from cruijff_kit.data.tabular.schema_text import parse_schema
from cruijff_kit.data.tabular.texts import scan_table, split_names, telling, told_rows
from cruijff_kit.data.tabular.written import read_texts
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.schema.table import Tabular

__all__ = ["FILES", "SPLITS", "VERSION", "generate", "shares_text", "stem", "telling_of"]

VERSION = "1"
FILES = ("source", "schema_file", "template", "texts")
"""Arguments that name a file."""
SPLITS = ("train", "validation", "test")
"""Splits it makes."""


def generate(arguments: Tabular, files: Mapping[str, bytes]) -> Splits:
    """Return the splits; `files` holds table, schema and template.

    Raises:
        SpecError: they do not fit each other, or leave a split empty.
        SiteError: the extra that reads the format is not installed.
    """
    told = telling_of(arguments, files)
    content = files["source"]
    scan = scan_table(told, BytesIO(content))
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in split_names(arguments)}
    for name, row in told_rows(told, scan, opened=lambda: BytesIO(content)):
        splits[name].append(row)
    return splits


def telling_of(arguments: Tabular, files: Mapping[str, bytes]) -> Telling:
    """Return how rows are told, from the content of schema and template.

    Raises:
        SpecError: a file is not UTF-8, or they do not fit each other.
        SiteError: the extra that renders templates is not installed.
    """
    schema = parse_schema(
        _text(files["schema_file"], arguments.schema_file, argument="schema_file"), name=arguments.schema_file
    )
    content = files.get("template")
    template = None if content is None else _text(content, str(arguments.template), argument="template")
    lines = read_texts(files["texts"], name=str(arguments.texts)) if "texts" in files else {}
    return telling(arguments, schema, template=template, texts={key: line["text"] for key, line in lines.items()})


def shares_text(arguments: Tabular) -> bool:
    """Return whether splits may hold the same text on purpose."""
    return arguments.same_text == "spread"


def stem(arguments: Tabular) -> str:
    """Return the start of the file's name: the condition, and how rows are split in hundredths."""
    held = [round(100 * share) for share in (arguments.validation, arguments.test)]
    return f"{arguments.condition}_{100 - sum(held)}-{held[0]}-{held[1]}_"


def _text(content: bytes, name: str, *, argument: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        problem = Problem(f"`{name}` is not UTF-8: {err.reason} at byte {err.start}", argument, hint="save it as UTF-8")
        raise SpecError(f"`{name}` cannot be read", problems=[problem]) from err
