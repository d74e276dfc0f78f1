"""What `retseg measure LABELS` says of labels that break a rule: findings, failures, and refusals of one line."""

import csv

import numpy as np
import pytest
from PIL import Image

SCALE = ("--spacing", "4,11", "--bscan-distance", "250")
NUM_BSCANS = 5


def table(path):
    """Rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ordered_mask():
    """Class ids (12, 9): the retina of every layer one row thick."""
    mask = np.zeros((12, 9), np.uint8)
    mask[2:9] = np.arange(1, 8)[:, None]
    return mask


@pytest.fixture
def folder(tmp_path):
    """Masks of five B-scans of a volume."""
    (tmp_path / "masks").mkdir()
    for bscan in range(NUM_BSCANS):
        Image.fromarray(ordered_mask()).save(tmp_path / "masks" / f"s01_b{bscan:02d}_g1.png")
    return tmp_path / "masks"


def test_layers_out_of_order_are_counted(tmp_path, retseg):
    mask = ordered_mask()
    mask[9, 4:6] = 1
    mask[10, 0] = 7
    np.save(tmp_path / "scan.npy", mask)
    code, screen, _ = retseg("measure", tmp_path / "scan.npy", "-o", tmp_path / "out")
    assert code == 0
    words = "layers out of order in 2 of 9 columns, read there as if sorted"
    assert words in screen
    assert (tmp_path / "out" / "scan_thickness.png").is_file()
    assert (tmp_path / "out" / "scan_thickness.pdf").is_file()
    (row,) = table(tmp_path / "out" / "scans.csv")
    assert (row["verdict"], row["rules"]) == ("check", "order hole")
    hole = "background between layers in 1 of 9 columns: it counts in no layer's thickness"
    assert row["reasons"] == f"check: {words} by depth; check: {hole}"
    assert float(row["OS-RPE (px)"]) == pytest.approx(10 / 9, abs=1e-3)
    assert float(row["total retina (px)"]) == pytest.approx(66 / 9, abs=1e-3)
    # Sorted, the two columns have one NFL pixel more: 9 columns of 1 px and 2 of them 2.
    assert float(row["NFL (px)"]) == pytest.approx(11 / 9, abs=1e-3)


def test_surfaces_that_cross_are_counted_and_have_no_thickness(tmp_path, retseg):
    rows = np.arange(8.0)[:, None] + np.zeros(5)
    rows[2, 3] = 0.5
    np.save(tmp_path / "scan.npy", rows)
    code, screen, _ = retseg("measure", tmp_path / "scan.npy", "-o", tmp_path / "out")
    assert code == 0
    assert "surfaces cross in 1 of 5 columns" in screen
    along = table(tmp_path / "out" / "scan_thickness.csv")
    assert [line["GCL-IPL (px)"] for line in along] == ["1.00", "1.00", "1.00", "", "1.00"]


def test_a_file_that_cannot_be_read_stops_no_other(folder, tmp_path, retseg):
    (folder / "s01_b03_g1.png").write_bytes(b"damaged")
    code, screen, _ = retseg("measure", folder, "-o", tmp_path / "out", "--no-figures")
    assert code == 1
    (failure,) = table(tmp_path / "out" / "failures.csv")
    assert failure["scan"] == "s01_b03_g1"
    assert "s01_b03_g1.png: not a whole image" in failure["reason"]
    assert len(table(tmp_path / "out" / "scans.csv")) == NUM_BSCANS - 1
    assert "failed: s01_b03_g1" in screen


def narrower(folder):
    Image.fromarray(np.zeros((12, 5), np.uint8)).save(folder / "s01_b04_g1.png")


def shorter(folder):
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(folder / "s01_b04_g1.png")


def twice(folder):
    Image.fromarray(np.zeros((12, 9), np.uint8)).save(folder / "s01_b4_g1.tif")


def several(folder):
    np.save(folder / "s01_b10_g1.npy", np.zeros((2, 12, 9), np.uint8))


def nothing(folder):
    for path in folder.iterdir():
        path.unlink()


def damaged(folder):
    for path in folder.iterdir():
        path.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("spoil", "options", "message"),
    [
        (narrower, (), "s01_b04_g1.png: 5 columns, but {}/s01_b00_g1.png of the same volume has 9; the B-scans of"),
        (shorter, (), "s01_b04_g1.png: 6 rows, but {}/s01_b00_g1.png of the same volume has 12; the B-scans of"),
        (twice, (), "s01_b4_g1.tif: B-scan 4 of s01_g1, as {}/s01_b04_g1.png is; keep one file a B-scan"),
        (nothing, (), "no file of labels below it; expected masks or surfaces (.npz"),
        (damaged, (), "s01_b00_g1.png: not a whole image"),
        (None, ("--volumes-by", "("), "--volumes-by (: no regular expression"),
        (None, ("--volumes-by", "(?P<volume>x)(?P<bscan>.)"), "is not in s01_b00_g1; change it"),
        (None, (*SCALE, "--fovea", "20,4"), "--fovea 20,4: outside s01_g1, which has columns 0 to 8 and B-scans 0"),
        (None, ("--fovea", "here"), "--fovea here: expected COLUMN,BSCAN"),
        (None, ("--slab", "cornea"), "'cornea' is no layer or sum of layers"),
        (None, ("--grid", "circle"), "--grid circle: expected ETDRS, quadrants, hemifields, or RADII:SECTORS"),
        (None, ("--grid", "9,5:1,1"), "grid: radii [9.0, 5.0] um, expected positive and increasing numbers"),
        (None, ("--bscan-distance", "0"), "--bscan-distance 0: expected a positive distance in um"),
        (None, ("--max-gap", "-1"), "--max-gap -1: expected a positive distance in um"),
        (None, ("--images", "nowhere"), "nowhere: no such file or folder"),
        (None, ("--second", "nowhere"), "--second: of scores alone: name TRUTH after LABELS"),
    ],
)
def test_bad_inputs_are_one_line_and_exit_code_2(folder, tmp_path, retseg, spoil, options, message):
    if spoil is not None:
        spoil(folder)
    code, _, error = retseg("measure", folder, "-o", tmp_path / "out", *options)
    assert code == 2
    assert message.format(folder) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_options_of_thickness_are_refused_beside_truth(folder, retseg):
    code, _, error = retseg("measure", folder, folder, "--eye", "OD")
    assert (code, error) == (2, "retseg: --eye: of thickness alone: leave TRUTH out\n")
