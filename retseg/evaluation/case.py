"""One B-scan to be scored: what was predicted, what is true, what another grader drew, and the pixel size."""

from dataclasses import dataclass, field

from torch import Tensor

from retseg.bscan import Array, Spacing
from retseg.evaluation.fluid_record import FluidCase
from retseg.evaluation.labelling import Labelling
from retseg.metrics.calibration import CalibrationSums


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSums:
    """What only probabilities on the network's own grid tell of a scan: the paper's scores and calibration.

    confusion: (C, C) int64 there, [truth, prediction]. true_probability: sum over annotated pixels of the probability
    of the true class. num_pixels: annotated pixels.
    """

    confusion: Tensor
    true_probability: float
    num_pixels: int
    calibration: CalibrationSums


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scan on its own grid of H x W pixels, before anything is resized: prediction, truth, second grader or None.

    image: (H, W) uint8 gray levels, for pictures alone; or None. network: None where no network is at hand.
    fluid: None where no fluid was sought.
    """

    name: str
    subject: str
    prediction: Labelling
    truth: Labelling
    second: Labelling | None = None
    spacing: Spacing = field(default_factory=Spacing)
    image: Array | None = None
    network: NetworkSums | None = None
    fluid: FluidCase | None = None

    def __post_init__(self) -> None:
        """All labels are of one grid (a slip of ours otherwise: readers check files before they build a case)."""
        assert self.prediction.shape == self.truth.shape, (self.name, self.prediction.shape, self.truth.shape)
        assert self.second is None or self.second.shape == self.truth.shape, self.name
        assert self.fluid is None or self.fluid.truth.shape == self.fluid.found.shape == self.truth.shape, self.name
