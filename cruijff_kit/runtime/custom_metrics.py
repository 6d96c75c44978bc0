"""Metrics beside the loss: whether a model has learnt its label format, or what a file of the user's computes.

Both see logits where the model is taught something, and only there: shape (rows, length,
vocabulary), with labels (rows, length) that are already shifted to the position that
predicts them. Rows with fewer supervised tokens than the longest end in `IGNORE`. What
they return counts once a row, over all passes and processes of a logged step.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from cruijff_kit.data.tokens import IGNORE
from cruijff_kit.errors import RunError
from cruijff_kit.runtime.model_files import load_tokenizer

if TYPE_CHECKING:
    from cruijff_kit.runtime.batches import Batch
    from cruijff_kit.runtime.ranks import Ranks
    from cruijff_kit.schema.config import TrainConfig

__all__ = ["HOOK", "CustomMetrics", "Measure", "label_format", "load_metrics"]

HOOK = "calculate_custom_metrics"
"""Function a file of the user's has to define: `(logits, labels, tokenizer, ignore_index)` to a dict of numbers."""

Measure = Callable[[Tensor, Tensor], Mapping[str, float]]
"""Logits and labels of some rows to the means of named values over these rows."""

_LABEL_FORMAT = "label_format"


class CustomMetrics:
    """Named values of one optimiser step, gathered pass by pass and averaged over its rows."""

    def __init__(self, measure: Measure, *, names: Sequence[str], first_only: bool = False) -> None:
        """Keep what measures.

        Args:
            measure: computes the values of some rows.
            names: all names it returns; every process has to agree on them.
            first_only: whether it needs no more than the first supervised token of a row.
        """
        self._measure = measure
        self._names = tuple(names)
        self._first_only = first_only
        self._sums = dict.fromkeys(self._names, 0.0)
        self._rows = 0

    @torch.no_grad()
    def add(self, hidden: Tensor, batch: "Batch", *, logits: Callable[[Tensor], Tensor]) -> None:
        """Measure the rows of one pass.

        Args:
            hidden: last hidden states of its supervised tokens, row by row, shape (supervised, width).
            batch: the pass.
            logits: hidden states to logits over the vocabulary.
        """
        labels = [row[row != IGNORE] for row in batch.label_rows()]
        counts = [len(row) for row in labels]
        if not any(counts):
            return
        states = [each for each in hidden.detach().split(counts) if len(each)]
        labels = [each for each in labels if len(each)]
        if self._first_only:
            states, labels = [each[:1] for each in states], [each[:1] for each in labels]
        wanted = pad_sequence(labels, batch_first=True, padding_value=IGNORE).to(hidden.device)
        found = logits(pad_sequence(states, batch_first=True).flatten(0, 1)).unflatten(0, wanted.shape)
        values = self._measure(found, wanted)
        self._rows += len(wanted)
        for name in self._names:
            self._sums[name] += float(values.get(name, float("nan"))) * len(wanted)

    def mean(self, ranks: "Ranks") -> dict[str, float]:
        """Return the values of the step over all processes and begin anew; every process has to call it.

        What is no finite number is left out.
        """
        rows, *sums = ranks.total(self._rows, *self._sums.values())
        self._rows, self._sums = 0, dict.fromkeys(self._names, 0.0)
        means = {name: total / rows for name, total in zip(self._names, sums, strict=True)} if rows else {}
        return {name: value for name, value in means.items() if isfinite(value)}


def load_metrics(config: "TrainConfig") -> CustomMetrics | None:
    """Return what a run measures beside the loss; None where it asks for nothing.

    A function of the user's is tried once on logits of zeros, so that what cannot work is
    refused before training.

    Raises:
        RunError: the labels are no single tokens, or the user's function cannot be used.
    """
    asked = config.custom_metrics
    if asked is None:
        return None
    tokenizer: Any = load_tokenizer(Path(config.base_model.path))
    if asked.endswith(".py"):
        return _of_file(Path(asked), tokenizer, config=config)
    name, _, listed = asked.partition(":")
    if name != _LABEL_FORMAT:
        fact = f"`custom_metrics` is `{asked}`; it is `{_LABEL_FORMAT}`, `{_LABEL_FORMAT}:yes,no` or a `.py` file"
        raise RunError(fact, run_id=config.run_id, hint="name one of them")
    labels = listed.split(",") if listed else ["0", "1"]
    ids = _ids_of(labels, tokenizer)
    silent = [label for label in labels if not ids[label]]
    if silent:
        fact = f"no single token of this model reads `{silent[0]}`, so `{asked}` has nothing to look at"
        raise RunError(fact, run_id=config.run_id, hint="name labels of one token: `label_format:yes,no`")
    return label_format(ids)


def label_format(ids: Mapping[str, Sequence[int]]) -> CustomMetrics:
    """Return the metrics that show whether a model answers in the form of its labels.

    `p<label>` is the mean probability of a label at the position that predicts the first
    supervised token of a row, all tokens that read so taken together; then their sum.

    Args:
        ids: label to the token ids that read as it.
    """
    total = "_plus_".join(f"p{label}" for label in ids)

    def measure(logits: Tensor, labels: Tensor) -> dict[str, float]:
        chances = logits[:, 0].softmax(-1)
        means = {f"p{label}": chances[:, list(chosen)].sum(-1).mean().item() for label, chosen in ids.items()}
        return {**means, total: sum(means.values())}

    return CustomMetrics(measure, names=[*(f"p{label}" for label in ids), total], first_only=True)


def _ids_of(labels: Sequence[str], tokenizer: Any) -> dict[str, list[int]]:
    """Return every token id whose text is one of the labels, with or without space around it."""
    found: dict[str, list[int]] = {label: [] for label in labels}
    for token, text in enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))])):
        if text.strip() in found:
            found[text.strip()].append(token)
    return found


def _of_file(path: Path, tokenizer: Any, *, config: "TrainConfig") -> CustomMetrics:
    hint = f"define `{HOOK}(logits, labels, tokenizer, ignore_index)` in it, returning a dict of numbers"
    try:
        function = _function(path)

        def measure(logits: Tensor, labels: Tensor) -> Mapping[str, float]:
            return function(logits, labels, tokenizer, IGNORE)

        tried = measure(torch.zeros(1, 1, len(tokenizer)), torch.zeros(1, 1, dtype=torch.long))
        names = list({str(name): float(value) for name, value in tried.items()})
    except Exception as err:
        fact = f"custom metrics of `{path}` cannot be used: {type(err).__name__}: {err}"
        raise RunError(fact, run_id=config.run_id, hint=hint) from err
    return CustomMetrics(measure, names=names)


def _function(path: Path) -> Callable[..., Mapping[str, float]]:
    found = spec_from_file_location(path.stem, path)
    if found is None or found.loader is None:
        raise ImportError(str(path))
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return getattr(module, HOOK)
