"""PNG, JPEG, TIFF and BMP through Pillow: one picture a B-scan, a TIFF of several pages a volume of that many.

Colours become gray by luminance (ITU-R BT.601), palettes too; transparent pixels are laid over black; a picture is
turned as its EXIF orientation says. H rows, W columns.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from retseg.data.readers.held import Held, Shelf
from retseg.data.readers.levels import VolumeLevels, check_size, level_notices
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.tiff_scale import TiffScale, tiff_scale
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.data.sources.plain_images import PICTURE_FORMATS
from retseg.errors import InputError, typed_line
from retseg.geometry.volume_map import BScanDistance

COLOUR_DIFFERENCE = 16
"""Gray levels by which red, green and blue differ at most in a pixel that counts as gray (JPEG alone gives a few)."""

_DTYPES = {"I": np.dtype(np.int32), "F": np.dtype(np.float32)}
_ORIENTATION, _SUBFILE, _PHOTOMETRIC, _BITS = 274, 254, 262, 258
_THUMBNAIL = 1
_TURNED = (5, 6, 7, 8)
"""EXIF orientations whose rows are columns."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a file says before its pixels are read. pages: of the file, without thumbnails. shape: (H, W) of each."""

    pages: tuple[int, ...]
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    scale: TiffScale
    format: str
    notices: tuple[str, ...]


class _Raw(Protocol):
    """Reads a B-scan, gray levels as in the file; is_read False: on the way, it will be read again."""

    def __call__(self, number: int, is_read: bool = True) -> RawBScan: ...


def open_picture(path: Path, options: ReadOptions, shelf: Shelf) -> list[ScanVolume]:
    """A picture as a volume of one, or the pages of a TIFF as one volume. InputError where it is none, or too small.

    A TIFF of many pages stays open while it is read (finding a page takes time), as `Held` says.
    """
    header = _read_header(path)
    num_pages = len(header.pages)
    if num_pages == 1:
        return [_volume(path, (0,), 1, header, lambda number, is_read=True: _read(path, header.pages[0]), [path])]
    held = Held(shelf, lambda: _opened(path), range(num_pages), lambda image: image.close())

    def raw(number: int, is_read: bool = True) -> RawBScan:
        page = header.pages[number]
        return held.read(number if is_read else None, lambda image: _page(image, page, path))

    places = [f"{path}, page {page + 1}" for page in header.pages]
    return [_volume(path, tuple(range(num_pages)), num_pages, header, raw, places)]


def open_stack(paths: Sequence[Path]) -> tuple[list[ScanVolume], list[tuple[Path, str]]]:
    """Pictures of one folder, natural order, as one volume; and the damaged ones, whose places stay gaps.

    A TIFF of several pages stays a volume of its own and is not to be given here. InputError where pictures differ in
    size or in depth: the B-scans of a volume do not.
    """
    headers: dict[int, _Header] = {}
    failures: list[tuple[Path, str]] = []
    for number, path in enumerate(paths):
        try:
            headers[number] = _read_header(path)
        except InputError as error:
            failures.append((path, str(error)))
    if not headers:
        return [], failures
    numbers = tuple(headers)
    first = headers[numbers[0]]
    for number, header in headers.items():
        ours, others = ((h.shape, h.dtype, len(h.pages)) for h in (header, first))
        if ours != others:
            raise InputError(
                f"{paths[number]}: {_words(header)}, but {paths[numbers[0]].name} has {_words(first)}; the B-scans "
                "of a stack are of one size and depth: keep other pictures apart, or read them as single scans"
            )
    scale = first.scale if len({(h.scale.spacing, h.scale.distance_um) for h in headers.values()}) == 1 else TiffScale()
    lost = () if scale is first.scale else ("pictures of the stack state different scales, none of them is taken",)
    notices = tuple(dict.fromkeys(line for header in headers.values() for line in header.notices))
    header = replace(first, scale=scale, notices=(*notices, *lost), format=f"stack of {first.format} pictures")

    def raw(number: int, is_read: bool = True) -> RawBScan:
        return _read(paths[number], headers[number].pages[0])

    return [_volume(paths[0].parent, numbers, len(paths), header, raw, paths)], failures


def num_pages(path: Path) -> int:
    """Pages of a picture, thumbnails left out. InputError where it cannot be read."""
    return len(_read_header(path).pages)


def _volume(
    path: Path, numbers: tuple[int, ...], num_bscans: int, header: _Header, raw: _Raw, places: Sequence[object]
) -> ScanVolume:
    """A volume of pictures; places: of every number, as messages name it."""
    levels = VolumeLevels(header.dtype, numbers, lambda number: raw(number, is_read=False).image, path)

    def read(number: int) -> RawBScan:
        found = raw(number)
        return replace(found, image=levels(found.image, str(places[number])))

    distance_um = header.scale.distance_um if num_bscans > 1 else None
    return ScanVolume(
        name=path.stem,
        path=path,
        format=header.format,
        numbers=numbers,
        read=read,
        num_bscans=num_bscans,
        spacing=header.scale.spacing,
        distance=None if distance_um is None else BScanDistance(distance_um, header.scale.spacing.source),
        notices=header.notices,
    )


def _words(header: _Header) -> str:
    rows, columns = header.shape
    pages = f", {len(header.pages)} pages" if len(header.pages) > 1 else ""
    return f"{rows} rows x {columns} columns of {header.dtype}{pages}"


def _read_header(path: Path) -> _Header:
    """What a file says. InputError where it is no picture, of one bit, too small, too large, or of several channels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on tags
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=PICTURE_FORMATS) as image:
                return _header(image, path)
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: too many pixels to be a B-scan ({typed_line(error)}); refused") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: no PNG, JPEG, TIFF or BMP picture of 8, 16 or 32 bits; save it as one") from error
    except Exception as error:  # Pillow raises whatever a damaged byte leads it to
        raise _damaged(path, error) from error


def _header(image: Image.Image, path: Path) -> _Header:
    pages = _pages(image, path)
    image.seek(pages[0])
    if image.mode == "1":
        raise InputError(f"{path}: one bit a pixel, a mask; expected gray levels")
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    scale = tiff_scale(tags)
    if scale.num_channels > 1:
        raise InputError(f"{path}: {scale.num_channels} channels, expected one; save the channel of the OCT alone")
    if (scale.num_images or 1) > len(pages):
        raise InputError(f"{path}: {scale.num_images} images, but {len(pages)} pages listed; save it as a plain TIFF")
    dtype = np.dtype(np.uint16) if image.mode.startswith("I;16") else _DTYPES.get(image.mode, np.dtype(np.uint8))
    orientation = _orientation(image)
    notices = [
        *scale.notices,
        *level_notices(dtype),
        *(["a picture of several frames, the first of which is read"] * (len(pages) == 1 and _frames(image) > 1)),
        *(["16 bits a channel of colour: the upper 8 are read"] * _has_deep_colour(image)),
        *(["transparent pixels are laid over black"] * image.has_transparency_data),
        *([f"turned as its EXIF orientation {orientation} says"] * (orientation in range(2, 9))),
    ]
    return _Header(pages, _shape(image), dtype, scale, f"{image.format} picture", tuple(notices))


def _pages(image: Image.Image, path: Path) -> tuple[int, ...]:
    """Pages of a TIFF that are no thumbnails, all of one size and mode; of other formats the first frame."""
    if image.format != "TIFF":
        check_size(_shape(image), path)
        return (0,)
    pages, first = [], None
    for page in range(_frames(image)):
        image.seek(page)
        if image.tag_v2.get(_SUBFILE, 0) & _THUMBNAIL:  # type: ignore[attr-defined]
            continue
        kind = (_shape(image), image.mode)
        check_size(kind[0], path if page == 0 else f"{path}, page {page + 1}")
        first = first or kind
        if kind != first:
            raise InputError(
                f"{path}, page {page + 1}: {kind[0]} pixels, {kind[1]}, the first is {first[0]}, {first[1]}; expected "
                "B-scans of one size and depth"
            )
        pages.append(page)
    if not pages:
        raise InputError(f"{path}: a TIFF of thumbnails alone; get the file again")
    return tuple(pages)


def _frames(image: Image.Image) -> int:
    return int(getattr(image, "n_frames", 1))


def _shape(image: Image.Image) -> tuple[int, int]:
    """(H, W) as it is shown."""
    is_turned = image.format != "TIFF" and _orientation(image) in _TURNED  # Pillow has turned the size of a TIFF
    return (image.width, image.height) if is_turned else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    """How EXIF says it is to be turned, 1: not at all. In a PNG it may follow the pixels: that is not read here."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _has_deep_colour(image: Image.Image) -> bool:
    """Whether Pillow reads colours of 16 bits as 8."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else ()
    return image.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile[3]) for tile in tiles)


def _read(path: Path, page: int) -> RawBScan:
    """Pixels of a page of a file that is opened for it."""
    with _opened(path) as image:
        return _page(image, page, path)


def _opened(path: Path) -> Image.Image:
    try:
        image = Image.open(path, formats=PICTURE_FORMATS)
    except Exception as error:  # as above
        raise _damaged(path, error) from error
    image.filename = ""  # or Pillow (13.0) maps an uncompressed TIFF of orientation 5..8 by its turned size: scrambled
    return image


def _page(image: Image.Image, page: int, path: Path) -> RawBScan:
    """Pixels of a page of an open file. InputError where it is damaged."""
    try:
        if page or _frames(image) > 1:
            image.seek(page)
        tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
        is_white_zero, bits = tags.get(_PHOTOMETRIC) == 0, tags.get(_BITS, (16,))[0]
        shown = image if image.format == "TIFF" else ImageOps.exif_transpose(image)
        if shown.mode.startswith("I;16"):
            deep = np.array(shown).astype(np.uint16)
            return RawBScan((2**bits - 1 - deep).astype(np.uint16) if is_white_zero else deep)
        if shown.mode in ("I", "F"):
            return RawBScan(np.array(shown))
        return _gray(shown)
    except Exception as error:  # as above
        raise _damaged(path, error) from error


def _gray(image: Image.Image) -> RawBScan:
    """(H, W) uint8 of a picture of any mode of 8 bits, and how much of it is coloured."""
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", colours.size, (0, 0, 0, 255)), colours).convert("RGB")
    if image.mode == "L":
        return RawBScan(np.array(image))
    colours = image.convert("RGB")
    channels = np.asarray(colours)
    difference = channels.max(axis=2) - channels.min(axis=2)
    return RawBScan(np.array(colours.convert("L")), float((difference > COLOUR_DIFFERENCE).mean()))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged picture ({typed_line(error)}); copy it again")
