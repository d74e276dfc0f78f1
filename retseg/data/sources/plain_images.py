"""Images of a folder that says nothing of subjects, B-scans or labels: PNG, TIFF, JPEG and NPY files as they lie."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

from retseg.bscan import Array
from retseg.data.sources.mapped import mapped_npy
from retseg.errors import InputError, typed_line

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")
SUFFIXES = (*PICTURES, ".npy")

PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
"""What Pillow may take a file for, whatever its ending: of others, EPS starts a program (Ghostscript)."""


class PlainImages:
    """The images of a folder in sorted order of file names, or of one file, by place and by name.

    A NPY file holds one image (H, W) or a stack (N, H, W), a TIFF file one page or several; colours become gray.
    """

    def __init__(self, root: Path) -> None:
        files = [root] if root.is_file() else sorted(path for path in root.iterdir() if path.is_file())
        self._files = [path for path in files if path.suffix.lower() in SUFFIXES]
        if not self._files:
            raise InputError(f"{root}: no image here; looked for {', '.join(SUFFIXES)}")
        self.names: list[str] = []
        """(N,): file names, with [number] where a file holds several images; [number] alone if it is the one file."""
        self.places: dict[str, list[int]] = {}
        """Which images a word stands for: a name, a file (with or without its ending)."""
        for path in self._files:
            num_images = _num_images(path)
            stem = path.name if len(self._files) > 1 else ""
            own = [path.name] if num_images == 1 else [f"{stem}[{i}]" for i in range(num_images)]
            for name in own:
                for word in {name, path.name, path.stem}:
                    self.places.setdefault(word, []).append(len(self.names))
                self.names.append(name)

    def read(self, wanted: set[int]) -> Iterator[tuple[int, Array]]:
        """Place and image (H, W) of each wanted place, file by file. InputError where an image is none."""
        place = 0
        for path in self._files:
            num_images = _num_images(path)
            places = range(place, place + num_images)
            if not wanted.isdisjoint(places):
                yield from (
                    (place, image) for place, image in zip(places, _images(path), strict=True) if place in wanted
                )
            place += num_images


def _num_images(path: Path) -> int:
    if path.suffix.lower() == ".npy":
        array = _mapped(path)
        return len(array) if array.ndim == 3 else 1
    with _opened(path) as picture:
        try:
            return int(getattr(picture, "n_frames", 1))
        except Exception as error:  # Pillow raises whatever a damaged byte leads it to
            raise InputError(f"{path}: damaged image ({typed_line(error)}); copy it again") from error


def _images(path: Path) -> Iterator[Array]:
    """Images (H, W) of one file."""
    if path.suffix.lower() == ".npy":
        array = _mapped(path)
        for image in array if array.ndim == 3 else [array]:
            yield _checked(np.array(image), path)
        return
    with _opened(path) as picture:
        try:
            for frame in ImageSequence.Iterator(picture):
                is_gray = frame.mode in ("L", "I", "F") or frame.mode.startswith("I;16")
                yield _checked(np.array(frame if is_gray else frame.convert("L")), path)
        except InputError:
            raise
        except Exception as error:  # Pillow raises whatever a damaged byte leads it to
            raise InputError(f"{path}: damaged image ({typed_line(error)}); copy it again") from error


def _mapped(path: Path) -> Array:
    """An array (H, W) or (N, H, W) on disk, no values read."""
    array = mapped_npy(path, "get it again")
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "biuf":
        raise InputError(f"{path}: {array.dtype} {array.shape}, expected numbers (H, W) or (N, H, W)")
    return array


def _opened(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path, formats=PICTURE_FORMATS)
    except Exception as error:  # as above
        raise InputError(
            f"{path}: cannot be read as an image ({typed_line(error)}); leave it out or get it again"
        ) from error


def _checked(image: Array, path: Path) -> Array:
    if not np.isfinite(image).all():
        raise InputError(f"{path}: holds nan or infinite values, expected gray levels; get it again")
    return image
