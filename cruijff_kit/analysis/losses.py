"""How training went: first, final and validation loss, and throughput."""

from statistics import fmean, median

from cruijff_kit.schema.plan import PlannedRun
from cruijff_kit.schema.report import LossFigure
from cruijff_kit.schema.result import RunResult

__all__ = ["loss_figure"]


def loss_figure(run: PlannedRun, result: RunResult) -> LossFigure:
    """Return the training figures of one run; losses are in nats per token.

    The final loss is the mean over the last tenth of the logged steps, since the
    loss of a single step is the loss of a single batch. An unfinished training has
    neither a final nor a validation loss.
    """
    losses = [point.loss for point in result.points if point.loss is not None]
    validation = [point.val_loss for point in result.points if point.val_loss is not None]
    speeds = [point.tokens_per_second for point in result.points if point.tokens_per_second is not None]
    return LossFigure(
        run=run.id,
        factors=run.factors,
        seed=run.seed,
        first=losses[0] if losses else None,
        final=fmean(losses[-max(1, len(losses) // 10) :]) if losses and result.finished else None,
        validation=validation[-1] if validation and result.finished else None,
        steps=max((point.step for point in result.points), default=0),
        seconds=result.seconds,
        tokens_per_second=median(speeds) if speeds else None,
        source=result.source,
    )
