"""From a network and a source to scans that can be scored, on the scans' own grids.

A scan is cropped and resized as in training; the prediction goes back: probabilities are resized (bilinear) to the
window's own pixels, and the class with the highest one is taken there; so is fluid, where its probability reaches a
threshold. N scans, C classes, H rows, W columns.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array, BScan, ScanKey
from retseg.data.dataset import check_labels, with_mask
from retseg.data.fluid_labels import fluid_labels
from retseg.data.source import ScanSource
from retseg.data.transforms import Crop, crop, normalise, resize, resize_mask
from retseg.evaluation.case import Case, NetworkSums
from retseg.evaluation.fluid_record import THRESHOLD, FluidCase
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.network_outputs import logits_and_fluid
from retseg.metrics.calibration import calibration_sums
from retseg.metrics.overlap import OverlapScores, predicted_classes

CALIBRATION_STRIDE = 11
"""Calibration looks at every 11th pixel of a scan: neighbours tell nearly the same."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How scans come to a network: the window of a scan, and the network's size (H, W); None: as it is.

    columns: the scan's own columns that are scored, first and last + 1; None: all that are annotated.
    """

    window: Crop | None = None
    size: tuple[int, int] | None = None
    columns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a window lies in its scan: its top left pixel and its rows and columns."""

    top: int
    left: int
    height: int
    width: int


def windowed(scan: BScan, window: Crop | None) -> tuple[BScan, Place]:
    """The window of a scan, and where it lies."""
    height, width = scan.shape
    if window is None:
        return scan, Place(0, 0, height, width)
    # Each pixel carries its own number, so that the window itself says where it lies.
    numbered = window(replace(scan, mask=np.arange(height * width).reshape(height, width)))
    assert numbered.mask is not None
    top, left = divmod(int(numbered.mask[0, 0]), width)
    place = Place(top, left, *numbered.shape)
    return crop(scan, top, left, place.height, place.width), place


def network_input(scan: BScan, size: tuple[int, int] | None) -> Tensor:
    """Image (1, 1, H, W) float32 in 0..1 as the network sees it."""
    seen = replace(scan, surface_rows=None, mask=None, fluid=None)
    seen = seen if size is None else resize(seen, *size)
    return torch.from_numpy(np.ascontiguousarray(normalise(seen.image)))[None, None]


def native_classes(logits: Tensor, shape: tuple[int, int]) -> Array:
    """Class ids (H, W) int8 on a grid of that shape, from logits (1, C, h, w) on the network's."""
    if logits.shape[2:] != shape:
        logits = F.interpolate(logits.softmax(dim=1), size=shape, mode="bilinear", align_corners=False)
    classes: Array = predicted_classes(logits, logits.amax(dim=1))[0].to(torch.int8).cpu().numpy()
    return classes


def native_fluid(logit: Tensor, shape: tuple[int, int]) -> Array:
    """Probability of fluid (H, W) float32 on a grid of that shape, from its logit (1, h, w) on the network's."""
    probability = logit.sigmoid()[:, None]
    if probability.shape[2:] != shape:
        probability = F.interpolate(probability, size=shape, mode="bilinear", align_corners=False)
    native: Array = probability[0, 0].float().cpu().numpy()
    return native


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A scan as its source has it; its window with its mask, and where it lies; what the network said, on the CPU.

    logits: (1, C, H, W). fluid: its logit (1, H, W), None where the network seeks none.
    """

    whole: BScan
    scan: BScan
    place: Place
    logits: Tensor
    fluid: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Predicts single scans of a source, also from several threads. Set the network to eval mode by `evaluating`.

    The other grader's labels of a B-scan come along where the source has them. InputError where a scan has no labels.
    """

    net: nn.Module
    source: ScanSource
    frame: Frame

    def case(self, key: ScanKey) -> Case:
        """A scan with its prediction."""
        seen = self._seen(key)
        scan, logits = seen.scan, seen.logits
        second = self._second(key, seen.place)
        return Case(
            name=key.name,
            subject=key.subject,
            prediction=Labelling.from_mask(native_classes(logits, scan.shape)),
            truth=Labelling.of_scan(scan),
            second=None if second is None else Labelling.of_scan(second),
            spacing=scan.spacing,
            image=np.clip(np.rint(scan.image), 0, 255).astype(np.uint8),
            network=_network_sums(logits, scan, self.frame.size),
            fluid=_fluid_case(seen, second, self.frame.columns),
        )

    def network_sums(self, key: ScanKey) -> NetworkSums:
        """What probabilities tell of a scan, and nothing else: what a temperature is fitted on."""
        seen = self._seen(key)
        return _network_sums(seen.logits, seen.scan, self.frame.size)

    def _seen(self, key: ScanKey) -> _Seen:
        """A scan's window, and what the network says of it."""
        whole = self.source.read(key)
        scan, place = windowed(whole, self.frame.window)
        scan = _scored_columns(with_mask(scan), place, self.frame.columns)
        check_labels(scan)
        device = next(self.net.parameters()).device
        with torch.no_grad():
            logits, fluid = logits_and_fluid(self.net, network_input(scan, self.frame.size).to(device))
        return _Seen(whole, scan, place, logits.cpu(), None if fluid is None else fluid.cpu())

    def _second(self, key: ScanKey, place: Place) -> BScan | None:
        """The other grader's labels in the same window."""
        other = replace(key, grader=3 - key.grader)
        if not key.grader or other not in self.source.keys:
            return None
        scan = crop(self.source.read(other), place.top, place.left, place.height, place.width)
        return _scored_columns(with_mask(scan), place, self.frame.columns)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """A network in eval mode; it is left in the modes in which it was found."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _scored_columns(scan: BScan, place: Place, columns: tuple[int, int] | None) -> BScan:
    """The scan, not annotated outside the columns of the whole scan that a protocol scores."""
    if columns is None:
        return scan
    labels = Labelling.of_scan(scan).within(_is_scored(place, columns))
    return replace(scan, mask=labels.mask, surface_rows=labels.surface_rows)


def _is_scored(place: Place, columns: tuple[int, int]) -> Array:
    """Which columns (W,) bool of a window are among those of the whole scan that a protocol scores."""
    own = np.arange(place.left, place.left + place.width)
    return np.asarray((own >= columns[0]) & (own < columns[1]))


def _fluid_case(seen: _Seen, second: BScan | None, columns: tuple[int, int] | None) -> FluidCase | None:
    """Fluid found and drawn in a window; None where the network seeks none."""
    if seen.fluid is None:
        return None
    is_scored = None if columns is None else _is_scored(seen.place, columns)
    truth = fluid_labels(seen.scan, is_scored)
    true_px = 0 if seen.whole.fluid is None else int(seen.whole.fluid.sum())
    return FluidCase(
        found=native_fluid(seen.fluid, seen.scan.shape) >= THRESHOLD,
        truth=truth,
        second=None if second is None else fluid_labels(second, is_scored),
        num_outside=true_px - int((truth == 1).sum()),
    )


def _network_sums(logits: Tensor, scan: BScan, size: tuple[int, int] | None) -> NetworkSums:
    """Counts on the network's grid, by the code that training logs with."""
    assert scan.mask is not None
    overlap = OverlapScores(CLASS_NAMES)
    mask = scan.mask if size is None else resize_mask(scan.mask, *size)
    classes = torch.from_numpy(np.ascontiguousarray(mask)).long()[None]
    overlap.update(logits, classes)
    return NetworkSums(
        confusion=overlap.confusion.clone(),
        true_probability=float(overlap.true_probability),
        num_pixels=int(overlap.num_pixels),
        calibration=calibration_sums(logits, classes, CALIBRATION_STRIDE)[0],
    )
