"""The worst, middle and best scans of each run, as planes that lie one upon the other: gray levels, truth, prediction.

A plane is a picture of one class (or of what is wrong) that the page shows or hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retseg.anatomy import IGNORE, LAYERS, SURFACE_NAMES
from retseg.bscan import Array
from retseg.evaluation.case import Case
from retseg.evaluation.store import load_case
from retseg.report.colours import ADDED, EDGE, MISSED, NOT_ANNOTATED, WRONG
from retseg.report.images import gray_webp, indexed_png, plane_png
from retseg.report.run_folder import EVALUATION, ReportedRun

EVERY = "every"
"""Layer of planes that are shown when no single layer is chosen."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One picture of a stack: kind ("truth", "second", "prediction", "difference"), which layer it is of, data URI.

    layer: an id of retseg.anatomy, or EVERY, or "" for one that is shown whichever layer is chosen. is_whole: shown
    when every layer is.
    """

    kind: str
    layer: str
    is_whole: bool
    uri: str


@dataclass(frozen=True, slots=True)
class LayerScore:
    """Of one layer in one scan: Dice, and mean absolute error of its lower surface; "" where it is not known."""

    layer: str
    dice: str
    lower_surface: str
    error: str


@dataclass(frozen=True, slots=True, eq=False)
class ScanPanel:
    """What one run says of one scan. shape (H, W). pixels: data URI, "" where they are left out or not there."""

    letter: str
    run: str
    scan: str
    dice: float | None
    place: str
    shape: tuple[int, int]
    aspect: float
    scale: str
    pixels: str
    planes: Sequence[Plane]
    scores: Sequence[LayerScore]
    unit: str

    @property
    def kinds(self) -> list[str]:
        """Kinds of planes that there are."""
        return list(dict.fromkeys(plane.kind for plane in self.planes))


@dataclass(frozen=True, slots=True, eq=False)
class ShownScan:
    """One scan with a panel for each run that was scored on it; why: "worst of A", "median of B"."""

    scan: str
    subject: str
    why: str
    panels: Sequence[ScanPanel]


def choose_scans(run: ReportedRun, num_scans: int) -> dict[str, str]:
    """Scans of a run by name, with why they are shown: num_scans worst, around the median, and best, by mean Dice."""
    scored = sorted((dice, scan) for scan in run.scans if (dice := run.scan_dice(scan)) is not None)
    names = [scan for _, scan in scored]
    count = min(num_scans, len(names))
    first = (len(names) - count) // 2
    groups = {"worst": names[:count], "median": names[first : first + count], "best": names[len(names) - count :][::-1]}
    chosen: dict[str, str] = {}
    for why, members in groups.items():
        for scan in members:
            chosen.setdefault(scan, why)
    return chosen


def shown_scans(runs: Sequence[ReportedRun], num_scans: int, with_pixels: bool) -> list[ShownScan]:
    """Chosen scans of all runs, worst first, each once. InputError where a saved scan is damaged or missing."""
    reasons: dict[str, list[tuple[str, str]]] = {}
    for run in runs:
        for scan, why in choose_scans(run, num_scans).items():
            reasons.setdefault(scan, []).append((why, run.letter))
    order = {"worst": 0, "median": 1, "best": 2}
    shown = []
    for scan, found in sorted(reasons.items(), key=lambda entry: min(order[why] for why, _ in entry[1])):
        cases = [(run, load_case(run.folder / EVALUATION, scan)) for run in runs if scan in run.scans]
        several = len(runs) > 1
        why = ", ".join(f"{why} of {letter}" if several else why for why, letter in found)
        shown.append(ShownScan(scan, cases[0][1].subject, why, [scan_panel(*one, with_pixels) for one in cases]))
    return shown


def scan_panel(run: ReportedRun, case: Case, with_pixels: bool) -> ScanPanel:
    """One run's answer to one scan."""
    axial_um, lateral_um = case.spacing.axial_um, case.spacing.lateral_um
    height, width = case.truth.shape
    known = axial_um is not None and lateral_um is not None
    scale = f"{axial_um:.3g} x {lateral_um:.3g} µm a pixel" if known else "scale unknown"
    ranked = sorted(run.scans, key=lambda name: (run.scan_dice(name) is None, run.scan_dice(name)))
    return ScanPanel(
        letter=run.letter,
        run=run.name,
        scan=case.name,
        dice=run.scan_dice(case.name),
        place=f"{ranked.index(case.name) + 1} of {len(ranked)} from the worst",
        shape=(height, width),
        aspect=width / height,
        scale=f"{height} x {width} px, {scale}",
        pixels=gray_webp(case.image) if with_pixels and case.image is not None else "",
        planes=planes(case),
        scores=layer_scores(run, case.name),
        unit="µm" if run.unit == "um" else run.unit,
    )


def planes(case: Case) -> list[Plane]:
    """Truth, second grader if there is one, prediction, and differences of prediction and truth."""
    truth, found = case.truth.mask, case.prediction.mask
    labelled = [("prediction", found), ("truth", truth)]
    labelled += [] if case.second is None else [("second", case.second.mask)]
    made = [
        Plane(kind, str(layer.id), True, plane_png(mask == layer.id, layer.colour))
        for kind, mask in labelled
        for layer in LAYERS
    ]
    made += [Plane(kind, EVERY, True, plane_png(_edges(mask), EDGE)) for kind, mask in labelled]
    is_known = (truth != IGNORE) & (found != IGNORE)
    made.append(Plane("difference", EVERY, True, plane_png(is_known & (truth != found), WRONG)))
    for layer in LAYERS:
        change = _change(truth == layer.id, found == layer.id, is_known)
        picture = indexed_png(change, [(0, 0, 0), MISSED, ADDED], [0, 255, 255])
        made.append(Plane("difference", str(layer.id), False, picture))
    if (truth == IGNORE).any():
        hatched = plane_png(_hatched(truth == IGNORE), NOT_ANNOTATED)
        made += [Plane(kind, "", True, hatched) for kind in ("truth", "difference")]
    return made


def _edges(mask: Array) -> Array:
    """Pixels (H, W) bool whose class is another than that of the pixel above, where both have one."""
    is_edge = np.zeros(mask.shape, bool)
    is_edge[1:] = (mask[1:] != mask[:-1]) & (mask[1:] != IGNORE) & (mask[:-1] != IGNORE)
    return is_edge


def _hatched(is_on: Array) -> Array:
    """Pixels (H, W) bool on diagonals, two of six."""
    diagonals = np.add.outer(np.arange(is_on.shape[0]), np.arange(is_on.shape[1]))
    return np.asarray(is_on & (diagonals % 6 < 2))


def _change(is_true: Array, is_found: Array, is_known: Array) -> Array:
    """Indices (H, W): 1 where a layer was missed, 2 where it is too much, 0 elsewhere."""
    change = np.where(is_true & ~is_found, 1, np.where(is_found & ~is_true, 2, 0))
    return np.where(is_known, change, 0).astype(np.uint8)


def layer_scores(run: ReportedRun, scan: str) -> list[LayerScore]:
    """Rows of scans.csv of one scan, layers from top to bottom."""
    rows = (run.scan_rows or {}).get(scan, {})
    return [
        LayerScore(
            layer.name,
            _fixed(rows.get(layer.name, {}).get("dice"), 3),
            SURFACE_NAMES[layer.id],
            _fixed(rows.get(layer.name, {}).get("lower_surface_mean_absolute"), 1),
        )
        for layer in LAYERS
    ]


def _fixed(text: str | None, digits: int) -> str:
    return f"{float(text):.{digits}f}" if text else ""
