"""A spot check as plain text: prompt, ids, expected, got, and every probability, in columns."""

from collections.abc import Iterator
from math import exp

from cruijff_kit.cli.table import aligned
from cruijff_kit.schema.spot import SpotCheck, SpotSample

__all__ = ["spot_text"]

_TEXT, _IDS, _POSITIONS = 600, 24, 12
"""Characters of a text, ids of a prompt and positions of an answer that are shown; `--json` has all."""


def spot_text(found: SpotCheck) -> str:
    """Return a heading and a block a sample; texts are quoted, so that no control character reaches a terminal."""
    accepted = sum(sample.match for sample in found.samples)
    epoch = "base model" if found.epoch is None else f"epoch {found.epoch}"
    head = f"{found.run_id}, {epoch}, split {found.split}: `{found.scorer}` accepts {accepted} of {len(found.samples)}"
    blocks = ["\n".join(_block(sample)) for sample in found.samples]
    note = [f"no probabilities of options: {found.unscored}"] if found.unscored else []
    return "\n\n".join([head, *blocks, *note])


def _block(sample: SpotSample) -> Iterator[str]:
    ids = " ".join(map(str, sample.prompt_ids[:_IDS]))
    more = " …" if len(sample.prompt_ids) > _IDS else ""
    yield f"{sample.sample_id}: {'right' if sample.match else 'wrong'}"
    yield f"  prompt    {_quoted(sample.prompt)}"
    yield f"  ids       {ids}{more} ({len(sample.prompt_ids)} in all)"
    yield f"  expected  {_quoted(sample.expected)}"
    yield f"  got       {_quoted(sample.got)}"
    yield from _indented(_candidates(sample))
    yield from _indented(_options(sample))


def _candidates(sample: SpotSample) -> str:
    """Return the likeliest tokens of each position, one row a position."""
    shown = [position for position in sample.top[:_POSITIONS] if position]
    if not shown:
        return ""
    most = max(len(position) for position in shown)
    heads = ("token", *(cell for place in range(most) for cell in (f"{place + 1}.", "p")))
    rows = [
        (str(at), *(cell for each in position for cell in (_quoted(each.token), f"{exp(each.logprob):.3f}")),
         *[""] * (2 * (most - len(position))))
        for at, position in enumerate(shown)
    ]  # fmt: skip
    left = len(sample.top) - len(shown)
    return aligned(heads, rows) + (f"\n… and {left} more tokens" if left else "")


def _options(sample: SpotSample) -> str:
    if not sample.options:
        return ""
    rows = [(_quoted(each.option), f"{each.probability:.4f}", f"{each.share:.3f}") for each in sample.options]
    mass = "" if sample.option_mass is None else f"\nall options together: {sample.option_mass:.4f}"
    return aligned(("option", "p, as evaluated", "share"), rows) + mass


def _indented(text: str) -> Iterator[str]:
    yield from (f"  {line}" for line in text.splitlines())


def _quoted(text: str) -> str:
    """Return a text in quotes, what cannot be printed as escapes."""
    return repr(text) if len(text) <= _TEXT else f"{text[:_TEXT]!r}… ({len(text):,} characters)"
