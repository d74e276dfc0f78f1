"""One B-scan with what is known of it. Images and their pixel size travel together."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy.typing as npt

Array = npt.NDArray[Any]
Eye = Literal["OD", "OS"]


@dataclass(frozen=True, slots=True)
class Spacing:
    """Pixel size in microns, axial (rows) and lateral (columns), and where it comes from.

    `None` is "unknown": it is never guessed. `source` says who gave the scale ("data set", "file header", "user").
    """

    axial_um: float | None = None
    lateral_um: float | None = None
    source: str = "unknown"

    def resized(self, old_shape: tuple[int, int], new_shape: tuple[int, int]) -> "Spacing":
        """Spacing after an image of old_shape (H, W) is resampled to new_shape: the field of view stays."""
        axial = None if self.axial_um is None else self.axial_um * old_shape[0] / new_shape[0]
        lateral = None if self.lateral_um is None else self.lateral_um * old_shape[1] / new_shape[1]
        return replace(self, axial_um=axial, lateral_um=lateral)


@dataclass(frozen=True, slots=True, order=True)
class ScanKey:
    """Which annotated B-scan: subject, 0-based B-scan in its volume, grader (0 = nobody).

    Keys sort grader first, then subject by subject: the order of the paper's arrays.
    """

    grader: int
    subject: str
    bscan: int

    @property
    def name(self) -> str:
        """Unique, sortable and safe in file names, e.g. `s03_b10_g2`."""
        return f"{self.scan_name}_g{self.grader}" if self.grader else self.scan_name

    @property
    def scan_name(self) -> str:
        """The B-scan whoever annotated it, e.g. `s03_b10`: two keys that share it share their pixels."""
        return f"{self.subject}_b{self.bscan:02d}"


@dataclass(frozen=True, slots=True, eq=False)
class BScan:
    """One B-scan of H rows (depth, downwards) and W columns (A-scans).

    image: (H, W) gray levels 0..255, uint8 or float32.
    surface_rows: (S, W) float32, 0-based rows of the surfaces top to bottom, NaN where nobody annotated; or None.
    mask: (H, W) int8 class ids, IGNORE where nobody annotated; or None. Sources that know surfaces leave it None.
    fluid: (H, W) bool; or None where nobody looked for fluid.
    """

    key: ScanKey
    image: Array
    surface_rows: Array | None = None
    mask: Array | None = None
    fluid: Array | None = None
    spacing: Spacing = field(default_factory=Spacing)
    eye: Eye | None = None

    def __post_init__(self) -> None:
        """Shapes agree by construction (a slip of ours otherwise: readers check files before they build one)."""
        assert self.image.ndim == 2, self.image.shape
        assert self.surface_rows is None or self.surface_rows.shape[1] == self.image.shape[1]
        assert self.mask is None or self.mask.shape == self.image.shape
        assert self.fluid is None or self.fluid.shape == self.image.shape

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]
