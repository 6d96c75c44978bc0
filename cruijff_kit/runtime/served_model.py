"""A model loaded to answer whoever asks, put to questions as its training was."""

from cruijff_kit.data.tokens import Encoding, encoding_problems
from cruijff_kit.errors import SpecError
from cruijff_kit.runtime.answering import Desk
from cruijff_kit.runtime.residents import load_served
from cruijff_kit.schema.serving import ServedModel

__all__ = ["load_desk"]

_UNBOUNDED = 2**31


def load_desk(served: ServedModel) -> Desk:
    """Load a base model, put its adapter on, and return what answers.

    Raises:
        ResultError: the adapter does not fit.
        SiteError: base or adapter cannot be loaded, or backend or device are not here.
        SpecError: questions cannot be put to it so.
    """
    model = load_served(served)
    encoding = _encoding(served)
    problems = encoding_problems(encoding, tokenizer=model.tokenizer)
    if problems:
        raise SpecError("this model cannot be asked so", problems=problems)
    adapters = {served.name: served.adapter}
    if served.adapter is not None:
        # One that does not fit is told now, not to the first who asks: nothing is computed for a single token.
        model.read((0,), count=1, adapter=served.adapter)
        adapters[served.base_name] = None
    return Desk(model, encoding, adapters=adapters, batch_size=served.max_concurrent, wrap=served.wrap)


def _encoding(served: ServedModel) -> Encoding:
    """Return how training put questions; the model limits how long they may be, and the desk says so."""
    known = Encoding.of(served.dataset) if served.dataset else Encoding(dataset_type=served.dataset_type)
    return known.model_copy(
        update={
            "dataset_type": served.dataset_type,
            "system_prompt": served.system_prompt,
            "max_seq_len": _UNBOUNDED,
        }
    )
