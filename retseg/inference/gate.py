"""One scan through the quality gate, the network, and the gate again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from retseg.anatomy import NUM_SURFACES
from retseg.bscan import Array
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.evaluation.fluid_record import THRESHOLD
from retseg.inference.answer import Answer
from retseg.inference.predicted import Finding, PredictedScan, worst
from retseg.inference.predictor import ScanPredictor
from retseg.inference.quality_image import look_at_image
from retseg.inference.quality_surfaces import look_at_surfaces
from retseg.inference.training_distance import look_at_distance


@dataclass(frozen=True, slots=True, eq=False)
class GatedPredictor:
    """A predictor behind the quality gate.

    reference: the training reference of `training_distance`, empty where the run was never calibrated.
    is_forced: predict also what fails before the network.
    """

    predictor: ScanPredictor
    reference: Mapping[str, Any]
    is_forced: bool = False

    def predict(self, volume: ScanVolume, number: int) -> PredictedScan:
        """One B-scan of a volume, with its findings. A scan that fails before the network has no surfaces."""
        raw = volume.read(number)
        findings = look_at_image(raw, volume.spacing)
        image = shown_image(raw)
        if worst(findings) == "fail" and not self.is_forced:
            return _predicted(volume, number, image, _no_answer(image), findings)
        answer = self.predictor.answer(image, volume.spacing)
        findings += look_at_surfaces(answer.rows, answer.confidence, image.shape, volume.spacing, self.reference)
        if self.reference:
            findings += look_at_distance(answer.features, self.reference)
        return _predicted(volume, number, image, answer, findings)


def shown_image(raw: RawBScan) -> Array:
    """Gray levels (H, W) uint8: what the network is given, and what outputs show."""
    return raw.image if raw.image.dtype == np.uint8 else np.clip(np.rint(raw.image), 0, 255).astype(np.uint8)


def _no_answer(image: Array) -> Answer:
    columns = image.shape[1]
    nothing = np.full((NUM_SURFACES, columns), np.nan, np.float32)
    return Answer(nothing, nothing, np.full(columns, np.nan, np.float32), np.zeros((0, 0)))


def _predicted(
    volume: ScanVolume, number: int, image: Array, answer: Answer, findings: tuple[Finding, ...]
) -> PredictedScan:
    return PredictedScan(
        name=volume.scan_name(number),
        number=number,
        image=image,
        surface_rows=answer.rows,
        row_sd=answer.sd,
        confidence=answer.confidence,
        spacing=volume.spacing,
        findings=findings,
        probabilities=answer.probabilities,
        fluid=None if answer.fluid is None else answer.fluid >= THRESHOLD,
    )
