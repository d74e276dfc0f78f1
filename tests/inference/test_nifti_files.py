"""NIfTI files read back by nibabel: every pixel at its place in the head, nothing made up between B-scans."""

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from retseg.anatomy import CLASSES
from retseg.bscan import Spacing
from retseg.evaluation.label_volumes import read_label_volume
from retseg.geometry.volume_map import BScanDistance
from retseg.inference import nifti_files
from retseg.inference.nifti_files import NOT_LOOKED_AT, affine_mm, write_nifti
from retseg.inference.predicted import PredictedScan, PredictedVolume
from tests.inference.drawn import draw, surfaces

UM = Spacing(4.0, 12.0, "file header")
HEIGHT, WIDTH = 40, 50


def volume(numbers=(0, 1, 2), num_bscans: int = 3, spacing: Spacing = UM, **given) -> PredictedVolume:
    """B-scans of 50 columns, 120 um apart; the retina lies deeper from scan to scan."""
    scans = []
    for number in numbers:
        rows = surfaces(WIDTH, 5.0 + number, 3.0, 0.05)
        scans.append(PredictedScan(f"eye_b{number}", number, draw(rows, HEIGHT), rows, 0 * rows, 0 * rows[0], spacing))
    fields = {"distance": BScanDistance(120.0, "user"), "eye": "OD", "first_bscan": "inferior"} | given
    return PredictedVolume("eye", Path("eye.mat"), tuple(scans), num_bscans, spacing, **fields)


def written(made: PredictedVolume, folder: Path) -> list[str]:
    """Write into a folder; the notices."""
    return write_nifti(made, lambda ending: folder / f"eye{ending}")


def test_masks_and_images_come_back_voxel_by_voxel(tmp_path: Path):
    made = volume()
    assert written(made, tmp_path) == []
    mask, image = (nibabel.load(tmp_path / f"eye_{kind}.nii.gz") for kind in ("mask", "image"))
    assert mask.shape == image.shape == (WIDTH, 3, HEIGHT)
    assert mask.get_data_dtype() == image.get_data_dtype() == np.uint8
    for scan in made.scans:
        np.testing.assert_array_equal(np.asarray(mask.dataobj)[:, scan.number].T, scan.mask)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[:, scan.number].T, scan.image)
    assert mask.header.get_xyzt_units()[0] == "mm"
    assert mask.header.get_zooms() == pytest.approx((0.012, 0.12, 0.004))
    np.testing.assert_allclose(mask.get_qform(), mask.get_sform(), atol=1e-6)
    description = bytes(mask.header["descrip"].item()).decode()
    assert description == "retseg; OD; first B-scan inferior; scale file header"


@pytest.mark.parametrize("eye", ["OD", "OS", None])
@pytest.mark.parametrize(("first_bscan", "up"), [("inferior", "S"), ("superior", "I"), (None, "I")])
def test_columns_run_to_the_patients_left_bscans_as_said_and_rows_backwards(eye, first_bscan, up):
    """In either eye: the nose is right of a right eye and left of a left one, as a fundus is seen from the front."""
    affine = affine_mm(volume(eye=eye, first_bscan=first_bscan))
    assert nibabel.aff2axcodes(affine) == ("L", up, "P")
    middle = affine @ [(WIDTH - 1) / 2, 1, 0, 1]
    np.testing.assert_allclose(middle, [0, 0, 0, 1], atol=1e-12)
    step = affine @ [10, 0, 0, 0]
    np.testing.assert_allclose(step, [-0.12, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(affine @ [0, 0, 10, 0], [0, -0.04, 0, 0], atol=1e-12)


def test_in_the_radiological_manner_bscans_stand_upright_and_the_fundus_is_as_seen(tmp_path: Path):
    """As ITK-SNAP shows it: left of the patient on the right, anterior on top of axial, superior of coronal slices."""
    made = volume(first_bscan="inferior")
    written(made, tmp_path)
    image = nibabel.as_closest_canonical(nibabel.load(tmp_path / "eye_image.nii.gz"))  # to right, anterior, superior
    right_anterior_superior = np.asarray(image.dataobj)
    axial = right_anterior_superior[::-1, ::-1, 1].T
    np.testing.assert_array_equal(axial, made.scans[1].image)
    coronal = right_anterior_superior[::-1, HEIGHT - 1 - 10, ::-1].T
    np.testing.assert_array_equal(coronal, np.stack([scan.image[10] for scan in made.scans[::-1]]))


def test_missing_bscans_keep_their_planes_and_are_not_made_up(tmp_path: Path):
    notices = written(volume((1, 4), 6), tmp_path)
    assert notices == ["NIfTI: 4 of 6 B-scans were not at hand, 255 in the mask there"]
    mask, image = (np.asarray(nibabel.load(tmp_path / f"eye_{kind}.nii.gz").dataobj) for kind in ("mask", "image"))
    for number in range(6):
        is_at_hand = number in (1, 4)
        assert (mask[:, number] == NOT_LOOKED_AT).all() != is_at_hand
        assert (image[:, number] == 0).all() != is_at_hand


def test_the_mask_comes_back_by_the_reader_of_labels(tmp_path: Path):
    made = volume((1, 4), 6)
    written(made, tmp_path)
    found = read_label_volume(tmp_path / "eye_mask.nii.gz")
    assert found.numbers == (1, 4)
    assert found.distance_um == pytest.approx(120)
    for labels, scan in zip(found.scans, made.scans, strict=True):
        np.testing.assert_array_equal(labels.mask, scan.mask)
        assert (labels.spacing.axial_um, labels.spacing.lateral_um) == pytest.approx((4, 12))


@pytest.mark.parametrize(
    "given", [{"spacing": Spacing()}, {"spacing": Spacing(None, 12.0, "user")}, {"distance": None}]
)
def test_an_unknown_size_gives_voxels_of_1_in_no_unit(tmp_path: Path, given):
    notices = written(volume(**given), tmp_path)
    assert notices == ["NIfTI: voxels of size 1, unit unknown: not all of rows, columns and B-scans have a known size"]
    header = nibabel.load(tmp_path / "eye_image.nii.gz").header
    assert header.get_zooms() == (1, 1, 1)
    assert header.get_xyzt_units()[0] == "unknown"
    assert b"scale unknown: px" in bytes(header["descrip"].item())


def test_no_box_no_file(tmp_path: Path, monkeypatch):
    made = volume()
    odd = replace(made.scans[0], image=made.scans[0].image[:-1])
    assert written(replace(made, scans=(odd, *made.scans[1:])), tmp_path) == ["no NIfTI: the B-scans differ in size"]
    assert written(volume(is_raster=False), tmp_path)[0].startswith("no NIfTI: the B-scans are not parallel")
    monkeypatch.setattr(nifti_files, "MOST_PLANES", 2)
    assert written(made, tmp_path) == ["no NIfTI: 3 B-scans, at most 2 are put into one file"]
    assert not list(tmp_path.iterdir())


def test_a_single_picture_is_a_box_of_one_plane(tmp_path: Path):
    written(volume((0,), 1, is_raster=False), tmp_path)
    assert nibabel.load(tmp_path / "eye_mask.nii.gz").shape == (WIDTH, 1, HEIGHT)


def test_the_same_volume_gives_the_same_bytes(tmp_path: Path):
    files = []
    for _ in range(2):
        written(volume(), tmp_path)
        files.append((tmp_path / "eye_image.nii.gz").read_bytes())
    assert files[0] == files[1]
    assert files[0][4:8] == bytes(4)  # no time of day in its gzip header
    assert len(gzip.decompress(files[0])) == 352 + 3 * WIDTH * HEIGHT


def test_labels_are_named_and_coloured_for_itk_snap(tmp_path: Path):
    written(volume(), tmp_path)
    lines = (tmp_path / "eye_labels.txt").read_text().splitlines()[1:]
    assert len(lines) == len(CLASSES) + 1
    for line, layer in zip(lines, CLASSES, strict=False):
        numbers, name, end = line.split('"')
        values = [int(value) for value in numbers.split()]
        assert (values[0], tuple(values[1:4]), name, end) == (layer.id, layer.colour, layer.name, "")
        assert values[4:] == [int(layer.id > 0)] * 3
    assert lines[-1].split()[0] == str(NOT_LOOKED_AT)
