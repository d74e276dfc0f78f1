"""Files and tables of predicted fluid: scans of 40 x 60 pixels of 4 um x 10 um."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import Spacing
from retseg.geometry.volume_map import BScanDistance
from retseg.inference.fluid_tables import fluid_account, fluid_cells, fluid_rows
from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.inference.preview import FLUID_COLOUR, draw_preview
from retseg.inference.scan_files import write_scan_files
from retseg.inference.volume_files import write_volume_files
from tests.inference.drawn import draw, surfaces

UM = Spacing(4.0, 10.0, "user")
NEAR = BScanDistance(50.0, "header")
HEIGHT, WIDTH = 40, 60


def scan(number=0, num_pixels=100, spacing=UM):
    """A scan with so many pixels of fluid, in rows 20 to 22; None: none was sought."""
    rows = surfaces(WIDTH)
    fluid = None
    if num_pixels is not None:
        fluid = np.zeros((HEIGHT, WIDTH), bool)
        fluid[20:23].flat[:num_pixels] = True
    sd = np.full_like(rows, 0.5)
    return PredictedScan(f"eye_b{number:03d}", number, draw(rows, HEIGHT), rows, sd, sd[0], spacing, fluid=fluid)


def volume(*areas, num_bscans=None, distance=NEAR, spacing=UM, is_raster=True):
    scans = tuple(scan(number, area, spacing) for number, area in enumerate(areas))
    number = len(scans) if num_bscans is None else num_bscans
    return PredictedVolume("eye", Path("eye.mat"), scans, number, spacing, distance, is_raster)


def test_area_of_a_scan_by_hand():
    assert fluid_cells(scan(num_pixels=100)) == {"fluid_px": 100, "fluid_mm2": 0.004}
    assert fluid_cells(scan(num_pixels=0)) == {"fluid_px": 0, "fluid_mm2": 0.0}
    assert fluid_cells(scan(spacing=Spacing())) == {"fluid_px": 100, "fluid_mm2": None}
    assert fluid_cells(scan(num_pixels=None)) == {}


def test_volume_by_hand():
    # 0.004 + 0 + 0.002 mm2, slabs of 0.05 mm
    told = fluid_account(volume(100, 0, 50))
    assert told == {"volume_mm3": 0.0003, "area_px": 150, "bscans_with_fluid": 2, "bscans": 3, "is_partial": False}
    assert [row["slab_mm3"] for row in fluid_rows(volume(100, 0, 50))] == [0.0002, 0.0, 0.0001]


def test_a_volume_of_which_bscans_are_missing_or_failed_is_partial():
    assert fluid_account(volume(100, 0, num_bscans=61))["is_partial"]
    failed = fluid_account(volume(100, None, 50))
    assert (failed["bscans"], failed["is_partial"], failed["volume_mm3"]) == (2, True, 0.0003)
    assert len(fluid_rows(volume(100, None, 50))) == 2


@pytest.mark.parametrize("unknown", [{"distance": None}, {"spacing": Spacing()}, {"is_raster": False}])
def test_no_volume_where_a_size_is_unknown_or_bscans_are_not_parallel(unknown):
    told = fluid_account(volume(100, 50, **unknown))
    assert (told["volume_mm3"], told["area_px"]) == (None, 150)


def test_a_network_without_fluid_leaves_nothing_of_it(tmp_path):
    plain = volume(None, None)
    assert fluid_account(plain) is None
    assert fluid_rows(plain) == []
    write_volume_files(plain, tmp_path, ["tables"])
    assert "fluid" not in json.loads((tmp_path / "eye_volume.json").read_text())
    assert not list(tmp_path.glob("*fluid*"))
    assert write_scan_files(plain.scans[0], tmp_path, ["fluid"]) == []


def test_tables_of_a_volume(tmp_path):
    write_volume_files(volume(100, 0, 50), tmp_path, ["tables"])
    assert json.loads((tmp_path / "eye_volume.json").read_text())["fluid"]["volume_mm3"] == 0.0003
    with (tmp_path / "eye_fluid.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["scan"], row["fluid_px"], row["fluid_mm2"]) for row in rows] == [
        ("eye_b000", "100", "0.004"), ("eye_b001", "0", "0.0"), ("eye_b002", "50", "0.002"),
    ]  # fmt: skip


def test_fluid_is_an_indexed_picture_of_0_and_1(tmp_path):
    predicted = scan(num_pixels=70)
    (path,) = write_scan_files(predicted, tmp_path, ["fluid"])
    assert path.name == "eye_b000_fluid.png"
    image = Image.open(path)
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), predicted.fluid)
    assert image.getpalette()[:6] == [0, 0, 0, *FLUID_COLOUR]
    assert tuple(path.read_bytes()[24:26]) == (8, 3)


def test_the_overlay_shows_fluid_where_it_is_and_nowhere_else():
    with_fluid, without = scan(num_pixels=180), scan(num_pixels=None)
    pictures = [np.asarray(draw_preview(one, one.mask)).astype(int) for one in (with_fluid, without)]
    header, left = 26, WIDTH + 2 * 8
    overlays = [picture[header : header + HEIGHT, left : left + WIDTH] for picture in pictures]
    changed = np.flatnonzero((overlays[0] != overlays[1]).any(axis=(1, 2)))
    # rows 20 to 22, but for the white surface that is drawn over them in row 22
    assert changed.tolist() == [20, 21]
    gray = with_fluid.image[20, 5]
    assert overlays[0][20, 5].tolist() == [round(0.4 * gray + 0.6 * level) for level in FLUID_COLOUR]
    legends = [picture[header + HEIGHT :] for picture in pictures]
    assert (legends[0] != legends[1]).any()
    assert (legends[0] == FLUID_COLOUR).all(axis=2).sum() >= 100
    assert not (legends[1] == FLUID_COLOUR).all(axis=2).any()
