"""Files made to harm: what lies about its size, points elsewhere, or starts something.

Links and values kept elsewhere at the root of an HDF5 file, archives with members outside and pickles have their tests
beside their readers.
"""

import gzip
import struct
import time
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image

from retseg.data.readers import dicom_header
from retseg.data.readers.listing import list_files
from retseg.data.readers.tiff_scale import tiff_scale
from retseg.errors import InputError
from retseg.evaluation.label_volumes import read_label_volume
from retseg.evaluation.store import read_npz
from tests.data.readers.dicom_made import oct_dataset, ramp, save
from tests.data.readers.drawn_scans import drawn, line, only, stacked
from tests.data.readers.vendor_made import raster, write_xml

FEW_BYTES = 2**25
"""What refusing a file may take: a lie about gigabytes is seen before anything is unpacked."""


@contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
    finally:
        tracemalloc.stop()


def refused_labels(path: Path) -> str:
    with pytest.raises(InputError) as caught, little_memory():
        read_label_volume(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def refused_scan(path: Path) -> str:
    with little_memory():
        text = line(path)
    assert text.startswith(f"{path}: ")
    return text


# HDF5


def test_hdf5_links_inside_groups_are_never_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"] = stacked(2)
        file["group/images"] = stacked(2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["eye/left/images"] = h5py.ExternalLink("secret.h5", "images")
        file["eye/right"] = h5py.ExternalLink("secret.h5", "group")
        file["eye/up"] = h5py.SoftLink("/")
        file["eye/loop"] = file["eye"]
    assert "no array of numbers (rows, columns) or with B-scans; it holds none" in refused_scan(tmp_path / "a.h5")
    for key in ("eye/left/images", "eye/right/images"):
        assert f"no array '{key}'; it holds none" in line(tmp_path / "a.h5", array_key=key)


def test_hdf5_values_in_other_files_inside_groups_are_refused(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(240)) * 10)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"] = drawn()
    layout = h5py.VirtualLayout((40, 60), np.uint8)
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "images", (40, 60))
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("a/b/images", (40, 60), np.uint8, external=[(str(tmp_path / "secret"), 0, 2400)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_group("a/b").create_virtual_dataset("images", layout)
    for name in ("raw.h5", "virtual.h5"):
        assert "the values of 'images' are in another file" in refused_scan(tmp_path / name)


def test_hdf5_filters_that_would_load_a_library_are_refused(tmp_path, monkeypatch):
    asked = tmp_path / "plugins"
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(asked))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        packing = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        packing.set_chunk((40, 60))
        packing.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((40, 60))
        h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, packing)
    assert "'images' is packed by HDF5 filter 32001, expected gzip, lzf or none; repack it" in refused_scan(
        tmp_path / "a.h5"
    )


def test_hdf5_groups_in_groups_without_end(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file
        for _ in range(1500):
            group = group.create_group("g")
        group["images"] = drawn()
    assert "not a whole HDF5 file (RecursionError" in line(tmp_path / "a.h5")


# Sizes that lie


def png_of(rows: int, columns: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def tiff_of(rows: int, columns: int) -> bytes:
    tags = ((256, columns), (257, rows), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, rows), (279, 100))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(104)


def bmp_of(rows: int, columns: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 8, 0, 0, 0, 0, 2, 2)
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 62) + info + bytes(108)


def jpeg_of(rows: int, columns: int, path: Path) -> bytes:
    Image.fromarray(drawn()).save(path, format="JPEG")
    content = path.read_bytes()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", rows, columns) + content[at + 4 :]


def test_pictures_of_ten_thousand_million_pixels(tmp_path):
    large = {"a.png": png_of(10**5, 10**5), "a.tif": tiff_of(10**5, 10**5), "a.bmp": bmp_of(10**5, 10**5)}
    large["a.jpg"] = jpeg_of(65500, 65500, tmp_path / "a.jpg")
    for name, content in large.items():
        (tmp_path / name).write_bytes(content)
        assert "too many pixels to be a B-scan" in refused_scan(tmp_path / name)
    for name in ("a.png", "a.tif"):
        assert "not a whole image" in refused_labels(tmp_path / name)
    (tmp_path / "b.png").write_bytes(png_of(9000, 9000))
    assert "9000 x 9000 pixels, at most 67,108,864 are read" in refused_scan(tmp_path / "b.png")
    assert "9000 x 9000 pixels; at most 67,108,864 are read" in refused_labels(tmp_path / "b.png")


def npz_with(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_npy", ".npy"), content)
    return path


def test_npz_whose_header_unpacks_to_much(tmp_path):
    header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**27) + b" " * 2**27
    path = npz_with(tmp_path / "a.npz", images_npy=header)
    del header
    assert path.stat().st_size < 2**20
    assert "not a whole .npz archive" in refused_scan(path)


def test_npz_with_raw_bytes_under_the_name_of_the_array(tmp_path):
    np.save(tmp_path / "a.npy", drawn())
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").unlink()
    path = npz_with(tmp_path / "a.npz", images_npy=whole, images=b"no array")
    np.testing.assert_array_equal(only(path).read(0).image, drawn())
    assert read_npz(npz_with(tmp_path / "b.npz", mask=b"no array"))["mask"].dtype.kind == "S"
    with pytest.raises(InputError, match=r"b\.npz: array \(\) of \|S8, expected one mask"):
        read_label_volume(tmp_path / "b.npz")


def nifti(path: Path, shape: tuple[int, ...] = (60, 2, 40), content: bytes | None = None, **fields: object) -> Path:
    header = nibabel.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)).header
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    packed = gzip.compress(header.binaryblock + bytes(4) + (bytes(60 * 2 * 40) if content is None else content), 1)
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": (30000, 1000, 1000)}, "declare 30,000,000,000 bytes, at most 1,073,741,824 are read"),
        ({"datatype": 1792, "bitpix": 128}, "voxels of type complex128, expected class ids"),
        ({"vox_offset": 2.0**31}, "voxels begin at byte 2147483648, expected at most 16,777,216"),
        ({"shape": (1000, 100, 1000)}, "not a whole NIfTI file (Expected 100000000 bytes"),
        ({"shape": (60, 40)}, "(60, 40) voxels, expected (columns, B-scans, rows)"),
    ],
)
def test_packed_nifti_that_lies_about_its_size(tmp_path, options, said):
    if options.get("shape") == (1000, 100, 1000):  # 100 MB are set aside for what is said to be there, no more
        with pytest.raises(InputError) as caught:
            read_label_volume(nifti(tmp_path / "a.nii.gz", **options))
        assert said in str(caught.value)
        return
    assert said in refused_labels(nifti(tmp_path / "a.nii.gz", **options))


def test_packed_nifti_is_unpacked_no_further_than_its_header_says(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", content=bytes(2**27))
    assert path.stat().st_size < 2**21
    with little_memory():
        assert len(read_label_volume(path).scans) == 2


def test_packed_nifti_with_an_extension_of_no_size(tmp_path):
    # nibabel reads a size of -8 as "all there is"
    tail = b"\x01\0\0\0" + struct.pack("<ii", 0, 6)
    header = gzip.decompress(nifti(tmp_path / "a.nii.gz", vox_offset=368).read_bytes())[:348]
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header + tail + bytes(2**27), 1))
    assert "not a whole NIfTI file" in refused_labels(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"Rows": 65535, "Columns": 65535}, "65535 x 65535 pixels, at most 67,108,864 are read; cut it down"),
        ({"Rows": 0}, "0 rows x 60 columns, expected at least 32"),
        ({"NumberOfFrames": 2**31 - 1}, "4800 bytes of pixels for 2147483647 frames of 40 x 60: cut short"),
        ({"NumberOfFrames": 9999}, "4800 bytes of pixels for 9999 frames of 40 x 60: cut short; copy it again"),
        ({"NumberOfFrames": -3}, "without pixels, expected OCT B-scans"),
    ],
)
def test_dicom_of_absurd_sizes(tmp_path, attributes, said):
    assert said in refused_scan(save(oct_dataset(ramp(2), **attributes), tmp_path / "a.dcm"))


def test_dicom_of_more_frames_than_a_volume_has(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_header, "MOST_FRAMES", 2)
    assert "3 frames, at most 2 are read; copy it again" in refused_scan(save(oct_dataset(ramp(3)), tmp_path / "a.dcm"))
    assert only(save(oct_dataset(ramp(2)), tmp_path / "b.dcm")).num_bscans == 2


def test_deflated_dicom_is_refused_unread(tmp_path):
    dataset = oct_dataset(ramp(2), syntax="1.2.840.10008.1.2.1.99")
    path = save(dataset, tmp_path / "a.dcm")
    assert "a deflated DICOM file; unpack it first, e.g. with `dcmconv +te`" in refused_scan(path)


# Text that takes for ever, formats that start something


def seconds_of(act) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def test_long_words_take_no_longer_than_their_length(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"<?xml version='1.0'?><HEDX>ExamURL" + b"a" * 400_000)
    Image.fromarray(drawn()).save(tmp_path / "b.png")
    assert seconds_of(lambda: list_files([tmp_path])) < 5
    for words in ("<Pixels " * 160_000, "<Pixels " + "a" * 200_000 + ">"):
        assert seconds_of(lambda words=words: tiff_scale({270: f"<OME {words}"})) < 5


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ('<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 9)), "amplification"),
        ('<!ENTITY a8 SYSTEM "file:///etc/hostname">', "undefined entity"),
    ],
)
def test_xml_whose_entities_grow_or_name_a_file(tmp_path, entity, said):
    path = write_xml(tmp_path, stacked(3), raster(3))
    text = path.read_text().replace("P7", "&a8;")
    path.write_text(f"<?xml version='1.0'?><!DOCTYPE HEDX [{entity}]>{text}")
    text = line(path)
    assert text.startswith(f"{path}: damaged Heidelberg .xml export (ParseError: ")
    assert said in text


def test_a_picture_of_another_format_is_not_opened_whatever_its_ending(tmp_path):
    """Pillow would hand EPS to Ghostscript."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n")
    assert "no PNG, JPEG, TIFF or BMP picture" in refused_scan(tmp_path / "a.png")
    assert "not a whole image" in refused_labels(tmp_path / "a.png")
    Image.fromarray(drawn()).save(tmp_path / "b.png", format="GIF")
    assert "no PNG, JPEG, TIFF or BMP picture" in refused_scan(tmp_path / "b.png")
