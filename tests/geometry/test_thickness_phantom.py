"""Thickness on the phantom, whose surfaces are known below a pixel: from masks of whole pixels against the truth."""

import numpy as np
import pytest

from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import draw_eye
from retseg.geometry.etdrs import sector_thickness, whole_map
from retseg.geometry.fovea import find_fovea
from retseg.geometry.surfaces import paint_mask, trace_surfaces
from retseg.geometry.thickness import SLABS, read_slab, thickness_profile
from retseg.geometry.volume_map import BScanDistance, place_bscans, thickness_map

NUM_EYES, NUM_BSCANS, DISTANCE_UM = 4, 13, 500.0
TOTAL = SLABS.index(read_slab("total retina"))


@pytest.fixture(scope="module")
def volumes():
    """Of each eye: map from exact surfaces, map from masks, and the foveal centre (x, 0). Pixels of 7 x 45 um."""
    source = PhantomSource(
        num_subjects=NUM_EYES, bscans_per_subject=NUM_BSCANS, bscan_spacing_um=DISTANCE_UM,
        width=144, height=120, spacing_um=(7.0, 45.0), seed=3,
    )  # fmt: skip
    found = []
    for subject in range(NUM_EYES):
        scans = [source.read(ScanKey(1, f"s{subject + 1:02d}", bscan)) for bscan in range(NUM_BSCANS)]
        distance = BScanDistance(source.bscan_spacing_um, "phantom")
        grid = place_bscans(range(NUM_BSCANS), 144, source.spacing, distance, scans[0].eye, "superior")
        traced = [trace_surfaces(paint_mask(scan.surface_rows, scan.shape[0])) for scan in scans]
        exact, painted = (
            thickness_map([thickness_profile(rows, source.spacing) for rows in surfaces], grid)
            for surfaces in ([scan.surface_rows for scan in scans], traced)
        )
        found.append((exact, painted, (draw_eye(3, subject).fovea_x_um, 0.0)))
    return found


def test_masks_of_whole_pixels_are_a_third_of_a_pixel_off(volumes):
    """Both edges are rounded, evenly between -0.5 and 0.5 px: the absolute difference of two such errors is 1/3 px."""
    errors_um = np.concatenate([painted.values - exact.values for exact, painted, _ in volumes], axis=1)
    mean_um = np.abs(errors_um).mean(axis=(1, 2))
    for slab, error_um in zip(SLABS, mean_um, strict=True):
        print(f"{slab.name}: {error_um:.2f} um")
    # OS-RPE is almost as thick everywhere, so its two roundings go together: 2.6 um.
    assert mean_um == pytest.approx(np.full(len(SLABS), 7 / 3), rel=0.15)
    assert np.abs(errors_um).max() <= 7 + 1e-3


def test_sectors_and_volumes_from_masks_agree_with_the_truth(volumes):
    """Rounding errors average out: 0.3 um where a pixel is 7."""
    differences_um, shares = [], []
    for exact, painted, centre_um in volumes:
        true, found = (sector_thickness(volume, centre_um) for volume in (exact, painted))
        differences_um.append(np.abs(found.mean - true.mean))
        assert (true.covered > 0.94).all()
        volume = [whole_map(each).volume_mm3 for each in (painted, exact)]
        shares.append(np.abs(volume[0] / volume[1] - 1))
    print(f"ETDRS: mean {np.mean(differences_um):.2f} um, largest {np.max(differences_um):.2f} um")
    print(f"volume of the map: largest difference {100 * np.max(shares):.2f} %")
    assert np.mean(differences_um) < 0.3
    assert np.max(shares) < 0.01


def test_the_nerve_fibre_layer_is_thicker_on_the_nasal_side_of_both_eyes(volumes):
    assert {volume.grid.eye for volume, _, _ in volumes} == {"OD", "OS"}
    for volume, _, centre_um in volumes:
        table = sector_thickness(volume, centre_um)
        assert table.value("NFL", "outer nasal") > 1.5 * table.value("NFL", "outer temporal")


def test_what_a_wrong_centre_costs_and_that_the_found_one_costs_little(volumes):
    """Mean absolute change of the ETDRS values of the total retina, against those about the true centre."""
    costs_um = {"found": [], "1 mm off": []}
    for volume, _, (x_um, y_um) in volumes:
        true = sector_thickness(volume, (x_um, y_um)).mean[TOTAL]
        for name, centre in (("found", find_fovea(volume).place_um), ("1 mm off", (x_um + 1000, y_um))):
            moved = sector_thickness(volume, centre).mean[TOTAL]
            costs_um[name].append(np.abs(moved - true).mean())
    print({name: f"{np.mean(cost):.1f} um" for name, cost in costs_um.items()})
    assert np.mean(costs_um["found"]) < 0.25 * np.mean(costs_um["1 mm off"])
