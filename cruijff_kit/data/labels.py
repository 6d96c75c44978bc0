"""Labels as a model may spell them: the token ids that put an answer option right behind a prompt, or into JSON."""

from collections.abc import Sequence
from typing import NamedTuple

from cruijff_kit.data.structured import answer_head
from cruijff_kit.data.templates import continued
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["DecisionIds", "decision_ids", "label_spellings"]


class DecisionIds(NamedTuple):
    """The heads of structured answers in tokens, as training teaches them."""

    lead: PromptIds
    """What all of them begin with: `{"decision":`."""
    decisions: tuple[PromptIds, ...]
    """What tells them apart behind it: the labels in their order, then `null`, the abstention."""
    tail: PromptIds
    """What all of them go on with, up to the first letter of the rationale."""

    def head(self, at: int) -> PromptIds:
        """Return what stands behind the lead up to the rationale, for one of the decisions."""
        return (*self.decisions[at], *self.tail)


def label_spellings(label: str, *, tokenizer: Tokenizer) -> tuple[PromptIds, ...]:
    """Return every spelling of a label behind a prompt, none twice; the one that training teaches comes first.

    A prompt ends at a seam (`data/tokens.py`), so a label's ids never depend on the text before
    it. Its outer blanks are no part of it. It is spelled in up to four ways:

    1. alone, as training joins an answer to its prompt;
    2. alone, with a blank in front;
    3. as it goes on from earlier text, which is how a model that read whole documents spells it;
    4. the same with a blank in front.

    Byte-level tokenizers know no beginning of a text: 1 and 3 are one spelling, and so are 2 and 4. Tokenizers
    of the SentencePiece kind that put a blank before every text spell `yes` as `▁yes` alone and as
    `yes` behind text, so 1 and 4 are one and three spellings are left. Those that add no blank have two.

    Args:
        label: the option as the data spell it.
        tokenizer: the base model's tokenizer.
    """
    text = label.strip()
    blank = f" {text}"
    ways = (
        tokenizer.encode(text, add_special_tokens=False),
        tokenizer.encode(blank, add_special_tokens=False),
        continued(text, tokenizer),
        continued(blank, tokenizer),
    )
    return tuple(dict.fromkeys(tuple(ids) for ids in ways if text and ids))


def decision_ids(options: Sequence[str], *, tokenizer: Tokenizer) -> DecisionIds:
    """Return the ids of structured answers up to the rationale, cut where they part and where they meet again.

    Each head is tokenised whole, as the answers of training rows are, so a label's ids are those that were
    learnt even where a tokenizer merges its quotation marks with it. The closing one is part of what
    tells a label apart, so that none begins another.

    Args:
        options: the labels.
        tokenizer: the base model's tokenizer.

    Raises:
        PlanError: there are none, one is blank, or two are the same to the tokenizer.
    """
    if not options or not all(option.strip() for option in options):
        raise PlanError("structured answers need labels that are not blank", hint="name every label once")
    heads = [tuple(tokenizer.encode(answer_head(each), add_special_tokens=False)) for each in (*options, None)]
    lead = _common(heads)
    parted = [ids[len(lead) :] for ids in heads]
    tail = _common([ids[::-1] for ids in parted])[::-1]
    apart = [ids[: len(ids) - len(tail)] for ids in parted]
    for at, ids in enumerate(apart):
        other = next((each for each in range(len(apart)) if each != at and apart[each][: len(ids)] == ids), None)
        if not ids or other is not None:
            named = [*options, "null"][at], [*options, "null"][other or 0]
            fact = f"decisions `{named[0]}` and `{named[1]}` cannot be told apart by their tokens"
            raise PlanError(fact, hint="name every label once, and none that goes on from another")
    return DecisionIds(lead, tuple(apart), tail)


def _common(sequences: Sequence[PromptIds]) -> PromptIds:
    """Return the longest beginning of all of them."""
    first, last = min(sequences), max(sequences)
    apart = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(apart, len(first))]
