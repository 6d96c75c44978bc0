"""The options by which `ck serve` and `ck chat` are told a model."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cruijff_kit import workflow
from cruijff_kit.schema.serving import ModelChoice, ServedModel

if TYPE_CHECKING:
    from cruijff_kit.bootstrap import World

__all__ = ["choose", "model_options"]

_OPTIONS = (
    click.option("--model", metavar="DIR", help="Base model directory, or its name in the models directory."),
    click.option("--adapter", metavar="DIR", help="LoRA adapter; its base is found and checked, or named by --model."),
    click.option("--run", help="Run of the experiment, or the start of its id: its base, adapter and prompts."),
    click.option("--epoch", metavar="N", help="Of that run: a saved epoch, best or base; the last one if absent."),
    click.option("--system", "system_prompt", help="System message; the training's own if absent."),
    click.option(
        "--dataset-type",
        type=click.Choice(["chat_completion", "text_completion"]),
        help="Chat template or plain text; as in training, or by the template's presence, if absent.",
    ),
    click.option("--dtype", type=click.Choice(["fp32", "bf16"]), help="Arithmetic; the run's own, or fp32, if absent."),
    click.option(
        "--backend",
        type=click.Choice(["auto", "torch", "mlx"]),
        default="auto",
        show_default=True,
        help="What computes; auto is MLX on Apple silicon, else torch.",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to compute.",
    ),
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that tell a model."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choose(world: "World", **options: object) -> ServedModel:
    """Return the model that options tell; what should be known of it goes to stderr."""
    served = workflow.choose_model(ModelChoice.model_validate(options), world=world)
    for note in served.notes:
        click.echo(f"note: {note}", err=True)
    return served
