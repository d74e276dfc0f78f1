from dataclasses import replace

import cv2
import numpy as np
import pytest

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.transforms import AnnotationCrop, RetinaCrop, crop, normalise, resize
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask, trace_surfaces

KEY = ScanKey(1, "s01", 10)


def scan(height=40, width=60, top=12.0):
    rows = top + 2.0 * np.arange(8)[:, None] + np.zeros(width)
    image = np.random.default_rng(0).integers(0, 256, (height, width)).astype(np.uint8)
    surface_rows = rows.astype(np.float32)
    return BScan(KEY, image, surface_rows, paint_mask(surface_rows, height), None, Spacing(4.0, 10.0, "user"))


def test_normalise_clips_and_divides_by_255():
    assert normalise(np.array([[-5.0, 0, 51, 300]]))[0] == pytest.approx([0, 0, 0.2, 1])


def test_resize_changes_the_spacing_with_the_shape():
    resized = resize(scan(), 80, 30)
    assert resized.shape == (80, 30)
    assert (resized.spacing.axial_um, resized.spacing.lateral_um) == (2.0, 20.0)
    assert resized.spacing.source == "user"


def test_unknown_spacing_stays_unknown():
    bare = BScan(KEY, np.zeros((4, 6), np.uint8))
    assert resize(bare, 8, 3).spacing == Spacing()


def test_resize_equals_opencv():
    before = scan(43, 61)
    after = resize(before, 64, 32)
    image = cv2.resize(before.image.astype(np.float32), (32, 64), interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(before.mask, (32, 64), interpolation=cv2.INTER_NEAREST_EXACT)
    # torch and OpenCV place their sampling points up to 1e-5 px apart
    assert np.allclose(after.image, image, atol=0.05)
    assert np.array_equal(after.mask, mask)


def test_thickness_in_microns_survives_a_resize():
    before = scan()
    after = resize(before, 90, 35)

    def thickness_um(s):
        return (s.surface_rows[7] - s.surface_rows[0]) * s.spacing.axial_um

    assert thickness_um(after) == pytest.approx(thickness_um(before)[0], rel=1e-5)


def test_surfaces_keep_their_place_in_the_field_of_view():
    after = resize(scan(top=12.0), 80, 60)
    assert after.surface_rows[0] == pytest.approx(12 * 2)


@pytest.mark.parametrize("height", [64, 128, 256, 300, 432])
def test_masks_and_surfaces_stay_together_through_a_resize(height):
    tops = np.linspace(40, 60, 50)  # not the same fraction of a pixel everywhere
    before = replace(scan(216, 50), surface_rows=(tops + 18 * np.arange(8)[:, None]).astype(np.float32))
    before = replace(before, mask=paint_mask(before.surface_rows, 216))
    after = resize(before, height, 50)
    off = np.nanmean(trace_surfaces(after.mask) - after.surface_rows, axis=1) * 216 / height
    # Pixels of the scan; with OpenCV's nearest it would be half a new pixel, less half of one of the scan.
    assert off == pytest.approx(0, abs=0.1)


def test_resize_keeps_nan_columns_nan_and_spares_the_others():
    before = scan(width=8)
    before.surface_rows[:, 0] = np.nan
    after = resize(before, 40, 8 * 2)
    assert np.isnan(after.surface_rows[:, :2]).all()
    assert np.isfinite(after.surface_rows[:, 3:]).all()


def test_crop_moves_surfaces_and_keeps_spacing():
    cropped = crop(scan(), 10, 5, 20, 30)
    assert cropped.shape == (20, 30)
    assert cropped.surface_rows[0, 0] == 2
    assert cropped.spacing == scan().spacing
    assert np.array_equal(cropped.mask, scan().mask[10:30, 5:35])


def test_annotation_crop_centres_on_what_is_annotated():
    before = scan(100, 80, top=40.0)
    before.surface_rows[:, :30] = np.nan
    cropped = AnnotationCrop(rows=20, columns=10)(before)
    assert cropped.shape == (20, 10)
    assert np.isfinite(cropped.surface_rows).all()
    assert cropped.surface_rows[0, 0] == 2  # 14 rows from 40 to 54, centred in 20
    assert np.array_equal(cropped.image, before.image[38:58, 50:60])


def test_crop_windows_stay_inside_and_keep_short_axes_whole():
    assert AnnotationCrop(rows=100, columns=10)(scan(40, 60)).shape == (40, 10)
    assert AnnotationCrop(rows=30, columns=500)(scan(40, 60, top=1.0)).surface_rows[0, 0] == 1


def test_retina_crop_finds_the_bright_band_and_ignores_wedges():
    image = np.zeros((400, 20), np.uint8)
    image[200:320] = 90
    image[:60, :] = 255
    cropped = RetinaCrop(rows=216, columns=10)(BScan(KEY, image))
    assert cropped.shape == (216, 10)
    assert (cropped.image == 90).any(axis=1).sum() == 120


def test_a_window_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"data.crop: a window of 0 pixels"):
        AnnotationCrop(rows=0)(scan())


def test_ignored_pixels_stay_ignored_through_a_resize():
    before = scan()
    before.mask[:, :30] = IGNORE
    after = resize(before, 20, 20)
    assert (after.mask[:, :10] == IGNORE).all()
    assert (after.mask[:, 10:] != IGNORE).all()
