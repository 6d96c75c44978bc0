"""The text of `trace.json`: what the standard library would write."""

import json

import pytest

from cruijff_kit.rendering.trace_text import trace_text
from cruijff_kit.schema.report import Reference, Trace

FILES = [
    Reference(label="t1", path='runs/é "a"/metrics.jsonl', sha256=None, pointer="`loss`, of\neach line"),
    Reference(label="e1", path="never used", sha256="ab" * 32, pointer="\u2028{},\n   : "),
    Reference(label="r1", path="results.parquet", sha256="cd" * 32, pointer="column `value`"),
]
FIGURES = [
    Trace(figure="training/a,\n   b/first", value=1e-7, references=("t1",)),
    Trace(figure="mean/π", value=None, n=0, references=()),
    Trace(figure="effect/x", value=-0.1, low=-1e22, high=0.30000000000000004, n=40, references=("r1", "t1")),
]


@pytest.mark.parametrize("figures", (FIGURES, FIGURES[:1], FIGURES[1:2], []))
def test_a_trace_is_written_as_the_standard_library_writes_it(figures: list[Trace]) -> None:
    used = {label for each in figures for label in each.references}
    whole = {
        "references": [each.model_dump(mode="json") for each in FILES if each.label in used],
        "figures": [each.model_dump(mode="json") for each in figures],
    }
    assert trace_text(FILES, figures) == json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
