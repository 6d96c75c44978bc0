"""What is supervised in a row: checks, and a rendering for people."""

from cruijff_kit.data.tokens import IGNORE, Encoded, Encoding, stop_ids
from cruijff_kit.errors import Problem
from cruijff_kit.ports import Tokenizer

__all__ = ["check_mask", "marked_text"]


def check_mask(encoded: Encoded, *, encoding: Encoding, tokenizer: Tokenizer, place: str = "") -> list[Problem]:
    """Return what is wrong with a row's labels, all at once; empty when sound.

    Args:
        encoded: the row's ids and labels.
        encoding: how it was made.
        tokenizer: the tokenizer that made it.
        place: where the row stands, such as `train[17]`.
    """
    ids, labels = encoded.ids, encoded.labels
    supervised = [at for at, label in enumerate(labels) if label != IGNORE]
    facts = []
    if len(ids) != len(labels) or any(labels[at] != ids[at] for at in supervised):
        facts.append("labels and ids disagree")
    if not supervised:
        facts.append("no token is supervised")
    elif supervised != list(range(supervised[0], len(ids))):
        facts.append("supervised tokens are not one run up to the end")
    if not encoding.train_on_input and any(at < encoded.prompt_length for at in supervised):
        facts.append("a prompt token is supervised")
    if not encoded.truncated and labels[-1:] and labels[-1] not in stop_ids(encoding=encoding, tokenizer=tokenizer):
        facts.append("the end token is not supervised")
    bos = tokenizer.bos_token_id
    if bos is not None and bos != tokenizer.eos_token_id and ids.count(bos) > 1:
        facts.append(f"the row has {ids.count(bos)} BOS tokens; one is allowed")
    hint = "look for special tokens spelled out in the row's text" if facts else ""
    return [Problem(fact, place=place, hint=hint) for fact in facts]


def marked_text(encoded: Encoded, *, tokenizer: Tokenizer, marks: tuple[str, str] = ("⟦", "⟧")) -> str:
    """Return the row as text, special tokens shown, supervised parts in marks."""
    seam = next((at for at, label in enumerate(encoded.labels) if label != IGNORE), len(encoded.ids))
    before, after = encoded.ids[:seam], encoded.ids[seam:]
    shown = tokenizer.decode(before, skip_special_tokens=False)
    return shown + marks[0] + tokenizer.decode(after, skip_special_tokens=False) + marks[1]
