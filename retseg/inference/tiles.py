"""Which windows of a scan a network looks at: as large in microns as those it was trained on, side by side.

A network knows the retina at one scale, that of its training scans. So a scan of another pixel size is cut into windows
of the same extent in microns, a wider one into several that overlap, and each finds the retina's depth by itself.
H rows, W columns of the scan; h, w of a window.
"""

from dataclasses import dataclass, replace

import numpy as np

from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.data.transforms import RetinaCrop
from retseg.evaluation.inference import Place, windowed
from retseg.inference.network import NetworkCard

OVERLAP = 0.25
"""Share of a window's columns that the next one outwards has, too: at its edges a network sees little context."""

SEAM = 0.1
"""Share of a window's columns at either edge over which its weight falls from 1 to 0."""

_CROP = RetinaCrop()


RETINA_SHARE = 0.38
"""Share of a window's rows that the retina takes in training of any scale: 350 um of 0.93 mm."""

FEWEST_ROWS = 64
"""Of a window whose scale is guessed."""


@dataclass(frozen=True, slots=True)
class Field:
    """Rows and columns of a window in a scan's own pixels, the size (h, w) in which it is seen, and a notice or "".

    is_guess: nobody knows the scale, and a first look at the whole scan is to set it (`zoomed`).
    """

    rows: int
    columns: int
    size: tuple[int, int]
    notice: str = ""
    is_guess: bool = False


def field_of_view(card: NetworkCard, shape: tuple[int, int], spacing: Spacing) -> Field:
    """The windows of a scan (H, W): the extent of the training windows in um where both scales are known, else in px.

    A scan that is smaller is one window as it is. A scan of unknown scale is one window for a network that was trained
    at many scales, as high as its own first look suggests (`zoomed`): never a word on microns, only where to look.
    """
    trained = card.window or card.training_shape
    if trained is None:
        return Field(*shape, card.size or shape, "how large training scans were is not known: each scan is one window")
    if card.training_um is not None and spacing.axial_um is not None and spacing.lateral_um is not None:
        wanted = (
            trained[0] * card.training_um[0] / spacing.axial_um,
            trained[1] * card.training_um[1] / spacing.lateral_um,
        )
        rows, columns = (min(max(round(size), 1), most) for size, most in zip(wanted, shape, strict=True))
        return Field(rows, columns, card.size or trained)
    if card.is_of_any_scale:
        words = "pixel size is not known: the window is as high as the retina that the network sees suggests"
        return Field(*shape, card.size or trained, words, is_guess=True)
    whose = "this scan's" if card.training_um is not None else "the training scans'"
    rows, columns = min(trained[0], shape[0]), min(trained[1], shape[1])
    return Field(
        rows,
        columns,
        card.size or (rows, columns),
        f"{whose} pixel size is not known: windows are {trained[0]} x {trained[1]} px, as in training",
    )


def zoomed(field: Field, rows: Array) -> Field:
    """The field of a scan of unknown scale after a first look: of which the retina takes its usual share.

    rows (S, w): surfaces in the whole scan on the network's grid; nan where none. Never higher than the scan.
    """
    height = rows[-1] - rows[0]
    known = height[np.isfinite(height)]
    share = float(np.median(known)) / field.size[0] if known.size else RETINA_SHARE
    wanted = round(field.rows * share / RETINA_SHARE)
    return replace(field, rows=min(max(wanted, min(FEWEST_ROWS, field.rows)), field.rows), is_guess=False)


def column_starts(num_columns: int, width: int) -> tuple[int, ...]:
    """First columns of windows of a width that cover num_columns: one in the middle, others outwards on both sides."""
    last = num_columns - width
    if last <= 0:
        return (0,)
    middle = round(last / 2)
    num_left, num_right = (int(np.ceil(reach / ((1 - OVERLAP) * width))) for reach in (middle, last - middle))
    left, right = np.linspace(0, middle, num_left + 1)[:-1], np.linspace(middle, last, num_right + 1)[1:]
    return tuple(round(start) for start in (*left, middle, *right))


def tiles(image: Array, field: Field) -> tuple[Place, ...]:
    """Windows of a scan's image (H, W), left to right; rows as `RetinaCrop` finds the retina in these very columns."""
    crop = replace(
        _CROP, rows=field.rows, columns=field.columns, band=max(1, round(_CROP.band * field.rows / _CROP.rows))
    )
    places = []
    for left in column_starts(image.shape[1], field.columns):
        part = BScan(ScanKey(0, "", 0), image[:, left : left + field.columns])
        place = windowed(part, crop)[1]
        places.append(replace(place, left=left))
    return tuple(places)


def moved_to(place: Place, middle_row: float, num_rows: int) -> Place:
    """The window with its middle at a row, as far as the scan of num_rows allows."""
    top = min(max(round(middle_row - place.height / 2), 0), num_rows - place.height)
    return replace(place, top=top)


def blend_weights(places: tuple[Place, ...], num_columns: int) -> Array:
    """Weight (T, W) of each window in each column, summing to 1: the more central window first, as far as it sees.

    Training scans are centred on what was annotated, so networks are best in a window in the middle: on the held-out
    silver scans (`duke_segnet_cpu`) surfaces of central columns are off by 2.3 um from there and by 3.1 um from two
    windows to its sides. A window's weight falls to 0 at its edges; what it leaves goes to the next one outwards. A
    weighted mean of ordered surfaces is ordered.
    """
    weights, left_over = np.zeros((len(places), num_columns)), np.ones(num_columns)
    off_centre = [abs(place.left + (place.width - num_columns) / 2) for place in places]
    for number in np.argsort(off_centre, kind="stable"):
        place = places[number]
        columns = slice(place.left, place.left + place.width)
        steps = np.arange(place.width) + 0.5
        trust = np.clip(np.minimum(steps, place.width - steps) / max(SEAM * place.width, 1), 0, 1)
        weights[number, columns] = left_over[columns] * trust
        left_over[columns] -= weights[number, columns]
    return np.asarray(weights / weights.sum(axis=0))
