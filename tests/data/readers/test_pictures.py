"""Files written by Pillow, tifffile and OpenCV, read back."""

import warnings

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile, ImageOps

from retseg.errors import InputError
from tests.data.readers.drawn_scans import COLUMNS, ROWS, drawn, find, line, only, pixels, stacked

DEEP = drawn().astype(np.uint16) * 20  # up to 3980: 12 bits
RGB = np.stack([drawn()] * 3, axis=-1)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "TIFF", "PNG"])
def test_gray_pictures_come_back_exactly(tmp_path, ending):
    path = tmp_path / f"a scan=1 é.{ending}"
    Image.fromarray(drawn()).save(path)
    volume = only(path)
    assert (volume.name, volume.numbers, volume.num_bscans) == ("a scan=1 é", (0,), 1)
    assert (volume.spacing.axial_um, volume.distance, volume.notices) == (None, None, ())
    found = volume.read(0)
    np.testing.assert_array_equal(found.image, drawn())
    assert (found.image.dtype, found.colour_share) == (np.uint8, 0)


def test_jpeg_and_its_dpi_is_no_scale(tmp_path):
    smooth = np.tile(np.linspace(0, 250, COLUMNS), (ROWS, 1)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, dpi=(96, 96))
    assert only(tmp_path).spacing.axial_um is None
    np.testing.assert_allclose(pixels(tmp_path).image, smooth, atol=3)


@pytest.mark.parametrize(("name", "write"), [("cv2.png", cv2.imwrite), ("tifffile.tif", tifffile.imwrite)])
def test_sixteen_bits_by_the_depth_in_use(tmp_path, name, write):
    write(str(tmp_path / name), DEEP)
    volume = only(tmp_path)
    np.testing.assert_allclose(volume.read(0).image, DEEP * (255 / 4095), rtol=1e-6)
    assert volume.read(0).image.dtype == np.float32
    assert "more than 8 bits a pixel" in volume.notices[0]


def test_tiff_of_either_byte_order_white_zero_float_and_bigtiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, byteorder=">", photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", 65535 - DEEP, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "c.tif", (drawn() / 200).astype(np.float32), photometric="minisblack")
    tifffile.imwrite(tmp_path / "d.tif", DEEP, bigtiff=True, compression="zlib", photometric="minisblack")
    a, b, c, d = (volume.read(0).image for volume in find(tmp_path).volumes)
    for image in (a, b, d):
        np.testing.assert_allclose(image, DEEP * (255 / 4095), rtol=1e-6)
    np.testing.assert_allclose(c, drawn() * (255 / 200), rtol=1e-5)


def test_pages_of_a_tiff_are_a_volume_with_one_rule_for_its_levels(tmp_path):
    stack = np.stack([drawn().astype(np.uint16), DEEP])
    tifffile.imwrite(tmp_path / "v.tif", stack, photometric="minisblack", compression="zlib")
    volume = only(tmp_path)
    assert (volume.numbers, volume.num_bscans, volume.scan_name(1)) == ((0, 1), 2, "v_b001")
    for number in (1, 0, 1):
        np.testing.assert_allclose(volume.read(number).image, stack[number] * (255 / 4095), rtol=1e-6)


def test_thumbnails_among_the_pages_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "v.tif") as file:
        file.write(drawn(0), photometric="minisblack")
        file.write(drawn(0)[::2, ::2], photometric="minisblack", subfiletype=1)
        file.write(drawn(1), photometric="minisblack")
    volume = only(tmp_path)
    assert volume.num_bscans == 2
    np.testing.assert_array_equal(volume.read(1).image, drawn(1))


def test_pages_of_different_size_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "v.tif") as file:
        file.write(drawn(), photometric="minisblack")
        file.write(drawn()[:36], photometric="minisblack")
    text = "page 2: (36, 60) pixels, L, the first is (40, 60), L; expected B-scans of one size and depth"
    assert line(tmp_path) == f"{tmp_path}/v.tif, {text}"


def test_gray_in_colour_palettes_and_alpha(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    Image.fromarray(drawn()).convert("P").save(tmp_path / "b.png")
    Image.fromarray(np.dstack([RGB, np.full((ROWS, COLUMNS), 255, np.uint8)])).save(tmp_path / "c.png")
    cv2.imwrite(str(tmp_path / "d.png"), RGB.astype(np.uint16) * 257)
    volumes = find(tmp_path).volumes
    for volume in volumes:
        np.testing.assert_array_equal(volume.read(0).image, drawn())
        assert volume.read(0).colour_share == 0
    assert [volume.notices for volume in volumes] == [
        (),
        (),
        ("transparent pixels are laid over black",),
        ("16 bits a channel of colour: the upper 8 are read",),
    ]


def test_colour_is_gray_by_luminance_and_its_share_is_told(tmp_path):
    image = RGB.copy()
    image[:10] = (200, 100, 50)
    image[10:20, :, 0] += 16  # as much as a pixel that counts as gray may have
    Image.fromarray(image).save(tmp_path / "a.png")
    found = pixels(tmp_path)
    assert found.colour_share == 10 / ROWS
    assert found.image[0, 0] == round((299 * 200 + 587 * 100 + 114 * 50) / 1000)


def test_what_is_transparent_is_black_and_no_colour(tmp_path):
    alpha = np.full((ROWS, COLUMNS), 255, np.uint8)
    alpha[:5], alpha[5:10] = 0, 128
    image = RGB.copy()
    image[:5] = (255, 0, 0)
    image[5:10] = 100
    Image.fromarray(np.dstack([image, alpha])).save(tmp_path / "a.png")
    found = pixels(tmp_path)
    assert (found.image[:5] == 0).all()
    assert (abs(found.image[5:10].astype(int) - 50) <= 1).all()
    np.testing.assert_array_equal(found.image[10:], drawn()[10:])
    assert found.colour_share == 0


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_turned_as_exif_says(tmp_path, name):
    image = np.tile(np.linspace(0, 250, COLUMNS), (ROWS, 1)).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6  # shown a quarter turn clockwise
    Image.fromarray(image).save(tmp_path / name, exif=exif)
    volume = only(tmp_path)
    np.testing.assert_allclose(volume.read(0).image, np.rot90(image, -1), atol=3)
    assert volume.notices == ("turned as its EXIF orientation 6 says",)


def test_portrait_stays_as_it_is(tmp_path):
    Image.fromarray(drawn().T).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path).image, drawn().T)


def test_scale_of_imagej(tmp_path):
    stack = stacked(3)
    resolution, metadata = (1 / 11.33, 1 / 3.87), {"unit": "um", "spacing": 123.0, "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "v.tif", stack, imagej=True, resolution=resolution, metadata=metadata)
    volume = only(tmp_path)
    assert volume.spacing.axial_um == pytest.approx(3.87, rel=1e-6)
    assert volume.spacing.lateral_um == pytest.approx(11.33, rel=1e-6)
    assert volume.spacing.source == "file header (ImageJ)"
    assert (volume.distance.um, volume.distance.source) == (123.0, "file header (ImageJ)")
    np.testing.assert_array_equal(volume.read(2).image, stack[2])


def test_scale_of_ome_in_units_of_its_own(tmp_path):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 11.33, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.00387,
                "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 240.0}  # fmt: skip
    tifffile.imwrite(tmp_path / "v.ome.tif", stacked(2), metadata=metadata)
    volume = only(tmp_path)
    assert volume.name == "v.ome"
    assert volume.spacing.axial_um == pytest.approx(3.87)
    assert (volume.spacing.lateral_um, volume.distance.um) == (11.33, 240.0)
    assert volume.spacing.source == "file header (OME-XML)"


@pytest.mark.parametrize(
    "options",
    [
        {"resolution": (2584, 883), "resolutionunit": "CENTIMETER"},
        {"resolution": (300, 300), "resolutionunit": "INCH"},
        {"resolution": (96, 96), "imagej": True, "metadata": {"unit": "inch"}},
        {"resolution": (1, 1), "imagej": True, "metadata": {"unit": "pixel"}},
    ],
)
def test_a_size_of_print_is_no_scale(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", drawn(), photometric="minisblack", **options)
    volume = only(tmp_path)
    assert (volume.spacing.axial_um, volume.spacing.lateral_um) == (None, None)
    assert ("is a size of print" in " ".join(volume.notices)) == ("imagej" not in options)


def test_a_stack_is_one_volume_in_natural_order_named_by_its_folder(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / "eye").mkdir(exist_ok=True)
        Image.fromarray(drawn(number)).save(tmp_path / "eye" / f"b{number}.png")
    volume = only(tmp_path, is_stack=True)
    assert (volume.name, volume.numbers, volume.path) == ("eye", (0, 1, 2), tmp_path / "eye")
    for number, of_file in enumerate((1, 2, 10)):
        np.testing.assert_array_equal(volume.read(number).image, drawn(of_file))
    assert only(tmp_path / "eye", is_stack=True).name == "eye"
    assert only(*sorted((tmp_path / "eye").iterdir()), is_stack=True).name == "eye"
    assert [v.name for v in find(tmp_path).volumes] == ["eye/b1", "eye/b2", "eye/b10"]


def test_a_damaged_picture_leaves_a_gap_in_its_stack(tmp_path):
    for number in range(3):
        Image.fromarray(drawn(number)).save(tmp_path / f"b{number}.png")
    (tmp_path / "b1.png").write_bytes((tmp_path / "b1.png").read_bytes()[:20])
    found = find(tmp_path, is_stack=True)
    (volume,) = found.volumes
    assert (volume.numbers, volume.num_bscans) == ((0, 2), 3)
    np.testing.assert_array_equal(volume.read(2).image, drawn(2))
    assert [path.name for path, _ in found.failures] == ["b1.png"]


def test_a_stack_of_unequal_pictures_is_refused_and_the_rest_goes_on(tmp_path):
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    Image.fromarray(drawn()[:, :50]).save(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "v.tif", stacked(2), photometric="minisblack")
    found = find(tmp_path, is_stack=True)
    assert [volume.name for volume in found.volumes] == ["v"]
    ((folder, text),) = found.failures
    assert folder == tmp_path
    assert text.startswith(f"{tmp_path}/b.png: 40 rows x 50 columns of uint8, but a.png has 40 rows x 60 columns of")


def test_a_stack_that_mixes_depths_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), DEEP)
    cv2.imwrite(str(tmp_path / "b.png"), drawn())
    assert "the B-scans of a stack are of one size and depth" in line(tmp_path, is_stack=True)


def test_the_first_frame_of_a_moving_picture(tmp_path):
    frames = [Image.fromarray(drawn(number)) for number in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    volume = only(tmp_path)
    assert volume.notices == ("a picture of several frames, the first of which is read",)
    np.testing.assert_array_equal(volume.read(0).image, drawn(0))


def test_refused_pictures_each_by_its_line(tmp_path):
    Image.fromarray(drawn() > 99).save(tmp_path / "bit.png")
    Image.fromarray(drawn()[:1, :1]).save(tmp_path / "dot.png")
    tifffile.imwrite(tmp_path / "f64.tif", drawn().astype(np.float64), photometric="minisblack")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metadata = {"axes": "CYX"}
        tifffile.imwrite(tmp_path / "channels.tif", stacked(2), imagej=True, metadata=metadata)
    lines = {
        "bit.png": "one bit a pixel, a mask; expected gray levels",
        "dot.png": "1 rows x 1 columns, expected at least 32 of both; is it a B-scan?",
        "f64.tif": "no PNG, JPEG, TIFF or BMP picture of 8, 16 or 32 bits; save it as one",
        "channels.tif": "2 channels, expected one; save the channel of the OCT alone",
    }
    for name, text in lines.items():
        assert line(tmp_path / name) == f"{tmp_path / name}: {text}"


def test_a_decompression_bomb_is_refused_before_it_goes_off(tmp_path):
    Image.new("L", (12_000, 12_000)).save(tmp_path / "a.png")
    assert "too many pixels to be a B-scan" in line(tmp_path)
    Image.new("L", (9000, 9000)).save(tmp_path / "a.png")
    assert "9000 x 9000 pixels, at most 67,108,864 are read" in line(tmp_path)


def test_truncated_pixels_are_told_when_they_are_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "v.tif", np.stack([noise, noise + 1]), photometric="minisblack", compression="zlib")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-900])
    with tifffile.TiffFile(tmp_path / "v.tif") as file:
        offset = file.pages[1].dataoffsets[0]
    whole = bytearray((tmp_path / "v.tif").read_bytes())
    whole[offset : offset + 900] = bytes(900)
    (tmp_path / "v.tif").write_bytes(whole)
    picture, volume = find(tmp_path).volumes
    for scans, number in ((picture, 0), (volume, 1)):
        with pytest.raises(InputError, match=r"damaged picture \(.*\); copy it again"):
            scans.read(number)
    np.testing.assert_array_equal(volume.read(0).image, noise)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_deflate"])
def test_every_orientation_of_a_tiff_as_of_a_png(tmp_path, orientation, compression):
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(drawn()).save(tmp_path / "a.tif", exif=exif, compression=compression)
    Image.fromarray(drawn()).save(tmp_path / "b.png", exif=exif)
    tiff, png = (volume.read(0).image for volume in find(tmp_path).volumes)
    with Image.open(tmp_path / "b.png") as image:
        shown = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(tiff, shown)
    np.testing.assert_array_equal(png, shown)


def test_opening_reads_no_pixels(tmp_path, monkeypatch):
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "v.tif", stacked(3).astype(np.uint16), photometric="minisblack")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("pixels read"))
    assert [len(volume.numbers) for volume in find(tmp_path).volumes] == [1, 3]
