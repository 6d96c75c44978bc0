"""Serve: a model, an adapter or an epoch of a run, opened to programs or talked to at the terminal."""

from collections.abc import Callable

from cruijff_kit.ports import Dialogue, World
from cruijff_kit.schema.serving import Address, Place, ServedModel
from cruijff_kit.workflow.surroundings import serving_of

__all__ = ["open_dialogue", "serve_model"]


def serve_model(
    served: ServedModel,
    place: Place,
    *,
    ready: Callable[[Address], None],
    log: Callable[[str], None],
    world: World,
) -> bool:
    """Answer programs that speak OpenAI's protocol until a signal ends that; nothing is written.

    Prompts are made by the function that training and evaluation use, answers and log-probabilities
    by the evaluator's engine.

    Args:
        served: the model, as `choose_model` returns it.
        place: where to listen, and which token to ask for.
        ready: told once, when requests are answered.
        log: told one line a request, without any of its text.
        world: what loads models.

    Returns:
        Whether it was an interrupt from the keyboard that ended it.

    Raises:
        ResultError: the adapter does not fit.
        SiteError: the place is taken or needs a token, or the model cannot be loaded.
        SpecError: questions cannot be put to the model so.
    """
    return serving_of(world).serve(served, place, ready=ready, log=log)


def open_dialogue(served: ServedModel, *, world: World) -> Dialogue:
    """Load a model to talk to.

    Raises:
        ResultError: the adapter does not fit.
        SiteError: the model cannot be loaded.
        SpecError: questions cannot be put to the model so.
    """
    return serving_of(world).open(served)
