"""The random phantom: made-up retinas of any shape, in any contrast, as any device might show them; surfaces exact.

A network that has seen all of these has to read the order of layers and not the gray levels of one data set (domain
randomisation; for brains: Billot et al. 2023, doi 10.1016/j.media.2023.102789).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from retseg.bscan import BScan, Eye, ScanKey, Spacing
from retseg.data.sources.phantom import check_range, check_whole, paint_fluid
from retseg.data.sources.phantom_anatomy import Grid
from retseg.data.sources.random_anatomy import draw_retina
from retseg.data.sources.random_appearance import render
from retseg.data.sources.random_noise import NoiseBank
from retseg.errors import InputError

SMALLEST_DEPTH_UM = 750.0


@dataclass(frozen=True, slots=True)
class FieldRange:
    """Depths and widths of fields of view in um, drawn evenly on a log scale; the grid of pixels is one for all."""

    depth_um: tuple[float, float] = (SMALLEST_DEPTH_UM, 1150.0)
    width_um: tuple[float, float] = (3500.0, 8500.0)


class RandomPhantomSource:
    """Made-up B-scans of height x width pixels whose anatomy, look and field of view are drawn for each scan anew.

    A scan depends on (seed, subject, bscan), height, width and spread alone. Subjects `s001`, ... only group scans, for
    splits. Surfaces are exact; fluid is what cysts hold. spread: how far contrast, noise and light are drawn, 1 as
    chosen, 0 the look of Duke scans with shapes still random.
    """

    name = "random phantom"
    label_origin = "exact"
    notices: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        num_subjects: int = 100,
        bscans_per_subject: int = 40,
        height: int = 256,
        width: int = 256,
        seed: int = 0,
        spread: float = 1.0,
    ) -> None:
        check_whole("num_subjects", num_subjects, 1, 999)
        check_whole("bscans_per_subject", bscans_per_subject, 1, 1000)
        check_whole("height", height, 64, 2048)
        check_whole("width", width, 64, 2048)
        check_whole("seed", seed, 0, 2**31)
        check_range("spread", spread, 0, 2)
        self.seed, self.spread = seed, float(spread)
        self.num_subjects, self.bscans_per_subject = num_subjects, bscans_per_subject
        self.height, self.width = height, width
        self.field = FieldRange()

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All B-scans, subject by subject."""
        return tuple(
            ScanKey(1, f"s{subject:03d}", bscan)
            for subject in range(1, self.num_subjects + 1)
            for bscan in range(self.bscans_per_subject)
        )

    @property
    def typical_spacing(self) -> Spacing:
        """Pixel size in the middle of the range, on a log scale."""
        depth_um, width_um = (float(np.sqrt(low * high)) for low, high in (self.field.depth_um, self.field.width_um))
        return Spacing(depth_um / self.height, width_um / self.width, "phantom")

    @cached_property
    def _noise(self) -> NoiseBank:
        return NoiseBank(self.seed, (self.height, self.width))

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key, made anew. Raises InputError for a key that is not one of `keys`."""
        rng = np.random.default_rng([self.seed, self._subject(key), key.bscan, 1])
        depth_um, width_um = (
            float(np.exp(rng.uniform(*np.log(limits)))) for limits in (self.field.depth_um, self.field.width_um)
        )
        grid = Grid(self.height, self.width, depth_um / self.height, width_um / self.width)
        retina = draw_retina(rng, grid)
        image = render(rng, grid, retina, self._noise, self.spread * rng.uniform(0, 1.2))
        upper, lower = (edges / grid.axial_um for edges in retina.fluid_um)
        eye: Eye = "OD" if rng.random() < 0.5 else "OS"
        return BScan(
            key=key,
            image=image,
            surface_rows=(retina.surfaces_um / grid.axial_um).astype(np.float32),
            fluid=paint_fluid(grid, upper, lower),
            spacing=Spacing(grid.axial_um, grid.lateral_um, "phantom"),
            eye=eye,
        )

    def _subject(self, key: ScanKey) -> int:
        number = key.subject[1:]
        subject = int(number) if key.subject.startswith("s") and number.isdecimal() else 0
        is_known = 1 <= subject <= self.num_subjects and key.subject == f"s{subject:03d}" and key.grader == 1
        if not is_known or not 0 <= key.bscan < self.bscans_per_subject:
            raise InputError(
                f"phantom: no scan {key.name}; it has subjects s001..s{self.num_subjects:03d}, "
                f"B-scans 0..{self.bscans_per_subject - 1}, grader 1"
            )
        return subject
