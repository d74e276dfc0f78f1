"""The phantom: a made-up retina in the look of the Duke DME scans, whose surfaces are known below a pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.data.sources.phantom_anatomy import (
    DUKE_AXIAL_UM,
    DUKE_LATERAL_UM,
    Grid,
    draw_eye,
    healthy_thickness_um,
    moved_within_bounds,
    smooth_noise,
    surfaces_from_thickness,
)
from retseg.data.sources.phantom_appearance import render
from retseg.data.sources.phantom_lesions import (
    Lesions,
    draw_lesions,
    fluid_extents_um,
    has_fluid,
    swollen_thickness_um,
)
from retseg.errors import InputError

SMALLEST_SHAPE = (32, 16)
SMALLEST_DEPTH_UM = 750.0
LARGEST_VALUE = 2**31
SECOND_GRADER_SD_UM = 1.2 * DUKE_AXIAL_UM
SECOND_GRADER_LENGTH_UM = 250.0

# Each thing drawn for a B-scan has random numbers of its own, so that a change to one leaves the others.
ANATOMY, APPEARANCE, SECOND_GRADER = 10, 11, 12


@dataclass(frozen=True, slots=True, eq=False)
class _Retina:
    """One B-scan before anybody looks at it: surfaces (8, W) and the edges of the cysts (C, W), in rows."""

    surface_rows: Array
    fluid_rows: tuple[Array, Array]
    lesions: Lesions


class PhantomSource:
    """Made-up B-scans with exact surfaces: a volume per subject, `s01`, `s02`, ..., fovea in the middle B-scan.

    A scan depends on (seed, subject, bscan) and the options alone, not on what was read before. By default the
    field of view is that of the Duke crop (836 um deep, 5665 um wide) whatever the number of pixels; `spacing_um`
    (axial, lateral) sets the pixel size instead. `bscan_spacing_um` is the distance between B-scans.

    With num_graders=2 each scan has a second key, of grader 2: the same pixels, and surfaces and fluid that depart
    from the truth by smooth seeded deviations (sd 1.2 Duke pixels before they are bounded so that no layer is lost).
    They are made up: they let code for two graders run and say nothing about how far people disagree.
    """

    name = "phantom"
    label_origin = "exact"

    def __init__(
        self,
        *,
        num_subjects: int = 10,
        bscans_per_subject: int = 11,
        height: int = 216,
        width: int = 500,
        seed: int = 0,
        num_graders: int = 1,
        spacing_um: Sequence[float] | None = None,
        bscan_spacing_um: float = 492.0,
    ) -> None:
        check_whole("num_subjects", num_subjects, 1, 99)
        check_whole("bscans_per_subject", bscans_per_subject, 1, 100)
        check_whole("height", height, SMALLEST_SHAPE[0], 4096)
        check_whole("width", width, SMALLEST_SHAPE[1], 4096)
        check_whole("seed", seed, 0, LARGEST_VALUE)
        check_whole("num_graders", num_graders, 1, 2)
        check_range("bscan_spacing_um", bscan_spacing_um, 1, 10_000)
        if spacing_um is None:
            spacing_um = (DUKE_AXIAL_UM * 216 / height, DUKE_LATERAL_UM * 500 / width)
        if len(spacing_um) != 2 or not all(np.isfinite(um) and um > 0 for um in spacing_um):
            raise InputError(f"phantom: spacing_um is {list(spacing_um)}, expected two positive sizes, axial, lateral")
        axial_um, lateral_um = (float(um) for um in spacing_um)
        if height * axial_um < SMALLEST_DEPTH_UM:
            raise InputError(
                f"phantom: {height} rows of {axial_um:g} um are {height * axial_um:.0f} um, a retina needs "
                f"{SMALLEST_DEPTH_UM:.0f}; use more rows or a larger axial spacing_um"
            )
        self.seed = seed
        self.num_subjects = num_subjects
        self.bscans_per_subject = bscans_per_subject
        self.num_graders = num_graders
        self.bscan_spacing_um = float(bscan_spacing_um)
        self.grid = Grid(height, width, axial_um, lateral_um)

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All B-scans, grader first, then subject by subject."""
        return tuple(
            ScanKey(grader, f"s{subject:02d}", bscan)
            for grader in range(1, self.num_graders + 1)
            for subject in range(1, self.num_subjects + 1)
            for bscan in range(self.bscans_per_subject)
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """Nothing is left out of a phantom."""
        return ()

    @property
    def spacing(self) -> Spacing:
        """Pixel size of every scan."""
        return Spacing(self.grid.axial_um, self.grid.lateral_um, "phantom")

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key, made anew. Raises InputError for a key that is not one of `keys`."""
        subject = self._subject_index(key)
        eye = draw_eye(self.seed, subject)
        retina = self._retina(subject, key.bscan)
        rng = np.random.default_rng([self.seed, subject, key.bscan, APPEARANCE])
        image = render(rng, self.grid, retina.surface_rows, retina.fluid_rows, retina.lesions)
        if key.grader == 2:
            retina = self._as_second_grader_sees(retina, subject, key.bscan)
        return BScan(
            key=key,
            image=image,
            surface_rows=retina.surface_rows.astype(np.float32),
            fluid=paint_fluid(self.grid, *retina.fluid_rows),
            spacing=self.spacing,
            eye=eye.eye,
        )

    def _subject_index(self, key: ScanKey) -> int:
        number = key.subject[1:]
        is_subject = key.subject.startswith("s") and number.isdecimal() and key.subject == f"s{int(number):02d}"
        subject = int(number) if is_subject else 0
        is_known = 1 <= subject <= self.num_subjects and 0 <= key.bscan < self.bscans_per_subject
        if not is_known or not 1 <= key.grader <= self.num_graders:
            raise InputError(
                f"phantom: no scan {key.name}; it has subjects s01..s{self.num_subjects:02d}, "
                f"B-scans 0..{self.bscans_per_subject - 1}, graders 1..{self.num_graders}"
            )
        return subject - 1

    def _retina(self, subject: int, bscan: int) -> _Retina:
        """Anatomy of a B-scan: thickness, cysts that push it apart, then the surfaces."""
        grid = self.grid
        eye = draw_eye(self.seed, subject)
        rng = np.random.default_rng([self.seed, subject, bscan, ANATOMY])
        y_um = (bscan - (self.bscans_per_subject - 1) / 2) * self.bscan_spacing_um
        thickness_um = healthy_thickness_um(eye, grid.x_um, y_um)
        fluid = has_fluid(self.seed, subject, bscan)
        lesions = draw_lesions(rng, grid, thickness_um, eye.fovea_x_um, fluid)
        thickness_um = swollen_thickness_um(rng, grid, thickness_um, lesions.cysts)
        surfaces_um = surfaces_from_thickness(rng, grid, thickness_um)
        upper_um, lower_um = fluid_extents_um(rng, grid, surfaces_um, lesions.cysts)
        return _Retina(surfaces_um / grid.axial_um, (upper_um / grid.axial_um, lower_um / grid.axial_um), lesions)

    def _as_second_grader_sees(self, retina: _Retina, subject: int, bscan: int) -> _Retina:
        """The retina with surfaces and cysts drawn a little off."""
        rng = np.random.default_rng([self.seed, subject, bscan, SECOND_GRADER])
        length_columns = SECOND_GRADER_LENGTH_UM / self.grid.lateral_um
        sd_rows = SECOND_GRADER_SD_UM / self.grid.axial_um
        moves = sd_rows * smooth_noise(rng, retina.surface_rows.shape, length_columns)
        upper, lower = retina.fluid_rows
        shrinkage = np.clip(0.05 + 0.1 * smooth_noise(rng, upper.shape, length_columns), 0, 0.4) * (lower - upper)
        return _Retina(
            moved_within_bounds(retina.surface_rows, moves), (upper + shrinkage, lower - shrinkage), retina.lesions
        )


def check_whole(name: str, value: int, low: int, high: int) -> None:
    """Refuse an option that is not a whole number in its range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"phantom: {name} is {value!r}, expected a whole number of {low} to {high}")
    check_range(name, value, low, high)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Refuse an option out of its range."""
    if not low <= value <= high:
        raise InputError(f"phantom: {name} is {value}, expected {low} to {high}")


def paint_fluid(grid: Grid, upper_rows: Array, lower_rows: Array) -> Array:
    """Fluid (H, W) bool from the edges of cysts (C, W), rounded to the pixel as surfaces are in a mask."""
    depth = np.arange(grid.height)[:, None]
    fluid = np.zeros((grid.height, grid.width), bool)
    for upper, lower in zip(np.rint(upper_rows), np.rint(lower_rows), strict=True):
        columns = np.flatnonzero(lower > upper)
        if columns.size:
            across = slice(columns[0], columns[-1] + 1)
            fluid[:, across] |= (depth >= upper[across]) & (depth < lower[across])
    return fluid
