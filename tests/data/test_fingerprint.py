import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retseg.data.fingerprint import (
    COLUMNS,
    COPY_SIMILARITY,
    ROWS,
    fingerprint,
    least_similarities,
    pixels_sha256,
    similarities,
)
from retseg.data.sources.phantom import PhantomSource


@pytest.fixture(scope="module")
def scans():
    """12 different B-scans (N, H, W) of 4 subjects."""
    source = PhantomSource(num_subjects=4, bscans_per_subject=3, height=120, width=180)
    return np.stack([source.read(key).image for key in source.keys])


def resized(image, height, width):
    planes = torch.from_numpy(image.astype(np.float32))[None, None]
    return F.interpolate(planes, size=(height, width), mode="bilinear", antialias=True)[0, 0].numpy()


def levels(image):
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def alike(first, second):
    """Similarity as it is and mirrored, and the least of a copy."""
    one, two = [fingerprint(first)], [fingerprint(second)]
    same, mirrored = similarities(one, two)
    return same.item(), mirrored.item(), least_similarities(one, two).item()


CHANGES = {
    "smaller": lambda image: levels(resized(image, 64, 64)),
    "larger": lambda image: levels(resized(image, 256, 256)),
    "darker": lambda image: levels(0.5 * image),
    "brighter": lambda image: levels(1.5 * image.astype(float)),
    "gamma": lambda image: levels(255 * (image / 255) ** 0.6),
    "offset": lambda image: levels(image + 30.0),
    "0..1": lambda image: image / 255,
    "smaller and darker": lambda image: levels(0.7 * resized(image, 80, 100)),
    "noise": lambda image: levels(image + np.random.default_rng(0).normal(0, 15, image.shape)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mirror", [np.array, np.fliplr, np.flipud, lambda image: image[::-1, ::-1]])
def test_copies_are_alike_and_tell_whether_they_are_mirrored(scans, change, mirror):
    for image in scans[::4]:
        same, mirrored, least = alike(image, CHANGES[change](mirror(image)))
        told, other = (same, mirrored) if mirror is np.array else (mirrored, same)
        assert told > least > other


def test_different_scans_are_not_alike(scans):
    prints = [fingerprint(image) for image in scans]
    same, mirrored = similarities(prints, prints)
    assert np.diag(same) == pytest.approx(np.ones(12), abs=1e-5)
    different = ~np.eye(12, dtype=bool)
    assert max(same[different].max(), mirrored.max()) < 0.75 * COPY_SIMILARITY


def test_equal_wedges_and_black_borders_do_not_make_scans_alike(scans):
    covered = scans.copy()
    rows, columns = np.indices(scans.shape[1:])
    covered[:, rows + columns < 70] = 255
    covered[:, (rows - 60) > (180 - columns)] = 255
    covered[:, -12:] = 0
    prints = [fingerprint(image) for image in covered]
    same, _ = similarities(prints, prints)
    assert same[~np.eye(12, dtype=bool)].max() < COPY_SIMILARITY


def test_similarity_is_the_correlation_of_textures(scans):
    one, two = fingerprint(scans[0]), fingerprint(scans[1])
    same, mirrored = similarities([one], [two])
    flips = [two.texture[:, ::-1], two.texture[::-1], two.texture[::-1, ::-1]]
    assert one.texture.shape == (ROWS, COLUMNS)
    assert same.item() == pytest.approx(np.corrcoef(one.texture.ravel(), two.texture.ravel())[0, 1], abs=1e-5)
    expected = max(np.corrcoef(one.texture.ravel(), flip.ravel())[0, 1] for flip in flips)
    assert mirrored.item() == pytest.approx(expected, abs=1e-5)


def test_flat_images_are_like_nothing():
    for image in (np.zeros((5, 7)), np.full((30, 40), 255, np.uint8), np.linspace(0, 1, 9)[:, None] + np.zeros(11)):
        same, mirrored, _ = alike(image, image)
        assert (same, mirrored) == (0, 0)


def test_small_images_must_be_more_alike():
    large, small = fingerprint(np.eye(300, 400)), fingerprint(np.eye(32, 16))
    assert large.least == COPY_SIMILARITY
    assert small.least == pytest.approx(6 / np.sqrt(32 * 16 / 5))
    assert least_similarities([large, small], [large]).tolist() == [[COPY_SIMILARITY], [small.least]]


def test_hash_is_of_values_whatever_their_type():
    image = np.array([[0, 7, 255], [1, 2, 3]])
    hashes = {pixels_sha256(image.astype(dtype)) for dtype in (np.uint8, np.int64, np.float32, np.float64)}
    assert hashes == {pixels_sha256(image)} == {pixels_sha256(np.asfortranarray(image))}
    assert pixels_sha256(image / 2) == pixels_sha256((image / 2).astype(np.float32))


@pytest.mark.parametrize("other", [[[0, 7, 255], [1, 2, 4]], [[0, 7], [255, 1], [2, 3]], [[0, 7, 255.5], [1, 2, 3]]])
def test_hash_tells_values_and_shapes_apart(other):
    assert pixels_sha256(np.array(other)) != pixels_sha256(np.array([[0, 7, 255], [1, 2, 3]]))
