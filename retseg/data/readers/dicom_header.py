"""What a DICOM file says before its pixels: read without them, and refused in one line where it holds no B-scans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retseg.data.readers.levels import check_size
from retseg.errors import InputError, typed_line

_OPHTHALMIC_TOMOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
_SECONDARY_CAPTURES = tuple(f"1.2.840.10008.5.1.4.1.1.7{ending}" for ending in ("", ".2", ".3", ".4"))
_NO_BSCANS = tuple(
    f"1.2.840.10008.5.1.4.1.1.{ending}"
    for ending in ("77.1.5.1", "77.1.5.2", "77.1.5.5", "77.1.5.6", "77.1.5.7", "77.1.5.8", "81.1", "66.7", "66.8")
)
"""Classes that eye devices write beside B-scans: photographs, en-face pictures, thickness maps, segmentations."""

_NEWEST = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}
"""Names that pydicom does not know yet."""

_OCT_MODALITIES = ("OPT", "OCT")
_CAPTURE_MODALITIES = (*_OCT_MODALITIES, "OT", "SC", "")
_LONGEST_MODALITY = 16
"""Characters (PS3.5, 6.2: CS). What a damaged header takes for one may hold a name."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_DAMAGED = "copy it again"

MOST_FRAMES = 10_000
"""Ten times the B-scans of a dense volume. A compressed file of 8 bytes a frame may claim as many as it likes."""


@contextmanager
def one_line_of_damage(place: Path | str, what: str) -> Iterator[None]:
    """Whatever is raised inside becomes an InputError "place: what (...)".

    pydicom converts a value when it is first asked for, and codecs decode what they are given: damaged files make them
    raise anything.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{place}: {what} ({typed_line(error)}); {_DAMAGED}") from error


@dataclass(frozen=True, slots=True, eq=False)
class DicomHeader:
    """A file's data set up to its pixels, which begin at byte pixel_offset and take pixel_bytes (None: not said)."""

    path: Path
    dataset: Any
    num_frames: int
    pixel_offset: int
    pixel_bytes: int | None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of every frame."""
        return int(self.dataset.Rows), int(self.dataset.Columns)

    @property
    def is_compressed(self) -> bool:
        """Whether frames are encapsulated, each in items of its own."""
        return bool(self.dataset.file_meta.TransferSyntaxUID.is_encapsulated)

    def text(self, keyword: str) -> str:
        """The attribute of that keyword as text, "" where it is missing or empty."""
        return str(self.dataset.get(keyword) or "").strip()


def read_header(path: Path) -> DicomHeader:
    """Header of a file of B-scans.

    InputError where the file is no whole DICOM file, where it holds something else than B-scans (and what), where its
    frames are none, larger than a scan can be, of an unknown depth, or compressed in a way that nothing here undoes.
    """
    with one_line_of_damage(path, "damaged DICOM header"):
        dataset, offset, num_bytes = _parsed(path)
        _check_class(dataset, path)
        num_frames = int(dataset.get("NumberOfFrames") or 1) if "Rows" in dataset else 0
        header = DicomHeader(path, dataset, num_frames, offset, num_bytes)
        _check_pixels(header)
        return header


def _parsed(path: Path) -> tuple[Any, int, int | None]:
    """Data set without pixels, the byte where those begin, and how many there are (None: undefined length)."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    try:
        meta = read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            # The whole file is one zlib stream, which may unpack to any size.
            raise InputError(f"{path}: a deflated DICOM file; unpack it first, e.g. with `dcmconv +te`")
        with path.open("rb") as file:
            dataset = dcmread(file, stop_before_pixels=True)
            offset = file.tell()
            head = file.read(12)
        if "TransferSyntaxUID" not in dataset.file_meta:
            raise InputError(f"{path}: no transfer syntax in its DICOM header; {_DAMAGED}")
    except InvalidDicomError as error:
        raise InputError(f"{path}: no DICOM file (its signature DICM is missing); give a scan") from error
    return dataset, *_pixel_place(head, offset, dataset.file_meta.TransferSyntaxUID)


def _pixel_place(head: bytes, offset: int, syntax: Any) -> tuple[int, int | None]:
    """Byte where pixel values begin, and their number, from the first 12 bytes of their element (PS3.5, 7.1).

    (0, 0) where there is no element.
    """
    order = "little" if syntax.is_little_endian else "big"
    tag = (int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order))  # type: ignore[arg-type]
    if tag != (0x7FE0, 0x0010):
        return 0, 0
    start = 4 if syntax.is_implicit_VR else 8
    num_bytes = int.from_bytes(head[start : start + 4], order)  # type: ignore[arg-type]
    return offset + start + 4, None if num_bytes == 0xFFFFFFFF else num_bytes


def _check_class(dataset: Any, path: Path) -> None:
    sop_class = str(dataset.get("SOPClassUID") or "")
    modality = str(dataset.get("Modality") or "").strip()
    is_capture = sop_class in _SECONDARY_CAPTURES and modality in _CAPTURE_MODALITIES
    is_tomography = sop_class == _OPHTHALMIC_TOMOGRAPHY or (modality in _OCT_MODALITIES and sop_class not in _NO_BSCANS)
    if not (is_capture or is_tomography):
        modality = " ".join(modality.split())[:_LONGEST_MODALITY] or "not said"
        raise InputError(f"{path}: {_class_name(dataset)} (modality {modality}), expected OCT B-scans; leave it out")
    if str(dataset.get("OphthalmicImageOrientation") or "") == "TRANSVERSE":
        raise InputError(
            f"{path}: sections of the eye seen from the front (TRANSVERSE), expected B-scans; leave it out"
        )


def _class_name(dataset: Any) -> str:
    """What an object is, in the words of the standard, on one line."""
    sop_class = dataset.get("SOPClassUID")
    name = _NEWEST.get(str(sop_class)) or getattr(sop_class, "name", "") or "DICOM object of no class"
    return " ".join(name.split())[:100]


def _check_pixels(header: DicomHeader) -> None:
    dataset, path = header.dataset, header.path
    if header.num_frames < 1 or header.pixel_bytes == 0:
        raise InputError(
            f"{path}: {_class_name(dataset)} without pixels, expected OCT B-scans; {_DAMAGED} or leave it out"
        )
    check_size(header.shape, path)
    bits, samples = int(dataset.get("BitsAllocated") or 0), int(dataset.get("SamplesPerPixel") or 1)
    if bits not in (8, 16) or samples not in (1, 3):
        raise InputError(f"{path}: {samples} x {bits} bits a pixel, expected 1 or 3 samples of 8 or 16; export it anew")
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        if keyword in dataset:
            raise InputError(f"{path}: gray levels through a table ({keyword}), expected a window; export it anew")
    num_present = path.stat().st_size - header.pixel_offset
    num_needed = 8 * header.num_frames if header.is_compressed else header.num_frames * frame_bytes(header)
    if num_needed > num_present:
        raise InputError(
            f"{path}: {num_present} bytes of pixels for {header.num_frames} frames of "
            f"{header.shape[0]} x {header.shape[1]}: cut short; {_DAMAGED}"
        )
    if header.num_frames > MOST_FRAMES:
        raise InputError(f"{path}: {header.num_frames} frames, at most {MOST_FRAMES:,} are read; {_DAMAGED}")
    _check_codec(header)


def frame_bytes(header: DicomHeader) -> int:
    """Bytes of a frame that is not compressed; YBR_FULL_422 shares its colours between two pixels."""
    height, width = header.shape
    samples = int(header.dataset.get("SamplesPerPixel") or 1)
    num_values = height * width * samples
    if header.text("PhotometricInterpretation") == "YBR_FULL_422":
        num_values = num_values // 3 * 2
    return num_values * int(header.dataset.BitsAllocated) // 8


def _check_codec(header: DicomHeader) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.dataset.file_meta.TransferSyntaxUID
    try:
        is_available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError(f"{header.path}: pixels as {syntax.name}, which pydicom cannot read; export it anew") from None
    if not is_available:
        raise InputError(
            f"{header.path}: pixels compressed as {syntax.name}, and no codec for it is installed; "
            "pip install 'retseg[vendor]', for JPEG lossless also pylibjpeg-libjpeg"
        )
