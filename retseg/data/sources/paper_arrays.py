"""The pair of arrays that the paper trains on: `resized_images.npy` and `resized_labeledimages.npy`.

They hold the 110 annotated B-scans of the Duke DME set twice: index i and i + 110 are the same B-scan.
"""

from pathlib import Path

import numpy as np

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.data.sources.mapped import mapped_npy
from retseg.data.sources.pixels import gray_levels
from retseg.errors import InputError

IMAGES_FILE = "resized_images.npy"
LABELS_FILE = "resized_labeledimages.npy"
OFFICIAL_BSCANS = (10, 15, 20, 25, 28, 30, 32, 35, 40, 45, 50)
"""0-based numbers of the eleven annotated B-scans, the same in each of the ten subjects."""

PAPER_SHAPE = (220, 216, 500)
"""(N, H, W) of both arrays."""

PAPER_SPACING = Spacing(3.87, 11.33, "data set (Chiu et al. 2015), if the arrays are an unscaled crop (CVIP 2018)")

_SCANS_PER_GRADER = 110


class PaperArraysSource:
    """B-scans of the paper's arrays (N, H, W) of any real type, with masks in place of surfaces.

    Index i is grader 1 + i // 110, subject (i % 110) // 11 and the (i % 11)th of the eleven annotated B-scans. That the
    second block is a second grader's is a guess. Fewer than 220 scans are the first N. Spacing is known for H, W =
    216, 500 alone. The files are mapped, never loaded whole; no handle outlives a call.
    """

    name = "Duke DME (the paper's arrays)"

    def __init__(self, root: str | Path, label_origin: str = "manual", spacing: Spacing = PAPER_SPACING) -> None:
        self.root, self.label_origin = Path(root), label_origin
        shape = _mapped(self.root / IMAGES_FILE).shape
        labels_shape = _mapped(self.root / LABELS_FILE).shape
        if shape != labels_shape:
            raise InputError(f"{self.root}: {IMAGES_FILE} {shape} and {LABELS_FILE} {labels_shape}, expected one shape")
        if len(shape) != 3 or 0 in shape or shape[0] > PAPER_SHAPE[0]:
            raise InputError(f"{self.root}: {IMAGES_FILE} {shape}, expected (N, H, W) with 1 to 220 scans")
        self._index = {_key(index): index for index in range(shape[0])}
        is_paper_size = shape[1:] == PAPER_SHAPE[1:]
        self.spacing = (
            spacing if is_paper_size else Spacing(source=f"unknown: {shape[1:]} is not the paper's 216 x 500")
        )
        size = f"{self.root}: arrays {shape}, the paper's are {PAPER_SHAPE}"
        unit = "" if is_paper_size else "; pixel size unknown"
        self._notices = () if shape == PAPER_SHAPE else (size + unit,)

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All B-scans, in the order of the arrays, which is the sorted one."""
        return tuple(self._index)

    @property
    def notices(self) -> tuple[str, ...]:
        """Whether the arrays have another size than the paper's."""
        return self._notices

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key. InputError where a gray level or a label breaks a rule, with place and value."""
        if key not in self._index:
            raise InputError(f"{self.root}: no B-scan {key.name} among its {len(self._index)}")
        index = self._index[key]
        image = gray_levels(_mapped(self.root / IMAGES_FILE)[index], f"{self.root / IMAGES_FILE}, index {index}")
        mask = _class_ids(_mapped(self.root / LABELS_FILE)[index], f"{self.root / LABELS_FILE}, index {index}")
        return BScan(key, image, mask=mask, spacing=self.spacing)


def _key(index: int) -> ScanKey:
    """Which B-scan lies at an index of the arrays."""
    block, scan = divmod(index, _SCANS_PER_GRADER)
    subject, position = divmod(scan, len(OFFICIAL_BSCANS))
    return ScanKey(1 + block, f"s{subject + 1:02d}", OFFICIAL_BSCANS[position])


def _mapped(path: Path) -> Array:
    """An array on disk, no values read. InputError where the file is missing, damaged, pickled or not of numbers."""
    if not path.exists():
        raise InputError(
            f"{path}: no such file; data.root is the folder of {IMAGES_FILE} and {LABELS_FILE}, or try data=phantom"
        )
    array = mapped_npy(path, "get it again")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: of type {array.dtype}, expected an array of real numbers")
    return array


def _class_ids(labels: Array, place: str) -> Array:
    """Labels (H, W) of any real type as int8 class ids. InputError, which begins with place, for any other value."""
    is_known = np.isin(labels, np.arange(IGNORE, NUM_CLASSES))
    if not is_known.all():
        row, column = np.argwhere(~is_known)[0]
        found = labels[row, column]
        raise InputError(
            f"{place}: label {found} at row {row}, column {column}, expected a whole number 0..{NUM_CLASSES - 1}, "
            f"or {IGNORE} where nobody annotated; correct the array"
        )
    return np.array(labels, np.int8, order="C")
