"""Whether a mask looks like a retina: layers in order, each in one piece, without holes, in every column.

H rows (depth), W columns (A-scans), L layers. Counts of one scan, for any mask: the prediction's or the truth's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.geometry.surfaces import depth_classes

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """What `topology` counts in one scan.

    order_violations: pairs of pixels, one below the other, whose depth class falls.
    columns_out_of_order: columns with such a pair.
    islands: (L,) pieces of each layer beyond its largest (pixels joined by their sides).
    holes: (L,) pieces of what is not the layer (joined by sides or corners), enclosed by it: off the image's border.
    columns_without: (L,) columns without a pixel of the layer.
    """

    order_violations: int
    columns_out_of_order: int
    islands: Array
    holes: Array
    columns_without: Array


def topology(mask: Array, columns: Array | None = None) -> Topology:
    """Topology of class ids (H, W); columns_without looks at columns (W,) bool, by default at those without IGNORE.

    IGNORE is no layer, and no pair with it is out of order. Columns that are IGNORE from top to bottom are taken out
    first, so that they cut no layer in two.
    """
    is_ignored = mask == IGNORE
    seen = mask[:, ~is_ignored.all(axis=0)]
    depth = depth_classes(seen)
    falls = (depth[1:] < depth[:-1]) & (depth[1:] != IGNORE)
    pieces = _num_pieces(seen)
    looked_at = ~is_ignored.any(axis=0) if columns is None else columns
    in_column = np.stack([(mask == layer).any(axis=0) for layer in range(1, NUM_CLASSES)])
    return Topology(
        order_violations=int(falls.sum()),
        columns_out_of_order=int(falls.any(axis=0).sum()),
        islands=np.maximum(pieces - 1, 0)[1:],
        holes=(pieces - _euler_numbers(seen))[1:],
        columns_without=(looked_at & ~in_column).sum(axis=1),
    )


def _num_pieces(mask: Array) -> Array:
    """Number of 4-connected pieces (C,) of each class of class ids (H, W).

    Works on runs (equal pixels of a column, one below the other) instead of pixels: there are far fewer.
    """
    starts = np.ones(mask.shape, bool)
    starts[1:] = mask[1:] != mask[:-1]
    run = (np.cumsum(starts.T.ravel(), dtype=np.int32) - 1).reshape(mask.shape[::-1]).T
    class_of_run = mask.T[starts.T]
    # Two runs side by side meet first where one of them starts.
    meets = (mask[:, 1:] == mask[:, :-1]) & (starts[:, 1:] | starts[:, :-1])
    left, right = run[:, :-1][meets], run[:, 1:][meets]
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(class_of_run),) * 2)
    _, piece_of_run = connected_components(links, directed=False)
    _, first_runs = np.unique(piece_of_run, return_index=True)
    classes = class_of_run[first_runs]
    return np.bincount(classes[classes != IGNORE], minlength=NUM_CLASSES)


def _euler_numbers(mask: Array) -> Array:
    """Pieces less holes (C,) of each class: its pixels - its pairs side by side or stacked + its squares of four."""
    across, down = mask[:, 1:] == mask[:, :-1], mask[1:] == mask[:-1]
    square = across[1:] & across[:-1] & down[:, 1:]
    return _pixels(mask) - _pixels(mask[:, 1:][across]) - _pixels(mask[1:][down]) + _pixels(mask[1:, 1:][square])


def _pixels(mask: Array) -> Array:
    """Number of pixels (C,) of each class."""
    return np.bincount((mask - IGNORE).ravel(), minlength=NUM_CLASSES + 1)[1:]
