from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.inference.predictor import Member, ScanPredictor, View
from tests.inference.drawn import draw, network, surfaces

UM = Spacing(4.0, 12.0, "user")
SHAPES = [(40, 48, 5), (64, 130, 12), (97, 61, 30)]


def predictor(*views: View, **given: object) -> ScanPredictor:
    return ScanPredictor(tuple(Member(network(**given), view) for view in views or (View(),)))


@pytest.mark.parametrize(("height", "width", "first_row"), SHAPES)
def test_surfaces_of_any_size_come_back_on_the_scans_own_rows(height: int, width: int, first_row: float):
    rows = surfaces(width, first_row)
    found = predictor().answer(draw(rows, height), UM)
    assert found.rows.shape == (8, width)
    np.testing.assert_allclose(found.rows, rows, atol=0.51)


def test_pixels_of_another_size_are_seen_at_the_training_scale():
    rows = surfaces(192, first_row=30, thickness=6)
    found = predictor().answer(draw(rows, 120), Spacing(2.0, 6.0, "user"))
    np.testing.assert_allclose(found.rows, rows, atol=0.75)


def test_a_network_of_any_scale_finds_the_scale_of_a_scan_by_itself():
    rows = surfaces(96, first_row=70, thickness=5)
    image = draw(rows, 190)
    found = predictor(is_of_any_scale=True).answer(image, Spacing())
    np.testing.assert_allclose(found.rows, rows, atol=1.0)
    whole = predictor(training_shape=(190, 96)).answer(image, Spacing())
    assert np.abs(found.rows - rows).max() < np.abs(whole.rows - rows).max()


def test_a_network_without_a_size_takes_any():
    rows = surfaces(70, first_row=10)
    found = predictor(size=None, training_shape=None).answer(draw(rows, 45), Spacing())
    np.testing.assert_allclose(found.rows, rows, atol=0.51)


def test_surfaces_never_cross():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (61, 119), dtype=np.uint8)
    found = predictor(View(), View(is_mirrored=True), View(shift=0.1)).answer(noise, UM).rows
    known = found[:, np.isfinite(found[0])]
    assert known.shape[1] > 100
    assert (np.diff(known, axis=0) >= 0).all()


@pytest.mark.parametrize("view", [View(is_mirrored=True), View(shift=0.1), View(shift=-0.1)])
def test_every_view_says_the_same_of_a_clear_scan(view: View):
    image = draw(surfaces(130, 20, slope=0.05), 80)
    plain, other = predictor().answer(image, UM), predictor(view).answer(image, UM)
    np.testing.assert_allclose(other.rows, plain.rows, atol=0.35)


def test_gain_changes_what_is_seen():
    image = draw(surfaces(48), 40)
    plain, bright = predictor().answer(image, UM), predictor(View(gain=1.3)).answer(image, UM)
    assert not np.allclose(bright.rows, plain.rows, equal_nan=True)


def test_a_retina_cut_by_its_window_is_looked_at_again():
    # A bright band low in the scan draws the window down, away from the retina's top.
    rows = surfaces(48, first_row=30, thickness=3)
    image = draw(rows, 160)
    image[66:90] = 20
    found = predictor().answer(image, UM)
    np.testing.assert_allclose(found.rows, rows, atol=0.51)


def test_a_scan_without_retina_has_no_surfaces():
    found = predictor().answer(np.zeros((60, 70), np.uint8), UM)
    assert np.isnan(found.rows).all()
    assert np.isnan(found.confidence).all()


def test_probabilities_come_back_on_the_scans_pixels():
    rows = surfaces(130, 20)
    found = ScanPredictor((Member(network()),), keep_probabilities=True).answer(draw(rows, 64), UM)
    assert found.probabilities is not None
    assert found.probabilities.shape == (8, 64, 130)
    np.testing.assert_allclose(found.probabilities.sum(axis=0, dtype=np.float32), 1, atol=4e-3)
    assert (found.probabilities.argmax(axis=0) == draw(rows, 64) // 28).mean() > 0.97


def test_threads_do_not_change_the_answer():
    images = [draw(surfaces(90, 10 + number), 70) for number in range(6)]
    alone = [predictor().answer(image, UM).rows for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: predictor().answer(image, UM).rows, images))
    np.testing.assert_array_equal(np.stack(together), np.stack(alone))


def test_notices_and_windows_are_told():
    assert predictor().notices((100, 300), UM) == ()
    assert "pixel size is not known" in predictor().notices((100, 300), Spacing())[0]
    assert predictor(View(), View(is_mirrored=True)).num_windows((40, 48), UM) == 2
    assert predictor().num_windows((40, 77), UM) == 3
