import numpy as np
import pytest

from retseg.bscan import Array
from retseg.data.sources.phantom import PhantomSource
from retseg.inference.planted_faults import KINDS, SEVERITIES, plant, plant_en_face


def scan() -> Array:
    source = PhantomSource(num_subjects=1, bscans_per_subject=1, height=108, width=120)
    return source.read(source.keys[0]).image


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_another_picture_by_its_seed_alone_and_leaves_the_scan(kind: str, severity: str) -> None:
    image = scan()
    image.setflags(write=False)
    first = plant(image, kind, np.random.default_rng(1), severity)  # type: ignore[arg-type]
    again = plant(image, kind, np.random.default_rng(1), severity)  # type: ignore[arg-type]
    assert first.image.dtype == np.uint8
    assert first.image.shape == (image.shape[::-1] if kind == "on its side" else image.shape)
    np.testing.assert_array_equal(first.image, again.image)
    changed = first.image.shape != image.shape or (first.image != image).any()
    assert changed or first.colour_share > 0.5


def test_what_is_turned_is_turned() -> None:
    image, rng = scan(), np.random.default_rng(0)
    np.testing.assert_array_equal(plant(image, "upside down", rng).image, image[::-1])
    np.testing.assert_array_equal(plant(image, "on its side", rng).image, image.T)
    np.testing.assert_array_equal(plant(image, "colour picture", rng).image, image)


def test_what_is_clipped_is_clipped() -> None:
    image, rng = scan(), np.random.default_rng(0)
    assert (plant(image, "saturated", rng).image == np.minimum(image.astype(int) * 5, 255)).all()
    assert (plant(image, "clipped dark", rng).image == np.maximum(image.astype(int) - 100, 0)).all()


def test_gross_is_more_than_slight() -> None:
    image, rng = scan(), np.random.default_rng(0)

    def change(kind: str, severity: str) -> float:
        return float(np.abs(plant(image, kind, rng, severity).image.astype(int) - image).mean())  # type: ignore[arg-type]

    for kind in ("low contrast", "weak signal", "noise", "saturated", "clipped dark", "blink", "blurred"):
        assert change(kind, "gross") > change(kind, "slight"), kind


def test_blink_takes_its_share_of_the_columns() -> None:
    image = scan()
    planted = plant(image, "blink", np.random.default_rng(0)).image
    assert (planted != image).any(axis=0).sum() == round(0.4 * image.shape[1])


def test_a_folded_scan_shows_its_cut_off_part_upside_down() -> None:
    image = np.zeros((40, 30), np.uint8)
    image[20] = 100  # one bright line, blurred by nothing; rows 18..22 are bright when smoothed
    image[30] = 200
    planted = plant(image, "folded at the top", np.random.default_rng(0)).image
    moved = 30 - int(np.flatnonzero((planted == 200).all(axis=1))[0])
    assert moved > 20
    assert (planted[moved - 1 - 20] >= 100).all()  # depth -z appears at depth z: row 20 was moved - 20 above the top


def test_padding_is_no_part_of_the_scan() -> None:
    image = scan()
    image[:10, :50] = 255
    planted = plant(image, "low contrast", np.random.default_rng(0)).image
    assert (planted[:10, :50] == 255).all()
    assert planted[10:].max() < 150
    assert (plant(image, "cut at the top", np.random.default_rng(0)).image < 255).all()


def test_en_face_pictures_are_means_and_single_depths() -> None:
    volume = np.zeros((4, 20, 6))
    volume[:] = np.arange(20)[:, None]
    volume[1] += 100
    projection = plant_en_face(volume, np.random.default_rng(0), is_projection=True)
    assert projection.image.tolist() == [[10] * 6, [110] * 6, [10] * 6, [10] * 6]
    plane = plant_en_face(volume, np.random.default_rng(0), is_projection=False)
    assert plane.image.shape == (4, 6)
    assert 5 <= plane.image[0, 0] < 15
