"""Heidelberg Engineering's raw export .vol and its .xml with pictures, through eyepy's readers.

Gray levels of .vol: single-precision reflectances 0..1, 3.4e38 where nothing was measured. HEYEX shows them as
255 (ln(x + 2.44e-4) + 8.3) / 8.285, cut off at 0 and 255, nothing as 0 (eyepy `vol_intensity_transform`); so do we.
Places of B-scans are mm on the infrared picture, x to the right and y downwards from its upper left corner, so they say
which B-scan is the inferior one (the first, as these devices scan) and which run as a star.
"""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from retseg.bscan import Array, Eye, Spacing
from retseg.data.readers.dicom_geometry import Arrangement, arrange_on_fundus
from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import VolumeLevels, check_size
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.pictures import open_picture
from retseg.data.readers.vendor_eyepy import heard, module_of_eyepy
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError
from retseg.geometry.volume_map import BScanDistance

CIRCLE, STAR = 2, 5
"""Scan patterns of .vol and .e2e files that are no raster (3 and 4: volume, 1: line, 0: not said)."""

_VOL = "Heidelberg .vol file"
_XML = "Heidelberg .xml export"
_EYES: dict[str, Eye] = {"OD": "OD", "OS": "OS", "R": "OD", "L": "OS"}
_NOBODY = ("", "unknown")


def eye_of(letters: object) -> Eye | None:
    """The eye of "OD", "R" and so on, None of anything else."""
    return _EYES.get(str(letters).strip("\0 "))


def subject_of(text: object) -> str | None:
    """The ID that the clinic gave a patient, None where it gave none."""
    subject = str(text or "").strip("\0 ")
    return None if subject.casefold() in _NOBODY else subject


def positive_um(size_mm: object) -> float | None:
    """Size in um of one in mm; None where it is none."""
    size_um = round(float(size_mm) * 1000, 6) if isinstance(size_mm, int | float) else np.nan
    return float(size_um) if np.isfinite(size_um) and size_um > 0 else None


def spacing_of(axial_um: float | None, lateral_um: float | None, source: str) -> Spacing:
    """Pixel size; nobody is the source of what is unknown."""
    return Spacing() if axial_um is None and lateral_um is None else Spacing(axial_um, lateral_um, source)


def arranged(ends: Sequence[tuple[float, float, float, float]], pattern: int, um_per_unit: float | None) -> Arrangement:
    """How B-scans lie whose ends (x and y of the first and the last A-scan) are in units of the infrared picture."""
    if pattern in (CIRCLE, STAR):
        word = "along a circle" if pattern == CIRCLE else "as a star"
        return Arrangement(is_raster=False, notices=(f"B-scans {word}: no maps are drawn of them",))
    places = np.array(ends, np.float64).reshape(-1, 2, 2)[..., ::-1]
    if len(places) < 2 or not np.isfinite(places).all():
        return Arrangement()
    return arrange_on_fundus(places, um_per_unit, "Heidelberg header (places of the B-scans)") or Arrangement()


def open_vol(path: Path, shelf: Shelf) -> list[ScanVolume]:
    """The volume of a .vol file. It stays in memory while it is read, as `Held` says: eyepy reads it whole."""
    with heard(path, _VOL) as said:
        file = _parsed_vol(path)
        check_size((file.size_y, file.size_x), path)
        ends = [(scan.start_x, scan.start_y, scan.end_x, scan.end_y) for scan in file.bscans]
        placed = arranged(ends, file.scan_pattern, 1000.0)
        distance_um = positive_um(file.distance)
        if placed.is_raster and distance_um is not None and len(ends) > 1:
            stated = BScanDistance(distance_um, "Heidelberg .vol header")
        else:
            stated = None
        spacing = spacing_of(positive_um(file.scale_y), positive_um(file.scale_x), "Heidelberg .vol header")
        eye, subject = eye_of(file.scan_position), subject_of(file.patient_id)
        num_bscans = len(ends)
    if num_bscans == 0:
        raise InputError(f"{path}: a {_VOL} without B-scans; export it again")
    held: Held[Any] = Held(shelf, lambda: _reopened_vol(path), range(num_bscans))

    def read(number: int) -> RawBScan:
        image = held.read(number, lambda file: vol_gray(file.bscans[number].data))
        return RawBScan(shown(image, f"{path}, B-scan {number + 1}"))

    return [
        ScanVolume(
            name=path.stem,
            path=path,
            format=_VOL,
            numbers=tuple(range(num_bscans)),
            read=read,
            num_bscans=num_bscans,
            spacing=spacing,
            distance=stated,
            is_raster=placed.is_raster,
            eye=eye if placed.eye_is_sided else None,
            first_bscan=placed.first_bscan,
            subject=subject,
            notices=(*said.lines, *placed.notices),
        )
    ]


def _parsed_vol(path: Path) -> Any:
    return module_of_eyepy("io.he").HeVolReader(path).parsed_file


def _reopened_vol(path: Path) -> Any:
    with heard(path, _VOL):
        return _parsed_vol(path)


def vol_gray(reflectance: Array) -> Array:
    """Gray levels (H, W) uint8 of reflectances (H, W), as HEYEX shows them."""
    with np.errstate(all="ignore"):  # what is no reflectance (below 0, nan) becomes 0
        return np.asarray(
            module_of_eyepy("core.utils").vol_intensity_transform(np.nan_to_num(reflectance, posinf=3.4e38))
        )


def shown(image: Array, place: str) -> Array:
    """The image. InputError, which begins with `place`, where all pixels are the same."""
    return VolumeLevels(np.dtype(np.uint8), (0,), lambda _: image, Path(place))(image, place)


def open_xml(path: Path, shelf: Shelf) -> list[ScanVolume]:
    """The volume of an .xml export, whose pictures lie beside it and are read one at a time."""
    with heard(path, _XML) as said:
        scans, spacing, eye, subject = _parsed_xml(path)
    ends = [(*scan["start_pos"], *scan["end_pos"]) for scan in scans]
    is_placed = all(value is not None for end in ends for value in end)
    placed = arranged(ends if is_placed else [], 0, 1000.0)
    pictures = [_picture(path, scan["scan_name"], shelf) for scan in scans]

    def read(number: int) -> RawBScan:
        return pictures[number].read(0)

    return [
        ScanVolume(
            name=path.stem,
            path=path,
            format=_XML,
            numbers=tuple(range(len(scans))),
            read=read,
            num_bscans=len(scans),
            spacing=spacing,
            distance=placed.distance,
            is_raster=placed.is_raster,
            eye=eye if placed.eye_is_sided else None,
            first_bscan=placed.first_bscan,
            subject=subject,
            notices=(*said.lines, *placed.notices),
        )
    ]


def _parsed_xml(path: Path) -> tuple[list[Any], Spacing, Eye | None, str | None]:
    """B-scans as eyepy describes them, pixel size, eye and subject.

    eyepy takes any other letter than R for a left eye, and the B-scans of all series for one volume; here neither.
    """
    xml_reader = module_of_eyepy("io.he.xml_reader")
    xml_reader.get_xml_root.cache_clear()  # it would give what was at this path before
    reader = xml_reader.HeXmlReader(path)
    series = [
        one for one in reader.xml_root[0].findall("./Patient/Study/Series") if one.find(".//ImageType") is not None
    ]
    if len(series) > 1:
        raise InputError(f"{path}: {len(series)} series in one {_XML}, expected one; export each alone")
    scans = list(reader.bscan_meta)
    if not scans:
        raise InputError(f"{path}: a {_XML} without B-scans (no image of type OCT); export it again")
    values = reader.parsed_values
    spacing = spacing_of(positive_um(values["scale_y"]), positive_um(values["scale_x"]), "Heidelberg .xml export")
    laterality = reader.xml_root[0].findtext("./Patient/Study/Series/Laterality")
    return scans, spacing, eye_of(laterality), subject_of(values["patient_id"])


def _picture(path: Path, name: str, shelf: Shelf) -> ScanVolume:
    """The picture of a B-scan beside the .xml. InputError where it is missing, damaged, or named in another folder."""
    name = PurePath(str(name).strip()).name if "/" not in str(name) else ""
    picture = path.parent / name
    if not name or not picture.is_file():
        raise InputError(f"{path}: its picture {name or 'of a B-scan'} is not beside it; copy the whole export folder")
    return open_picture(picture, ReadOptions(), shelf)[0]
