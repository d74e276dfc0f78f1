"""eyepy as an independent opinion on sectors, sides and volumes."""

import eyepy
import numpy as np
import pytest
from eyepy.core.grids import grid as eyepy_grid

from retseg.bscan import Spacing
from retseg.geometry.etdrs import ETDRS, sector_numbers, sector_thickness
from retseg.geometry.thickness import LAYER_SLABS
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, place_bscans

SIZE, PIXEL_UM, AXIAL_UM = 161, 40.0, 4.0
ORDER = ("nasal", "superior", "temporal", "inferior")


@pytest.mark.parametrize("eye", ["OD", "OS"])
def test_sectors_are_those_of_eyepy(eye):
    """On places a quarter pixel off the lattice, as no place then lies on an edge; rows of a fundus go down."""
    masks = eyepy_grid((301, 301), (25, 75, 149), eye, (1, 4, 4), (0, -45, -45))
    steps_um = 20.0 * (np.arange(301) - 150)
    nasal_um = (-1 if eye == "OS" else 1) * steps_um[None, :]
    numbers = sector_numbers(ETDRS, nasal_um + 1e-3, -steps_um[:, None] - 2e-3)
    inner_7 = np.hypot(steps_um[None, :], steps_um[:, None]) < 2980  # the third circle of eyepy's, in its pixels
    for number, mask in enumerate(masks.values()):
        differing = ((numbers == number) & inner_7) != (mask > 0)
        edge = 0.02 * (mask > 0).sum()
        assert differing.sum() < edge


@pytest.fixture
def thick_px():
    """Thickness (B, W) in whole pixels, thick above and to the right of the picture, B-scan 0 at its lower edge."""
    y, x = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE), indexing="ij")
    return np.rint(60 + 20 * x + 12 * y - 30 * np.exp(-8 * (x**2 + y**2))).astype(int)


@pytest.mark.parametrize("eye", ["OD", "OS"])
def test_volumes_in_mm3_are_those_of_eyepy(thick_px, eye):
    voxels = np.arange(100)[None, :, None] < thick_px[:, None, :]
    bscans = [
        eyepy.EyeBscanMeta(start_pos=(0, row), end_pos=(SIZE - 1, row), pos_unit="pixel")
        for row in range(SIZE - 1, -1, -1)
    ]
    scale_mm = {"scale_x": PIXEL_UM / 1e3, "scale_y": AXIAL_UM / 1e3, "scale_z": PIXEL_UM / 1e3}
    meta = eyepy.EyeVolumeMeta(**scale_mm, scale_unit="mm", bscan_meta=bscans, laterality=eye)
    theirs = eyepy.EyeVolume(np.zeros(voxels.shape, np.float32), meta).add_pixel_annotation(
        voxels, name="retina", color="#ff0000", radii=(0.5, 1.5, 3.0), n_sectors=(1, 4, 4), rotation=(0, -45, -45)
    )
    quantities = [value for key, value in theirs.quantification.items() if key.startswith("Radius")]

    spacing = Spacing(AXIAL_UM, PIXEL_UM, "user")
    grid = place_bscans(list(range(SIZE)), SIZE, spacing, BScanDistance(PIXEL_UM, "user"), eye, "inferior")
    volume = ThicknessMap(LAYER_SLABS[:1], AXIAL_UM * thick_px[None].astype(float), "um", "user", grid)
    ours = sector_thickness(volume, (0.0, 0.0))
    assert ours.sectors == ("centre", *(f"inner {side}" for side in ORDER), *(f"outer {side}" for side in ORDER))
    # eyepy counts whole pixels of 40 um: about 2 % of an inner sector's area.
    assert ours.volume_mm3[0] == pytest.approx(quantities, rel=0.03)
    assert ours.value("NFL", "outer nasal") - ours.value("NFL", "outer temporal") == pytest.approx(
        (1 if eye == "OD" else -1) * 90, rel=0.25
    )
