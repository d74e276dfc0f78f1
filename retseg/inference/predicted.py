"""What a network found in scans, on their own pixels. H rows, W columns (A-scans), S surfaces, C classes, B B-scans."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from retseg.bscan import Array, Eye, Spacing
from retseg.geometry.surfaces import paint_mask
from retseg.geometry.volume_map import BScanDistance, ScanGrid, Vertical, place_bscans

Level = Literal["pass", "check", "fail"]
LEVELS: tuple[Level, ...] = ("pass", "check", "fail")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against a scan or its prediction: how bad, which rule, and the reason in words."""

    level: Level
    rule: str
    reason: str


def worst(findings: tuple[Finding, ...]) -> Level:
    """The verdict on a scan: its worst finding, "pass" without any."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="pass")


@dataclass(frozen=True, slots=True, eq=False)
class PredictedScan:
    """One B-scan with its surfaces.

    name: as files are called after it. number: 0-based, in its volume.
    image: (H, W) uint8. surface_rows: (S, W) float32, nan in columns without retina or outside what was looked at.
    row_sd: (S, W) float32, standard deviation of each surface's row in px, nan where there is none.
    confidence: (W,) float32, 0..1: mean over the retina of the column of the probability of the class it was given;
    nan without retina. probabilities: (C, H, W) float16, if asked for.
    findings: of the quality gate, before the network and after it.
    fluid: (H, W) bool, None where none was sought.
    """

    name: str
    number: int
    image: Array
    surface_rows: Array
    row_sd: Array
    confidence: Array
    spacing: Spacing
    findings: tuple[Finding, ...] = ()
    probabilities: Array | None = None
    fluid: Array | None = None

    @property
    def mask(self) -> Array:
        """Class ids (H, W) int8: the surfaces painted, and background in columns that have none."""
        return np.maximum(paint_mask(self.surface_rows, self.image.shape[0]), 0)

    @property
    def verdict(self) -> Level:
        """pass, check or fail."""
        return worst(self.findings)


@dataclass(frozen=True, slots=True, eq=False)
class PredictedVolume:
    """The scans (B) of one acquisition, in the order of their numbers; what their file says of it comes along.

    name: path below the output folder, parts parted by "/".
    """

    name: str
    path: Path
    scans: tuple[PredictedScan, ...]
    num_bscans: int
    spacing: Spacing
    distance: BScanDistance | None = None
    is_raster: bool = True
    eye: Eye | None = None
    first_bscan: Vertical | None = None
    subject: str | None = None
    source_dicom: Path | None = None

    @property
    def stem(self) -> str:
        """The name without its folders: what files are called after."""
        return self.name.rpartition("/")[2]

    @property
    def is_map(self) -> bool:
        """Whether a map can be drawn: two parallel B-scans or more, all of one width, whose places are known."""
        widths = {scan.image.shape[1] for scan in self.scans}
        is_placed = self.distance is not None and self.spacing.lateral_um is not None
        return self.is_raster and is_placed and len(self.scans) > 1 and len(widths) == 1 and min(widths) > 1

    def grid(self) -> ScanGrid:
        """Where its A-scans lie. Ask `is_map` first."""
        assert self.distance is not None
        return place_bscans(
            [scan.number for scan in self.scans],
            self.scans[0].image.shape[1],
            self.spacing,
            self.distance,
            self.eye,
            self.first_bscan,
            self.num_bscans,
        )
