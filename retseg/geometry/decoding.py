"""From class probabilities to ordered surfaces, on any grid. N scans, C classes, H rows, W columns, S = C surfaces.

Class 0 is the background, 1..C-1 the layers from top to bottom; depth classes divide the background: 0 above the
retina, 1..C-1, C below it. Surface k lies between depth classes k and k + 1. Rows are 0-based edges: row r is the upper
edge of pixel r, so rows run from 0 to H, and a surface at 0 or H lies at the border of the image or beyond.

Both decoders can only give surfaces in order. A column has surfaces where in at least one of its pixels all layers
together are likelier than the background; elsewhere, and where a probability is nan, they are nan.
"""

import math

import numpy as np
import torch
from torch import Tensor

from retseg.bscan import Array
from retseg.errors import InputError
from retseg.geometry.ordered_path import best_ordered_rows, smooth_ordered_rows

FLOOR = 1e-6
"""The least probability in `likeliest_surfaces`: a pixel that a network holds impossible costs 13.8 nats, no more."""


def split_background(probabilities: Tensor) -> Tensor:
    """Depth probabilities (N, C + 1, H, W) from class probabilities (N, C, H, W): sums stay as they are.

    At a pixel whose column holds layer probability A above it and B below it, the pixel itself left out, the share
    m = A / (A + B) of the background is below the retina: more precisely the chance that of five layer pixels
    drawn at random by their probability most lie above, m^3 (10 - 15 m + 6 m^2). One draw (m itself) would let a
    speck of 5 % of the retina in the choroid push all surfaces down by 5 % of its distance, five draws by 0.1 %;
    infinitely many are the rule of `depth_classes`, which has no derivative. The share never falls with depth. It
    is 0 above all layers and 1 below them, also for a pixel that a layer covers in part, so that a mask, hard or
    antialiased, is divided exactly. Without any layer above or below (A + B = 0) it is a half.
    """
    background = probabilities[:, 0]
    below = background * _share_below(1 - background)
    return torch.cat([(background - below)[:, None], probabilities[:, 1:], below[:, None]], dim=1)


def _share_below(layers: Tensor) -> Tensor:
    """Share (N, H, W) of the background that is below the retina, from the probability of any layer (N, H, W)."""
    total_above = layers.cumsum(dim=1)
    above = torch.nn.functional.pad(total_above, (0, 0, 1, 0))[:, :-1]
    below = total_above[:, -1:] - total_above
    both = above + below
    # Divided by 1 where there is nothing, so that no gradient is nan.
    share = torch.where(both > 0, above / torch.where(both > 0, both, 1.0), 0.5)
    return share**3 * (10 - 15 * share + 6 * share**2)


def has_retina(probabilities: Tensor) -> Tensor:
    """Columns (N, W) bool that have surfaces: all layers together likelier than the background in some pixel."""
    return (probabilities[:, 0] < 0.5).any(dim=1)


def expected_surfaces(probabilities: Tensor) -> Tensor:
    """Surface rows (N, S, W), sub-pixel, from class probabilities (N, C, H, W): expected numbers of pixels above.

    Surface k is the sum over a column of the probability of depth classes 0..k (`split_background`). Every surface
    adds something to the one above, so they cannot cross. Exact for masks (as one-hot probabilities) and for
    antialiased ones, where a pixel that a surface cuts belongs to its classes by its shares. Differentiable.
    It believes every probability: a thousandth of a class in a thousand pixels moves surfaces by a pixel.
    """
    background = probabilities[:, 0]
    above = background * (1 - _share_below(1 - background))
    counts = torch.cat([above.sum(dim=1, keepdim=True), probabilities[:, 1:].sum(dim=2)], dim=1)
    rows = counts.cumsum(dim=1)
    return rows.masked_fill(~has_retina(probabilities)[:, None], torch.nan)


def likeliest_surfaces(probabilities: Tensor, smoothness: float = 0.0, is_subpixel: bool = True) -> Tensor:
    """Surface rows (N, S, W) float32 that make class probabilities (N, C, H, W) likeliest, of all ordered ones.

    Without smoothness: per column the ordered surfaces of the greatest product, over pixels, of the probability of
    the class that each pixel then has (above and below the retina: the background's). It is the exact optimum, by
    dynamic programming. On a mask that is out of order it is the ordered mask with the fewest changed pixels.

    smoothness: nats that a step of one row between neighbouring columns costs, for each surface. The result is then
    improved, not exact (see `ordered_path.smooth_ordered_rows`): its log likelihood less its steps is never below that
    of the columns' own optima; columns without retina only pass steps on. InputError where it is not 0 or more.

    is_subpixel: move each surface from the pixel edge to where the log ratio of the classes above and below it,
    linear between the two pixels' centres, is zero: half a pixel at most, not at all where a mask is certain, at the
    border of the image, or where nothing lies on either side. Surfaces that share an edge move together, by the classes
    above the first and below the last of them; so order is kept. Without it, rows are whole.
    """
    if not (math.isfinite(smoothness) and smoothness >= 0):
        raise InputError(f"smoothness is {smoothness}: expected nats a row of step, 0 or more")
    # Rows last: what runs along a column is fastest there. Sums in double, or long columns lose hundredths of a nat.
    precise = probabilities if probabilities.dtype == torch.float64 else probabilities.float()
    logs = precise.transpose(2, 3).contiguous().clamp_min(FLOOR).log_()
    odds = logs - logs.roll(-1, dims=1)
    num_scans, num_surfaces, num_columns, num_rows = odds.shape
    gains = odds.new_zeros((num_scans, num_surfaces, num_columns, num_rows + 1), dtype=torch.float64)
    gains[..., 1:] = odds.cumsum(dim=-1, dtype=torch.float64)
    is_known = has_retina(probabilities) & gains[..., -1].sum(dim=1).isfinite()
    gains.masked_fill_(~is_known[:, None, :, None], 0.0)
    rows = smooth_ordered_rows(gains, smoothness) if smoothness else best_ordered_rows(gains)
    found = _between_pixels(logs, rows) if is_subpixel else rows
    return found.float().masked_fill(~is_known[:, None], torch.nan)


def _between_pixels(logs: Tensor, rows: Tensor) -> Tensor:
    """Rows (N, S, W), sub-pixel, from whole ones and log probabilities (N, C, W, H), as said above."""
    num_scans, num_surfaces, num_columns = rows.shape
    surface = torch.arange(num_surfaces, device=rows.device)[None, :, None]
    edge = rows.new_full((num_scans, 1, num_columns), -1)
    is_first = rows != torch.cat([edge, rows[:, :-1]], dim=1)
    is_last = rows != torch.cat([rows[:, 1:], edge], dim=1)
    first = torch.where(is_first, surface, 0).cummax(dim=1).values
    last = torch.where(is_last, surface, num_surfaces - 1).flip(1).cummin(dim=1).values.flip(1)
    scan = torch.arange(num_scans, device=rows.device)[:, None, None]
    column = torch.arange(num_columns, device=rows.device)[None, None, :]

    def log_ratio(pixel: Tensor) -> Tensor:
        """Log of the probability of the class above the surfaces over that of the class below them, at a pixel."""
        pixel = pixel.clamp(0, logs.shape[-1] - 1)
        return logs[scan, first, column, pixel] - logs[scan, (last + 1) % num_surfaces, column, pixel]

    above, below = log_ratio(rows - 1).clamp_min(0), (-log_ratio(rows)).clamp_min(0)
    is_inside = (rows > 0) & (rows < logs.shape[-1]) & (above + below > 0)
    return rows + torch.where(is_inside, above / (above + below) - 0.5, 0.0)


def rows_on_grid(
    surface_rows: Array,
    old_shape: tuple[int, int],
    new_shape: tuple[int, int],
    place: tuple[int, int] = (0, 0),
    num_columns: int | None = None,
) -> Array:
    """Surface rows (..., S, W) float32 of a whole scan of num_columns columns, from rows (..., S, w) on another grid.

    old_shape (h, w): the grid that the rows are on, e.g. the network's. new_shape: the rows and columns of the same
    field of view in the scan, and place: the (row, column) of its upper left pixel there (negative where it was
    padded). Rows scale as edges; between columns, about their centres, they are linear, and nan where a neighbour
    that counts is nan. Columns outside the field of view are nan. num_columns None: no columns after it.
    """
    assert surface_rows.shape[-1] == old_shape[1], (surface_rows.shape, old_shape)
    (top, first), width = place, new_shape[1]
    num_columns = first + width if num_columns is None else num_columns
    columns = np.clip((np.arange(width) + 0.5) * old_shape[1] / width - 0.5, 0, old_shape[1] - 1)
    left = np.floor(columns).astype(int)
    right = np.minimum(left + 1, old_shape[1] - 1)
    share = (columns - left).astype(np.float32)
    # A weight of exactly 0 must not let a nan through.
    from_left = np.where(share < 1, (1 - share) * surface_rows[..., left], 0)
    from_right = np.where(share > 0, share * surface_rows[..., right], 0)
    rows = (from_left + from_right) * new_shape[0] / old_shape[0] + top
    whole = np.full((*surface_rows.shape[:-1], num_columns), np.nan, np.float32)
    start, stop = max(first, 0), min(first + width, num_columns)
    whole[..., start:stop] = rows[..., start - first : stop - first]
    return whole
