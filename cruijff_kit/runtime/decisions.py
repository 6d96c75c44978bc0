"""The labels of structured answers in one model's tokens: scored where the decision stands, and held to."""

from collections.abc import Sequence
from math import exp, fsum
from typing import NamedTuple

from cruijff_kit.data.labels import DecisionIds, decision_ids
from cruijff_kit.data.structured import NO_LABEL
from cruijff_kit.errors import PlanError
from cruijff_kit.ports import Tokenizer
from cruijff_kit.runtime.batching import Query
from cruijff_kit.runtime.inference import Aside
from cruijff_kit.runtime.json_guides import JsonGuides
from cruijff_kit.runtime.option_scores import OptionTable, decision_table
from cruijff_kit.runtime.resident_base import Resident
from cruijff_kit.schema.answer import RawAnswer
from cruijff_kit.schema.prediction import Completion, PromptIds

__all__ = ["Decisions"]


class Decisions(NamedTuple):
    """The labels of one model, in its tokens."""

    ids: DecisionIds
    """How they begin, part and go on."""
    table: OptionTable
    """How they are scored behind the lead; `null` is the last."""
    guides: JsonGuides | None
    """Holds answers to the form; None where nothing does."""

    @classmethod
    def of(cls, options: Sequence[str], *, model: Resident, constrained: bool) -> "Decisions":
        """Return the labels in a model's tokens.

        Raises:
            PlanError: two labels are one to the tokenizer, or answers cannot be held to the form with it.
            SiteError: the extra that does so is not installed.
        """
        ids = decision_ids(options, tokenizer=model.tokenizer)
        table = decision_table(ids.decisions, names=(*options, NO_LABEL))
        return cls(ids, table, JsonGuides(model.tokenizer, ids) if constrained else None)

    def led(self, prompt: PromptIds) -> PromptIds:
        """Return a prompt with what every answer to it begins with."""
        return (*prompt, *self.ids.lead)

    def query(self, prompt: PromptIds) -> Query:
        """Return what asks for one structured answer."""
        return Query(self.led(prompt), self.table, Aside(guide=self.guides.guide() if self.guides else None))

    def prove_room(self, most: int, *, hint: str) -> None:
        """Refuse answers of so few tokens that a whole one may not fit.

        Raises:
            PlanError: it may not.
        """
        if self.guides is not None and most < self.guides.least:
            fact = f"answers have {most} tokens at most, and a structured one takes up to {self.guides.least}"
            raise PlanError(fact, hint=f"{hint} to {self.guides.least} at least, and more for a rationale")

    def told(self, found: Completion, *, tokenizer: Tokenizer) -> Completion:
        """Return an answer whole, what it was led by with it, and the labels' scores without that of `null`."""
        # Decoded as one: alone, some tokenizers drop the blank that a part begins with.
        text = tokenizer.decode([*self.ids.lead, *found.token_ids])
        scores = self.scores(found)
        mass = min(1.0, fsum(map(exp, scores.logprobs)))
        return found.model_copy(
            update={
                "token_ids": (*self.ids.lead, *found.token_ids),
                "text": text,
                "option_logprobs": scores.logprobs,
                "option_mass": mass,
            }
        )

    def scores(self, found: Completion) -> RawAnswer:
        """Return how likely a model finds each decision."""
        *labels, none = found.option_logprobs
        return RawAnswer(logprobs=tuple(labels), abstain_logprob=none)
