import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from retseg.bscan import Array
from retseg.inference.scan_figures import ScanFigures, measure_scan


def drawn(height: int = 108, width: int = 96) -> Array:
    """Vitreous of 20, from row 40 on 20 rows of retina of 120, a choroid fading from 100 by 5 a row down to 20."""
    column = np.full(height, 20.0)
    column[40:60] = 120
    column[60:76] = 100 - 5 * np.arange(16)
    return np.repeat(column[:, None], width, axis=1).astype(np.uint8)


def figures_of(image: Array) -> ScanFigures:
    found = measure_scan(image)
    assert found is not None
    return found


def test_a_drawn_scan_has_the_contrast_and_the_shares_that_were_drawn() -> None:
    found = figures_of(drawn())
    assert found.layering == 1
    assert found.top_share == found.bottom_share == found.dark_columns == found.step_px == found.saturated == 0
    # Otsu's threshold lies between 65 and 70: 20 rows of 120 and 7 of 100 to 70 are bright; 72 rows of 20 and 9 of
    # 65 to 25 are dark, on average 22.8.
    assert found.bright_share == 27 / 108
    assert found.dark_level == pytest.approx((72 * 20 + 9 * 45) / 81)
    assert found.contrast == pytest.approx((20 * 120 + 7 * 85) / 27 - found.dark_level)
    assert found.black == 0


def test_upside_down_changes_the_sign_of_fading_() -> None:
    upright, turned = figures_of(drawn()), figures_of(drawn()[::-1].copy())
    assert upright.fading > 0.3
    assert turned.fading == pytest.approx(-upright.fading)
    assert turned.contrast == pytest.approx(upright.contrast)


def test_a_scan_on_its_side_has_no_layering() -> None:
    assert figures_of(drawn(96, 108).T.copy()).layering == 0


def test_retina_at_a_border_is_counted_by_columns() -> None:
    image = drawn()
    image[:40, :24] = 120
    assert figures_of(image).top_share == pytest.approx(24 / 96, abs=0.03)
    image = drawn()
    image[60:, :48] = 120
    assert figures_of(image).bottom_share == pytest.approx(0.5, abs=0.03)


def test_white_padding_at_the_borders_is_neither_saturated_nor_retina() -> None:
    image = drawn()
    for column in range(96):
        image[: 2 + column // 8, column] = 255
        image[108 - column // 16 :, column] = 255
    image[:, 95] = 255
    padded, plain = figures_of(image), figures_of(drawn())
    assert padded.saturated == padded.top_share == padded.bottom_share == 0
    assert padded.contrast == pytest.approx(plain.contrast, rel=0.05)
    assert padded.fading == pytest.approx(plain.fading, abs=0.05)


def test_saturated_and_black_pixels_are_shares_of_the_scan() -> None:
    image = drawn()
    image[45:50, 8:88] = 255
    image[:10] = 0
    found = figures_of(image)
    assert found.saturated == pytest.approx(5 / 108 * 80 / 96)
    assert found.black == pytest.approx(10 / 108)


def test_dark_columns_and_a_jump_are_measured() -> None:
    image = drawn()
    image[:, 30:54] = 20
    assert figures_of(image).dark_columns == pytest.approx(
        24 / 90, abs=0.01
    )  # of the 96, 3 on either side do not count
    image = drawn()
    image[:, 30:60] = np.roll(image[:, 30:60], 12, axis=0)
    assert figures_of(image).step_px == pytest.approx(12, abs=1)


def test_a_slope_is_no_jump() -> None:
    image = drawn(216, 96)
    for column in range(96):
        image[:, column] = np.roll(image[:, column], column)
    assert figures_of(image).step_px < 2


def test_noise_is_the_sd_of_pixels_in_dark_blocks() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (432, 384))
    image = np.repeat(np.repeat(drawn(), 4, axis=0), 4, axis=1) + noise
    found = figures_of(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    # A pixel's own block is in its surroundings: 144 pixels, so the sd found is 0.3 % less.
    assert found.contrast / found.contrast_to_noise == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize(("sd_px", "low", "high"), [(0, 0.9, 1.1), (2, 0, 0.25)])
def test_grain_tells_white_noise_from_smooth_one(sd_px: float, low: float, high: float) -> None:
    noise = gaussian_filter(np.random.default_rng(0).normal(0, 1, (216, 192)), sd_px)
    image = np.full((216, 192), 20.0)
    image[60:160] = 150
    image[70:150] += 30 * (noise / noise.std())[70:150]
    found = figures_of(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    assert low < found.lateral_grain < high


@pytest.mark.parametrize("level", [0, 77, 255])
def test_one_gray_level_has_no_figures(level: int) -> None:
    assert measure_scan(np.full((40, 60), level, np.uint8)) is None


@pytest.mark.parametrize("shape", [(40, 60), (33, 700), (700, 33), (108, 96), (217, 193)])
def test_any_shape_is_measured_and_all_figures_are_numbers(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = figures_of(image)
    values = {name: getattr(found, name) for name in ScanFigures.__slots__ if name != "fading"}
    assert np.isfinite(list(values.values())).all(), values
