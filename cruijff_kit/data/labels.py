"""Labels as a model may spell them: the token ids that put an answer option right behind a prompt."""

from cruijff_kit.data.templates import continued
from cruijff_kit.ports import Tokenizer
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["label_spellings"]


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
