"""Known-chances noun: what a model says of each option beside the probabilities that labels were drawn with."""

from cruijff_kit.schema.noun import Noun, RunId

__all__ = ["KnownChances"]


class KnownChances(Noun):
    """A run's probabilities on a split whose true ones are known, at its calibrator's temperature."""

    run: RunId
    """The run."""
    split: str
    """The split."""
    task: str
    """The evaluation task."""
    n: int
    """Samples that have probabilities."""
    temperature: float
    """What log-probabilities are divided by."""
    ece: float
    """Calibration error of the likeliest option against labels, 10 bins of equal width."""
    ece_untempered: float
    """The same of the probabilities as the model gave them."""
    most_ece: float
    """What it may be at most."""
    ece_of_truth: float
    """The same of the true probabilities: what chance alone leaves at this n."""
    gap: float
    """Mean total variation between what the model says and the truth; of two options the mean |p - true p|."""
    gap_untempered: float
    """The same of the probabilities as the model gave them."""
    gap_of_rates: float
    """The same of somebody who says of every sample how often each option is right."""
    held: int
    """Conformal sets that hold the right option."""
    expected: tuple[int, int]
    """Between how many and how many of them do with 99 % probability, given the calibration set."""

    @property
    def calibrated(self) -> bool:
        """Return whether the calibration error is as small as was wanted."""
        return self.ece <= self.most_ece

    @property
    def covered(self) -> bool:
        """Return whether as many sets hold the right option as was to be expected."""
        return self.expected[0] <= self.held <= self.expected[1]
