import numpy as np
import pytest
from PIL import Image

from retseg.data.sources.plain_images import PlainImages
from retseg.errors import InputError

GRAY = np.arange(35, dtype=np.uint8).reshape(5, 7)


def read(images, *places):
    return dict(images.read(set(places)))


def test_images_in_the_order_of_their_names_each_by_file_stem_and_place(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "b.png")
    Image.fromarray(np.stack([GRAY + 1] * 3, axis=-1)).save(tmp_path / "a.png")
    Image.fromarray(GRAY.astype(np.uint16) * 1000).save(tmp_path / "deep.tif")
    pages = [Image.fromarray(GRAY + i) for i in range(2)]
    pages[0].save(tmp_path / "pages.tiff", save_all=True, append_images=pages[1:])
    np.save(tmp_path / "stack.npy", np.stack([GRAY + 7.5, GRAY + 8.5, GRAY + 9.5]))
    np.save(tmp_path / "one.npy", GRAY)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    images = PlainImages(tmp_path)
    pages, stack = ["pages.tiff[0]", "pages.tiff[1]"], ["stack.npy[0]", "stack.npy[1]", "stack.npy[2]"]
    assert images.names == ["a.png", "b.png", "deep.tif", "one.npy", *pages, *stack]
    assert images.places["b"] == images.places["b.png"] == [1]
    assert images.places["stack"] == images.places["stack.npy"] == [6, 7, 8]
    assert images.places["pages.tiff[1]"] == [5]
    found = read(images, *range(9))
    offsets = (1, 0, None, 0, 0, 1, 7.5, 8.5, 9.5)
    for place, offset in enumerate(offsets):
        np.testing.assert_array_equal(found[place], GRAY * 1000.0 if offset is None else GRAY + offset)


def test_one_file_and_only_what_is_wanted(tmp_path):
    np.save(tmp_path / "stack.npy", np.stack([GRAY, GRAY + 1]))
    images = PlainImages(tmp_path / "stack.npy")
    assert images.names == ["[0]", "[1]"]
    assert list(read(images, 1)) == [1]


def test_what_is_not_wanted_is_not_read(tmp_path):
    np.save(tmp_path / "a.npy", GRAY)
    np.save(tmp_path / "b.npy", np.full((5, 7), np.nan))
    assert list(read(PlainImages(tmp_path), 0)) == [0]
    with pytest.raises(InputError, match=r"b\.npy: holds nan or infinite values"):
        read(PlainImages(tmp_path), 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"", r"a\.png: cannot be read as an image \(UnidentifiedImageError"),
        ("a.tif", b"<html>", r"a\.tif: cannot be read as an image"),
        ("a.npy", b"", r"a\.npy: not a whole \.npy array of numbers"),
        ("a.txt", b"x", r"no image here; looked for \.png, \.tif"),
    ],
)
def test_refuses_what_is_no_image(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        PlainImages(tmp_path)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2, 2)), np.zeros((0, 4)), np.array([["a", "b"]])])
def test_refuses_arrays_that_hold_no_images(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=r"a\.npy: .*expected numbers \(H, W\) or \(N, H, W\)"):
        PlainImages(tmp_path)


def test_refuses_a_truncated_picture(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60)).astype(np.uint8)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.png: damaged image"):
        read(PlainImages(tmp_path), 0)
