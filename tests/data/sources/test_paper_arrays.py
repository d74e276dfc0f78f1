"""The reader of the paper's pair of arrays, on small ones."""

import pickle

import numpy as np
import pytest

from retseg.bscan import ScanKey, Spacing
from retseg.data.sources.paper_arrays import PaperArraysSource
from retseg.errors import InputError

IMAGES, LABELS = "resized_images.npy", "resized_labeledimages.npy"


def write(folder, images, labels):
    np.save(folder / IMAGES, images)
    np.save(folder / LABELS, labels)


def arrays(num_scans=220, image_dtype=np.int64, label_dtype=np.float64):
    """Scans of 4 x 6 pixels whose gray levels start at their index, and class ids 0..7 in turn."""
    images = np.arange(num_scans)[:, None, None] + np.arange(24).reshape(4, 6)
    labels = np.broadcast_to(np.arange(24).reshape(4, 6) % 8, images.shape)
    return images.astype(image_dtype), labels.astype(label_dtype)


def test_index_to_key_is_the_order_of_the_arrays(tmp_path):
    write(tmp_path, *arrays())
    keys = PaperArraysSource(tmp_path).keys
    assert len(keys) == 220
    assert keys == tuple(sorted(keys))
    assert keys[0] == ScanKey(1, "s01", 10)
    assert keys[10] == ScanKey(1, "s01", 50)
    assert keys[15] == ScanKey(1, "s02", 28)  # the manual mask of array index 15 is called s02_b28
    assert keys[132] == ScanKey(2, "s03", 10)  # and that of 132 s03_b10
    assert all(keys[i].scan_name == keys[i + 110].scan_name for i in range(110))


@pytest.mark.parametrize("image_dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("label_dtype", [np.int8, np.uint16, np.int64, np.float64])
def test_any_real_type_reads_the_same(tmp_path, image_dtype, label_dtype):
    write(tmp_path, *arrays(22, image_dtype, label_dtype))
    source = PaperArraysSource(tmp_path)
    scan = source.read(source.keys[13])
    assert (scan.image.dtype, scan.mask.dtype) == (np.uint8, np.int8)
    assert scan.image[0].tolist() == [13, 14, 15, 16, 17, 18]
    assert scan.mask[1].tolist() == [6, 7, 0, 1, 2, 3]
    assert scan.surface_rows is None
    assert scan.fluid is None


def test_what_is_read_is_no_view_of_the_file(tmp_path):
    write(tmp_path, *arrays(11, np.uint8, np.int8))
    source = PaperArraysSource(tmp_path)
    scan = source.read(source.keys[0])
    scan.image[:] = 5
    scan.mask[:] = 5
    again = source.read(source.keys[0])
    assert (again.image[0, 0], again.mask[0, 0]) == (0, 0)


def test_ignore_label_is_kept(tmp_path):
    images, labels = arrays(11)
    labels[2, 3, 5] = -1
    write(tmp_path, images, labels)
    source = PaperArraysSource(tmp_path)
    assert source.read(source.keys[2]).mask[3, 5] == -1


def test_pixel_size_is_known_at_the_papers_size_alone(tmp_path):
    write(tmp_path, *arrays(11))
    source = PaperArraysSource(tmp_path)
    assert source.read(source.keys[0]).spacing == Spacing(source="unknown: (4, 6) is not the paper's 216 x 500")
    assert source.notices == (f"{tmp_path}: arrays (11, 4, 6), the paper's are (220, 216, 500); pixel size unknown",)
    write(tmp_path, np.zeros((1, 216, 500), np.uint8), np.zeros((1, 216, 500), np.int8))
    spacing = PaperArraysSource(tmp_path).spacing
    assert (spacing.axial_um, spacing.lateral_um) == (3.87, 11.33)
    assert "if the arrays are an unscaled crop (CVIP 2018)" in spacing.source


def test_pickled_source_carries_no_pixels(tmp_path):
    write(tmp_path, *arrays())
    source = PaperArraysSource(tmp_path)
    source.read(source.keys[0])
    packed = pickle.dumps(source)
    assert len(packed) < 16_000  # the arrays are 42 kB each
    np.testing.assert_array_equal(pickle.loads(packed).read(source.keys[7]).image, source.read(source.keys[7]).image)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (8.0, "label 8.0"),
        (-2.0, "label -2.0"),
        (2.5, "label 2.5"),
        (np.nan, "label nan"),
        (np.inf, "label inf"),
        (1e300, r"label 1e\+300"),
    ],
)
def test_wrong_label(tmp_path, label, said):
    images, labels = arrays(22)
    labels[13, 2, 4] = label
    write(tmp_path, images, labels)
    source = PaperArraysSource(tmp_path)
    source.read(source.keys[12])
    where = f"^{tmp_path / LABELS}, index 13: {said} at row 2, column 4, expected a whole number 0..7, or -1"
    with pytest.raises(InputError, match=where):
        source.read(source.keys[13])


@pytest.mark.parametrize(("level", "said"), [(np.nan, "nan at row 2, column 4"), (300.0, r"values 1.0..300.0")])
def test_wrong_gray_level(tmp_path, level, said):
    images, labels = arrays(11, np.float64)
    images[1, 2, 4] = level
    write(tmp_path, images, labels)
    source = PaperArraysSource(tmp_path)
    with pytest.raises(InputError, match=f"^{tmp_path / IMAGES}, index 1: {said}, expected gray levels 0..255"):
        source.read(source.keys[1])


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.ones((3, 4, 6)), np.ones((3, 4, 5)), r"\(3, 4, 6\) and .* \(3, 4, 5\), expected one shape"),
        (np.ones((4, 6)), np.ones((4, 6)), r"\(4, 6\), expected \(N, H, W\) with 1 to 220 scans"),
        (np.ones((221, 4, 6)), np.ones((221, 4, 6)), r"\(221, 4, 6\), expected \(N, H, W\) with 1 to 220 scans"),
        (np.ones((0, 4, 6)), np.ones((0, 4, 6)), r"\(0, 4, 6\), expected \(N, H, W\) with 1 to 220 scans"),
        (np.ones((3, 4, 6), complex), np.ones((3, 4, 6)), r"of type complex128, expected an array of real numbers"),
        (np.full((3, 4, 6), "a"), np.ones((3, 4, 6)), r"of type <U1, expected an array of real numbers"),
    ],
)
def test_arrays_of_a_wrong_shape_or_kind(tmp_path, images, labels, said):
    write(tmp_path, images, labels)
    with pytest.raises(InputError, match=said):
        PaperArraysSource(tmp_path)


def test_pickled_objects_are_never_loaded(tmp_path):
    write(tmp_path, np.array([None], object), np.ones((1, 4, 6)))
    with pytest.raises(InputError, match=f"^{tmp_path / IMAGES}: not a whole .npy array of numbers"):
        PaperArraysSource(tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_array(tmp_path, content):
    write(tmp_path, *arrays(11))
    (tmp_path / LABELS).write_bytes(content)
    with pytest.raises(InputError, match=f"^{tmp_path / LABELS}: not a whole .npy array of numbers .*; get it again$"):
        PaperArraysSource(tmp_path)


def test_truncated_array(tmp_path):
    write(tmp_path, *arrays(11))
    (tmp_path / LABELS).write_bytes((tmp_path / LABELS).read_bytes()[:-8])
    with pytest.raises(InputError, match=r"not a whole .npy array"):
        PaperArraysSource(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path / IMAGES}: no such file; data.root is the folder of .*phantom$"):
        PaperArraysSource(tmp_path)


def test_unknown_key(tmp_path):
    write(tmp_path, *arrays(11))
    with pytest.raises(InputError, match="no B-scan s02_b10_g1 among its 11"):
        PaperArraysSource(tmp_path).read(ScanKey(1, "s02", 10))
