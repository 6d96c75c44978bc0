"""Where answers part: what the pass over one answer tells of all others, without another pass.

The tokens of two options are alike up to a place and differ there. In the pass over the
right answer the model says at that place how likely the other's token is, so

    P(other) <= P(tokens up to there) * P(the other's token there),

with equality once nothing else goes on from that token, which training soon sees to. An
option ends with its end token, so none is the beginning of another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import Problem, SpecError
from cruijff_kit.runtime.batches import Batch
from cruijff_kit.schema.prediction import PromptIds

__all__ = ["AnswerTree", "Needed"]

Needed = Callable[[int, int], bool]
"""Whether a loss reads an option, the second, in the pass over another one, the first."""


@dataclass(slots=True)
class AnswerTree:
    """The options as token sequences, and the place where each leaves each other one."""

    options: tuple[str, ...]
    """The options."""
    spelt: tuple[PromptIds, ...]
    """Tokens of each, end token included, as training teaches them."""
    places: dict[PromptIds, int] = field(init=False)
    """Tokens to the option that they are."""
    depths: Tensor = field(init=False)
    """Tokens that two options share at their beginning, shape (right, other); 0 for an option and itself."""
    tokens: Tensor = field(init=False)
    """The other one's first token after these, of the same shape."""

    def __post_init__(self) -> None:
        """Find where options part.

        Raises:
            SpecError: two options are the same tokens, or one goes on from another's end.
        """
        self.places = {}
        for at, ids in enumerate(self.spelt):
            first = self.places.setdefault(ids, at)
            if first != at:
                fact = f"options `{self.options[first]}` and `{self.options[at]}` are the same tokens"
                raise SpecError("answers cannot be told apart", problems=[Problem(fact, "options")])
        size = len(self.spelt)
        self.depths, self.tokens = torch.zeros(size, size, dtype=torch.long), torch.zeros(size, size, dtype=torch.long)
        for at, ids in enumerate(self.spelt):
            for other, theirs in enumerate(self.spelt):
                if other == at:
                    continue
                depth = _shared(ids, theirs)
                if depth == min(len(ids), len(theirs)):
                    fact = f"option `{self.options[other]}` goes on from `{self.options[at]}`, its end token included"
                    raise SpecError("answers cannot be told apart", problems=[Problem(fact, "options")])
                self.depths[at, other], self.tokens[at, other] = depth, theirs[depth]

    def unclear(self, needed: Needed) -> list[Problem]:
        """Return a problem for each pair of options that a loss has to tell apart where they are still alike."""
        facts: dict[tuple[int, int], str] = {}
        for right in range(len(self.options)):
            branches: dict[tuple[int, int], int] = {}
            for other in range(len(self.options)):
                if other == right:
                    continue
                branch = (int(self.depths[right, other]), int(self.tokens[right, other]))
                twin = branches.setdefault(branch, other)
                if twin != other and (needed(right, other) or needed(right, twin)):
                    facts.setdefault((twin, other), self.options[right])
        hint = "let options begin differently: the loss reads them where they part from the right answer"
        return [
            Problem(
                f"options `{self.options[twin]}` and `{self.options[other]}` begin alike, apart from `{right}`",
                "options",
                hint=hint,
            )
            for (twin, other), right in facts.items()
        ]

    def rows_of(self, batch: Batch) -> tuple[list[int], Tensor]:
        """Return where each answer of a pass begins among its supervised tokens, and which option it is."""
        taught = [row[row != IGNORE].tolist() for row in batch.label_rows()]
        taught = [ids for ids in taught if ids]
        starts = [0]
        for ids in taught[:-1]:
            starts.append(starts[-1] + len(ids))
        return starts, torch.tensor([self.places[tuple(ids)] for ids in taught])

    def beside(self, batch: Batch) -> Tensor:
        """Return for each supervised token the tokens that leave its answer there, shape (supervised, options).

        Where an option does not part the token stands that is taught.
        """
        starts, true = self.rows_of(batch)
        labels = batch.labels[batch.labels != IGNORE]
        found = labels[:, None].repeat(1, len(self.options))
        places = torch.tensor(starts)[:, None] + self.depths[true]
        mine = torch.nn.functional.one_hot(true, len(self.options)).bool()
        columns = torch.arange(len(self.options)).expand(len(true), -1)
        found[places[~mine], columns[~mine]] = self.tokens[true][~mine]
        return found

    def masses(self, read: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the log-probability of every option in each answer's pass, and which option it is.

        Args:
            read: log-probabilities at each supervised token: of what is taught, then of what `beside` returned.
            batch: the pass.
        """
        starts, true = (torch.as_tensor(each, device=read.device) for each in self.rows_of(batch))
        own, others = read[:, 0], read[:, 1:]
        upto = own.cumsum(0)
        before = upto - own
        ends = torch.cat([starts[1:], starts.new_tensor([len(own)])]) - 1
        places = starts[:, None] + self.depths.to(read.device)[true]
        columns = torch.arange(others.shape[1], device=read.device).expand(len(true), -1)
        parted = before[places] - before[starts][:, None] + others[places, columns]
        whole = upto[ends] - before[starts]
        mine = torch.nn.functional.one_hot(true, others.shape[1]).bool()
        return torch.where(mine, whole[:, None], parted), true


def _shared(ids: Sequence[int], others: Sequence[int]) -> int:
    pairs = zip(ids, others, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(ids), len(others)))
