"""`ck serve`: a model behind an OpenAI-compatible address of this machine."""

import click

from cruijff_kit import workflow
from cruijff_kit.cli.model_options import choose, model_options
from cruijff_kit.cli.world import enter
from cruijff_kit.schema.serving import Address, ModelChoice, Place

__all__ = ["serve"]

_PLACE = Place()
_CHOICE = ModelChoice()


@click.command()
@model_options
@click.option("--name", help="What requests call the model; made of run or directory if absent.")
@click.option("--wrap", is_flag=True, help="Put each question into the training's prompt template.")
@click.option("--host", default=_PLACE.host, show_default=True, help="Interface; others than loopback need a token.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=_PLACE.port,
    show_default=True,
    help="TCP port; 0 for any free one.",
)
@click.option("--token-file", metavar="FILE", help="File of the token; CK_SERVE_TOKEN of the environment if absent.")
@click.option(
    "--max-concurrent",
    type=click.IntRange(1, 1024),
    default=_CHOICE.max_concurrent,
    show_default=True,
    help="Most answers made in one forward pass; others wait their turn.",
)
@click.option("--quiet", is_flag=True, help="Log no requests.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one line of JSON.")
@click.pass_obj
def serve(
    experiment: str, *, host: str, port: int, token_file: str | None, quiet: bool, as_json: bool, **options: object
) -> None:
    """Let other tools ask a model, an adapter or a run, by OpenAI's protocol.

    Chat completions and completions, streamed or whole, with the evaluator's log-probabilities.
    Ctrl-C ends it.
    """
    world = enter(experiment)
    served = choose(world, **options)
    interrupted = workflow.serve_model(
        served,
        Place(host=host, port=port, token_file=token_file),
        ready=lambda address: click.echo(_ready(address, as_json=as_json)),
        log=lambda line: None if quiet else click.echo(line, err=True),
        world=world,
    )
    if interrupted:
        raise SystemExit(130)


def _ready(address: Address, *, as_json: bool) -> str:
    if as_json:
        return address.model_dump_json()
    others = [f"`{name}`" for name in address.models if name != address.model]
    also = f" (and {', '.join(others)})" if others else ""
    key = "the token as API key" if address.token else "any API key"
    return f"serving `{address.model}`{also} at {address.url}, with {key}; Ctrl-C ends it"
