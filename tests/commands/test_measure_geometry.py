"""`retseg measure LABELS` as it is typed: thickness, maps and grids of anybody's masks and surfaces."""

import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from retseg.bscan import ScanKey
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_anatomy import draw_eye
from retseg.geometry.etdrs import sector_thickness
from retseg.geometry.surfaces import paint_mask
from retseg.geometry.thickness import SLABS, mean_thickness, thickness_profile
from retseg.geometry.volume_map import BScanDistance, place_bscans, thickness_map
from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.inference.volume_files import write_volume_files

NUM_BSCANS, DISTANCE_UM, AXIAL_UM, LATERAL_UM = 13, 500.0, 7.0, 45.0
"""As in the tests of geometry on the phantom, which say what masks of whole pixels cost."""
SCALE = ("--spacing", f"{AXIAL_UM:g},{LATERAL_UM:g}", "--bscan-distance", f"{DISTANCE_UM:g}")


def table(path):
    """Rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def eyes():
    """By eye: its subject's number, the scans of a phantom volume with exact surfaces."""
    source = PhantomSource(
        num_subjects=4, bscans_per_subject=NUM_BSCANS, bscan_spacing_um=DISTANCE_UM,
        width=144, height=120, spacing_um=(AXIAL_UM, LATERAL_UM), seed=3,
    )  # fmt: skip
    found = {}
    for subject in range(4):
        scans = [source.read(ScanKey(1, f"s{subject + 1:02d}", bscan)) for bscan in range(NUM_BSCANS)]
        found.setdefault(scans[0].eye, (subject, scans))
    return found


def save_masks(scans, place, without=()):
    """Masks of scans as PNGs, called as retseg calls them."""
    place.mkdir()
    for bscan, scan in enumerate(scans):
        if bscan not in without:
            mask = paint_mask(scan.surface_rows, 120).astype(np.uint8)
            Image.fromarray(mask).save(place / f"s01_b{bscan:02d}_g1.png")
    return place


@pytest.fixture
def folder(eyes, tmp_path):
    """Masks of the right eye."""
    return save_masks(eyes["OD"][1], tmp_path / "masks")


def exact_map(scans, eye, without=()):
    """Map of the exact surfaces, as the user places it."""
    kept = [bscan for bscan in range(NUM_BSCANS) if bscan not in without]
    profiles = [thickness_profile(scans[bscan].surface_rows, scans[bscan].spacing) for bscan in kept]
    distance = BScanDistance(DISTANCE_UM, "user")
    grid = place_bscans(kept, 144, scans[0].spacing, distance, eye, "superior", NUM_BSCANS)
    return profiles, thickness_map(profiles, grid)


def sectors_of(path, grid="ETDRS"):
    """{(slab, sector): row} of one grid of a table."""
    return {(row["slab"], row["sector"]): row for row in table(path) if row["grid"] == grid}


@pytest.mark.parametrize("eye", ["OD", "OS"])
def test_masks_of_a_volume_agree_with_its_exact_surfaces(eyes, tmp_path, retseg, eye):
    """Both edges of a layer are rounded to a pixel of 7 um; over a scan and over a sector such errors average out."""
    subject, scans = eyes[eye]
    out, fovea_x_um = tmp_path / "out", draw_eye(3, subject).fovea_x_um
    place = f"{fovea_x_um / LATERAL_UM + 71.5},{NUM_BSCANS // 2}"
    options = (*SCALE, "--eye", eye, "--first-bscan", "superior", "--fovea", place, "--no-figures", "-q")
    assert retseg("measure", save_masks(scans, tmp_path / "masks"), "-o", out, *options) == (0, "", "")
    profiles, volume = exact_map(scans, eye)
    rows = table(out / "scans.csv")
    assert [(row["scan"], row["bscan"]) for row in rows] == [(f"s01_b{b:02d}_g1", str(b)) for b in range(NUM_BSCANS)]
    found_um = np.array([[float(row[f"{slab.name} (um)"]) for slab in SLABS] for row in rows])
    errors_um = np.abs(found_um - [mean_thickness(profile)[0] for profile in profiles])
    print(f"scan means: mean {errors_um.mean():.2f} um, largest {errors_um.max():.2f} um")
    assert errors_um.mean() < 0.5
    assert errors_um.max() < 7 / 3
    assert {row["scale_source"] for row in rows} == {"user"}
    true = sector_thickness(volume, (fovea_x_um, 0.0))
    found = sectors_of(out / "s01_g1" / "s01_g1_etdrs.csv")
    errors_um = np.array(
        [
            [abs(float(found[slab.name, sector]["mean_um"]) - true.value(slab.name, sector)) for sector in true.sectors]
            for slab in SLABS
        ]
    )
    print(f"ETDRS: mean {errors_um.mean():.2f} um, largest {errors_um.max():.2f} um")
    assert errors_um.mean() < 0.3
    nasal, temporal = (float(found["NFL", f"outer {side}"]["mean_um"]) for side in ("nasal", "temporal"))
    assert nasal > 1.5 * temporal


def test_a_missing_bscan_is_a_gap(eyes, tmp_path, retseg):
    """Of the B-scan at the centre and what lies 250 um beside it nothing is known: of the central circle, its ends."""
    folder = save_masks(eyes["OD"][1], tmp_path / "masks", without=[6])
    assert retseg("measure", folder, "-o", tmp_path / "a", *SCALE, "--fovea", "71.5,6", "--no-figures")[0] == 0
    found = sectors_of(tmp_path / "a" / "s01_g1" / "s01_g1_etdrs.csv")
    assert float(found["INL", "centre"]["covered_share"]) == pytest.approx(0.391, abs=0.01)
    with np.load(tmp_path / "a" / "s01_g1" / "s01_g1_thickness_map.npz") as file:
        assert file["bscans"].tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]
        assert np.diff(file["y_um"]).tolist() == [500] * 5 + [1000] + [500] * 5
    wide = ("--max-gap", "1500")
    assert (
        retseg("measure", folder, "-o", tmp_path / "b", *SCALE, *wide, "--fovea", "71.5,6", "-q", "--no-figures")[0]
        == 0
    )
    found = sectors_of(tmp_path / "b" / "s01_g1" / "s01_g1_etdrs.csv")
    assert float(found["INL", "centre"]["covered_share"]) == 1


def test_slabs_and_grids_that_are_asked_for(folder, tmp_path, retseg):
    options = (*SCALE, "--slab", "NFL:INL", "--grid", "1000,2000:1,3", "--no-figures")
    code, screen, _ = retseg("measure", folder, "-o", tmp_path / "out", *options)
    assert code == 0
    assert "NFL:INL" in screen
    assert "13 of 13" in screen
    assert "(found in GCC)" in screen
    place = tmp_path / "out" / "s01_g1"
    assert {row["grid"] for row in table(place / "s01_g1_etdrs.csv")} == {"custom", "field"}
    (line, *_), (row, *_) = table(place / "s01_b00_g1_thickness.csv"), table(tmp_path / "out" / "scans.csv")
    for found in (line, row):
        parts = [float(found[f"{name} (um)"]) for name in ("NFL", "GCL-IPL", "INL")]
        assert float(found["NFL:INL (um)"]) == pytest.approx(sum(parts), abs=0.02)


def test_pictures_of_a_volume_with_and_without_images(eyes, tmp_path, retseg):
    """Three B-scans; images go with labels by name. Of labels alone there is no picture of the brightness."""
    folder = save_masks(eyes["OD"][1][:3], tmp_path / "masks")
    images = tmp_path / "images"
    images.mkdir()
    for bscan, scan in enumerate(eyes["OD"][1][:3]):
        image = Image.fromarray(np.clip(np.rint(scan.image), 0, 255).astype(np.uint8))
        image.save(images / f"s01_b{bscan:02d}_g1.png")
    out = tmp_path / "out"
    assert retseg("measure", folder, "-o", out, *SCALE, "--slab", "NFL:INL", "-q")[0] == 0
    maps = {path.name for path in (out / "s01_g1").glob("s01_g1_*.png")}
    assert maps == {"s01_g1_thickness_map.png", "s01_g1_thickness_map_NFL-INL.png", "s01_g1_layer_maps.png"}
    assert retseg("measure", folder, "-o", out, *SCALE, "--images", images, "-q")[0] == 0
    assert (out / "s01_g1" / "s01_g1_en_face.png").is_file()
    assert len(list((out / "s01_g1").glob("*_overlay.jpg"))) == 3


def test_a_volume_of_images_gives_its_scale_and_its_places(eyes, folder, tmp_path, retseg):
    """A TIFF called like the labels' volume, of ImageJ's kind, that knows all three sizes."""
    images = np.stack([np.clip(np.rint(scan.image), 0, 255) for scan in eyes["OD"][1]]).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "s01_g1.tif", images, imagej=True, resolution=(1 / LATERAL_UM, 1 / AXIAL_UM),
        metadata={"unit": "um", "spacing": DISTANCE_UM, "axes": "ZYX"},
    )  # fmt: skip
    out = tmp_path / "out"
    assert retseg("measure", folder, "-o", out, "--images", tmp_path / "s01_g1.tif", "-q", "--no-figures")[0] == 0
    assert {row["scale_source"] for row in table(out / "scans.csv")} == {"file header (ImageJ)"}
    (row, *_) = table(out / "s01_g1" / "s01_g1_etdrs.csv")
    assert row["scale_source"] == (
        "depth: file header (ImageJ); columns: file header (ImageJ); distance of B-scans: file header (ImageJ)"
    )


def test_the_nifti_of_retseg_predict_measures_as_its_masks(eyes, folder, tmp_path, retseg):
    """With its scale, which the header knows, and without a B-scan that was not at hand."""
    scans = [
        PredictedScan(
            name=f"s01_b{b:03d}", number=b, image=np.zeros((120, 144), np.uint8), surface_rows=scan.surface_rows,
            row_sd=scan.surface_rows, confidence=np.zeros(144, np.float32), spacing=scan.spacing,
        )
        for b, scan in enumerate(eyes["OD"][1]) if b != 3
    ]  # fmt: skip
    distance = BScanDistance(DISTANCE_UM, "phantom")
    volume = PredictedVolume("s01", folder, tuple(scans), NUM_BSCANS, scans[0].spacing, distance)
    write_volume_files(volume, tmp_path, {"nifti"})
    (folder / "s01_b03_g1.png").unlink()
    assert retseg("measure", folder, "-o", tmp_path / "a", *SCALE, "-q", "--no-figures")[0] == 0
    assert retseg("measure", tmp_path / "s01_mask.nii.gz", "-o", tmp_path / "b", "-q", "--no-figures")[0] == 0
    first, second = (table(tmp_path / name / "scans.csv") for name in ("a", "b"))
    assert [row["scan"] for row in second] == [scan.name for scan in scans]
    assert {row["scale_source"] for row in second} == {"file header"}
    for slab in SLABS:
        name = f"{slab.name} (um)"
        assert [float(row[name]) for row in second] == pytest.approx([float(row[name]) for row in first], abs=0.01)
    assert float(table(tmp_path / "b" / "s01" / "s01_thickness.csv")[0]["known_share"]) == 1


def test_an_unknown_scale_gives_pixels_and_no_map(folder, tmp_path, retseg):
    out = tmp_path / "out"
    code, screen, _ = retseg("measure", folder, "-o", out)
    assert code == 0
    rows = table(out / "scans.csv")
    assert {row["scale_source"] for row in rows} == {"unknown, so pixels"}
    assert not [name for name in rows[0] if name.endswith("(um)")]
    assert "total retina (px)" in rows[0]
    written = [path.name for path in out.rglob("*")]
    assert not [name for name in written if "etdrs" in name or "map" in name], written
    words = " ".join(screen.split())
    assert "unknown, so pixels" in words
    assert "no map" in words


def test_what_it_wrote_measures_the_same(folder, tmp_path, retseg):
    """Surfaces and their scale come back from the folder of an earlier call; only the distance is to be said again."""
    assert retseg("measure", folder, "-o", tmp_path / "a", *SCALE, "-q", "--no-figures")[:2] == (0, "")
    assert (
        retseg("measure", tmp_path / "a", "-o", tmp_path / "b", "--bscan-distance", DISTANCE_UM, "-q", "--no-figures")[
            0
        ]
        == 0
    )
    first, second = (table(tmp_path / name / "scans.csv") for name in ("a", "b"))
    for row in first + second:
        del row["file"], row["seconds"]
    assert first == second


def test_an_earlier_calls_files_go_and_another_commands_stay(folder, tmp_path, retseg):
    out = tmp_path / "out"
    assert retseg("measure", folder, "-o", out, "-q")[0] == 0
    np.save(tmp_path / "scan.npy", np.eye(9, 5, dtype=np.uint8))
    assert retseg("measure", tmp_path / "scan.npy", "-o", out, "-q", "--no-figures")[0] == 0
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == [
        "failures.csv", "run.json", "scan_surfaces.csv", "scan_surfaces.json", "scan_thickness.csv", "scans.csv",
    ]  # fmt: skip
    (out / "run.json").write_text(json.dumps({"command": "retseg predict"}))
    code, _, error = retseg("measure", tmp_path / "scan.npy", "-o", out)
    assert code == 2
    assert "run.json: not of retseg measure; choose another folder with -o" in error
