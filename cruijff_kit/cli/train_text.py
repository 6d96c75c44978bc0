"""What `ck train` prints: values with their sources, what is to be said of them, and what to type next."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from cruijff_kit.cli.table import aligned
from cruijff_kit.schema.training import ExampleData, TrainReview, TrainSamples, TrainValue

__all__ = ["data_table", "headline", "next_steps", "remarks", "review_text", "samples_text", "shown", "values_table"]


def review_text(review: TrainReview, *, design: bool = False) -> str:
    """Return a review as people read it: values ← sources, memory, warnings and recommendations."""
    lines = [headline(review), "", values_table(review.values), "", *_memory(review), *remarks(review)]
    if design and review.design:
        lines += ["", f"── {review.output}/experiment_summary.md would say", review.design.rstrip()]
    return "\n".join(lines)


def headline(review: TrainReview) -> str:
    """Return in three lines what is trained on what, by what, and where."""
    rows = ", ".join(f"{count:,} {split}" for split, count in review.splits.items())
    forms = ", ".join(f"{count:,} {form}" for form, count in review.forms.items())
    data = f"{review.data}: {rows} (rows of form {forms}; validation: {review.held_out})" if rows else "no data named"
    steps = f", {review.steps:,} step{'s' * (review.steps > 1)}" if review.steps else ""
    return "\n".join(
        [
            f"model    {review.model}" + (f" ({review.model_path})" if review.model_path else ""),
            f"data     {data}",
            f"backend  {review.backend}{steps}",
            f"output   {review.output}",
        ]
    )


def remarks(review: TrainReview) -> Iterator[str]:
    """Yield what is to be said of a training before it begins."""
    yield from (f"warning: {each}" for each in review.warnings)
    yield from (f"recommended: {each}" for each in review.recommendations)
    yield from (f"note: {each}" for each in review.notes)


def values_table(values: Mapping[str, TrainValue]) -> str:
    """Return every value with its source."""
    return aligned(
        ("key", "value", "← source"), [(name, shown(v.value), f"← {v.source}") for name, v in values.items()]
    )


def data_table(found: Sequence[ExampleData]) -> str:
    """Return bundled data by family, and examples of its use."""
    rows = [
        (
            each.family,
            each.name,
            each.form,
            ", ".join(f"{count} {split}" for split, count in each.rows.items()),
            each.licence,
            "" if each.present else "MISSING",
            each.told,
        )
        for each in sorted(found, key=lambda each: (each.family, each.name))
    ]
    heads = ("family", "name", "form", "rows", "licence", "", "what is learnt")
    uses = ("capitalization --template model --epochs 2 --lr 1e-3", "my_rows.jsonl --template chatml")
    return "\n".join([aligned(heads, rows), "", *(f"ck train quick tiny {each}" for each in uses)])


def samples_text(found: TrainSamples) -> str:
    """Return what the model answered before and after."""
    if not found.samples:
        return f"no sample shown: {found.withheld}; `--prompt TEXT` asks a question of yours, `--tier green` shows rows"
    lines: list[str] = []
    for each in found.samples:
        # What is asked stands at the end, behind whatever a template begins with.
        lines.append(f"prompt  {_one_line(each.prompt, end=True)}")
        lines += [f"  before  {_one_line(each.before)}", f"  after   {_one_line(each.after)}"]
        lines += [f"  wanted  {_one_line(each.expected)}"] if each.expected else []
    return "\n".join(lines)


def next_steps(found: TrainSamples, *, folder: str, run: str) -> str:
    """Return where the adapter lies, and the commands that go on from there."""
    lines = [f"adapter  {found.adapter}"]
    lines += [f"best     {found.best} (lowest validation loss)"] if found.best and found.best != found.adapter else []
    lines += [
        "",
        f"try it       ck chat --adapter {quote(found.adapter)}",
        f"report       ck -C {quote(folder)} report",
        f"look closer  ck -C {quote(folder)} spot-check {run}",
        f"grow it      ck -C {quote(folder)} design from-run {run} {quote(folder)}-grid --vary lora_rank=8,16",
    ]
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Return a value on one line."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def _memory(review: TrainReview) -> Iterator[str]:
    if review.memory is None:
        yield "memory: not assessed; nothing is known of the model"
        return
    parts = ", ".join(f"{name} {_size(size)}" for name, size in review.memory.model_dump().items() if size)
    yield f"memory: {_size(review.memory.total)} with rows of `max_seq_len` tokens: {parts}"
    if review.most_rows is not None:
        fits = (
            f"at most {review.most_rows} rows a pass" if review.most_rows else "not even one row a pass: does not fit"
        )
        yield f"batch: {fits}, in four fifths of this machine's memory ({_size(review.memory_limit)})"


def _size(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _one_line(text: str, *, end: bool = False) -> str:
    plain = text.replace("\n", "⏎")
    if len(plain) <= 160:
        return plain
    return f"…{plain[-157:]}" if end else f"{plain[:157]}…"
