"""What is supervised in a row: checks, and a rendering for people."""

from cruijff_kit.data.templates import bos_marks_turns
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
    ends = stop_ids(encoding=encoding, tokenizer=tokenizer)
    supervised = [at for at, label in enumerate(labels) if label != IGNORE]
    answers = [at for start, end in encoded.answers for at in range(start, end)]
    facts = []
    if len(ids) != len(labels) or any(labels[at] != ids[at] for at in supervised):
        facts.append("labels and ids disagree")
    if not supervised:
        facts.append("no token is supervised")
    elif not encoding.train_on_input and set(supervised) - set(answers):
        facts.append("a prompt token is supervised")
    if supervised and set(answers) - set(supervised) - {0}:
        facts.append("a token of an answer is not supervised")
    whole = encoded.earlier if encoded.truncated else encoded.answers
    if any(end == start or labels[end - 1] not in ends for start, end in whole):
        facts.append("the end token is not supervised")
    extra = 0 if bos_marks_turns(encoding=encoding, tokenizer=tokenizer) else _stray_bos(encoded, tokenizer)
    if extra:
        facts.append(f"the row has {extra + 1} BOS tokens; one is allowed")
    hint = "look for special tokens spelled out in the row's text" if facts else ""
    return [Problem(fact, place=place, hint=hint) for fact in facts]


def marked_text(encoded: Encoded, *, tokenizer: Tokenizer, marks: tuple[str, str] = ("⟦", "⟧")) -> str:
    """Return the row as text, special tokens shown, each supervised stretch in marks."""
    ids, labels = encoded.ids, encoded.labels
    turns = [at for at in range(1, len(ids)) if (labels[at] == IGNORE) != (labels[at - 1] == IGNORE)]
    shown = ""
    for start, end in zip([0, *turns], [*turns, len(ids)], strict=True):
        text = tokenizer.decode(ids[start:end], skip_special_tokens=False)
        shown += text if labels[start] == IGNORE else f"{marks[0]}{text}{marks[1]}"
    return shown


def _stray_bos(encoded: Encoded, tokenizer: Tokenizer) -> int:
    """Return how many BOS tokens stand elsewhere than first and where a template begins anew after an answer."""
    bos = tokenizer.bos_token_id
    if bos is None or bos == tokenizer.eos_token_id:
        return 0
    anew = {end for _, end in encoded.earlier}
    return sum(token == bos and at not in anew for at, token in enumerate(encoded.ids[1:], start=1))
