"""Tables, maps and accounts of a volume: against layers of known thickness, and the phantom's exact surfaces."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import ScanKey, Spacing
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import draw_eye
from retseg.errors import InputError
from retseg.geometry.etdrs import ETDRS, custom_grid, sector_thickness
from retseg.geometry.thickness import SLABS, Slab, thickness_profile
from retseg.geometry.volume_map import BScanDistance, thickness_map
from retseg.inference.intervals import Intervals
from retseg.inference.predicted import Finding, PredictedScan, PredictedVolume
from retseg.inference.volume_files import retina_brightness, why_no_map, write_volume_files
from retseg.inference.volume_tables import bscan_rows, profiles_of
from tests.inference.drawn import draw, surfaces

UM = Spacing(4.0, 100.0, "user")
HEIGHT, WIDTH, NUM_BSCANS = 40, 60, 13


def scan(number: int, spacing: Spacing = UM, width: int = WIDTH) -> PredictedScan:
    """Layers of 3 px, of 3.5 px from the middle B-scan on."""
    rows = surfaces(width, 6, 3.0 if number < NUM_BSCANS // 2 else 3.5)
    sd = np.full_like(rows, 0.5)
    return PredictedScan(f"eye_b{number:03d}", number, draw(rows, HEIGHT), rows, sd, sd[0], spacing)


def volume(numbers=range(NUM_BSCANS), spacing: Spacing = UM, **given) -> PredictedVolume:
    """Field of 6 x 6.5 mm: 60 columns of 100 um, 13 B-scans 500 um apart; of a right eye, the first one superior."""
    scans = tuple(scan(number, spacing) for number in numbers)
    fields = {"distance": BScanDistance(500.0, "header"), "eye": "OD", "first_bscan": "superior"} | given
    return PredictedVolume("folder/eye", Path("/scans/eye.mat"), scans, NUM_BSCANS, spacing, **fields)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told(folder: Path) -> dict:
    return json.loads((folder / "eye_volume.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def phantom() -> tuple[PhantomSource, PredictedVolume]:
    """A left eye whose surfaces are exact, 13 B-scans of 500 um."""
    source = PhantomSource(
        num_subjects=4, bscans_per_subject=NUM_BSCANS, bscan_spacing_um=500,
        width=WIDTH, height=110, spacing_um=(8.0, 100.0), seed=3,
    )  # fmt: skip
    subject = next(number for number in range(4) if draw_eye(3, number).eye == "OS")
    scans = []
    for bscan in range(NUM_BSCANS):
        read = source.read(ScanKey(1, f"s{subject + 1:02d}", bscan))
        rows = read.surface_rows
        image = read.image.astype(np.uint8)
        scans.append(PredictedScan(f"p_b{bscan:03d}", bscan, image, rows, 0 * rows, 0 * rows[0], source.spacing))
    distance = BScanDistance(500.0, "phantom")
    return source, PredictedVolume(
        "p", Path("p"), tuple(scans), NUM_BSCANS, source.spacing, distance, True, "OS", "superior", str(subject)
    )


def test_a_line_a_scan_and_slab_with_mean_spread_known_share_and_scale(tmp_path: Path):
    given = volume()
    rows = given.scans[2].surface_rows.copy()
    rows[:, :15] = np.nan
    rows[1, 15:] = rows[0, 15:] + np.where(np.arange(45) % 2, 2, 4)
    scans = (*given.scans[:2], replace(given.scans[2], surface_rows=rows, findings=(Finding("check", "r", "why"),)))
    write_volume_files(replace(given, scans=scans), tmp_path, {"tables"}, (30, 1))
    lines = table(tmp_path / "eye_thickness.csv")
    assert len(lines) == 3 * len(SLABS)
    assert lines[0] == {
        "scan": "eye_b000", "bscan": "0", "slab": "NFL", "mean": "12.0", "sd_along_scan": "0.0", "unit": "um",
        "known_share": "1.0", "verdict": "pass", "scale_source": "user",
    }  # fmt: skip
    nfl = lines[2 * len(SLABS)]
    # 23 columns of 16 um and 22 of 8 um.
    assert float(nfl["mean"]) == pytest.approx((23 * 16 + 22 * 8) / 45, abs=6e-4)
    assert float(nfl["sd_along_scan"]) == pytest.approx(8 * np.sqrt(23 * 22) / 45, abs=6e-4)
    assert (nfl["known_share"], nfl["verdict"]) == ("0.75", "check")


def test_sectors_of_the_phantom_are_those_of_its_exact_surfaces(tmp_path: Path, phantom):
    source, given = phantom
    centre = draw_eye(3, int(given.subject)).fovea_x_um
    column = (centre - given.grid().x_um[0]) / 100
    write_volume_files(given, tmp_path, {"tables"}, (float(column), 6.0))
    lines = table(tmp_path / "p_etdrs.csv")
    found = {(line["grid"], line["slab"], line["sector"]): line for line in lines}
    assert len(found) == len(lines) == len(SLABS) * (9 + 4 + 2 + 1)
    profiles = [thickness_profile(scan.surface_rows, source.spacing) for scan in given.scans]
    true = sector_thickness(thickness_map(profiles, given.grid()), (centre, 0.0))
    for slab in ("NFL", "total retina"):
        for sector in true.sectors:
            assert float(found["ETDRS", slab, sector]["mean_um"]) == pytest.approx(true.value(slab, sector), abs=1e-3)
    # In a left eye the nose is on the left; the nerve fibres are thicker there.
    nasal, temporal = (float(found["ETDRS", "NFL", f"outer {side}"]["mean_um"]) for side in ("nasal", "temporal"))
    assert nasal > 1.2 * temporal
    whole = found["field", "total retina", "whole map"]
    mean = np.mean([profile.of("total retina").mean() for profile in profiles])
    assert float(whole["mean_um"]) == pytest.approx(mean, rel=0.02)
    area = 6.0 * 6.5
    assert float(whole["area_mm2"]) == pytest.approx(area, abs=1e-4)
    assert float(whole["volume_mm3"]) == pytest.approx(float(whole["mean_um"]) * 1e-3 * area, rel=1e-4)
    assert "columns: phantom; distance of B-scans: phantom" in whole["scale_source"]


def test_the_fovea_of_the_phantom_is_found_and_told_of(tmp_path: Path, phantom):
    _, given = phantom
    _, notices = write_volume_files(given, tmp_path, {"tables"})
    fovea = json.loads((tmp_path / "p_volume.json").read_text())["fovea"]
    assert fovea["source"] == "found in GCC"
    assert fovea["x_um"] == pytest.approx(draw_eye(3, int(given.subject)).fovea_x_um, abs=250)
    assert fovea["y_um"] == pytest.approx(0, abs=250)
    assert fovea["column"] == pytest.approx((fovea["x_um"] - given.grid().x_um[0]) / 100, abs=0.06)
    assert fovea["bscan"] == pytest.approx(6 + fovea["y_um"] / 500, abs=0.006)
    assert 0 < fovea["confidence"] <= 1
    assert bool(fovea["doubt"]) == any("the fovea is doubtful" in notice for notice in notices)


def test_the_account_says_what_the_numbers_rest_on(tmp_path: Path):
    _, notices = write_volume_files(volume([0, 1, 5, 6]), tmp_path, {"tables", "nifti"}, (30, 5.5))
    account = told(tmp_path)
    assert account["fovea"]["source"] == "user"
    assert (account["fovea"]["column"], account["fovea"]["bscan"]) == (30, 5.5)
    assert (account["fovea"]["x_um"], account["fovea"]["y_um"]) == (50, -250)
    wanted = {
        "volume": "folder/eye", "file": "/scans/eye.mat", "eye": "OD", "first_bscan": "superior",
        "bscans": [0, 1, 5, 6], "bscans_of_volume": 13, "axial_um": 4.0, "lateral_um": 100.0, "scale_source": "user",
        "bscan_distance_um": 500.0, "bscan_distance_source": "header", "gap_beyond_um": 750.0,
    }  # fmt: skip
    assert {name: account[name] for name in wanted} == wanted
    assert account["scans"][-1] == "eye_b006"
    assert account["notices"] == list(notices)
    assert any(notice.startswith("NIfTI: 9 of 13") for notice in notices)


def test_a_fovea_outside_the_field_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="--fovea 61,3: outside the field; columns run from 0 to 59, B-scans from 0"):
        write_volume_files(volume(), tmp_path, {"tables"}, (61, 3))


def test_without_a_fovea_there_is_the_whole_field_and_the_rest_goes_on(tmp_path: Path):
    # Without the NFL/GCL and IPL/INL surfaces there is no slab to seek a pit in; the total retina is known.
    scans = []
    for scan in volume().scans:
        rows = scan.surface_rows.copy()
        rows[1:3] = np.nan
        scans.append(replace(scan, surface_rows=rows))
    paths, notices = write_volume_files(replace(volume(), scans=tuple(scans)), tmp_path, {"tables"})
    assert [path.name for path in paths] == ["eye_thickness.csv", "eye_etdrs.csv", "eye_volume.json"]
    assert len(notices) == 1
    assert notices[0].startswith("no sectors: no fovea found")
    assert told(tmp_path)["fovea"] is None
    lines = table(tmp_path / "eye_etdrs.csv")
    assert {line["grid"] for line in lines} == {"field"}
    found = {line["slab"]: line for line in lines}
    # 7 layers of 3 px of 4 um in six B-scans, of 3.5 px in seven; 6 x 6.5 mm.
    mean_um = (6 * 84 + 7 * 98) / 13
    assert float(found["total retina"]["mean_um"]) == pytest.approx(mean_um, rel=1e-3)
    assert float(found["total retina"]["volume_mm3"]) == pytest.approx(mean_um * 1e-3 * 39, rel=1e-3)
    assert found["GCC"]["volume_mm3"] == ""


def intervals() -> Intervals:
    count = len(SLABS)
    return Intervals(0.9, np.full(count, 2.0), np.full(count, 3.0), np.full(count, 4.0), 40, 5, "phantom", "exact")


def test_intervals_have_their_ends_and_say_what_they_rest_on(tmp_path: Path):
    write_volume_files(volume(), tmp_path, {"tables"}, (30, 3), intervals(), grids={"ETDRS": ETDRS[:2]})
    sd_um = 4 * 0.5 * np.sqrt(2)
    line = table(tmp_path / "eye_thickness.csv")[0]
    assert float(line["mean_low"]) == pytest.approx(12 - 4 * sd_um, abs=6e-4)
    assert float(line["mean_high"]) == pytest.approx(12 + 4 * sd_um, abs=6e-4)
    lines = table(tmp_path / "eye_etdrs.csv")
    sectors = [line for line in lines if line["grid"] == "ETDRS"]
    assert len(sectors) == 5 * len(SLABS)
    for line in sectors:
        mean = float(line["mean_um"])
        assert float(line["mean_low"]) == pytest.approx(mean - 3 * sd_um, abs=6e-4)
        assert float(line["mean_high"]) == pytest.approx(mean + 3 * sd_um, abs=6e-4)
    assert {line["mean_low"] for line in lines if line["grid"] == "field"} == {""}
    assert "shared along a scan" in told(tmp_path)["intervals"]


def test_no_layer_is_thinner_than_nothing():
    wide = replace(intervals(), scans=np.full(len(SLABS), 99.0))
    (line, *_) = bscan_rows(volume(), profiles_of(volume()), wide)
    assert (line["mean_low"], line["mean_high"]) == (0.0, pytest.approx(12 + 99 * 2 * np.sqrt(2), abs=6e-4))


def test_other_slabs_and_grids_are_measured_and_the_fovea_is_still_sought_in_its_own(tmp_path: Path, phantom):
    _, given = phantom
    slab = Slab("NFL:INL", "NFL to INL", 1, 3)
    grids = {"mine": custom_grid([800, 2000], [1, 2], [0, 90])}
    write_volume_files(given, tmp_path, {"tables"}, None, intervals(), [slab], grids)
    lines = table(tmp_path / "p_etdrs.csv")
    assert [(line["grid"], line["slab"]) for line in lines] == [("mine", "NFL:INL")] * 3 + [("field", "NFL:INL")]
    assert "mean_low" not in lines[0]  # intervals are calibrated for the usual slabs alone


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"numbers": [4]}, "one B-scan alone"),
        ({"is_raster": False}, "the B-scans are not parallel"),
        ({"spacing": Spacing()}, "the lateral size of a pixel is not known; give --spacing"),
        ({"distance": None}, "the distance of B-scans is not known; give --bscan-distance"),
        ({}, ""),
    ],
)
def test_why_there_is_no_map(given, why, tmp_path: Path):
    made = volume(**given)
    assert why_no_map(made) == why
    assert bool(why) != made.is_map
    if why:
        paths, notices = write_volume_files(made, tmp_path, {"tables", "maps"})
        assert [path.name for path in paths] == ["eye_thickness.csv", "eye_volume.json"]
        assert notices == (f"no map: {why}",)
        unit = "px" if made.spacing.axial_um is None else "um"
        assert {line["unit"] for line in table(paths[0])} == {unit}


def test_scans_of_several_widths_are_no_map():
    made = volume()
    assert why_no_map(replace(made, scans=(*made.scans[:2], scan(2, width=50)))).startswith(
        "the B-scans differ in width"
    )


def test_maps_are_arrays_with_their_places_and_pictures(tmp_path: Path):
    paths, _ = write_volume_files(volume([0, 1, 2, 5]), tmp_path, {"maps"}, (30, 1))
    stems = ("thickness_map", "layer_maps", "en_face")
    names = ["eye_thickness_map.npz", *(f"eye_{stem}.{kind}" for stem in stems for kind in ("png", "pdf"))]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    with np.load(paths[0]) as arrays:
        assert arrays["thickness"].shape == (len(SLABS), 4, WIDTH)
        np.testing.assert_allclose(arrays["thickness"][list(arrays["slabs"]).index("total retina")], 84)
        np.testing.assert_allclose(arrays["x_um"][[0, -1]], [-2950, 2950])
        np.testing.assert_allclose(arrays["y_um"], [-3000, -2500, -2000, -500])
        assert arrays["bscans"].tolist() == [0, 1, 2, 5]
        assert (str(arrays["unit"]), str(arrays["eye"])) == ("um", "OD")
        assert str(arrays["provenance"]) == "depth: user; columns: user; distance of B-scans: header"
    for path in paths[1::2]:
        with Image.open(path) as image:
            assert min(image.size) > 300
    assert all(path.read_bytes().startswith(b"%PDF") for path in paths[2::2])


def test_labels_without_an_image_have_no_picture_of_one(tmp_path: Path):
    black = tuple(replace(s, image=0 * s.image) for s in volume(range(3)).scans)
    paths, _ = write_volume_files(replace(volume(), scans=black), tmp_path, {"maps"}, (30, 1), slabs=SLABS[:1])
    assert [path.name for path in paths] == ["eye_thickness_map.npz", "eye_layer_maps.png", "eye_layer_maps.pdf"]


def test_brightness_is_the_mean_between_ilm_and_bm():
    made = volume(range(2))
    image = np.full((HEIGHT, WIDTH), 200, np.uint8)
    image[6:27] = 10  # the retina, 21 rows from 6 on
    image[26, 5] = 10 + 21
    rows = made.scans[0].surface_rows.copy()
    rows[7, 2] = np.nan
    found = retina_brightness(replace(made, scans=(replace(made.scans[0], image=image, surface_rows=rows),)))
    assert found.shape == (1, WIDTH)
    assert found[0, [0, 2, 5]] == pytest.approx([10, np.nan, 11], nan_ok=True)


def test_nothing_is_written_that_was_not_asked_for(tmp_path: Path):
    assert write_volume_files(volume(), tmp_path, set()) == ([], ())
    assert not list(tmp_path.iterdir())
