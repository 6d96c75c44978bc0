"""Samples of a training: the same questions, answered by the base model and by the trained one."""

from collections.abc import Sequence

from cruijff_kit.data.tokens import Encoding, encode_prompt, stop_ids
from cruijff_kit.errors import RunError, SpecError
from cruijff_kit.planning.backends import library_of
from cruijff_kit.ports import Asking, Tokenizer, World
from cruijff_kit.schema.config import TrainConfig
from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.training import TrainSample, TrainSamples
from cruijff_kit.workflow.run_models import kept_adapter, train_config
from cruijff_kit.workflow.seal import recorded_plan
from cruijff_kit.workflow.spot_check import AskedRow, asked_rows
from cruijff_kit.workflow.train import trained_run

__all__ = ["sample_training"]

_TOKENS = 48


def sample_training(*, prompts: Sequence[str] = (), count: int = 3, world: World) -> TrainSamples:
    """Return the adapter that a training left, and what the model answers without and with it.

    Args:
        prompts: questions to ask; where empty the first rows that were not learnt, if they may be shown.
        count: how many of those.
        world: the experiment and its surroundings; only read.

    Raises:
        PlanError: nothing is scaffolded.
        RunError: the run has not finished training.
        SiteError: the model cannot be loaded.
    """
    plan, _ = recorded_plan(world=world)
    run = trained_run(plan)
    config = train_config(run, world)
    adapter, best = _adapters(run, config, world=world)
    encoding, tokenizer = Encoding.of(config.dataset), world.hub.tokenizer(config.base_model.path)
    try:
        asked = (
            [_own(text, config, encoding=encoding, tokenizer=tokenizer) for text in prompts]
            if prompts
            else asked_rows(run.id, count=count, world=world)
        )
    except (RunError, SpecError) as err:
        why = err.problems[0].message if err.problems else str(err).partition("\n")[0]
        return TrainSamples(adapter=adapter, best=best, samples=(), withheld=why)
    ends = stop_ids(encoding=encoding, tokenizer=tokenizer)
    before, after = (
        world.hub.inference(config.base_model.path, adapter=each, backend=library_of(run)).ask(
            [each.ids for each in asked], Asking(_TOKENS), stop_ids=ends
        )
        for each in (None, adapter)
    )
    samples = tuple(
        TrainSample(prompt=each.prompt, expected=each.expected, before=first.text, after=second.text)
        for each, first, second in zip(asked, before, after, strict=True)
    )
    return TrainSamples(adapter=adapter, best=best, samples=samples)


def _own(text: str, config: TrainConfig, *, encoding: Encoding, tokenizer: Tokenizer) -> AskedRow:
    """Return a question of the user's as the model was taught to read one."""
    data = config.dataset
    row = {"prompt": text, "completion": "?", data.input_key: text, data.output_key: "?"}
    return AskedRow(text, encode_prompt(row, encoding=encoding, tokenizer=tokenizer), "")


def _adapters(run: PlannedRun, config: TrainConfig, *, world: World) -> tuple[str, str | None]:
    """Return the adapter of the last kept epoch, and the best one where it is another.

    Raises:
        RunError: no adapter was kept.
    """
    best = kept_adapter(config, "best")
    there = world.store.digest(f"{best}/adapter_config.json") is not None
    if run.epochs_saved:
        return kept_adapter(config, f"epoch_{run.epochs_saved[-1]}"), best if there else None
    if not there:
        raise RunError(f"run `{run.id}` kept no adapter", run_id=run.id, hint="set `epochs_to_save: last`")
    return best, best
