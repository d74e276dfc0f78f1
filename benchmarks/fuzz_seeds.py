"""Small whole files of every format that retseg reads, made here, and how each of them is read."""

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import tifffile
from PIL import Image

from benchmarks.fuzz_readers import (
    read_json,
    read_label_file,
    read_mark_file,
    read_plain_image,
    read_scans,
    read_source,
    read_split,
    read_subject_table,
)
from retseg.anatomy import SURFACE_NAMES
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.hdf5 import Hdf5Source
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.hdf5_index import INDEX
from retseg.data.sources.paper_arrays import IMAGES_FILE, LABELS_FILE, PaperArraysSource
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.phantom_export import HEADER_V5, write_duke_mat
from retseg.evaluation.store import write_npz
from tests.data.readers import fda_made
from tests.data.readers.dicom_made import oct_dataset, save, shared_groups
from tests.data.readers.vendor_made import e2e_bytes, raster, reflectances, vol_bytes, write_xml

ROWS, COLUMNS = 40, 60
PIXELS = (np.arange(3 * ROWS * COLUMNS).reshape(3, ROWS, COLUMNS) * 7919 % 251).astype(np.uint8)
"""(3, 40, 60): three scans."""

MASKS = np.tile(np.minimum(np.arange(ROWS) // 4, 8)[None, :, None] % 8, (3, 1, COLUMNS)).astype(np.uint8)
"""(3, 40, 60): layers one below the other, as class ids."""


def _same(content: bytes) -> bytes:
    return content


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    make: writes a whole one, with what belongs beside it, into an empty folder; its path. read: all of it, as users'
    files are. unwrap and wrap: to the bytes that are spoilt, and back; what lies inside a compressed stream or behind
    checksums would be hit by chance alone.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], None]
    unwrap: Callable[[bytes], bytes] = _same
    wrap: Callable[[bytes], bytes] = _same


def _duke(folder: Path, version: Any = "5") -> Path:
    phantom = PhantomSource(height=48, width=64, num_subjects=1, bscans_per_subject=2, num_graders=2)
    (path,) = write_duke_mat(phantom, folder, version=version, num_bscans=3, annotated_bscans=(0, 2))
    return path


def _matlab(folder: Path, is_compressed: bool = False) -> Path:
    path = folder / "scan.mat"
    scipy.io.savemat(path, {"images": PIXELS.transpose(1, 2, 0), "about": "text"}, do_compression=is_compressed)
    path.write_bytes(HEADER_V5 + path.read_bytes()[len(HEADER_V5) :])  # without its date
    return path


def _hdf5(folder: Path) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        group = file.create_group("eye/left")
        group.create_dataset("images", data=PIXELS, chunks=(1, ROWS, COLUMNS), compression="gzip", fletcher32=True)
        file.create_dataset("notes", data=np.arange(5))
        file.attrs["device"] = "made up"
    return folder / "scan.h5"


def _ours(folder: Path) -> Path:
    (path,) = convert(PhantomSource(height=48, width=64, num_subjects=1, bscans_per_subject=2), folder)
    return path


def _index(folder: Path) -> Path:
    return _ours(folder).parent / INDEX


def _npz(folder: Path, is_compressed: bool = False) -> Path:
    (np.savez_compressed if is_compressed else np.savez)(folder / "scan.npz", images=PIXELS, about=np.array("text"))
    return folder / "scan.npz"


def _npy(array: np.ndarray, name: str, folder: Path) -> Path:
    np.save(folder / name, array)
    return folder / name


def _picture(name: str, folder: Path, array: np.ndarray = PIXELS[0], **options: Any) -> Path:
    Image.fromarray(array).save(folder / name, **options)
    return folder / name


def _tiff(folder: Path, **options: Any) -> Path:
    tifffile.imwrite(folder / "scan.tif", PIXELS, photometric="minisblack", metadata=None, datetime=None, **options)
    return folder / "scan.tif"


def _dicom(folder: Path, syntax: str = "") -> Path:
    uids = {f"{name}InstanceUID": f"1.2.3.{number}" for number, name in enumerate(("SOP", "Study", "Series"), start=1)}
    dataset = oct_dataset(PIXELS, **shared_groups(), **uids)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    return save(dataset, folder / "scan.dcm")


def _vol(folder: Path) -> Path:
    (folder / "scan.vol").write_bytes(vol_bytes(reflectances(3), raster(3)))
    return folder / "scan.vol"


def _e2e(folder: Path) -> Path:
    stored = np.random.default_rng(5).integers(55000, 64000, (3, ROWS, COLUMNS)).astype(np.uint16)
    (folder / "scan.e2e").write_bytes(e2e_bytes({7: list(zip((2, 1, 3), stored, raster(3), strict=True))}))
    return folder / "scan.e2e"


def _fda(chunk: bytes, folder: Path) -> Path:
    (folder / "scan.fda").write_bytes(fda_made.fda_bytes(chunk))
    return folder / "scan.fda"


def _paper(spoils: str, folder: Path) -> Path:
    np.save(folder / IMAGES_FILE, PIXELS)
    np.save(folder / LABELS_FILE, MASKS)
    return folder / spoils


def _nifti(folder: Path) -> Path:
    import nibabel

    image = nibabel.Nifti1Image(MASKS.transpose(2, 0, 1), np.eye(4))
    image.header.set_xyzt_units("mm")
    (folder / "mask.nii").write_bytes(image.to_bytes())
    return folder / "mask.nii"


def _nifti_gz(folder: Path) -> Path:
    plain = _nifti(folder)
    path = folder / "mask.nii.gz"
    path.write_bytes(_gzip(plain.read_bytes()))
    plain.unlink()
    return path


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def _saved_scan(folder: Path) -> Path:
    rows = np.arange(8, dtype=np.float32)[:, None] * 4 + np.full((8, COLUMNS), 3, np.float32)
    arrays = {"image": PIXELS[0], "mask": MASKS[0].astype(np.int8), "surface_rows": rows}
    arrays |= {"spacing_um": np.array([3.9, np.nan]), "spacing_source": np.array("file"), "subject": np.array("s01")}
    write_npz(folder / "scan.npz", arrays)
    return folder / "scan.npz"


def _surfaces(folder: Path) -> Path:
    lines = [",".join(SURFACE_NAMES)] + [",".join(str(3.5 + 4 * s) for s in range(8))] * COLUMNS
    (folder / "scan_surfaces.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "scan_surfaces.csv"


def _beside_surfaces(folder: Path) -> Path:
    _surfaces(folder)
    return _json(
        "scan_surfaces.json", {"axial_um": 3.9, "lateral_um": 11.3, "scale_source": "user", "rows": 40}, folder
    )


def _json(name: str, content: Any, folder: Path) -> Path:
    (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return folder / name


def _text(name: str, content: str, folder: Path) -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def _repair_png(content: bytes) -> bytes:
    """The content with right checksums, so that damage gets past them."""
    fixed, at = bytearray(content), 8
    while at + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, at)
        end = at + 8 + length
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[at + 4 : end]))
        at = end + 4
    return bytes(fixed)


def _member(name: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def _archived(name: str, content: bytes) -> bytes:
    """An archive whose one member is spoilt and has the right checksum."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


_MARKS = 'run,scan,verdict,comment\r\nrun,s01_b01,pass,good\r\nrun,s01_b02,fail,"no, ""bad"""\r\n'
_VOLUME = {
    "name": "eye",
    "num_bscans": 3,
    "spacing_um": [3.9, 11.3],
    "scans": [{"name": "eye_b000"}],
}
_SCORES = {
    "stamp": "held out",
    "scores": [{"score": "dice", "layer": "NFL", "value": 0.8}],
    "num_scans": 2,
    "unit": "um",
}

FILES = (
    Format("mat v5", _matlab, read_scans),
    Format("mat v5 packed", partial(_matlab, is_compressed=True), read_scans),
    Format("mat v5 duke", _duke, partial(read_source, DukeSource)),
    Format("mat v7.3 duke", partial(_duke, version="7.3"), partial(read_source, DukeSource)),
    Format("mat v7.3", partial(_duke, version="7.3"), read_scans),
    Format("hdf5", _hdf5, read_scans),
    Format("hdf5 ours", _ours, partial(read_source, Hdf5Source)),
    Format("hdf5 ours scan", _ours, read_scans),
    Format("hdf5 index", _index, partial(read_source, Hdf5Source)),
    Format("npy", partial(_npy, PIXELS, "scan.npy"), read_scans),
    Format("npy paper", partial(_paper, IMAGES_FILE), partial(read_source, PaperArraysSource)),
    Format("npy paper labels", partial(_paper, LABELS_FILE), partial(read_source, PaperArraysSource)),
    Format("npz", _npz, read_scans),
    Format("npz packed", partial(_npz, is_compressed=True), read_scans),
    Format("npz member", _npz, read_scans, partial(_member, "images.npy"), partial(_archived, "images.npy")),
    Format("npz saved scan", _saved_scan, read_scans),
    Format("png", partial(_picture, "scan.png"), read_scans, wrap=_repair_png),
    Format("png 16 bit", partial(_picture, "scan.png", array=PIXELS[0].astype(np.uint16) * 200), read_scans),
    Format("jpeg", partial(_picture, "scan.jpg"), read_scans),
    Format("bmp", partial(_picture, "scan.bmp"), read_scans),
    Format("tiff", _tiff, read_scans),
    Format("tiff packed", partial(_tiff, compression="zlib"), read_scans),
    Format("tiff lzw", partial(_picture, "scan.tif", compression="tiff_lzw"), read_scans),
    Format("dicom", _dicom, read_scans),
    Format("dicom rle", partial(_dicom, syntax="1.2.840.10008.1.2.5"), read_scans),
    Format("dicom jpeg 2000", partial(_dicom, syntax="1.2.840.10008.1.2.4.90"), read_scans),
    Format("vol", _vol, read_scans),
    Format("e2e", _e2e, read_scans),
    Format("fda", partial(_fda, fda_made.pictures(PIXELS)), read_scans),
    Format("fda 16 bit", partial(_fda, fda_made.deep(PIXELS)), read_scans),
    Format("xml", lambda folder: write_xml(folder, PIXELS, raster(3)), read_scans),
    Format("plain image", partial(_picture, "scan.tif"), read_plain_image),
    Format("nifti", _nifti, read_label_file),
    Format("nifti gz", _nifti_gz, read_label_file),
    Format("nifti in gz", _nifti_gz, read_label_file, gzip.decompress, _gzip),
    Format("labels npy", partial(_npy, MASKS, "mask.npy"), read_label_file),
    Format("labels npz", _saved_scan, read_label_file),
    Format("labels png", partial(_picture, "mask.png", array=MASKS[0]), read_label_file, wrap=_repair_png),
    Format(
        "labels tiff", lambda folder: _picture("mask.tif", folder, MASKS[0], compression="tiff_lzw"), read_label_file
    ),
    Format("labels csv", _surfaces, read_label_file),
    Format("labels json", _beside_surfaces, read_label_file),
    Format("split.json", partial(_json, "split.json", {"train": ["s01", 3, "s02_b01"], "val": [0, "s03"]}), read_split),
    Format("marks.csv", partial(_text, "marks.csv", _MARKS), read_mark_file),
    Format("subjects csv", partial(_text, "subjects.csv", "scan,subject\na,s01\nb,s02\n"), read_subject_table),
    Format("evaluation json", partial(_json, "metrics.json", _SCORES), read_json),
    Format("volume json", partial(_json, "eye_volume.json", _VOLUME), read_json),
)
