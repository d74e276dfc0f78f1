"""A scan of every format that `retseg predict` reads, dropped on the page: it opens as predict opens it."""

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from retseg.bscan import Array
from retseg.data.readers.find import find_scans
from retseg.data.readers.kinds import Kind
from retseg.data.readers.options import ReadOptions
from tests.data.readers import fda_made
from tests.data.readers.dicom_made import oct_dataset, save, shared_groups
from tests.data.readers.vendor_made import e2e_bytes, raster, vol_bytes, write_xml
from tests.view.served import Client

Files = list[tuple[str, bytes]]


def array_file(pictures: Array) -> Files:
    file = io.BytesIO()
    np.save(file, pictures)
    return [("a.npy", file.getvalue())]


def zipped(pictures: Array) -> Files:
    file = io.BytesIO()
    np.savez(file, images=pictures)
    return [("a.npz", file.getvalue())]


def hdf5(pictures: Array) -> Files:
    file = io.BytesIO()
    with h5py.File(file, "w") as content:
        content["images"] = pictures
    return [("a.h5", file.getvalue())]


def matlab(pictures: Array) -> Files:
    file = io.BytesIO()
    savemat(file, {"images": pictures.transpose(1, 2, 0)})
    return [("a.mat", file.getvalue())]


def tiff(pictures: Array) -> Files:
    file = io.BytesIO()
    first, *others = [Image.fromarray(picture) for picture in pictures]
    first.save(file, "TIFF", save_all=True, append_images=others)
    return [("a.tif", file.getvalue())]


def dicom(pictures: Array, folder: Path) -> Files:
    path = save(oct_dataset(pictures, **shared_groups()), folder / "a.dcm")
    return [(path.name, path.read_bytes())]


def vol(pictures: Array) -> Files:
    return [("a.vol", vol_bytes((pictures / 255).astype(np.float32) ** 4, raster(len(pictures))))]


def e2e(pictures: Array) -> Files:
    stored = 55000 + 30 * pictures.astype(np.uint16)  # the device's own 16 bit floats
    return [("a.e2e", e2e_bytes({1: list(zip((0, 1), stored, raster(2), strict=True))}))]


def fda(pictures: Array) -> Files:
    return [("a.fda", fda_made.fda_bytes(fda_made.pictures(pictures)))]


def heidelberg_xml(pictures: Array, folder: Path) -> Files:
    path = write_xml(folder, pictures, raster(len(pictures)))
    return [(file.name, file.read_bytes()) for file in (path, *sorted(folder.glob("*.tif")))]


PLAIN: dict[str, Callable[[Array], Files]] = {
    ".npy": array_file, ".npz": zipped, ".h5": hdf5, ".mat": matlab, ".tif": tiff, ".vol": vol, ".e2e": e2e, ".fda": fda
}  # fmt: skip


def files_of(ending: str, pictures: Array, folder: Path) -> Files:
    if ending in (".png", ".jpg", ".bmp"):
        file = io.BytesIO()
        Image.fromarray(pictures[0]).save(file, {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP"}[ending])
        return [(f"a{ending}", file.getvalue())]
    if ending == ".dcm":
        return dicom(pictures, folder)
    if ending == ".xml":
        return heidelberg_xml(pictures, folder)
    return PLAIN[ending](pictures)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".dcm", ".xml", *PLAIN])
def test_every_format_opens_as_for_prediction(
    client: Client, pictures: tuple[Array, ...], tmp_path: Path, ending: str
) -> None:
    folder = tmp_path / "device"
    folder.mkdir()
    files = files_of(ending, np.stack(pictures), folder)
    for name, body in files:
        (folder / name).write_bytes(body)
    found = find_scans([folder / files[0][0]], ReadOptions())
    assert found.failures == ()
    expected = found.volumes[0]
    opened = client.drop(*files)
    assert opened.status_code == 200, opened.text
    (volume,) = [one for one in opened.json()["volumes"] if one["name"] == expected.name]
    assert volume["numbers"] == list(expected.numbers)
    picture = client.get(
        f"scans/{opened.json()['id']}/{opened.json()['volumes'].index(volume)}/0/{expected.numbers[-1]}/image"
    )
    assert picture.status_code == 200, picture.text


def test_every_kind_is_tried() -> None:
    tried = {".png", ".jpg", ".bmp", ".dcm", ".xml", *PLAIN}
    assert all(tried & set(kind.value) for kind in Kind)
