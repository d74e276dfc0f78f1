import h5py
import numpy as np
import pytest

from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.sources.hdf5_convert import convert
from retseg.errors import InputError
from retseg.geometry.volume_map import BScanDistance
from tests.data.readers.drawn_scans import drawn, line, only, stacked
from tests.data.sources.hand_made import Scans


def converted(folder, *numbers, name="hand-made", **fields):
    """A file of `retseg data convert` with B-scans of these numbers, each by two graders."""
    image = fields.pop("image", None)
    scans = [
        BScan(ScanKey(grader, "s01", number), drawn(number) if image is None else image, **fields)
        for number in numbers
        for grader in (1, 2)
    ]
    source = Scans(scans)
    source.name = name
    return convert(source, folder)[0]


def test_a_converted_subject_brings_scale_eye_and_numbers(tmp_path):
    spacing = Spacing(3.87, 11.33, "data set")
    volume = only(converted(tmp_path, 3, 7, spacing=spacing, eye="OS"))
    assert (volume.name, volume.numbers, volume.num_bscans) == ("s01", (3, 7), 8)
    assert (volume.spacing, volume.eye, volume.subject, volume.distance) == (spacing, "OS", "s01", None)
    assert volume.notices == ("6 B-scans are not in the file (only annotated ones are converted)",)
    np.testing.assert_array_equal(volume.read(7).image, drawn(7))


def test_a_converted_duke_subject_knows_the_distance_of_its_bscans(tmp_path):
    volume = only(converted(tmp_path, 10, 15, name="Duke DME"))
    assert (volume.num_bscans, volume.numbers) == (61, (10, 15))
    assert volume.distance == BScanDistance(123.0, "data set (Chiu et al. 2015, nominal)")


def test_pixel_sizes_that_differ_within_a_file_are_unknown(tmp_path):
    scans = [
        BScan(ScanKey(1, "s01", 0), drawn(0), spacing=Spacing(3.0, 11.0, "user")),
        BScan(ScanKey(1, "s01", 1), drawn(1), spacing=Spacing(4.0, 11.0, "user")),
    ]
    volume = only(*convert(Scans(scans), tmp_path))
    assert volume.spacing == Spacing()
    assert volume.notices == ("the pixel size differs among its B-scans and is taken as unknown",)


def test_converted_fractions_stay(tmp_path):
    image = (drawn() + 0.25).astype(np.float32)
    np.testing.assert_array_equal(only(converted(tmp_path, 0, image=image)).read(0).image, image)


def test_any_file_with_one_array_wherever_it_is(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_group("eye").create_dataset("oct", data=stacked(3), chunks=(1, 40, 60), compression="gzip")
        file["eye/loop"] = file["/"]
        file["eye/depths"] = np.arange(3.0)
        file["notes"] = "text"
    volume = only(tmp_path)
    assert (volume.numbers, volume.spacing, volume.notices[0]) == (
        (0, 1, 2),
        Spacing(),
        "axes taken as (B-scans, rows, columns)",
    )
    np.testing.assert_array_equal(volume.read(2).image, drawn(2))


def test_several_arrays_are_listed_and_one_can_be_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["left"], file["right"] = stacked(2), drawn(5)
    assert "several arrays that may be scans; it holds left (2, 40, 60), right (40, 60): name one" in line(tmp_path)
    volume = only(tmp_path, array_key="right")
    np.testing.assert_array_equal(volume.read(0).image, drawn(5))
    assert "it holds left, right; make it again" in line(tmp_path, array_key="middle")


def test_what_points_out_of_the_file_is_never_followed(tmp_path):
    with h5py.File(tmp_path / "target.h5", "w") as file:
        file["images"] = stacked(2)
    (tmp_path / "raw").write_bytes(bytes(2400))
    layout = h5py.VirtualLayout((2, 40, 60), np.uint8)
    layout[:] = h5py.VirtualSource(str(tmp_path / "target.h5"), "images", (2, 40, 60))
    spoilt = {
        "external_link": (lambda f: f.__setitem__("images", h5py.ExternalLink("target.h5", "images")), "no array of"),
        "soft_link": (lambda f: f.__setitem__("images", h5py.SoftLink("/elsewhere")), "no array of numbers"),
        "storage": (
            lambda f: f.create_dataset("images", (40, 60), np.uint8, external=[(str(tmp_path / "raw"), 0, 2400)]),
            "the values of 'images' are in another file, expected them in the file; refused",
        ),
        "virtual": (lambda f: f.create_virtual_dataset("images", layout), "are in another file"),
    }
    for name, (spoil, text) in spoilt.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            spoil(file)
        assert text in line(tmp_path / f"{name}.h5")
    assert "is a link to elsewhere" in line(tmp_path / "external_link.h5", array_key="images")


def test_damaged_empty_and_huge(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=stacked(2), chunks=(1, 40, 60), fletcher32=True)
        offset = file["images"].id.get_chunk_info(1).byte_offset
    whole = bytearray((tmp_path / "a.h5").read_bytes())
    whole[offset + 9] ^= 1
    (tmp_path / "a.h5").write_bytes(whole)
    volume = only(tmp_path)
    np.testing.assert_array_equal(volume.read(0).image, drawn(0))
    with pytest.raises(InputError, match=r"a\.h5: images is damaged .*; make the file again"):
        volume.read(1)
    (tmp_path / "a.h5").write_bytes(whole[:1500])
    assert "not a whole HDF5 file" in line(tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", (5, 400_000, 800_000), np.uint8, chunks=(1, 100, 100))
    assert "'images' declares 320000000000 bytes, expected at most 2147483648; refused" in line(tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["nothing"] = h5py.Empty("f4")
    assert "no array of numbers (rows, columns) or with B-scans; it holds none" in line(tmp_path)
