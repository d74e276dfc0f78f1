"""What a source of B-scans holds, in plain numbers (paper 3.1): sizes, labels, gray levels, layer thickness, fluid.

H rows (depth), W columns (A-scans), L layers, C classes. A scan is a B-scan as one grader annotated it (a key): two
graders of one B-scan are two scans of the same pixels.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from retseg.anatomy import CLASS_NAMES, IGNORE, LAYER_NAMES
from retseg.bscan import Array, BScan, Spacing
from retseg.data.scan_sums import ScanSums, measure
from retseg.data.source import ScanSource

NOT_ANNOTATED = "not annotated"
ALL = "all"


@dataclass(frozen=True, slots=True)
class GrayLevels:
    """Gray levels 0..255, pooled over all pixels of all images, each image once however many graders drew on it.

    sd is that of the pixels themselves (divided by their number). Shares are of pixels exactly 0 and exactly 255.
    """

    num_pixels: int
    mean: float
    sd: float
    lowest: float
    highest: float
    share_of_0: float
    share_of_255: float


@dataclass(frozen=True, slots=True)
class ClassPixels:
    """Pixels of one class, pooled over scans: where two graders drew, the masks of both count.

    share is that of all annotated pixels, of "not annotated" that of all pixels; it depends on how much vitreous and
    choroid the image shows. share_of_layers, of the pixels of the seven layers, does not; the background and "not
    annotated" have none. None where there is nothing to share. Gray mean and sd are of the class's own pixels, None
    for an absent class.
    """

    name: str
    num_pixels: int
    share: float | None
    share_of_layers: float | None
    gray_mean: float | None
    gray_sd: float | None


@dataclass(frozen=True, slots=True)
class Thickness:
    """Axial thickness of one layer: mean, 5th and 95th percentile, pooled over the columns of all scans.

    A column counts where both surfaces of the layer are known and don't cross. Microns are over those of them whose
    pixel size is known. Percentiles lie linearly between values (numpy's default). None where no column counts.
    """

    layer: str
    num_columns: int
    mean_px: float | None
    p05_px: float | None
    p95_px: float | None
    mean_um: float | None
    p05_um: float | None
    p95_um: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The numbers of one group of scans: all of them, or one subject's. Nothing is a mean of means.

    num_bscans counts B-scans whoever annotated them. Fluid: scans in which somebody looked for it, and found some.
    """

    name: str
    num_scans: int
    num_bscans: int
    gray: GrayLevels
    classes: tuple[ClassPixels, ...]
    not_annotated: ClassPixels
    thickness: tuple[Thickness, ...]
    num_scans_looked_at_for_fluid: int
    num_scans_with_fluid: int


@dataclass(frozen=True, slots=True)
class SpacingCount:
    """How many scans have a pixel size, and who gave it. None is unknown."""

    axial_um: float | None
    lateral_um: float | None
    source: str
    num_scans: int


@dataclass(frozen=True, slots=True)
class Description:
    """A source in plain numbers; `dataclasses.asdict` of it is JSON.

    Counts by name: graders and labels_from ("surfaces", "mask", "nothing") of scans; image_shapes ("216 x 500") and
    image_dtypes, as read, of images; eyes of volumes, one a subject and eye; labels (unique class ids, IGNORE too) of
    pixels. gray_histograms: 256 counts of pixels by gray level, rounded, of all images (once each), of each class and
    of what is not annotated (pooled over scans, as in ClassPixels).
    """

    name: str
    label_origin: str
    notices: tuple[str, ...]
    overall: Group
    subjects: tuple[Group, ...]
    graders: dict[str, int]
    eyes: dict[str, int]
    image_shapes: dict[str, int]
    image_dtypes: dict[str, int]
    labels_from: dict[str, int]
    labels: dict[str, int]
    spacings: tuple[SpacingCount, ...]
    gray_histograms: dict[str, tuple[int, ...]]


def describe(source: ScanSource, progress: Callable[[int, int], None] | None = None) -> Description:
    """Describe all scans of a source in one pass, subject by subject.

    progress is called with the number of scans done and of all. Besides counts, only the thicknesses are kept:
    28 bytes a column. Raises InputError where the source does.
    """
    keys = sorted(source.keys, key=lambda key: (key.subject, key.bscan, key.grader))
    overall, subjects, counts = ScanSums(ALL), dict[str, ScanSums](), _Counts()
    last: BScan | None = None
    for num_done, key in enumerate(keys, start=1):
        scan = source.read(key)
        is_same_bscan = last is not None and last.key.scan_name == key.scan_name
        is_same_image = last is not None and is_same_bscan and np.array_equal(last.image, scan.image)
        counts.add(scan, is_same_bscan, is_same_image)
        measured = measure(scan)
        for sums in (overall, subjects.setdefault(key.subject, ScanSums(key.subject))):
            sums.add(measured, is_same_bscan, is_same_image)
        last = scan
        if progress is not None:
            progress(num_done, len(keys))
    histograms = {ALL: overall.image_histogram, NOT_ANNOTATED: overall.histograms[0]}
    histograms |= dict(zip(CLASS_NAMES, overall.histograms[1:], strict=True))
    labels = overall.histograms.sum(axis=1).tolist()
    return Description(
        name=source.name,
        label_origin=source.label_origin,
        notices=source.notices + counts.notices,
        overall=_group(overall),
        subjects=tuple(_group(sums) for sums in subjects.values()),
        graders=_by_name(counts.graders),
        eyes=_by_name(Counter(eye for _, eye in counts.volumes)),
        image_shapes=_by_name(counts.shapes),
        image_dtypes=_by_name(counts.dtypes),
        labels_from=_by_name(counts.labels_from),
        labels={str(label): num for label, num in enumerate(labels, start=IGNORE) if num},
        spacings=tuple(SpacingCount(s.axial_um, s.lateral_um, s.source, num) for s, num in counts.spacings.items()),
        gray_histograms={name: tuple(histogram.tolist()) for name, histogram in histograms.items()},
    )


@dataclass
class _Counts:
    """How many scans, images and volumes are of which kind."""

    graders: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    labels_from: Counter[str] = field(default_factory=Counter)
    spacings: Counter[Spacing] = field(default_factory=Counter)
    volumes: set[tuple[str, str]] = field(default_factory=set)
    num_unlike: int = 0

    def add(self, scan: BScan, is_same_bscan: bool, is_same_image: bool) -> None:
        """Count a scan; its image too, unless it is that of the scan before."""
        self.graders[str(scan.key.grader)] += 1
        self.labels_from[_labels_from(scan)] += 1
        self.spacings[scan.spacing] += 1
        self.volumes.add((scan.key.subject, scan.eye or "unknown"))
        self.num_unlike += is_same_bscan and not is_same_image
        if not is_same_image:
            self.shapes[f"{scan.shape[0]} x {scan.shape[1]}"] += 1
            self.dtypes[str(scan.image.dtype)] += 1

    @property
    def notices(self) -> tuple[str, ...]:
        """Whether graders saw unlike pixels of what should be one B-scan."""
        unlike = f"{self.num_unlike} scans have other pixels than the same B-scan of the grader before"
        return (unlike,) if self.num_unlike else ()


def _group(sums: ScanSums) -> Group:
    """The sums as what they say."""
    num_pixels = sums.histograms.sum(axis=1).tolist()
    not_annotated, *classes = [
        ClassPixels(name, num, *shares, *_mean_sd(num, moments))
        for name, num, shares, moments in zip(
            (NOT_ANNOTATED, *CLASS_NAMES), num_pixels, _shares(num_pixels), sums.moments, strict=True
        )
    ]
    return Group(
        sums.name, sums.num_scans, sums.num_bscans, _gray(sums), tuple(classes), not_annotated,
        tuple(_thickness(sums, layer) for layer in range(len(LAYER_NAMES))),
        sums.num_looked_at, sums.num_with_fluid,
    )  # fmt: skip


def _shares(num_pixels: list[int]) -> list[tuple[float | None, float | None]]:
    """Share and share of layers, from pixels of IGNORE and of the classes."""
    num_all, num_annotated, num_in_layers = sum(num_pixels), sum(num_pixels[1:]), sum(num_pixels[2:])
    totals = [(num_all, 0), (num_annotated, 0)] + len(LAYER_NAMES) * [(num_annotated, num_in_layers)]
    return [
        (num / total if total else None, num / total_in_layers if total_in_layers else None)
        for num, (total, total_in_layers) in zip(num_pixels, totals, strict=True)
    ]


def _gray(sums: ScanSums) -> GrayLevels:
    num_pixels = int(sums.image_histogram.sum())
    mean, sd = _mean_sd(num_pixels, sums.image_moments)
    assert mean is not None
    assert sd is not None
    share_of_0, share_of_255 = (sums.num_exact / num_pixels).tolist()
    return GrayLevels(num_pixels, mean, sd, sums.lowest, sums.highest, share_of_0, share_of_255)


def _thickness(sums: ScanSums, layer: int) -> Thickness:
    px, um = sums.thickness(layer)
    return Thickness(LAYER_NAMES[layer], len(px), *_mean_and_range(px), *_mean_and_range(um))


def _mean_sd(num_pixels: int, moments: Array) -> tuple[float | None, float | None]:
    """Mean and sd from sum and sum of squares; None of nothing."""
    if not num_pixels:
        return None, None
    mean, mean_square = (moments / num_pixels).tolist()
    return mean, max(mean_square - mean**2, 0.0) ** 0.5


def _mean_and_range(values: Array) -> tuple[float | None, float | None, float | None]:
    """Mean, 5th and 95th percentile; None of nothing."""
    if not len(values):
        return None, None, None
    low, high = np.percentile(values, (5, 95)).tolist()
    return float(values.mean()), low, high


def _labels_from(scan: BScan) -> str:
    if scan.mask is not None:
        return "mask"
    return "nothing" if scan.surface_rows is None else "surfaces"


def _by_name(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
