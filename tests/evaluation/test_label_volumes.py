"""Labels of whole volumes in one file, written by numpy, Pillow, tifffile and nibabel."""

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.evaluation.label_volumes import label_paths, read_label_volume
from retseg.evaluation.labelling import Labelling

DEPTHS = (0, 2, 1, 4, 3)


@pytest.fixture
def masks():
    """(B 5, H 12, W 9): the retina of every layer one row thick, at another depth in each B-scan."""
    column = np.zeros((12, 9), np.uint8)
    column[1:8] = np.arange(1, 8)[:, None]
    masks = np.stack([np.roll(column, depth, axis=0) for depth in DEPTHS])
    masks[:, :, 6:] = np.roll(masks[:, :, 6:], 1, axis=1)
    return masks


def as_read(path):
    return np.stack([labels.mask for labels in read_label_volume(path).scans])


@pytest.mark.parametrize("ending", ["npy", "npz", "tif", "nii", "nii.gz", "pil.tiff"])
def test_a_volume_of_masks_in_one_file(tmp_path, masks, ending):
    path = tmp_path / f"scan.{ending}"
    if ending == "npy":
        np.save(path, masks)
    elif ending == "npz":
        np.savez(path, mask=masks)
    elif ending == "tif":
        tifffile.imwrite(path, masks, photometric="minisblack")
    elif ending == "pil.tiff":
        pages = [Image.fromarray(mask) for mask in masks]
        pages[0].save(path, save_all=True, append_images=pages[1:])
    else:
        nibabel.Nifti1Image(masks.transpose(2, 0, 1), np.eye(4)).to_filename(path)
    volume = read_label_volume(path)
    assert volume.is_volume
    assert (np.stack([labels.mask for labels in volume.scans]) == masks).all()
    assert [labels.spacing for labels in volume.scans] == [None] * len(masks)
    assert volume.distance_um is None


def test_surfaces_of_a_volume(tmp_path, masks):
    rows = np.stack([Labelling.from_mask(mask).surface_rows for mask in masks])
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "rows.npz", surface_rows=rows, spacing_um=[4.0, np.nan], spacing_source="file header")
    for name in ("rows.npy", "rows.npz"):
        found = read_label_volume(tmp_path / name)
        assert (np.stack([labels.surface_rows for labels in found.scans]) == rows).all()
    assert {labels.spacing for labels in found.scans} == {Spacing(4.0, None, "file header")}


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1e-3), ("micron", 1.0)])
def test_voxels_are_a_scale_where_their_unit_is_said(tmp_path, masks, unit, factor):
    image = nibabel.Nifti1Image(masks.transpose(2, 0, 1), np.diag([11 * factor, 250 * factor, 4 * factor, 1]))
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "scan.nii")
    volume = read_label_volume(tmp_path / "scan.nii")
    spacing = volume.scans[3].spacing
    assert (spacing.axial_um, spacing.lateral_um, volume.distance_um) == pytest.approx((4, 11, 250), rel=1e-6)
    assert spacing.source == "file header"


def test_voxels_in_no_unit_are_no_scale(tmp_path, masks):
    nibabel.Nifti1Image(masks.transpose(2, 0, 1), np.diag([11, 250, 4, 1])).to_filename(tmp_path / "scan.nii")
    volume = read_label_volume(tmp_path / "scan.nii")
    assert volume.scans[0].spacing is None
    assert volume.notices == ("voxels of 11, 250, 4 in no unit: not taken as a scale",)


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("step", [1, -1])
def test_the_axes_of_a_nifti_file_are_seen_on_its_layers(tmp_path, masks, is_swapped, step):
    voxels = masks[:, ::step].transpose((2, 1, 0) if is_swapped else (2, 0, 1))
    image = nibabel.Nifti1Image(voxels, np.diag([0.011, *((0.004, 0.25) if is_swapped else (0.25, 0.004)), 1]))
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / "scan.nii")
    volume = read_label_volume(tmp_path / "scan.nii")
    assert (np.stack([labels.mask for labels in volume.scans]) == masks).all()
    assert (volume.scans[0].spacing.axial_um, volume.distance_um) == pytest.approx((4, 250), rel=1e-6)
    words = " ".join(volume.notices)
    assert ("axes are columns, rows, B-scans in the file" in words) == is_swapped
    assert ("rows run upwards" in words) == (step == -1)


def test_planes_that_were_not_looked_at_are_missing_bscans(tmp_path, masks):
    masks[1:3] = 255
    nibabel.Nifti1Image(masks.transpose(2, 0, 1), np.eye(4)).to_filename(tmp_path / "scan.nii.gz")
    volume = read_label_volume(tmp_path / "scan.nii.gz")
    assert volume.numbers == (0, 3, 4)
    assert (np.stack([labels.mask for labels in volume.scans]) == masks[[0, 3, 4]]).all()


def test_a_tiff_of_known_scale(tmp_path, masks):
    resolution = (1 / 11, 1 / 4)
    tifffile.imwrite(
        tmp_path / "scan.tif", masks, imagej=True, resolution=resolution,
        metadata={"unit": "um", "spacing": 250.0, "axes": "ZYX"},
    )  # fmt: skip
    volume = read_label_volume(tmp_path / "scan.tif")
    spacing = volume.scans[0].spacing
    assert (spacing.axial_um, spacing.lateral_um, volume.distance_um) == pytest.approx((4, 11, 250), rel=1e-3)


@pytest.mark.parametrize(("axes", "named"), [((1, 0, 2), "B-scans"), ((0, 2, 1), "columns")])
def test_exchanged_axes_are_refused(tmp_path, masks, axes, named):
    np.save(tmp_path / "scan.npy", masks.transpose(axes))
    with pytest.raises(InputError, match=f"layers lie on each other along its axis of {named}, not of rows"):
        read_label_volume(tmp_path / "scan.npy")


def test_a_label_that_is_no_class_is_named_with_its_bscan(tmp_path, masks):
    masks[2, 5, 4] = 9
    np.save(tmp_path / "scan.npy", masks)
    with pytest.raises(InputError, match=r"scan\.npy, B-scan 2: label 9 at row 5, column 4, expected 0..7"):
        read_label_volume(tmp_path / "scan.npy")


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "tif"])
def test_a_damaged_file_is_one_line(tmp_path, ending):
    path = tmp_path / f"scan.{ending}"
    path.write_bytes(b"no such thing")
    with pytest.raises(InputError, match=rf"scan\.{ending}: not a whole") as error:
        read_label_volume(path)
    assert "\n" not in str(error.value)


def test_files_are_found_below_a_folder_in_natural_order(tmp_path):
    for name in ("eye/b10.nii.gz", "eye/b2.png", "a.csv", ".hidden/b.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in label_paths(tmp_path)] == [
        "a.csv", "eye/b2.png", "eye/b10.nii.gz",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no file of labels below it; expected masks or surfaces \(\.npz"):
        label_paths(tmp_path / "empty")
